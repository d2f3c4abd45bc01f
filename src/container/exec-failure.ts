/**
 * Why a command could not be run. The failed process waits, so that its root can still be looked at through
 * /proc/PID/root; nothing there is executed or trusted.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import { O_PATH, RESOLVE_IN_ROOT } from '../linux/constants.ts';
import { errno, errnoName } from '../linux/errno.ts';
import { AT_FDCWD, close, openat, openat2 } from '../linux/fs.ts';
import { candidates, searchPath } from '../runtime/compile/execute.ts';

/** What stands at a path of the container. */
interface Looked {
  kind: 'missing' | 'directory' | 'other' | 'file';
  mode: number;
  head: Buffer;
}

const machines: Readonly<Record<number, string>> = {
  3: 'i386',
  8: 'mips',
  20: 'ppc',
  21: 'ppc64le',
  22: 's390x',
  40: 'arm',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};
const ourMachine = process.arch === 'arm64' ? 183 : 62;

/** Turns the errno of execve into an error with exit code 126 or 127 that says what is wrong and what to do. */
export function explainExecFailure(
  pid: number,
  args: readonly string[],
  env: readonly string[],
  error: number,
): TsrunError {
  const command = args[0] ?? '';
  let root: number;
  try {
    root = openat(AT_FDCWD, `/proc/${pid}/root`, O_PATH);
  } catch {
    return plain(command, error);
  }
  try {
    return explain((path) => look(root, path), command, env, error);
  } finally {
    close(root);
  }
}

type Look = (path: string) => Looked;

function explain(lookAt: Look, command: string, env: readonly string[], error: number): TsrunError {
  const paths = candidates(command, env);
  const found = command === '' ? undefined : paths.find((path) => lookAt(path).kind !== 'missing');
  if (found === undefined) {
    return new TsrunError(
      'COMMAND_NOT_FOUND',
      command.includes('/')
        ? `cannot run "${command}": no such file in the container`
        : `cannot run "${command}": executable file not found in $PATH (${searchPath(env).join(':')})`,
      { hint: 'look around with another command of the image, for example: tsrun run IMAGE ls /bin' },
    );
  }
  const file = lookAt(found);
  const failed = (what: string, hint?: string): TsrunError =>
    new TsrunError(
      error === errno.ENOENT ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE',
      `cannot run "${found}": ${what}`,
      { hint },
    );
  if (file.kind === 'directory') return failed('it is a directory');
  if (error === errno.EACCES) {
    if ((file.mode & 0o111) === 0)
      return failed(
        'permission denied: it is not executable',
        `chmod +x it where the image is made, or run it by its interpreter`,
      );
    return failed(
      'permission denied',
      'the user of the container may not execute it, or its filesystem is mounted noexec',
    );
  }
  if (file.head.subarray(0, 2).toString('latin1') === '#!') return explainScript(lookAt, file.head, failed);
  const elf = explainElf(lookAt, file.head, failed);
  if (elf !== undefined) return elf;
  if (error === errno.ENOEXEC) {
    return failed(
      'exec format error: it is neither a binary nor a script with a #! line',
      'give the script a first line such as #!/bin/sh, or run it by its interpreter',
    );
  }
  return failed(errnoName(error));
}

type Failed = (what: string, hint?: string) => TsrunError;

function explainScript(lookAt: Look, head: Buffer, failed: Failed): TsrunError {
  const end = head.indexOf(0x0a);
  const line = head.subarray(2, end < 0 ? head.length : end).toString('utf8');
  const interpreter = line.trim().split(/[ \t]/)[0] ?? '';
  if (line.endsWith('\r')) {
    return failed(
      `its lines end in CRLF, so that the kernel looks for an interpreter named ${JSON.stringify(`${interpreter}\r`)}`,
      "convert it to LF line endings: sed -i 's/\\r$//' FILE",
    );
  }
  if (interpreter === '') return failed('its #! line names no interpreter', 'write one, for example #!/bin/sh');
  const target = lookAt(interpreter);
  if (target.kind === 'missing') {
    return failed(
      `its interpreter "${interpreter}" does not exist in the container`,
      'install it in the image, or change the first line of the script',
    );
  }
  if (target.kind !== 'file' || (target.mode & 0o111) === 0)
    return failed(`its interpreter "${interpreter}" is not executable`);
  return failed(`its interpreter "${interpreter}" could not be run`);
}

function explainElf(lookAt: Look, head: Buffer, failed: Failed): TsrunError | undefined {
  if (head.subarray(0, 4).toString('latin1') !== '\x7fELF' || head.length < 64) return undefined;
  const little = head[5] === 1;
  const read16 = (at: number): number => (little ? head.readUInt16LE(at) : head.readUInt16BE(at));
  const machine = read16(18);
  if (machine !== ourMachine && !(ourMachine === 62 && machine === 3)) {
    const name = machines[machine] ?? `machine ${machine}`;
    return failed(
      `exec format error: it is a binary for ${name}, and this machine is ${machines[ourMachine] ?? ''}`,
      `pull the image for this machine: --platform linux/${machines[ourMachine] ?? ''}`,
    );
  }
  if (head[4] !== 2 || !little) return undefined;
  const offset = Number(head.readBigUInt64LE(32));
  const size = read16(54);
  for (let index = 0; index < read16(56); index++) {
    const at = offset + index * size;
    if (at + 56 > head.length) break;
    if (head.readUInt32LE(at) !== 3) continue;
    const from = Number(head.readBigUInt64LE(at + 8));
    const length = Number(head.readBigUInt64LE(at + 32));
    if (from + length > head.length) break;
    const loader = head.subarray(from, from + length - 1).toString('utf8');
    if (lookAt(loader).kind === 'missing') {
      return failed(
        `its dynamic loader "${loader}" does not exist in the container`,
        'it was built for another C library (glibc, musl); link it statically or use an image that has the loader',
      );
    }
  }
  return undefined;
}

function look(root: number, path: string): Looked {
  let fd: number;
  try {
    // Without opening it: to open a device of an image may do anything.
    fd = openat2(root, path, O_PATH, RESOLVE_IN_ROOT);
  } catch {
    return { kind: 'missing', mode: 0, head: Buffer.alloc(0) };
  }
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) return { kind: 'directory', mode: stats.mode, head: Buffer.alloc(0) };
    if (!stats.isFile()) return { kind: 'other', mode: stats.mode, head: Buffer.alloc(0) };
    return { kind: 'file', mode: stats.mode, head: headOf(fd) };
  } finally {
    closeSync(fd);
  }
}

/** The first bytes of the regular file behind a handle. */
function headOf(handle: number): Buffer {
  const fd = openSync(`/proc/self/fd/${handle}`, constants.O_RDONLY);
  try {
    const buffer = Buffer.alloc(4096);
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(fd);
  }
}

function plain(command: string, error: number): TsrunError {
  const code = error === errno.ENOENT ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE';
  return new TsrunError(code, `cannot run "${command}": ${errnoName(error)}`);
}
