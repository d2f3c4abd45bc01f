import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Entry } from '../../../../src/cli/explain/catalogue/entry.ts';
import { whyFacts, xrayFacts } from '../../../../src/cli/explain/catalogue/facts.ts';
import { without } from '../../../../src/cli/explain/catalogue/without.ts';
import { Catalogue, reasons, remarkTexts, titles } from '../../../../src/cli/explain/translate.ts';
import { words } from '../../../../src/cli/explain/words.ts';

const source = join(import.meta.dirname, '../../../../src');
/** Where steps are described in words: of a start and a stop, and of what both may meet on the way. */
const files = [
  ...readdirSync(join(source, 'runtime/compile')).map((name) => `runtime/compile/${name}`),
  ...readdirSync(join(source, 'container/explain')).map((name) => `container/explain/${name}`),
  ...['network/steps.ts', 'cgroup/steps.ts', 'cgroup/service.ts', 'cgroup/limits.ts', 'container/steps.ts'],
];

/** The texts behind `title:` and `why:` in the code, with `x` for each `${…}`; parts of a sum stand by themselves. */
function textsIn(file: string, property: 'title' | 'why'): string[] {
  const code = readFileSync(join(source, file), 'utf8');
  const literal = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/.source;
  const found = [...code.matchAll(new RegExp(`\\b${property}:\\s*(${literal})(?!\\s*\\+)`, 'g'))];
  return found.flatMap(([, quoted = '']) => {
    const inner = quoted.slice(1, -1).replaceAll("\\'", "'");
    // One that has a quoted text inside of `${…}` is seen by the tests that compile.
    if (/\$\{[^}]*[`'"]|\$\{[^}]*$/.test(inner)) return [];
    return [inner.replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '/x')];
  });
}

/** Texts that others are made from, and that stand in no list by themselves. */
const parts = ['overlay of the layers', 'layer /x', 'an empty directory for /x'];
const isPart = (text: string): boolean => text.startsWith('/x') || text === 'tell: /x' || parts.includes(text);

test('every title and every reason that the code has is in a catalogue', () => {
  let count = 0;
  for (const file of files) {
    for (const text of textsIn(file, 'title')) {
      count++;
      if (!isPart(text)) expect(titles.find(text), `${file}: title ${JSON.stringify(text)}`).toBeDefined();
    }
    for (const text of textsIn(file, 'why')) {
      count++;
      if (text !== '') expect(reasons.find(text), `${file}: why ${JSON.stringify(text)}`).toBeDefined();
    }
  }
  expect(count).toBeGreaterThan(250);
});

/** The first literal of every `say(…)`. */
function sentencesIn(file: string): string[] {
  const code = readFileSync(join(source, file), 'utf8');
  const found = [...code.matchAll(/\bsay\(\s*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`|\w)/g)];
  return found.map(([, quoted = '']) => (/^['"]/.test(quoted) ? quoted.slice(1, -1).replaceAll("\\'", "'") : quoted));
}

const tellers = ['container/why', 'container/xray'].flatMap((directory) =>
  readdirSync(join(source, directory)).map((name) => `${directory}/${name}`),
);

test('every sentence that the code has is in the catalogue, and no other', () => {
  const said = tellers.flatMap(sentencesIn).filter((text) => text.length > 1);
  const known = new Set([...whyFacts, ...xrayFacts].map(([english]) => english));
  for (const text of said) if (text.replace(/\{\d\}|\W/g, '') !== '') expect(known, text).toContain(text);
  for (const text of known) expect(said).toContain(text);
  expect(said.length).toBeGreaterThan(40);
});

const placeholders = (text: string): string[] => [...new Set(text.match(/\{\d\}/g) ?? [])].sort();

/** The same in both languages: names of the kernel and what stands for them. */
const alike = new Set(['{1} = {2}', 'sysctl {1}', '{1} comes from {2}']);

test.each([
  ['titles', titles],
  ['reasons', reasons],
  ['remarks', remarkTexts],
  ['facts', new Catalogue([...whyFacts, ...xrayFacts])],
] as [string, Catalogue][])('%s are complete in both languages, each once', (_, { entries }) => {
  const english = entries.map(([text]) => text);
  expect(english.filter((text, index) => english.indexOf(text) !== index)).toEqual([]);
  for (const [text, russian] of entries) {
    expect(placeholders(russian), text).toEqual(placeholders(text));
    if (!alike.has(text)) expect(russian, text).toMatch(/[а-яё]/i);
    expect(text).not.toMatch(/[а-яё]/i);
    expect(russian.replace(/^ {2}/, ''), text).not.toMatch(/\s$|^\s| {2}/);
  }
});

test('what would be possible without a step belongs to a title that there is, in both languages', () => {
  const known = titles.entries.map(([english]) => english);
  for (const [title, english, russian] of without) {
    expect(known).toContain(title);
    expect(english).not.toMatch(/[а-яё]/i);
    expect(russian, title).toMatch(/[а-яё]/i);
  }
});

/** Keys of an object and of what lies in it. */
function keysOf(value: object): string[] {
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'object' && inner !== null ? keysOf(inner).map((below) => `${key}.${below}`) : [key],
  );
}

test('the words around them have the same keys in both languages', () => {
  expect(keysOf(words.ru).sort()).toEqual(keysOf(words.en).sort());
  expect(words.ru.counts(3, 2)).toMatch(/3.*2/);
  expect(words.ru.and(4)).toContain('4');
});

const small: Entry[] = [
  ['open {1}', 'открыть {1}'],
  ['open {1} inside {2}', 'в {2} открыть {1}'],
];

test('the entry that says most by itself is taken, and what changes keeps its place', () => {
  const catalogue = new Catalogue(small);
  expect(catalogue.translate('open a inside b', 'ru')).toBe('в b открыть a');
  expect(catalogue.translate('open (a.b)*', 'ru')).toBe('открыть (a.b)*');
  expect(catalogue.translate('open a inside b', 'en')).toBe('open a inside b');
  expect(catalogue.translate('close it', 'ru')).toBe('close it');
});
