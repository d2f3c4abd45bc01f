/**
 * What templates work on. Go knows structs and maps, null pointers and null slices, and templates behave differently on
 * each, so the data says which it has: a plain object is a struct, a `GoMap` a map, `nilList` a slice that is not there.
 */

export type Value = null | boolean | number | string | typeof noValue | readonly Value[] | GoMap | Method | Struct;

/** Fields in the order in which JSON and `{{.}}` show them. */
export interface Struct {
  readonly [field: string]: Value;
  /** Fields that JSON leaves out while they are empty (Go's omitempty); templates see them. */
  readonly [omitted]?: Readonly<Record<string, Value>>;
  /** What `{{.}}` prints instead of the fields: Go's Stringer. */
  readonly [shownAs]?: string;
}

export const omitted: unique symbol = Symbol('omitted');
export const shownAs: unique symbol = Symbol('shown as');

/** `struct`, with those of the `empty` fields that it has not, for templates only. */
export function withOmitted(struct: Struct, empty: Readonly<Record<string, Value>>): Struct {
  const missing = Object.entries(empty).filter(([name]) => !Object.hasOwn(struct, name));
  return { ...struct, [omitted]: Object.fromEntries(missing) };
}

/** A field that takes arguments: `{{.Label "name"}}`. */
export type Method = (...args: Value[]) => Value;

/** What the field of a map that has no such key gives; it prints as `<no value>`. */
export const noValue: unique symbol = Symbol('no value');

/** A map with keys in their order, and what `index` answers for a key that it has not. */
export class GoMap {
  readonly entries: ReadonlyMap<string, Value>;
  readonly zero: Value;

  constructor(entries: Iterable<readonly [string, Value]>, zero: Value) {
    this.entries = new Map([...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
    this.zero = zero;
  }
}

/** A slice that is nil: empty to templates, `null` in JSON. */
export const nilList: readonly Value[] = Object.freeze([]);
/** A map that is nil: empty to templates, `null` in JSON. */
export const nilMap = new GoMap([], '');

/** A map of strings, such as labels. */
export function stringMap(record: Readonly<Record<string, string>>): GoMap {
  return new GoMap(Object.entries(record), '');
}

/** A list, or `nilList` when it has no entries: what Go's API types are when nobody set them. */
export function listOrNil(list: readonly Value[]): readonly Value[] {
  return list.length === 0 ? nilList : list;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isStruct(value: Value): value is Struct {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof GoMap);
}

/** Go's truth: false, 0, "", nil and what is empty are false; a struct is true. */
export function isTrue(value: Value): boolean {
  if (value === null || value === noValue || value === false || value === 0 || value === '') return false;
  if (isList(value)) return value.length > 0;
  if (value instanceof GoMap) return value.entries.size > 0;
  return true;
}

/** The name of a value's type, as messages and %T have it. */
export function typeName(value: Value): string {
  if (value === null || value === noValue) return '<nil>';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'function') return 'func()';
  if (isList(value)) return '[]interface {}';
  return 'map[string]interface {}';
}

/** A value as fmt's %v prints it. */
export function display(value: Value): string {
  if (value === null) return '<nil>';
  if (value === noValue) return '<no value>';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (typeof value === 'function') return '<func>';
  if (isList(value)) return `[${value.map(display).join(' ')}]`;
  if (value instanceof GoMap) return `map[${[...value.entries].map(([key, v]) => `${key}:${display(v)}`).join(' ')}]`;
  const text = value[shownAs];
  if (text !== undefined) return text;
  return `{${[...Object.values(value), ...Object.values(value[omitted] ?? {})]
    .filter((v) => typeof v !== 'function')
    .map(display)
    .join(' ')}}`;
}

/** JSON of one line, or indented by `indent` spaces. Control characters that JSON would let pass are escaped too. */
export function toJson(value: Value, indent = 0): string {
  return encode(value, indent, '');
}

function encode(value: Value, indent: number, outer: string): string {
  if (value === null || value === noValue || value === nilList || value === nilMap) return 'null';
  if (typeof value === 'string') return quoteJson(value);
  if (typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (typeof value === 'function') return 'null';
  const inner = indent === 0 ? '' : `\n${outer}${' '.repeat(indent)}`;
  const end = indent === 0 ? '' : `\n${outer}`;
  const nested = outer + ' '.repeat(indent);
  if (isList(value)) {
    if (value.length === 0) return '[]';
    return `[${value.map((item) => inner + encode(item, indent, nested)).join(',')}${end}]`;
  }
  const entries = value instanceof GoMap ? [...value.entries] : Object.entries(value);
  const shown = entries.filter(([, item]) => typeof item !== 'function');
  if (shown.length === 0) return '{}';
  const colon = indent === 0 ? ':' : ': ';
  return `{${shown.map(([key, item]) => inner + quoteJson(key) + colon + encode(item, indent, nested)).join(',')}${end}}`;
}

function quoteJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
