/** How the engine speaks to the user of a command. */
import type { EngineIo } from '../../container/engine.ts';
import { familiarName, parseReference } from '../../image/reference.ts';
import { printError } from '../output.ts';
import { showPull } from '../pull-progress.ts';

export interface IoOptions {
  /** No progress of pulls. */
  quiet?: boolean;
  /** The image is pulled although it may be there (--pull always): it is not missing. */
  always?: boolean;
  signal?: AbortSignal;
}

/** Notices and the progress of a pull go to stderr. */
export function engineIo({ quiet = false, always = false, signal }: IoOptions = {}): EngineIo {
  return {
    notice: (line) => printError(line.startsWith('WARNING') ? line : `tsrun: ${line}`),
    pulling(reference) {
      if (!quiet && !always) printError(`Unable to find image '${familiarName(parseReference(reference))}' locally`);
      return showPull(2, quiet);
    },
    ...(signal === undefined ? {} : { signal }),
  };
}
