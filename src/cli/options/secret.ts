/** --secret of `build`: `id=ID[,src=FILE|,env=NAME]`; without either a variable of the name, or a file of it. */
import { existsSync, readFileSync } from 'node:fs';
import { TsrunError } from '../../error.ts';
import { errorCode } from '../../image/errors.ts';

/** As BuildKit has it, in bytes. */
const secretMax = 500 * 1024;

/** The id, and what reads the secret when it is needed. Throws `USAGE`. */
export function parseSecret(text: string): [id: string, read: () => Buffer] {
  const fields = new Map(
    text.split(',').map((field): [string, string] => {
      const [key = '', value = ''] = field.split(/=(.*)/s);
      return [key.trim().toLowerCase(), value];
    }),
  );
  const known = ['id', 'src', 'source', 'env', 'type'];
  const wrong = [...fields.keys()].find((key) => !known.includes(key));
  if (wrong !== undefined) {
    throw new TsrunError('USAGE', `unexpected key '${wrong}' in '${text}'`, {
      hint: 'write id=ID,src=FILE or id=ID,env=NAME',
    });
  }
  const id = fields.get('id') ?? '';
  if (id === '') throw new TsrunError('USAGE', `secret without an id: ${text}`, { hint: 'write id=ID,src=FILE' });
  const type = fields.get('type');
  const source = fields.get('src') ?? fields.get('source');
  const variable = fields.get('env') ?? (type === 'env' ? (source ?? id) : undefined);
  if (variable !== undefined) return [id, () => fromEnvironment(variable)];
  if (source !== undefined) {
    if (!existsSync(source)) throw new TsrunError('USAGE', `secret ${id}: open ${source}: no such file or directory`);
    return [id, () => fromFile(id, source)];
  }
  return [id, () => (process.env[id] === undefined ? fromFile(id, id) : fromEnvironment(id))];
}

function fromEnvironment(name: string): Buffer {
  const value = process.env[name];
  if (value === undefined) throw new TsrunError('USAGE', `the variable ${name} of a secret is not set`);
  return Buffer.from(value);
}

function fromFile(id: string, path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new TsrunError('USAGE', `secret ${id}: open ${path}: ${errorCode(cause)}`, { cause });
  }
  if (bytes.length <= secretMax) return bytes;
  throw new TsrunError('USAGE', `secret ${id} has ${bytes.length} bytes; it may have ${secretMax}`);
}
