/** Terminals by descriptor: raw mode, window size, and docker's way to write detach keys (man 2 TCSETS, man 3 termios). */
import { TsrunError } from '../error.ts';
import { SIG_BLOCK, SIG_SETMASK, TCGETS, TCSETS, TIOCGWINSZ, TIOCSPGRP, TIOCSWINSZ } from './constants.ts';
import { syscall } from './ffi.ts';
import { check } from './fs.ts';
import { signals } from './signals.ts';

/** struct termios of the kernel: c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc[19]. */
const termiosSize = 36;
const ccAt = 17;
const VTIME = 5;
const VMIN = 6;
// IGNBRK, BRKINT, PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IXON
const inputFlags = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
const OPOST = 0o1;
// CSIZE, PARENB; CS8
const controlFlags = 0o60 | 0o400;
const CS8 = 0o60;
// ISIG, ICANON, ECHO, ECHONL, IEXTEN
const localFlags = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000;

function termios(fd: number): Buffer | undefined {
  const settings = Buffer.alloc(64);
  return syscall('ioctl', fd, TCGETS, settings) < 0 ? undefined : settings.subarray(0, termiosSize);
}

/** Whether `fd` is a terminal. */
export function isTty(fd: number): boolean {
  return termios(fd) !== undefined;
}

/** Size of a terminal in characters; zeros where `fd` is none or has no size yet. */
export function windowSize(fd: number): { rows: number; columns: number } {
  const size = Buffer.alloc(8);
  if (syscall('ioctl', fd, TIOCGWINSZ, size) < 0) return { rows: 0, columns: 0 };
  return { rows: size.readUInt16LE(0), columns: size.readUInt16LE(2) };
}

/** Sets the size of a terminal; the kernel sends SIGWINCH to its foreground process group. */
export function setWindowSize(fd: number, rows: number, columns: number): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  check(syscall('ioctl', fd, TIOCSWINSZ, size), 'ioctl', 'window size');
}

/**
 * Makes the process group of this process that of the foreground again, whoever has the terminal (man 3 tcsetpgrp). From the
 * background that is allowed to who blocks SIGTTOU. That `fd` is no terminal of this session is no error.
 */
export function foregroundGroup(fd: number): void {
  const group = Buffer.alloc(4);
  group.writeInt32LE(syscall('getpgid', 0), 0);
  const blocked = Buffer.alloc(8);
  const before = Buffer.alloc(8);
  blocked.writeBigUInt64LE(1n << BigInt(signals.SIGTTOU - 1));
  syscall('rt_sigprocmask', SIG_BLOCK, blocked, before, 8);
  syscall('ioctl', fd, TIOCSPGRP, group);
  syscall('rt_sigprocmask', SIG_SETMASK, before, 0, 8);
}

/** Signals that end this process by default and leave a terminal behind. */
const endings = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/**
 * Puts a terminal into raw mode as cfmakeraw(3) does, and returns what puts it back. That also happens when this process
 * exits, and when a signal ends it that nobody else handles. A background process is stopped here (SIGTTOU) until it is
 * in the foreground, as job control wants it. Throws `SyscallError` where `fd` is no terminal.
 */
export function makeRaw(fd: number): () => void {
  const saved = Buffer.alloc(64);
  check(syscall('ioctl', fd, TCGETS, saved), 'ioctl', 'terminal settings');
  const raw = Buffer.from(saved);
  raw.writeUInt32LE((raw.readUInt32LE(0) & ~inputFlags) >>> 0, 0);
  raw.writeUInt32LE((raw.readUInt32LE(4) & ~OPOST) >>> 0, 4);
  raw.writeUInt32LE(((raw.readUInt32LE(8) & ~controlFlags) | CS8) >>> 0, 8);
  raw.writeUInt32LE((raw.readUInt32LE(12) & ~localFlags) >>> 0, 12);
  raw[ccAt + VMIN] = 1;
  raw[ccAt + VTIME] = 0;

  let active = true;
  const restore = (): void => {
    if (!active) return;
    active = false;
    process.off('exit', restore);
    for (const name of endings) process.off(name, onSignal);
    // EIO: the terminal has been hung up; there is nothing to restore.
    syscall('ioctl', fd, TCSETS, saved);
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (process.listenerCount(name) > 1) return;
    restore();
    process.kill(process.pid, name);
  };
  process.on('exit', restore);
  for (const name of endings) process.on(name, onSignal);
  const result = syscall('ioctl', fd, TCSETS, raw);
  if (result < 0) restore();
  check(result, 'ioctl', 'raw mode');
  return restore;
}

/** The longest detach sequence that the monitor takes (KEYS_MAX in native/client.h). */
const maxDetachKeys = 16;

/** What docker names `ctrl-@`, `ctrl-a` … `ctrl-_`, by code. */
const controlNames = '@abcdefghijklmnopqrstuvwxyz[\\]^_';

/**
 * Bytes of a detach sequence in docker's notation: characters, `ctrl-` and a character, or `DEL`, separated by commas.
 * Throws `USAGE`.
 */
export function parseDetachKeys(text: string): Uint8Array {
  const keys = text.split(',').map((key) => {
    if (key === 'DEL') return 127;
    const code = key.length === 1 ? key.charCodeAt(0) : -1;
    if (code >= 0 && code < 128) return code;
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    const index = control === undefined ? -1 : controlNames.indexOf(control);
    if (index >= 0) return index;
    throw new TsrunError(
      'USAGE',
      `invalid detach keys ${JSON.stringify(text)}: unknown character ${JSON.stringify(key)}`,
      {
        hint: 'write single characters or ctrl-<value>, separated by commas, where <value> is one of a-z @ [ \\ ] ^ _',
      },
    );
  });
  if (keys.length > maxDetachKeys) {
    throw new TsrunError('USAGE', `detach keys ${JSON.stringify(text)} are more than ${maxDetachKeys}`);
  }
  return Uint8Array.from(keys);
}
