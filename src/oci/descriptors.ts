/** Descriptors that a caller hands on: --preserve-fds, and LISTEN_FDS (man 3 sd_listen_fds). */
import { existsSync, readlinkSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import { syscall } from '../linux/ffi.ts';
import { check, close } from '../linux/fs.ts';
import { connectSocket, sendDescriptors } from '../linux/unix-socket.ts';
import type { Process } from '../runtime/spec.ts';

const first = 3;

/** How many of 3, 4, … are handed on, and the process with the variables that tell it. */
export function handOn(process: Process, asked: number, env: NodeJS.ProcessEnv): { process: Process; count: number } {
  const listening = /^\d+$/.test(env.LISTEN_FDS ?? '') ? Number(env.LISTEN_FDS) : 0;
  const count = listening + asked;
  for (let fd = first; fd < first + count; fd++) {
    if (isCallers(fd)) continue;
    throw new TsrunError('USAGE', `unable to hand on descriptor ${fd}: it is not open`, {
      hint: '--preserve-fds N and LISTEN_FDS=N hand on the descriptors from 3 on: all of them must be open',
    });
  }
  if (listening === 0) return { process, count };
  const names = env.LISTEN_FDNAMES === undefined ? [] : [`LISTEN_FDNAMES=${env.LISTEN_FDNAMES}`];
  return {
    process: { ...process, env: [...(process.env ?? []), `LISTEN_FDS=${listening}`, 'LISTEN_PID=1', ...names] },
    count,
  };
}

/**
 * The JavaScript engine opens descriptors of its own at the lowest free numbers, an epoll first: where the caller's end, there is
 * that one.
 */
function isCallers(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) !== 'anon_inode:[eventpoll]';
  } catch {
    return false;
  }
}

/** Sends a pidfd of `pid` to the socket of --pidfd-socket: who listens there can wait for it, whatever becomes of the number. */
export function sendPidfd(path: string | undefined, pid: number): void {
  if (path === undefined || path === '') return;
  const socket = connectSocket(path);
  let pidfd = -1;
  try {
    pidfd = check(syscall('pidfd_open', pid, 0), 'pidfd_open');
    sendDescriptors(socket, Buffer.from('pidfd'), [pidfd]);
  } finally {
    close(pidfd);
    close(socket);
  }
}

/** Connects to --console-socket, which the process's terminal asks for or must not have. */
export function connectConsole(process: Process | undefined, path: string | undefined): number | undefined {
  const terminal = process?.terminal === true;
  if (path === undefined || path === '') {
    if (!terminal) return undefined;
    throw new TsrunError('USAGE', 'cannot allocate tty if the runtime will detach without setting console socket', {
      hint: 'process.terminal is true: give --console-socket PATH of a socket that takes the terminal',
    });
  }
  if (!terminal) {
    throw new TsrunError('USAGE', 'cannot use console socket if the runtime will not detach or allocate tty', {
      hint: 'process.terminal is not true: leave --console-socket out',
    });
  }
  if (!existsSync(path)) throw new TsrunError('NOT_FOUND', `console socket "${path}" does not exist`);
  return connectSocket(path);
}
