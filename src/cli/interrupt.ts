/** Ctrl-C and SIGTERM before a container takes them: what is under way is given up in good order. */
import { signalTurns } from '../linux/pause.ts';
import { signals } from '../linux/signals.ts';

const ending = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let controller: AbortController | undefined;
let received: number | undefined;

/** Whether the engine listens too, because the container runs and signals are for it. */
const belongsToContainer = (name: NodeJS.Signals): boolean => process.listenerCount(name) > 1;

function onSignal(name: (typeof ending)[number]): void {
  if (belongsToContainer(name)) return;
  // The second one ends the process at once: whoever hangs shall not be immortal.
  if (received !== undefined) process.exit(128 + signals[name]);
  received = signals[name];
  controller?.abort();
  deliverLater(name);
}

/** A signal that comes while a container is being started is for the container, as soon as somebody passes it on. */
function deliverLater(name: NodeJS.Signals): void {
  const timer = setInterval(() => {
    if (!belongsToContainer(name)) return;
    clearInterval(timer);
    received = undefined;
    process.emit(name, name);
  }, 10);
  timer.unref();
}

/** From now on a signal aborts what this is given to, until `endInterruption`. */
export function beginInterruption(): AbortSignal {
  controller ??= new AbortController();
  for (const name of ending) process.on(name, onSignal);
  return controller.signal;
}

/** Signals do again what they did before. */
export function endInterruption(): void {
  for (const name of ending) process.off(name, onSignal);
}

/** Where signals are waited for: hears of one that may have come already. */
export async function heedSignals(): Promise<void> {
  if (controller !== undefined) await signalTurns();
}

/** The number of the signal that came. */
export function interruptedBy(): number | undefined {
  return received;
}
