/** --output of `build`, as buildx reads it: `DIRECTORY`, `-`, or `type=TYPE,dest=PATH,…`. */
import { TsrunError } from '../../error.ts';
import { splitCsv } from './mounts.ts';

/** What one --output asks for; the names are those of -t where it has none. */
export type OutputRequest =
  | { kind: 'directory'; path: string }
  /** `path` empty: stdout. */
  | { kind: 'tar'; path: string }
  | { kind: 'archive'; format: 'docker-archive' | 'oci-archive'; path: string; names: string[] }
  | { kind: 'image'; names: string[]; push: boolean };

/** Keys that say what is so in any case, with the values that say so. */
const idle: Readonly<Record<string, RegExp>> = {
  'rewrite-timestamp': /^true$/,
  tar: /^true$/,
  'platform-split': /^false$/,
};

const types = ['local', 'tar', 'oci', 'docker', 'image', 'registry'];

/** Reads it. Throws `USAGE`, and `UNSUPPORTED` for what buildx has and tsrun does not. */
export function parseOutput(text: string): OutputRequest {
  if (text === '') throw usage('the value of --output is empty');
  // A single word is a place, whatever it has in it.
  if (!text.includes(',') && !text.startsWith('type=')) {
    return text === '-' ? { kind: 'tar', path: '' } : { kind: 'directory', path: text };
  }
  const fields = fieldsOf(text);
  const take = (key: string): string | undefined => {
    const value = fields.get(key);
    fields.delete(key);
    return value;
  };
  const type = take('type');
  if (type === undefined) throw usage(`type is required for output: ${text}`);
  if (!types.includes(type)) {
    throw new TsrunError('UNSUPPORTED', `there is no output of type ${JSON.stringify(type)}`, {
      hint: `there are ${types.join(', ')}`,
    });
  }
  const dest = take('dest');
  const path = dest === '-' ? '' : dest;
  const request = requestOf(type, path, take, text);
  const [other] = [...fields].filter(([key, value]) => idle[key]?.test(value) !== true);
  if (other === undefined) return request;
  throw new TsrunError('UNSUPPORTED', `--output has no ${other[0]}=${other[1]} for type=${type}`, {
    hint: 'leave it out',
  });
}

function requestOf(
  type: string,
  path: string | undefined,
  take: (key: string) => string | undefined,
  text: string,
): OutputRequest {
  if (type === 'local') {
    if (path === undefined || path === '')
      throw usage(`dest is required for local output: ${text}`, 'add dest=DIRECTORY');
    return { kind: 'directory', path };
  }
  if (type === 'tar') return { kind: 'tar', path: path ?? '' };
  const names = (take('name') ?? '').split(',').filter((name) => name !== '');
  if (type === 'oci') return { kind: 'archive', format: 'oci-archive', path: path ?? '', names };
  if (type === 'docker' && path !== undefined) return { kind: 'archive', format: 'docker-archive', path, names };
  if (path !== undefined) throw usage(`dest is not for output of type=${type}: ${text}`);
  const push = take('push');
  if (push !== undefined && !/^(true|false)$/.test(push)) throw usage(`push is true or false: ${text}`);
  return { kind: 'image', names, push: type === 'registry' || push === 'true' };
}

/** `a=b,"c=d,e",…` */
function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitCsv(text)) {
    const [key = '', value] = field.split(/=(.*)/s);
    if (value === undefined) throw usage(`invalid value ${field} in --output: ${text}`, 'write KEY=VALUE');
    fields.set(key.trim().toLowerCase(), value);
  }
  return fields;
}

function usage(message: string, hint?: string): TsrunError {
  return new TsrunError('USAGE', message, { hint });
}
