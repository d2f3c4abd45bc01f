/** Sentences in the language of the reader. */
import { render, type Sentence } from '../../container/sentence.ts';
import type { Language } from '../options/language.ts';
import { whyFacts, xrayFacts } from './catalogue/facts.ts';
import { reasons } from './translate.ts';

export const facts = new Map<string, string>([...whyFacts, ...xrayFacts]);

/** A sentence in a language; a text that no catalogue has stays English. */
export function tell(sentence: Sentence, language: Language): string {
  return render(sentence, (text) =>
    language === 'en' ? text : (facts.get(text) ?? reasons.translate(text, language)),
  );
}
