/** How the engine speaks to the user of a command. */
import type { EngineIo } from '../../container/engine.ts';
import { familiarName, parseReference } from '../../image/reference.ts';
import { printError } from '../output.ts';
import { showPull } from '../pull-progress.ts';

/** Notices and the progress of a pull go to stderr. */
export function engineIo(quiet: boolean, signal?: AbortSignal): EngineIo {
  return {
    notice: (line) => printError(line.startsWith('WARNING') ? line : `tsrun: ${line}`),
    pulling(reference) {
      if (!quiet) printError(`Unable to find image '${familiarName(parseReference(reference))}' locally`);
      return showPull(2, quiet);
    },
    ...(signal === undefined ? {} : { signal }),
  };
}
