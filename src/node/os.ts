/** What tsrun uses of `node:os`. */
import { signals } from '../linux/signals.ts';
import { engine } from './engine.ts';
import { call, failure, keptAddress, nr } from './file-calls.ts';
import { readFileSync } from './fs-file.ts';

/** struct utsname: fields of 65 bytes each (man 2 uname). */
const fieldSize = 65;

function uname(field: number): string {
  const bytes = new Uint8Array(6 * fieldSize);
  const result = call(nr.uname, keptAddress(bytes));
  if (result < 0) throw failure(result, 'uname');
  const start = field * fieldSize;
  return engine.decodeUtf8(bytes, start, bytes.indexOf(0, start));
}

export function type(): string {
  return uname(0);
}

export function hostname(): string {
  return uname(1);
}

export function release(): string {
  return uname(2);
}

export function version(): string {
  return uname(3);
}

export function machine(): string {
  return uname(4);
}

export function arch(): string {
  return process.arch;
}

export function platform(): string {
  return 'linux';
}

/** By the environment, else by /etc/passwd. */
export function homedir(): string {
  const { HOME } = process.env;
  if (HOME !== undefined) return HOME;
  const uid = String(call(nr.getuid, 0));
  for (const line of (readFileSync('/etc/passwd', 'utf8') as string).split('\n')) {
    const fields = line.split(':');
    if (fields[2] === uid && fields[5] !== undefined) return fields[5];
  }
  throw Object.assign(new Error('A system error occurred: uv_os_homedir returned ENOENT (no such file or directory)'), {
    name: 'SystemError',
    code: 'ERR_SYSTEM_ERROR',
  });
}

export function tmpdir(): string {
  const { TMPDIR, TMP, TEMP } = process.env;
  const path = TMPDIR || TMP || TEMP || '/tmp';
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function memory(name: string): number {
  const text = readFileSync('/proc/meminfo', 'utf8') as string;
  const at = text.indexOf(`${name}:`);
  return at < 0 ? 0 : Number.parseInt(text.slice(at + name.length + 1), 10) * 1024;
}

/** Bytes. */
export function totalmem(): number {
  return memory('MemTotal');
}

/** Bytes that can be had, caches included. */
export function freemem(): number {
  return memory('MemAvailable');
}

/** Processors that this process may use (man 2 sched_getaffinity). */
export function availableParallelism(): number {
  // Processors of the kernel's largest configuration.
  const mask = new Uint8Array(8192 / 8);
  const length = call(nr.sched_getaffinity, 0, mask.length, keptAddress(mask));
  if (length < 0) throw failure(length, 'sched_getaffinity');
  let count = 0;
  for (let index = 0; index < length; index++) {
    for (let bits = mask[index] as number; bits !== 0; bits &= bits - 1) count++;
  }
  return Math.max(count, 1);
}

export const EOL = '\n';
export const devNull = '/dev/null';

export const constants = { signals };
