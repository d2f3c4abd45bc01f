/** Errors as Node makes them: with a code. */

/** Gives an error the code that Node's has. */
export function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code });
}

/** A value that is none of those that are possible: ERR_OUT_OF_RANGE. */
export function outOfRange(name: string, range: string, value: unknown): RangeError {
  const isLarge = typeof value === 'number' && Number.isInteger(value) && Math.abs(value) > 4294967296;
  const text = typeof value === 'bigint' ? `${value}n` : String(value);
  const received = isLarge ? text.replace(/\B(?=(\d{3})+$)/g, '_') : text;
  return coded(
    new RangeError(`The value of "${name}" is out of range. It must be ${range}. Received ${received}`),
    'ERR_OUT_OF_RANGE',
  );
}
