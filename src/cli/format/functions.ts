/** The functions of templates: those of Go's text/template, and those that docker adds. */
import { sprint, sprintf, sprintln } from './printf.ts';
import { display, GoMap, isList, isStruct, isTrue, nilList, noValue, toJson, typeName, type Value } from './value.ts';

export interface TemplateFunction {
  min: number;
  /** Absent: any number. */
  max?: number;
  call(args: readonly Value[]): Value;
  /** Says what is wrong with an argument of a type that cannot be. */
  parameter?(value: Value, index: number): string | undefined;
  /** Arguments behind this one are not looked at, and it is the result. */
  stopsAt?(value: Value): boolean;
}

type Kind = 'string' | 'number' | 'list' | 'any';

const typeOfKind: Readonly<Record<Kind, string>> = { string: 'string', number: 'int', list: '[]string', any: '' };

function isKind(value: Value, kind: Kind): boolean {
  if (kind === 'any') return true;
  return kind === 'list' ? isList(value) : typeof value === kind;
}

/** A function whose parameters have these types. */
function typed(kinds: readonly Kind[], call: (...args: Value[]) => Value): TemplateFunction {
  return {
    min: kinds.length,
    max: kinds.length,
    call: (args) => call(...args),
    parameter(value, index) {
      const kind = kinds[index] ?? 'any';
      if (isKind(value, kind)) return undefined;
      return `wrong type for value; expected ${typeOfKind[kind]}; got ${typeName(value)}`;
    },
  };
}

/** A function of one text. */
const ofText = (call: (text: string) => Value): TemplateFunction => typed(['string'], (text) => call(String(text)));

function kindOf(value: Value): string {
  if (value === null || value === noValue) return 'invalid';
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return typeof value;
  return 'other';
}

function comparable(value: Value): string {
  const kind = kindOf(value);
  if (kind === 'other') throw new Error(`non-comparable type ${display(value)}: ${typeName(value)}`);
  return kind;
}

function equal(a: Value, b: Value): boolean {
  const [kindA, kindB] = [comparable(a), comparable(b)];
  if (kindA === 'invalid' || kindB === 'invalid') return kindA === kindB;
  if (kindA !== kindB) throw new Error('incompatible types for comparison');
  return a === b;
}

function less(a: Value, b: Value): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a < b;
  if (typeof a === 'string' && typeof b === 'string') return a < b;
  if (kindOf(a) !== kindOf(b)) throw new Error('incompatible types for comparison');
  throw new Error('invalid type for comparison');
}

const ordering = (call: (a: Value, b: Value) => boolean): TemplateFunction => ({
  min: 2,
  max: 2,
  call: ([a = null, b = null]) => call(a, b),
});

function position(key: Value, length: number): number {
  if (typeof key !== 'number') throw new Error(`cannot index slice/array with type ${typeName(key)}`);
  if (!Number.isInteger(key) || key < 0 || key >= length) throw new Error(`index out of range: ${display(key)}`);
  return key;
}

function indexOne(value: Value, key: Value): Value {
  if (value === null || value === noValue || value === nilList) throw new Error('index of untyped nil');
  if (isList(value)) return value[position(key, value.length)] ?? null;
  if (typeof value === 'string') return Buffer.from(value)[position(key, Buffer.byteLength(value))] ?? null;
  if (value instanceof GoMap || isStruct(value)) {
    if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`);
    if (value instanceof GoMap) return value.entries.get(key) ?? value.zero;
    return Object.hasOwn(value, key) ? (value[key] ?? null) : null;
  }
  throw new Error(`can't index item of type ${typeName(value)}`);
}

function slice(value: Value, bounds: readonly Value[]): Value {
  if (!isList(value) && typeof value !== 'string') throw new Error(`can't slice item of type ${typeName(value)}`);
  const bytes = typeof value === 'string' ? Buffer.from(value) : undefined;
  const length = bytes?.length ?? (value as readonly Value[]).length;
  const limits = bounds.map((bound) => position(bound, length + 1));
  const [from = 0, to = length] = limits;
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  return bytes === undefined ? (value as readonly Value[]).slice(from, to) : bytes.subarray(from, to).toString();
}

function length(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (value instanceof GoMap) return value.entries.size;
  if (value === null || value === noValue) throw new Error('len of nil pointer');
  if (isStruct(value)) return Object.keys(value).length;
  throw new Error(`len of type ${typeName(value)}`);
}

const htmlEntities: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&#34;',
  "'": '&#39;',
};

const titleCase = (text: string): string =>
  text.replace(/(^|[^\p{L}\p{N}_'])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase());

const goFunctions: readonly (readonly [string, TemplateFunction])[] = [
  [
    'and',
    { min: 1, call: (args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1) ?? null, stopsAt: (v) => !isTrue(v) },
  ],
  ['or', { min: 1, call: (args) => args.find(isTrue) ?? args.at(-1) ?? null, stopsAt: isTrue }],
  ['not', { min: 1, max: 1, call: ([value = null]) => !isTrue(value) }],
  [
    'eq',
    {
      min: 1,
      call([first = null, ...others]) {
        if (others.length === 0) throw new Error('missing argument for comparison');
        return others.some((other) => equal(first, other));
      },
    },
  ],
  ['ne', ordering((a, b) => !equal(a, b))],
  ['lt', ordering(less)],
  ['le', ordering((a, b) => less(a, b) || equal(a, b))],
  ['gt', ordering((a, b) => !less(a, b) && !equal(a, b))],
  ['ge', ordering((a, b) => !less(a, b))],
  ['len', { min: 1, max: 1, call: ([value = null]) => length(value) }],
  ['index', { min: 1, call: ([value = null, ...keys]) => keys.reduce(indexOne, value) }],
  ['slice', { min: 1, call: ([value = null, ...bounds]) => slice(value, bounds) }],
  ['print', { min: 0, call: sprint }],
  ['println', { min: 0, call: sprintln }],
  [
    'printf',
    {
      min: 1,
      call: ([format, ...args]) => sprintf(String(format), args),
      parameter: (value, index) =>
        index > 0 || typeof value === 'string'
          ? undefined
          : `wrong type for value; expected string; got ${typeName(value)}`,
    },
  ],
  ['html', { min: 0, call: (args) => sprint(args).replace(/[<>&"']/g, (c) => htmlEntities[c] ?? c) }],
  ['js', { min: 0, call: (args) => sprint(args).replace(/[\\'"<>&=]/g, (c) => escapeJs(c)) }],
  ['urlquery', { min: 0, call: (args) => encodeURIComponent(sprint(args)).replaceAll('%20', '+') }],
];

function escapeJs(character: string): string {
  if ('\\\'"'.includes(character)) return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

const dockerFunctions: readonly (readonly [string, TemplateFunction])[] = [
  ['json', { min: 1, max: 1, call: ([value = null]) => toJson(value) }],
  ['split', typed(['string', 'string'], (text, by) => String(text).split(String(by)))],
  ['join', typed(['list', 'string'], (list, by) => (isList(list) ? list.map(display).join(String(by)) : ''))],
  ['title', ofText(titleCase)],
  ['lower', ofText((text) => text.toLowerCase())],
  ['upper', ofText((text) => text.toUpperCase())],
  [
    'pad',
    typed(['string', 'number', 'number'], (text, before, behind) => {
      if (text === '') return '';
      return ' '.repeat(Math.max(0, Number(before))) + String(text) + ' '.repeat(Math.max(0, Number(behind)));
    }),
  ],
  ['truncate', typed(['string', 'number'], (text, width) => [...String(text)].slice(0, Number(width)).join(''))],
];

/** All functions, by name. */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map([...goFunctions, ...dockerFunctions]);

/**
 * The functions for the header of a table: docker's own hand their first argument on, so that
 * `{{json .Names}}` has the header NAMES.
 */
export const headerFunctions: ReadonlyMap<string, TemplateFunction> = new Map([
  ...goFunctions,
  ...dockerFunctions.map(
    ([name, made]) =>
      [name, { min: made.min, ...(made.max === undefined ? {} : { max: made.max }), call: first }] as const,
  ),
]);

function first(args: readonly Value[]): Value {
  return args[0] ?? null;
}
