/** The templates of --format: parsed once, applied to many values. */

import { TemplateError } from './error.ts';
import { evaluate } from './evaluate.ts';
import { functions, headerFunctions } from './functions.ts';
import { parseTemplate } from './parser.ts';
import { GoMap, type Value } from './value.ts';

export { TemplateError } from './error.ts';

const names = new Set(functions.keys());

export interface CompiledTemplate {
  /** Throws `TemplateError`. */
  apply(data: Value): string;
  /** The header of a table: every field is its title; what cannot be a header is left out. */
  header(titles: Readonly<Record<string, Value>>): string;
}

/**
 * Compiles `source`. `missingField` words the message for a field that the data has not.
 * Throws `TemplateError`: `template: :1: …`.
 */
export function compileTemplate(source: string, missingField: (field: string) => string, name = ''): CompiledTemplate {
  const template = parseTemplate(source, name, names);
  return {
    apply: (data) => evaluate(template, data, { functions, missingField }),
    header(titles) {
      try {
        // A map: fields without a title print as <no value>.
        const data: Value = titles.Label === undefined ? new GoMap(Object.entries(titles), '') : titles;
        return evaluate(template, data, { functions: headerFunctions, missingField });
      } catch (error) {
        if (error instanceof TemplateError) return '';
        throw error;
      }
    },
  };
}
