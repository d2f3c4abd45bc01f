/** What `xray` has found, for programs: the same names in every language, sentences in the one that was asked for. */
import type { Sentence } from '../../container/sentence.ts';
import { tell } from '../explain/tell.ts';
import type { Language } from '../options/language.ts';

/** Keys of these are the kernel's own words, and stay as they are. */
const foreign = new Set(['refused', 'stat', 'events']);

export function renderXrayJson(found: object, language: Language): string {
  return `${JSON.stringify(documentOf(found, language, false), null, 2)}\n`;
}

function documentOf(value: unknown, language: Language, keeps: boolean): unknown {
  if (Array.isArray(value)) return value.map((one) => documentOf(one, language, keeps));
  if (typeof value !== 'object' || value === null) return value;
  if (isSentence(value)) return tell(value, language);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      keeps ? key : key.charAt(0).toUpperCase() + key.slice(1),
      documentOf(inner, language, foreign.has(key)),
    ]),
  );
}

function isSentence(value: object): value is Sentence {
  return 'text' in value && 'values' in value && Array.isArray(value.values);
}
