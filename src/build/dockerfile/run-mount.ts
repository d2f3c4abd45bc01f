/** `RUN --mount=type=…,…` (Dockerfile reference, "RUN --mount"). */
import { TsrunError } from '../../error.ts';

export type CacheSharing = 'shared' | 'private' | 'locked';

export type RunMount =
  | { type: 'bind'; target: string; from: string | undefined; source: string; readOnly: boolean }
  | {
      type: 'cache';
      id: string;
      target: string;
      from: string | undefined;
      source: string;
      readOnly: boolean;
      sharing: CacheSharing;
      mode: number;
      uid: number;
      gid: number;
    }
  | { type: 'tmpfs'; target: string; size: number | undefined }
  | {
      type: 'secret';
      id: string;
      /** Absent: only in the environment. */
      target: string | undefined;
      env: string | undefined;
      required: boolean;
      mode: number;
      uid: number;
      gid: number;
    };

const keysOf = {
  bind: ['target', 'source', 'from', 'readonly'],
  cache: ['id', 'target', 'source', 'from', 'readonly', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'target', 'env', 'required', 'mode', 'uid', 'gid'],
} as const;

const aliases: Readonly<Record<string, string>> = {
  dst: 'target',
  destination: 'target',
  src: 'source',
  ro: 'readonly',
};

/** Reads one mount; `expand` puts values of variables in. Throws `USAGE`. */
export function parseRunMount(text: string, expand: (word: string) => string): RunMount {
  const fields = new Map<string, string>();
  for (const field of splitFields(text)) {
    const [written = '', value = 'true'] = field.split(/=(.*)/s);
    let key = written.trim().toLowerCase();
    let meaning = expand(value);
    // `rw` is what is not `readonly`.
    if (key === 'rw' || key === 'readwrite') {
      key = 'readonly';
      meaning = isTrue(meaning, written) ? 'false' : 'true';
    }
    fields.set(aliases[key] ?? key, meaning);
  }
  const type = fields.get('type') ?? 'bind';
  fields.delete('type');
  if (type === 'ssh') {
    throw new TsrunError('UNSUPPORTED', 'tsrun build has no --mount=type=ssh', {
      hint: 'hand a key over as a secret: RUN --mount=type=secret,id=key and tsrun build --secret id=key,src=FILE',
    });
  }
  if (!Object.hasOwn(keysOf, type)) {
    throw new TsrunError('USAGE', `unsupported mount type "${type}"`, { hint: 'there are bind, cache, secret, tmpfs' });
  }
  const known: readonly string[] = keysOf[type as keyof typeof keysOf];
  for (const key of fields.keys()) {
    if (!known.includes(key)) {
      throw new TsrunError('USAGE', `unexpected key '${key}' in '${text}'`, {
        hint: `a mount of type ${type} has ${known.join(', ')}`,
      });
    }
  }
  return build(type as keyof typeof keysOf, fields, text);
}

function build(type: keyof typeof keysOf, fields: ReadonlyMap<string, string>, text: string): RunMount {
  const target = fields.get('target');
  const flag = (key: string, absent: boolean): boolean => {
    const value = fields.get(key);
    return value === undefined ? absent : isTrue(value, key);
  };
  const place = { from: fields.get('from'), source: fields.get('source') ?? '' };
  const owner = {
    uid: number(fields.get('uid'), 10, 'uid') ?? 0,
    gid: number(fields.get('gid'), 10, 'gid') ?? 0,
  };
  if (type === 'secret') {
    const id = fields.get('id') ?? (target === undefined ? '' : (target.split('/').at(-1) ?? ''));
    if (id === '') throw new TsrunError('USAGE', `a secret needs an id: ${text}`);
    const env = fields.get('env');
    const where = target ?? (env === undefined ? `/run/secrets/${id}` : undefined);
    const mode = number(fields.get('mode'), 8, 'mode') ?? 0o400;
    return { type, id, target: where, env, required: flag('required', false), mode, ...owner };
  }
  if (target === undefined || target === '') throw new TsrunError('USAGE', `invalid mount: no target in '${text}'`);
  if (type === 'tmpfs') return { type, target, size: size(fields.get('size')) };
  if (type === 'cache' && place.source !== '' && place.from === undefined) {
    throw new TsrunError('USAGE', 'the source of a cache is a path in what its "from" names, which is missing');
  }
  if (type === 'bind') return { type, target, ...place, readOnly: flag('readonly', true) };
  const sharing = fields.get('sharing') ?? 'shared';
  if (sharing !== 'shared' && sharing !== 'private' && sharing !== 'locked') {
    throw new TsrunError('USAGE', `unsupported sharing value "${sharing}"`, {
      hint: 'there are shared, private, locked',
    });
  }
  const mode = number(fields.get('mode'), 8, 'mode') ?? 0o755;
  const id = fields.get('id') ?? target;
  return { type, id, target, ...place, readOnly: flag('readonly', false), sharing, mode, ...owner };
}

/** Fields of a line of CSV: one may be quoted as a whole. */
function splitFields(text: string): string[] {
  const fields: string[] = [];
  for (let rest = text; ; ) {
    const [whole, quoted, plain = ''] = /^(?:"((?:[^"]|"")*)"|([^,]*))/.exec(rest) ?? [''];
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    rest = rest.slice(whole.length);
    if (rest === '') return fields;
    rest = rest.slice(1);
  }
}

function isTrue(text: string, key: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw new TsrunError('USAGE', `invalid value for ${key}: ${text}`);
}

function number(text: string | undefined, base: 8 | 10, key: string): number | undefined {
  if (text === undefined) return undefined;
  if (!(base === 8 ? /^[0-7]{1,6}$/ : /^\d{1,10}$/).test(text)) {
    throw new TsrunError('USAGE', `invalid value ${text} for ${key}`);
  }
  return Number.parseInt(text, base);
}

/** `64m` in bytes. */
function size(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+)([kmgt]?)b?$/i.exec(text);
  if (match === null) throw new TsrunError('USAGE', `invalid value for size: ${text}`);
  return Number(match[1]) * 1024 ** ' kmgt'.indexOf((match[2] || ' ').toLowerCase());
}
