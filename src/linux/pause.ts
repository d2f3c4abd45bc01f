/** Waiting without giving the event loop a turn. */

let cell: Int32Array | undefined;

/** Sleeps for so many milliseconds; fractions of one count. */
export function pause(milliseconds: number): void {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, milliseconds);
}
