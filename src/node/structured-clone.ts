/** structuredClone, https://html.spec.whatwg.org/#safe-passing-of-structured-data, of what JSON knows and a little more. */
import { DOMException } from './abort.ts';

/**
 * Copies plain data, arrays, maps, sets, dates and bytes, and what points to itself.
 *
 * @throws DOMException "DataCloneError" for a function or a symbol; TypeError for an object of a kind not known here
 */
export function structuredClone<T>(value: T): T {
  return copy(value, new Map()) as T;
}

function copy(value: unknown, made: Map<object, object>): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') {
    throw new DOMException(`${String(value)} could not be cloned.`, 'DataCloneError');
  }
  if (typeof value !== 'object' || value === null) return value;
  const known = made.get(value);
  if (known !== undefined) return known;
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) {
    const list: unknown[] = new Array(value.length);
    made.set(value, list);
    for (let at = 0; at < value.length; at++) if (at in value) list[at] = copy(value[at], made);
    return list;
  }
  if (value instanceof Map) {
    const map = new Map<unknown, unknown>();
    made.set(value, map);
    for (const [key, content] of value) map.set(copy(key, made), copy(content, made));
    return map;
  }
  if (value instanceof Set) {
    const set = new Set<unknown>();
    made.set(value, set);
    for (const content of value) set.add(copy(content, made));
    return set;
  }
  const kind = Object.prototype.toString.call(value);
  if (kind !== '[object Object]') throw new TypeError(`structuredClone knows no ${kind} here`);
  const object: Record<string, unknown> = {};
  made.set(value, object);
  for (const [key, content] of Object.entries(value)) object[key] = copy(content, made);
  return object;
}
