/**
 * The border for foreign JSON (RFC 8259): manifests, configs, tokens, files of the store. A value is walked field by
 * field into a type; what does not fit is an error that names the document and the field.
 */
import { type ErrorCode, TsrunError } from '../error.ts';

/** How errors of one document are made. */
export interface JsonSource {
  /** What the document is, as an error says it: `manifest of "debian"`. */
  name: string;
  code: ErrorCode;
  hint?: string | undefined;
}

const defaultMaxLength = 65_536;

/** One value of a document together with the way to it, which is put into words only when something is wrong. */
export class Json {
  readonly #value: unknown;
  readonly #source: JsonSource;
  readonly #parent: Json | undefined;
  readonly #key: string | number;

  constructor(value: unknown, source: JsonSource, parent?: Json, key: string | number = '') {
    this.#value = value;
    this.#source = source;
    this.#parent = parent;
    this.#key = key;
  }

  /** `config.Env[3]`, `Labels["a b"]`; empty for the document itself. */
  get #path(): string {
    if (this.#parent === undefined) return '';
    const above = this.#parent.#path;
    if (typeof this.#key === 'number') return `${above}[${this.#key}]`;
    if (!/^\w+$/.test(this.#key)) return `${above}[${JSON.stringify(this.#key)}]`;
    return above === '' ? this.#key : `${above}.${this.#key}`;
  }

  /** The error that this value is not what it must be. */
  fail(problem: string): TsrunError {
    const where = this.#path === '' ? '' : `${this.#path} `;
    return new TsrunError(this.#source.code, `${this.#source.name}: ${where}${problem}`, { hint: this.#source.hint });
  }

  /** Absent and null are the same to every writer of these documents (Go's omitempty, nil slices). */
  get absent(): boolean {
    return this.#value === undefined || this.#value === null;
  }

  #object(): object {
    if (typeof this.#value !== 'object' || this.#value === null || Array.isArray(this.#value)) {
      throw this.fail('must be an object');
    }
    return this.#value;
  }

  /** A field of an object; absent where the object has none of that name. */
  get(key: string): Json {
    const object = this.#object();
    // What is inherited is not in the document.
    const value: unknown = Object.hasOwn(object, key) ? Reflect.get(object, key) : undefined;
    return new Json(value, this.#source, this, key);
  }

  /** All fields of an object; absent: none. Throws when there are more than `max`. */
  entries(max: number): [string, Json][] {
    if (this.absent) return [];
    const entries = Object.entries(this.#object());
    if (entries.length > max) throw this.fail(`has ${entries.length} fields, more than ${max}`);
    return entries.map(([key, value]) => [key, new Json(value, this.#source, this, key)]);
  }

  /** Items of an array; absent: none. Throws when there are more than `max`. */
  array(max: number): Json[] {
    if (this.absent) return [];
    if (!Array.isArray(this.#value)) throw this.fail('must be an array');
    const items: unknown[] = this.#value;
    if (items.length > max) throw this.fail(`has ${items.length} items, more than ${max}`);
    return items.map((item, index) => new Json(item, this.#source, this, index));
  }

  string(maxLength = defaultMaxLength): string {
    if (typeof this.#value !== 'string') throw this.fail('must be a string');
    if (this.#value.length > maxLength) throw this.fail(`is longer than ${maxLength} characters`);
    return this.#value;
  }

  optionalString(maxLength = defaultMaxLength): string | undefined {
    return this.absent ? undefined : this.string(maxLength);
  }

  boolean(): boolean {
    if (typeof this.#value !== 'boolean') throw this.fail('must be true or false');
    return this.#value;
  }

  /** A whole number from 0 to 2^53 - 1. */
  size(): number {
    if (typeof this.#value !== 'number' || !Number.isSafeInteger(this.#value) || this.#value < 0) {
      throw this.fail('must be a whole number, 0 or more');
    }
    return this.#value;
  }

  /** A whole number, negative too. */
  integer(): number {
    if (typeof this.#value !== 'number' || !Number.isSafeInteger(this.#value))
      throw this.fail('must be a whole number');
    return this.#value;
  }

  strings(max: number, maxLength = defaultMaxLength): string[] {
    return this.array(max).map((item) => item.string(maxLength));
  }

  /** An object whose values are strings, such as labels. */
  stringMap(max: number, maxLength = defaultMaxLength): Record<string, string> {
    // fromEntries defines properties: a key "__proto__" stays data
    return Object.fromEntries(this.entries(max).map(([key, value]) => [key, value.string(maxLength)]));
  }

  /** The keys of an object that is used as a set, such as ExposedPorts. */
  keys(max: number): string[] {
    return this.entries(max).map(([key]) => key);
  }
}

/** Parses a document of UTF-8 text. */
export function parseJson(text: Uint8Array | string, source: JsonSource): Json {
  const decoded = typeof text === 'string' ? text : new TextDecoder().decode(text);
  try {
    return new Json(JSON.parse(decoded), source);
  } catch (cause) {
    throw new TsrunError(source.code, `${source.name}: is not valid JSON`, { cause, hint: source.hint });
  }
}
