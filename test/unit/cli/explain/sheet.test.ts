import { expect, test } from 'vitest';
import { ParsedFlags } from '../../../../src/cli/arguments.ts';
import { renderHtml } from '../../../../src/cli/explain/html.ts';
import { renderJson } from '../../../../src/cli/explain/json.ts';
import { sheetOf } from '../../../../src/cli/explain/sheet.ts';
import { renderText, wrap } from '../../../../src/cli/explain/text.ts';
import { withoutExplainFlags } from '../../../../src/cli/options/explain.ts';
import { languageOf } from '../../../../src/cli/options/language.ts';
import { type Explanation, hostStep, note } from '../../../../src/container/explain/explanation.ts';

const drop = (name: string) => ({
  ...hostStep(
    {
      phase: 'security',
      title: `drop ${name} from the bounding set`,
      why: 'no program of the container can ever get it again, not even by setuid or file capabilities',
      shell: `capsh --drop=${name}`,
    },
    'container',
  ),
  call: `prctl(PR_CAPBSET_DROP, ${name})`,
});

const explanation: Explanation = {
  command: 'run',
  subject: 'box',
  isStandIn: true,
  remarks: ['this machine does not offer the controller memory: the real run would refuse'],
  steps: [
    hostStep({
      phase: 'image',
      title: 'find the image "<box>"',
      why: 'its config says what is run and by whom, its layers are the files; what is not in the store is pulled first',
    }),
    drop('CAP_SYS_ADMIN'),
    drop('CAP_SYS_BOOT'),
    { ...hostStep({ phase: 'security', title: 'close the program' }, 'container'), call: 'close(3)' },
    note(
      'monitor',
      'monitor',
      'monitor: wait for the end, and write down how it was',
      'only the parent of a process gets its exit status',
    ),
  ],
};
const plain = (_: string, text: string): string => text;

test('a full sheet has every step with its call, a section for each change of phase or side', () => {
  const sheet = sheetOf(explanation, 'tsrun run box', 'en', 'full');
  expect(sheet.sections.map(({ name, steps }) => [name, steps.map(({ number }) => number)])).toEqual([
    ['Image', [1]],
    ['Security', [2, 3, 4]],
    ['Monitor', [5]],
  ]);
  const text = renderText(sheet, { width: 80, paint: plain });
  expect(text).toContain('What "tsrun run box" does\n');
  expect(text).toContain('prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT)');
  expect(text).toContain('5 steps, 3 of them system calls');
  expect(text.split('\n').filter((line) => line.includes('without it:'))).toHaveLength(1);
});

test('a brief sheet has a line for each kind, without what only prepares', () => {
  const text = renderText(sheetOf(explanation, 'tsrun run box', 'en', 'brief'), { width: 80, paint: plain });
  expect(text).toContain('2. drop CAP_SYS_ADMIN from the bounding set, and 1 more of the kind');
  expect(text).not.toContain('close the program');
  expect(text).not.toContain('prctl(');
});

test.each([40, 63, 80, 200])('no line is wider than %i columns, in both languages', (width) => {
  for (const language of ['en', 'ru'] as const) {
    const text = renderText(sheetOf(explanation, `tsrun run ${'x'.repeat(100)}`, language, 'full'), {
      width,
      paint: plain,
    });
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(width);
  }
});

test('control characters of names do not reach the terminal', () => {
  expect(wrap('a\u001b[31mb', 40)).toEqual(['a\\x1b[31mb']);
});

test('Russian is Russian', () => {
  const text = renderText(sheetOf(explanation, 'tsrun run box', 'ru', 'full'), { width: 80, paint: plain });
  expect(text).toContain('Что делает «tsrun run box»');
  expect(text).toContain('убрать CAP_SYS_ADMIN из ограничивающего набора');
  expect(text).toContain('зачем: ');
  expect(text).toContain('без этого: ');
});

test('the page needs nothing from elsewhere, and names its language and its parts', () => {
  for (const language of ['en', 'ru'] as const) {
    const page = renderHtml(sheetOf(explanation, 'tsrun run <box>', language, 'full'));
    expect(page).toContain(`<html lang="${language}">`);
    expect(page).toContain('prefers-color-scheme: dark');
    expect(page).not.toMatch(/<script|src=|@import|url\(|https?:/);
    expect(page).toContain('&#60;box&#62;');
    // What a keyboard and a screen reader go by: one h1, headings of sections, links that lead somewhere.
    expect(page.match(/<h1>/g)).toHaveLength(1);
    expect(page.match(/<h2 /g)).toHaveLength(3);
    for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(page).toContain(`id="${target}"`);
    for (const tag of ['section', 'ol', 'li', 'p', 'code', 'details', 'main', 'nav']) {
      const opened = page.match(new RegExp(`<${tag}[ >]`, 'g'))?.length ?? 0;
      expect(page.match(new RegExp(`</${tag}>`, 'g'))?.length ?? 0, tag).toBe(opened);
    }
  }
});

test('JSON has everything by name', () => {
  const document = JSON.parse(renderJson(explanation, 'tsrun run box', 'ru'));
  expect(document).toMatchObject({ Command: 'run', Language: 'ru', StandIn: true });
  expect(document.Steps[1]).toEqual({
    Step: 2,
    Side: 'container',
    Phase: 'security',
    Title: 'убрать CAP_SYS_ADMIN из ограничивающего набора',
    Why: 'ни одна программа контейнера больше никогда её не получит, даже через setuid или привилегии файлов',
    Without: 'её вернула бы программа setuid или файл с привилегиями',
    Call: 'prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)',
    Shell: 'capsh --drop=CAP_SYS_ADMIN',
    Traced: true,
  });
});

test('the language is that of the flag, else of the environment, else English', () => {
  const flags = new ParsedFlags();
  expect(languageOf(flags, { LANG: 'ru_RU.UTF-8' })).toBe('ru');
  expect(languageOf(flags, { LANG: 'ru_RU.UTF-8', LC_ALL: 'C.UTF-8' })).toBe('en');
  expect(languageOf(flags, {})).toBe('en');
  flags.add({ name: 'lang', type: 'string', description: '' }, 'en');
  expect(languageOf(flags, { LANG: 'ru_RU.UTF-8' })).toBe('en');
});

test('the command line that is explained has no flags of explain, but all of the command in the container', () => {
  const typed = ['--lang', 'ru', '-m', '1g', '--level=brief', 'box', 'ls', '--format=long'];
  expect(withoutExplainFlags(typed, 3)).toEqual(['-m', '1g', 'box', 'ls', '--format=long']);
});
