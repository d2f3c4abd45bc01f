/** Shows a pull or push while it works: on stdout for `pull`, on stderr for `run`, whose stdout belongs to the container. */
import type { PullEvent, PushEvent } from '../image/events.ts';
import { ProgressView } from '../image/progress.ts';
import { printError, writeBytes } from './output.ts';
import { terminalSize } from './terminal.ts';

/** Where the events of a pull or push go. `fd` is 1 or 2; `quiet` leaves nothing but warnings. */
export function showPull(fd: 1 | 2, quiet: boolean): (event: PullEvent | PushEvent) => void {
  const size = process.env.TERM === 'dumb' ? undefined : terminalSize(fd);
  const view = new ProgressView({ terminal: size !== undefined, ...(size ?? { columns: 80, rows: 24 }) });
  return (event) => {
    const shown = view.show(event);
    if (shown === undefined) return;
    if (shown.warning) {
      printError(shown.text.trimEnd());
    } else if (!quiet) {
      // The full name at the end is for scripts that read pull's stdout.
      const text = event.kind === 'end' && fd === 2 ? withoutLastLine(shown.text) : shown.text;
      writeBytes(fd, Buffer.from(text));
    }
  };
}

function withoutLastLine(text: string): string {
  return text.replace(/[^\n]*\n$/, '');
}
