/** `tsrun events`: what has happened to containers, images, networks and volumes, and what happens. */
import { journalPath } from '../../container/events.ts';
import type { RecordedEvent } from '../../container/read-events.ts';
import { readEvents } from '../../container/read-events.ts';
import { TsrunError } from '../../error.ts';
import { rootDirectory } from '../../linux/paths.ts';
import type { Command } from '../command.ts';
import { compileTemplate, TemplateError } from '../format/template.ts';
import { leaveLongReading } from '../long-reading.ts';
import { escapeControls, print } from '../output.ts';
import { printForeign } from '../terminal.ts';
import { parseMoment } from '../units.ts';
import { compileEventFilter, eventLine, eventStruct } from '../views/events.ts';

/** Nanoseconds since the epoch. */
function moment(name: string, text: string | undefined): bigint | undefined {
  if (!text) return undefined;
  const parsed = parseMoment(text);
  if (parsed === undefined) {
    throw new TsrunError(
      'USAGE',
      `invalid value for "${name}": failed to parse value as time or duration: ${JSON.stringify(text)}`,
    );
  }
  return BigInt(Date.parse(`${parsed.slice(0, 19)}Z`)) * 1_000_000n + BigInt(parsed.slice(20, 29));
}

/** How an event is printed. Throws `USAGE` for a template that does not parse. */
function printer(format: string | undefined): (event: RecordedEvent) => void {
  if (!format) return (event) => print(`${escapeControls(eventLine(event))}\n`);
  // As it was recorded: its numbers are longer than those of JavaScript.
  if (format === 'json' || /^\{\{\s*json\s+\.\s*\}\}$/.test(format)) return ({ line }) => printForeign(`${line}\n`);
  const fail = (error: unknown): never => {
    if (!(error instanceof TemplateError)) throw error;
    throw new TsrunError('USAGE', `Error parsing format: ${error.message}`, { exitCode: 64 });
  };
  let template: ReturnType<typeof compileTemplate>;
  try {
    template = compileTemplate(format, (field) => `can't evaluate field ${field} in type events.Message`);
  } catch (error) {
    return fail(error);
  }
  return (event) => {
    try {
      printForeign(`${template.apply(eventStruct(event))}\n`);
    } catch (error) {
      fail(error);
    }
  };
}

export const events: Command = {
  usage: '[OPTIONS]',
  description: 'Show what happens to containers, images, networks and volumes, as it happens',
  flags: [
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      description: 'Only those that fit, such as event=die or container=web',
    },
    { name: 'format', type: 'string', description: "'json', or a Go template" },
    { name: 'since', type: 'string', description: 'Begin at this time, or that span before now' },
    { name: 'until', type: 'string', description: 'End at this time' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const matches = compileEventFilter(flags.strings('filter'));
    const show = printer(flags.string('format'));
    const since = moment('since', flags.string('since'));
    const until = moment('until', flags.string('until'));
    if (since !== undefined) leaveLongReading([journalPath(rootDirectory())]);
    const end = until === undefined ? undefined : Number(until / 1_000_000n);
    await readEvents(rootDirectory(), { past: since !== undefined, until: end }, (event) => {
      if (since !== undefined && event.timeNano < since) return;
      if (until !== undefined && event.timeNano > until) return;
      if (matches(event)) show(event);
    });
    return 0;
  },
};
