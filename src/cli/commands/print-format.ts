/** `--format` of commands that show one thing: version and info. */
import { TsrunError } from '../../error.ts';
import { compileTemplate, TemplateError } from '../format/template.ts';
import { type Struct, toJson } from '../format/value.ts';
import { printForeign } from '../terminal.ts';

/** Prints `data` through a template, or as JSON for `json`. Throws `USAGE`. */
export function printFormatted(data: Struct, format: string, thing: string): void {
  if (format === 'json') {
    printForeign(`${toJson(data)}\n`);
    return;
  }
  try {
    const template = compileTemplate(format, (field) => `can't evaluate field ${field} in type ${thing}`);
    printForeign(`${template.apply(data)}\n`);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new TsrunError('USAGE', `template parsing error: ${error.message}`, {
      hint: '--format json shows which fields there are',
      // Docker's code for a template that does not parse is sysexits' EX_USAGE.
      ...(error.message.includes(' executing ') ? {} : { exitCode: 64 }),
    });
  }
}
