/**
 * Steps in other languages. The English text of a step is its key, as with gettext(1): what the code says is written once,
 * where it is done, and a catalogue has for each text, `{1}` and `{2}` standing for what changes, what it is in Russian.
 */
import type { Language } from '../options/language.ts';
import type { Entry } from './catalogue/entry.ts';
import { hostReasons, limitReasons } from './catalogue/host-reasons.ts';
import { hostTitles } from './catalogue/host-titles.ts';
import { ociReasons, ociTitles } from './catalogue/oci.ts';
import { programReasons } from './catalogue/program-reasons.ts';
import { labels, programTitles } from './catalogue/program-titles.ts';
import { remarks } from './catalogue/remarks.ts';
import { without } from './catalogue/without.ts';

/** An English text found in a catalogue. */
export interface Match {
  entry: Entry;
  /** What stands for `{1}`, `{2}`, … */
  values: string[];
}

/** A list of texts, to be looked up by any text that one of them could have become. */
export class Catalogue {
  private readonly whole = new Map<string, Entry>();
  private readonly patterns: { entry: Entry; pattern: RegExp; weight: number }[] = [];

  constructor(readonly entries: readonly Entry[]) {
    for (const entry of entries) {
      const [english] = entry;
      if (!/\{\d\}/.test(english)) {
        this.whole.set(english, entry);
        continue;
      }
      const parts = english.split(/\{\d\}/);
      const source = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('(.+)');
      this.patterns.push({ entry, pattern: new RegExp(`^${source}$`, 's'), weight: parts.join('').length });
    }
    // The one that says most by itself.
    this.patterns.sort((a, b) => b.weight - a.weight);
  }

  find(text: string): Match | undefined {
    const entry = this.whole.get(text);
    if (entry !== undefined) return { entry, values: [] };
    for (const candidate of this.patterns) {
      const found = candidate.pattern.exec(text);
      if (found !== null) return { entry: candidate.entry, values: found.slice(1) };
    }
    return undefined;
  }

  /** The text in a language; one that is not in the catalogue stays English. */
  translate(text: string, language: Language): string {
    if (language === 'en' || text === '') return text;
    const match = this.find(text);
    if (match === undefined) return text;
    return match.entry[1].replace(/\{(\d)\}/g, (_, index) => {
      const value = match.values[Number(index) - 1] ?? '';
      return this === words ? value : words.translate(value, language);
    });
  }
}

const words: Catalogue = new Catalogue(labels);
export const titles = new Catalogue([...hostTitles, ...programTitles, ...ociTitles]);
export const reasons = new Catalogue([...hostReasons, ...limitReasons, ...programReasons, ...ociReasons]);
export const remarkTexts = new Catalogue(remarks);

const withoutByTitle = new Map(without.map(([title, english, russian]) => [title, { en: english, ru: russian }]));

/** What would be possible without a step with that (English) title; undefined where there is nothing to say. */
export function withoutStep(title: string, language: Language): string | undefined {
  const match = titles.find(title);
  return match === undefined ? undefined : withoutByTitle.get(match.entry[0])?.[language];
}

/** Steps of one kind have one key. */
export function kindOf(title: string): string {
  return titles.find(title)?.entry[0] ?? title;
}
