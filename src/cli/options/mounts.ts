/** -v, --mount and --tmpfs in docker's syntaxes. */
import { resolve } from 'node:path';
import type { MountOption, VolumeOption } from '../../container/run-options.ts';
import { checkVolumeName } from '../../container/volumes/options.ts';
import { TsrunError } from '../../error.ts';
import { parseBoolean } from '../flag.ts';
import { parseBytes } from '../units.ts';

type Propagation = Exclude<MountOption['propagation'], ''>;

const propagations: readonly string[] = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'];
const isPropagation = (text: string): text is Propagation => propagations.includes(text);
/** What only SELinux gives a meaning to. */
const labelModes: readonly string[] = ['z', 'Z'];
/** For a virtual machine between the file and the container. */
const consistencies: readonly string[] = ['cached', 'delegated', 'consistent', 'default'];

function usage(message: string, hint?: string): TsrunError {
  return new TsrunError('USAGE', message, { hint });
}

function checkTarget(target: string, context: string): void {
  if (!target.startsWith('/')) throw usage(`${context}: invalid mount path: '${target}' mount path must be absolute`);
  if (resolve(target) === '/') throw usage(`${context}: invalid specification: destination can't be '/'`);
}

/** `[SOURCE:]TARGET[:OPTIONS]`. Throws `USAGE` with docker's words. */
export function parseVolume(text: string): MountOption {
  const parts = text.split(':');
  const invalid = `invalid volume specification: '${text}'`;
  if (parts.includes('')) throw usage(`invalid spec: ${text}: empty section between colons`);
  if (parts.length > 3) throw usage(invalid);
  const [first = '', second, mode = ''] = parts;
  const source = second === undefined ? '' : first;
  const target = second ?? first;
  const { noCopy, ...options } = parseMode(mode);
  // As docker since version 23 has it, `./data` is a directory of the host.
  const path = /^\.{0,2}\//.test(source) || source === '.' || source === '..' ? resolve(source) : undefined;
  const type = path === undefined ? 'volume' : 'bind';
  const context = `${invalid}: invalid mount config for type "${type}"`;
  checkTarget(target, context);
  if (path === undefined && source !== '') checkVolumeName(source);
  if (type === 'volume' && options.propagation !== '')
    throw usage(`${context}: field BindOptions must not be specified`);
  if (type === 'bind' && noCopy) throw usage(`${context}: field VolumeOptions must not be specified`);
  return {
    type,
    source: path ?? source,
    target,
    ...options,
    createSource: true,
    nonRecursive: false,
    mode,
    ...(noCopy ? { volume: { noCopy } } : {}),
    origin: { flag: 'volume', text },
  };
}

interface Mode extends Pick<MountOption, 'readOnly' | 'propagation'> {
  noCopy: boolean;
}

/** Words of several kinds, one of each. */
function parseMode(mode: string): Mode {
  const options: Mode = { readOnly: false, propagation: '', noCopy: false };
  const kinds = new Set<string>();
  for (const word of mode === '' ? [] : mode.split(',')) {
    const kind = kindOfMode(word);
    if (kind === undefined || kinds.has(kind)) throw usage(`invalid mode: ${mode}`);
    kinds.add(kind);
    if (word === 'ro') options.readOnly = true;
    else if (word === 'nocopy') options.noCopy = true;
    else if (isPropagation(word)) options.propagation = word;
  }
  return options;
}

function kindOfMode(word: string): string | undefined {
  if (word === 'ro' || word === 'rw') return 'access';
  if (word === 'nocopy') return 'copy';
  if (isPropagation(word)) return 'propagation';
  if (labelModes.includes(word)) return 'label';
  return consistencies.includes(word) ? 'consistency' : undefined;
}

/** Fields of one line of CSV: `"` around a field lets it hold commas, `""` in it is one quote. Throws what Go says of others. */
export function splitCsv(text: string): string[] {
  const fields: string[] = [];
  const wrong = (column: number, what: string): Error =>
    new Error(`parse error on line 1, column ${column + 1}: ${what}`);
  let at = 0;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(text.slice(at));
    if (quoted === null && text[at] === '"') {
      // Up to the quote that does not end the field, or to the end where there is none.
      const [begin = ''] = /^"(?:[^"]|"")*/.exec(text.slice(at)) ?? [];
      throw wrong(at + begin.length, 'extraneous or missing " in quoted-field');
    }
    const comma = text.indexOf(',', at);
    const end = quoted === null ? (comma === -1 ? text.length : comma) : at + quoted[0].length;
    const bare = quoted === null ? text.slice(at, end).indexOf('"') : -1;
    if (bare !== -1) throw wrong(at + bare, 'bare " in non-quoted field');
    fields.push(quoted === null ? text.slice(at, end) : (quoted[1] ?? '').replaceAll('""', '"'));
    if (end >= text.length) return fields;
    at = end + 1;
  }
}

/** Keys of --mount that may stand without a value. */
const bareKeys = new Set(['readonly', 'ro', 'bind-nonrecursive', 'volume-nocopy']);

interface MountFields {
  type: string;
  source: string;
  target: string;
  readOnly: boolean;
  propagation: MountOption['propagation'];
  nonRecursive: boolean;
  tmpfsSize?: number;
  tmpfsMode?: number;
  volume?: VolumeOption;
  /** Which kinds of options were used: `bind`, `volume`, `tmpfs`. */
  kinds: Set<string>;
}

function booleanField(key: string, value: string): boolean {
  try {
    return parseBoolean(value);
  } catch {
    throw new Error(`invalid value for ${key}: ${value}`);
  }
}

/** `NAME=VALUE`, or a name alone. */
function pair(text: string): Record<string, string> {
  const [name = '', value = ''] = text.split(/=(.*)/s);
  return { [name]: value };
}

function takeField(fields: MountFields, key: string, value: string, field: string): void {
  const kind = /^(bind|volume|tmpfs)-/.exec(key)?.[1];
  if (kind !== undefined) fields.kinds.add(kind);
  switch (key) {
    case 'type':
      fields.type = value.toLowerCase();
      break;
    case 'source':
    case 'src':
      fields.source = /^\.{1,2}(\/|$)/.test(value) ? resolve(value) : value;
      break;
    case 'target':
    case 'dst':
    case 'destination':
      fields.target = value;
      break;
    case 'readonly':
    case 'ro':
      fields.readOnly = booleanField(key, value);
      break;
    case 'bind-propagation':
      if (!isPropagation(value)) throw new Error(`invalid propagation mode: ${value}`);
      fields.propagation = value;
      break;
    case 'bind-nonrecursive':
      fields.nonRecursive = booleanField(key, value);
      break;
    case 'bind-recursive':
      if (!['enabled', 'disabled', 'readonly'].includes(value)) {
        throw new Error(`invalid value for ${key}: ${value} (must be "enabled", "disabled" or "readonly")`);
      }
      fields.nonRecursive = value === 'disabled';
      break;
    case 'tmpfs-size':
      try {
        fields.tmpfsSize = parseBytes(value);
      } catch {
        throw new Error(`invalid value for ${key}: ${value}`);
      }
      break;
    case 'tmpfs-mode':
      if (!/^[0-7]{1,5}$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
      fields.tmpfsMode = Number.parseInt(value, 8);
      break;
    case 'volume-nocopy':
      fields.volume = { ...fields.volume, noCopy: booleanField(key, value) };
      break;
    case 'volume-driver':
      fields.volume = { ...fields.volume, driver: value };
      break;
    case 'volume-label':
      fields.volume = { ...fields.volume, labels: { ...fields.volume?.labels, ...pair(value) } };
      break;
    case 'volume-opt':
      fields.volume = { ...fields.volume, options: { ...fields.volume?.options, ...pair(value) } };
      break;
    case 'consistency':
      break;
    default:
      throw new Error(`unexpected key '${key}' in '${field}'`);
  }
}

/** Reads the fields of one --mount. Throws an `Error` with docker's words for what is wrong with the flag itself. */
export function parseMountFields(text: string): MountFields {
  const fields: MountFields = {
    type: 'volume',
    source: '',
    target: '',
    readOnly: false,
    propagation: '',
    nonRecursive: false,
    kinds: new Set(),
  };
  for (const field of splitCsv(text)) {
    const equals = field.indexOf('=');
    const key = (equals === -1 ? field : field.slice(0, equals)).toLowerCase();
    if (equals === -1 && !bareKeys.has(key)) throw new Error(`invalid field '${field}' must be a key=value pair`);
    takeField(fields, key, equals === -1 ? 'true' : field.slice(equals + 1), field);
  }
  if (fields.type === '') throw new Error('type is required');
  if (fields.target === '') throw new Error('target is required');
  for (const kind of fields.kinds) {
    if (kind !== fields.type) throw new Error(`cannot mix '${kind}-*' options with mount type '${fields.type}'`);
  }
  return fields;
}

/** One --mount. Throws `USAGE` with docker's words. */
export function parseMount(text: string): MountOption {
  const { type, source, target, kinds: _, ...rest } = parseMountFields(text);
  const context = `invalid mount config for type "${type}"`;
  if (type !== 'bind' && type !== 'volume' && type !== 'tmpfs') {
    throw usage(`${context}: mount type unknown`, 'there are bind, volume and tmpfs');
  }
  checkTarget(target, context);
  if (type === 'tmpfs' && source !== '') throw usage(`${context}: field Source must not be specified`);
  if (type === 'bind' && source === '') throw usage(`${context}: field Source must not be empty`);
  if (type === 'bind' && !source.startsWith('/')) {
    throw usage(`${context}: invalid mount path: '${source}' mount path must be absolute`);
  }
  if (type === 'volume' && source !== '') checkVolumeName(source);
  return { type, source, target, ...rest, createSource: false, mode: '', origin: { flag: 'mount', text } };
}

/** Options that a tmpfs takes, without those that have a value. */
const tmpfsFlags = new Set(
  'ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime norelatime strictatime nostrictatime'.split(
    ' ',
  ),
);
const tmpfsValues = /^(mode|uid|gid|nr_inodes|nr_blocks|mpol|size)=.+$/;

/** `TARGET[:OPTIONS]` of --tmpfs. Throws `USAGE` with docker's words. */
export function parseTmpfs(text: string): MountOption {
  const colon = text.indexOf(':');
  const target = colon === -1 ? text : text.slice(0, colon);
  const mode = colon === -1 ? '' : text.slice(colon + 1);
  if (!target.startsWith('/')) throw usage(`invalid mount path: '${target}' mount path must be absolute`);
  checkTarget(target, 'invalid mount config for type "tmpfs"');
  const options = mode === '' ? [] : mode.split(',');
  for (const option of options) {
    if (!tmpfsFlags.has(option) && !tmpfsValues.test(option)) {
      throw usage(`invalid tmpfs option [${JSON.stringify(option)}]`);
    }
  }
  return {
    type: 'tmpfs',
    source: '',
    target,
    readOnly: options.includes('ro'),
    propagation: '',
    createSource: false,
    nonRecursive: false,
    tmpfsOptions: options.filter((option) => option !== 'rw' && option !== 'ro'),
    mode,
    origin: { flag: 'tmpfs', text },
  };
}

/** All mounts that were asked for. A -v that is given twice is one. Throws `USAGE` when two have the same place. */
export function mountsOf(
  volumes: readonly string[],
  mounts: readonly string[],
  tmpfs: readonly string[],
): MountOption[] {
  const list = [...[...new Set(volumes)].map(parseVolume), ...mounts.map(parseMount), ...tmpfs.map(parseTmpfs)];
  const seen = new Set<string>();
  for (const { type, source, origin, target } of list) {
    // `-v PATH` yields to whatever else is there.
    if (type === 'volume' && source === '' && origin?.flag === 'volume') continue;
    const place = resolve(target);
    if (seen.has(place)) throw usage(`Duplicate mount point: ${place}`);
    seen.add(place);
  }
  return list;
}
