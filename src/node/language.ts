/**
 * What the language got after ES2020 and tsrun's sources use, for an engine that stopped there: set where it is missing
 * as this module is loaded, which is before all others. Syntax is the bundler's affair.
 */

/** `this` of the functions below: what has a length and places. */
type List = ArrayLike<unknown>;
type Predicate = (value: unknown, index: number, list: List) => unknown;

/** https://tc39.es/ecma262/#sec-array.prototype.at and the same of text and bytes */
export const ofLists = {
  at(this: List, index: number): unknown {
    const place = Math.trunc(index) || 0;
    return this[place < 0 ? this.length + place : place];
  },
};

export const ofArrays = {
  findLast(this: unknown[], predicate: Predicate, self?: unknown): unknown {
    for (let at = this.length - 1; at >= 0; at--) if (predicate.call(self, this[at], at, this)) return this[at];
    return undefined;
  },
  findLastIndex(this: unknown[], predicate: Predicate, self?: unknown): number {
    for (let at = this.length - 1; at >= 0; at--) if (predicate.call(self, this[at], at, this)) return at;
    return -1;
  },
  toSorted(this: unknown[], compare?: (a: unknown, b: unknown) => number): unknown[] {
    return [...this].sort(compare);
  },
  toReversed(this: unknown[]): unknown[] {
    return [...this].reverse();
  },
  toSpliced(this: unknown[], ...how: [number, number, ...unknown[]]): unknown[] {
    const copy = [...this];
    copy.splice(...how);
    return copy;
  },
  with(this: unknown[], index: number, value: unknown): unknown[] {
    const place = Math.trunc(index) || 0;
    const at = place < 0 ? this.length + place : place;
    if (at < 0 || at >= this.length) throw new RangeError(`Invalid index : ${index}`);
    const copy = [...this];
    copy[at] = value;
    return copy;
  },
};

export const ofObject = {
  hasOwn(object: object, key: PropertyKey): boolean {
    // biome-ignore lint/suspicious/noPrototypeBuiltins: this is what Object.hasOwn is made of
    return Object.prototype.hasOwnProperty.call(object, key);
  },
};

/**
 * Error with the option `cause`, https://tc39.es/ecma262/#sec-installerrorcause. Errors of either are instances of both.
 *
 * @param Native the engine's Error, which does not know it
 */
export function withCause(Native: ErrorConstructor): ErrorConstructor {
  function Informed(message?: string, options?: { cause?: unknown }): Error {
    const error = Reflect.construct(Native, message === undefined ? [] : [message], new.target ?? Informed);
    if (typeof options === 'object' && options !== null && 'cause' in options) {
      Object.defineProperty(error, 'cause', { value: options.cause, writable: true, configurable: true });
    }
    return error;
  }
  Object.defineProperty(Informed, 'name', { value: 'Error' });
  Informed.prototype = Native.prototype;
  Object.defineProperty(Native.prototype, 'constructor', { value: Informed, writable: true, configurable: true });
  return Informed as unknown as ErrorConstructor;
}

function bring(target: object, functions: object): void {
  for (const [name, value] of Object.entries(functions)) {
    if (!(name in target)) Object.defineProperty(target, name, { value, writable: true, configurable: true });
  }
}

bring(Array.prototype, ofLists);
bring(String.prototype, ofLists);
bring(Object.getPrototypeOf(Uint8Array.prototype), ofLists);
bring(Array.prototype, ofArrays);
bring(Object, ofObject);
if (new Error('', { cause: 1 }).cause === undefined) globalThis.Error = withCause(Error);
