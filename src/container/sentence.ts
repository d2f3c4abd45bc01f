/**
 * What is told of a container, as data: an English text in which `{1}`, `{2}` stand for what changes. The text is the key of
 * its translation, as that of a step is (docs/decisions/0110).
 */

export interface Sentence {
  text: string;
  values: readonly Value[];
}

/** Text that is the same in every language, or a sentence that is translated by itself. */
export type Value = string | number | Sentence;

export function say(text: string, ...values: Value[]): Sentence {
  return { text, values };
}

/** Sentences one behind the other. */
export function joined(parts: readonly Sentence[], separator = ', '): Sentence {
  return { text: parts.map((_, index) => `{${index + 1}}`).join(separator), values: parts };
}

/** The sentence with its values, every text of it as `translate` has it. */
export function render(sentence: Sentence, translate: (text: string) => string): string {
  const texts = sentence.values.map((value) => (typeof value === 'object' ? render(value, translate) : String(value)));
  return translate(sentence.text).replace(/\{(\d+)\}/g, (_, index) => texts[Number(index) - 1] ?? '');
}

/** The sentence as the code says it. */
export function english(sentence: Sentence): string {
  return render(sentence, (text) => text);
}
