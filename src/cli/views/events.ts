/** Events as `events` prints and filters them: docker's line, docker's fields, docker's rules for filters. */
import { matchesLabels } from '../../container/labels.ts';
import type { RecordedEvent } from '../../container/read-events.ts';
import { type Struct, stringMap } from '../format/value.ts';
import { parseFilters } from './container-filter.ts';

const names = new Set(
  'config container daemon event image label network node plugin scope secret service type volume'.split(' '),
);

/** The moment in local time, with nine digits behind the point. */
function timestamp({ timeNano }: RecordedEvent): string {
  const time = new Date(Number(timeNano / 1_000_000n));
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = -time.getTimezoneOffset();
  const zone =
    minutes === 0
      ? 'Z'
      : `${minutes < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${date}T${clock}.${String(timeNano % 1_000_000_000n).padStart(9, '0')}${zone}`;
}

/** `2026-… container create ID (image=busybox, name=web)`, attributes by name. */
export function eventLine(event: RecordedEvent): string {
  const attributes = Object.entries(event.attributes)
    .map(([name, value]) => `${name}=${value}`)
    .sort();
  const list = attributes.length === 0 ? '' : ` (${attributes.join(', ')})`;
  return `${timestamp(event)} ${event.type} ${event.action} ${event.id}${list}`;
}

/** What --format sees. */
export function eventStruct(event: RecordedEvent): Struct {
  const { type, action, id, attributes, scope, time, timeNano } = event;
  const old = type === 'container' || type === 'image';
  return {
    Status: old ? action : '',
    ID: old ? id : '',
    From: old ? (attributes.image ?? '') : '',
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: stringMap(attributes) },
    Scope: scope,
    Time: time,
    TimeNano: String(timeNano),
  };
}

/** Without the tag: `busybox:1` is found as `busybox` too. */
function withoutTag(name: string): string {
  return name.replace(/:[^/:]*$/, '');
}

/** Compiles the values of --filter: of one name alternatives, of several all, labels all. Throws `USAGE`. */
export function compileEventFilter(texts: readonly string[]): (event: RecordedEvent) => boolean {
  const filters = parseFilters(texts, names);
  const tests = [...filters].map(([name, values]) => compileOne(name, values));
  return (event) => tests.every((test) => test(event));
}

function compileOne(name: string, values: readonly string[]): (event: RecordedEvent) => boolean {
  const exact = (text: string | undefined): boolean => text !== undefined && values.includes(text);
  const begins = (text: string | undefined): boolean =>
    text !== undefined && values.some((value) => text.startsWith(value));
  switch (name) {
    case 'event':
      // With one of these docker looks at beginnings: what stands behind the colon is seldom known.
      return values.some((value) => ['health_status', 'exec_create', 'exec_start'].includes(value))
        ? ({ action }) => begins(action)
        : ({ action }) => exact(action);
    case 'type':
      return ({ type }) => exact(type);
    case 'scope':
      return ({ scope }) => exact(scope);
    case 'label':
      return ({ attributes }) => matchesLabels(attributes, values);
    case 'image':
      return ({ type, id, attributes }) => {
        const image = (type === 'image' ? attributes.name : attributes.image) ?? '';
        return exact(id) || exact(image) || exact(withoutTag(id)) || exact(withoutTag(image));
      };
    default:
      return ({ id, attributes }) => begins(id) || begins(attributes.name);
  }
}
