/** `setTimeout` of `node:timers/promises`. */
import { Timer } from './loop.ts';

export interface WaitOptions {
  signal?: AbortSignal;
  ref?: boolean;
}

/** Settles after so many milliseconds; rejects with an AbortError where `signal` says so before. */
export function setTimeout<T>(
  milliseconds: number,
  value?: T,
  { signal, ref = true }: WaitOptions = {},
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      timer.stop();
      reject(Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }));
    };
    const timer = new Timer(
      () => {
        signal?.removeEventListener('abort', abort);
        resolve(value);
      },
      Math.max(1, milliseconds),
      false,
    );
    if (!ref) timer.unref();
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
