/** `--debug`: every step that the host's side takes, as it is taken, on stderr. */
import { messageOf } from '../error.ts';
import { onTrace } from '../trace.ts';
import { printError } from './output.ts';

/** Prints all further steps. */
export function printSteps(): void {
  onTrace((event) => {
    const failed = event.error === undefined ? '' : ` FAILED: ${messageOf(event.error)}`;
    printError(
      `[${event.start.toFixed(1).padStart(7)} ms] ${event.phase}: ${event.title} (${event.duration.toFixed(1)} ms)${failed}`,
    );
  });
}
