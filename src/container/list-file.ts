/**
 * The text of `$TSRUN_ROOT/cache/containers`: one line of JSON with what every list needs of every container, and behind it a
 * line for each with all that its records say, which most lists never look at. What is the same in all of them stands in
 * the first line only.
 */
import type { Container, ContainerRecord, ContainerState } from './record.ts';

/** To be raised with every change of what `ContainerRecord`, `ContainerState` and the cells of lists mean. */
const format = 4;

/** What a list shows of a container, ready for its table. */
export type Cells = readonly (string | number)[];

export interface Row {
  id: string;
  /** When the container's directory changed last (ctime), in milliseconds. */
  changed: number;
  /** As its record has it. */
  created: string;
  status: ContainerState['status'];
  /** Whether it ran without a monitor. */
  unsupervised?: true;
  cells?: Cells;
}

/** What a cache says; `records(i)` reads what belongs to the i-th row, and throws where that is damaged. */
export interface ListContent {
  /** When the directory of all containers changed last, if no container of then is missing here. */
  changed?: number;
  /** The boot in which it was written. */
  boot: string;
  /** What the cells depend on beside the containers. */
  key?: string;
  rows: readonly Row[];
  records: (index: number) => Pick<Container, 'record' | 'state'>;
}

/** The parts of records of which each may be the same for all. */
interface Parts {
  record: object;
  options: object;
  process: object;
  state: object;
  start: object | undefined;
  /** It is on the network that its start says, and on no other. */
  asStarted?: true;
}

interface Head extends Omit<ListContent, 'records'> {
  format: number;
  shared: Parts;
  /** Bytes of the lines behind this one, without their ends. */
  lengths: number[];
}

function takeApart({ record, state }: Pick<Container, 'record' | 'state'>): Parts {
  const { options, process, ...others } = record;
  const { start, attachments, ...rest } = state;
  const asStarted = JSON.stringify(attachments) === JSON.stringify([start?.network.attachment]);
  if (asStarted) return { record: others, options, process, state: rest, start, asStarted };
  return {
    record: others,
    options,
    process,
    state: attachments === undefined ? rest : { ...rest, attachments },
    start,
  };
}

function putTogether(parts: Parts, shared: Parts): Pick<Container, 'record' | 'state'> {
  const options = { ...shared.options, ...parts.options };
  const process = { ...shared.process, ...parts.process };
  const start = parts.start === undefined ? undefined : { ...shared.start, ...parts.start };
  const state = { ...shared.state, ...parts.state, start } as ContainerState;
  const attachment = parts.asStarted ? state.start?.network.attachment : undefined;
  return {
    record: { ...shared.record, ...parts.record, options, process } as ContainerRecord,
    state: attachment === undefined ? state : { ...state, attachments: [attachment] },
  };
}

/** The fields that have the same value in each of some objects. */
function sharedBy(objects: readonly object[]): object {
  const [first = {}, ...others] = objects;
  const same = ([key, value]: [string, unknown]): boolean => {
    const text = JSON.stringify(value);
    return others.every((other) => JSON.stringify((other as Record<string, unknown>)[key]) === text);
  };
  return Object.fromEntries(Object.entries(first).filter(same));
}

/** What of an object is not in `shared`. */
function restOf<T extends object | undefined>(object: T, shared: object = {}): T {
  if (object === undefined) return object;
  return Object.fromEntries(Object.entries(object).filter(([key]) => !Object.hasOwn(shared, key))) as T;
}

export function encodeList({ rows, records, ...others }: ListContent): string {
  const all = rows.map((_, index) => takeApart(records(index)));
  const shared: Parts = {
    record: sharedBy(all.map(({ record }) => record)),
    options: sharedBy(all.map(({ options }) => options)),
    process: sharedBy(all.map((parts) => parts.process)),
    state: sharedBy(all.map(({ state }) => state)),
    start: sharedBy(all.flatMap(({ start }) => start ?? [])),
  };
  const lines = all.map((parts) =>
    JSON.stringify({
      record: restOf(parts.record, shared.record),
      options: restOf(parts.options, shared.options),
      process: restOf(parts.process, shared.process),
      state: restOf(parts.state, shared.state),
      start: restOf(parts.start, shared.start),
      ...(parts.asStarted ? { asStarted: true } : {}),
    }),
  );
  const lengths = lines.map((line) => Buffer.byteLength(line));
  const head: Head = { format, ...others, shared, rows: [...rows], lengths };
  return [JSON.stringify(head), ...lines, ''].join('\n');
}

/** Throws, whatever it may be, where the bytes are nothing that `encodeList` of this version has made. */
export function decodeList(bytes: Buffer): ListContent {
  const end = bytes.indexOf(0x0a);
  const { format: written, shared, lengths, ...content } = JSON.parse(bytes.toString('utf8', 0, end)) as Head;
  if (written !== format) throw new Error('written by another version');
  if (content.rows.some(({ id }) => typeof id !== 'string')) throw new Error('no ids');
  const starts: number[] = [];
  let at = end + 1;
  for (const length of lengths) {
    starts.push(at);
    at += length + 1;
  }
  if (at !== bytes.length || starts.length !== content.rows.length) throw new Error('cut off');
  return {
    ...content,
    records(index) {
      const start = starts[index] ?? 0;
      return putTogether(JSON.parse(bytes.toString('utf8', start, start + (lengths[index] ?? 0))) as Parts, shared);
    },
  };
}
