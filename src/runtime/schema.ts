/**
 * Parsers of JSON values, made of smaller ones: each takes a value and where it stands, and returns its type or throws.
 * Null is absent, since programs in Go write it; fields that nobody knows are passed over, as the specification wants it.
 */
import { TsrunError } from '../error.ts';

export type Parser<T> = (value: unknown, at: string) => T;

function wrong(at: string, expected: string, value: unknown): TsrunError {
  const text = JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner));
  const shown = text === undefined ? 'missing' : text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return new TsrunError('USAGE', `${at} must be ${expected}, and is ${shown}`);
}

export const text: Parser<string> = (value, at) => {
  if (typeof value !== 'string') throw wrong(at, 'a string', value);
  if (value.includes('\0')) throw wrong(at, 'a string without NUL', value);
  return value;
};

export const boolean: Parser<boolean> = (value, at) => {
  if (typeof value !== 'boolean') throw wrong(at, 'true or false', value);
  return value;
};

/** A whole number. Beyond 2^53 (Go writes 2^64-1 for no limit) it is rounded. */
export const integer: Parser<number> = (value, at) => {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong(at, 'a whole number', value);
  return value;
};

/** A whole number from `low` to `high`. */
export function between(low: number, high: number): Parser<number> {
  return (value, at) => {
    const number = integer(value, at);
    if (number < low || number > high) throw wrong(at, `a whole number from ${low} to ${high}`, value);
    return number;
  };
}

export function oneOf<T extends string>(...words: readonly T[]): Parser<T> {
  return (value, at) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw wrong(at, `one of ${words.join(', ')}`, value);
    return found;
  };
}

export function list<T>(item: Parser<T>): Parser<T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) throw wrong(at, 'a list', value);
    return value.map((entry, index) => item(entry, `${at}[${index}]`));
  };
}

function fieldsOf(value: unknown, at: string): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'an object', value);
  return Object.entries(value);
}

/** An object whose names are free. */
export function map<T>(item: Parser<T>): Parser<Record<string, T>> {
  return (value, at) =>
    Object.fromEntries(
      fieldsOf(value, at).map(([name, entry]) => [name, item(entry, `${at}[${JSON.stringify(name)}]`)]),
    );
}

type RequiredKeys<T> = { [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? never : K }[keyof T];
type OptionalKeys<T> = Exclude<keyof T, RequiredKeys<T>>;

/** An object with the fields of T: each has its parser, so that no field of the type is forgotten. */
export function object<T extends object>(
  required: { [K in RequiredKeys<T>]: Parser<T[K]> },
  optional: { [K in OptionalKeys<T>]-?: Parser<Exclude<T[K], undefined>> },
): Parser<T> {
  const parsers = new Map<string, Parser<unknown>>([
    ...Object.entries<Parser<unknown>>(required as Record<string, Parser<unknown>>),
    ...Object.entries<Parser<unknown>>(optional as Record<string, Parser<unknown>>),
  ]);
  const needed = Object.keys(required);
  return (value, at) => {
    const result: Record<string, unknown> = {};
    for (const [name, entry] of fieldsOf(value, at)) {
      const parser = parsers.get(name);
      if (parser !== undefined && entry !== null && entry !== undefined) {
        result[name] = parser(entry, at === '' ? name : `${at}.${name}`);
      }
    }
    for (const name of needed) {
      if (!(name in result)) throw wrong(at === '' ? name : `${at}.${name}`, 'there', undefined);
    }
    // Every field of T has gone through its own parser above.
    return result as T;
  };
}
