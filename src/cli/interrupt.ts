/** Ctrl-C and SIGTERM while something can still be given up in good order. */
import { constants } from 'node:os';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let controller: AbortController | undefined;
let received: number | undefined;

function onSignal(name: NodeJS.Signals): void {
  // The second one ends the process at once: whoever hangs shall not be immortal.
  if (received !== undefined) process.exit(128 + constants.signals[name]);
  received = constants.signals[name];
  controller?.abort();
}

/** From now on a signal aborts what this is given to, until `endInterruption`. */
export function beginInterruption(): AbortSignal {
  controller ??= new AbortController();
  for (const name of signals) process.on(name, onSignal);
  return controller.signal;
}

/** Signals do again what they did before. */
export function endInterruption(): void {
  for (const name of signals) process.off(name, onSignal);
}

/** The number of the signal that came. */
export function interruptedBy(): number | undefined {
  return received;
}
