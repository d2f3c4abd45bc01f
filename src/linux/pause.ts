/** Waiting for a while: without giving the event loop a turn, or for nothing but that. */

let cell: Int32Array | undefined;

/** Sleeps for so many milliseconds; fractions of one count. */
export function pause(milliseconds: number): void {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, milliseconds);
}

/** Gives the event loop a turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Waits for a signal that may have come already: what it has ended may be noticed before it is. */
export async function signalTurns(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
