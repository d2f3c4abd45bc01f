/**
 * Runs a program and nothing beside it (native/start.c, `run`): no monitor, no records. Who calls waits for the end of the
 * program's child. The lessons are built on this; containers have a monitor.
 */
import { spawn } from 'node:child_process';
import { TsrunError } from '../error.ts';
import { SOCK_SEQPACKET } from '../linux/constants.ts';
import { errno, errnoName } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { close, sealedMemfd } from '../linux/fs.ts';
import { monitorExecutable } from '../linux/monitor-executable.ts';
import { receive, send, socketPair, waitReadable } from '../linux/unix-socket.ts';
import { encodeProgram } from './encode.ts';
import type { Program } from './program.ts';
import { describeFailure } from './render.ts';

/** Where a program that is run in this way finds itself, and the socket to this side. */
export const fdProgram = 3;
export const fdSync = 4;

const errorSize = 16;
const pidSize = 4;
const SHUT_RDWR = 2;

/**
 * Runs a program with this process's stdin, stdout and stderr, and answers the exit status of its child: 128 and the number
 * of the signal that ended it. A program that writes four bytes to `fdSync`, the pid that clone3 gave, gets one byte back
 * when `meet` is done with it. Throws `PROGRAM` for a step that failed; an execve that failed is 127 or 126, as in a shell.
 */
export async function runProgram(program: Program, meet: (pid: number) => void = () => {}): Promise<number> {
  const [own, theirs] = socketPair(SOCK_SEQPACKET);
  const memfd = sealedMemfd('tsrun-program', encodeProgram(program));
  const machine = spawn(`/proc/${process.pid}/fd/${monitorExecutable()}`, ['run'], {
    argv0: 'tsrun-monitor',
    env: {},
    stdio: [0, 1, 2, memfd, theirs],
  });
  const ended = new Promise<number>((resolve, reject) => {
    machine.once('error', reject);
    machine.once('exit', (code) => resolve(code ?? 137));
  });
  // Ctrl-C reaches the command by itself; other ends are ours to hand on.
  const leave = (): void => {};
  const end = (): void => void machine.kill('SIGKILL');
  process.on('SIGINT', leave).on('SIGTERM', end).on('SIGHUP', end);
  close(theirs);
  close(memfd);
  try {
    // The socket ends with the program, or with execve: it has close-on-exec there.
    for (let message = await nextMessage(own); message.length > 0; message = await nextMessage(own)) {
      if (message.length === pidSize) {
        meet(message.readInt32LE(0));
        send(own, Uint8Array.of(1));
      } else if (message.length === errorSize) {
        // The failed process waits for the end of this socket (native/machine.c).
        syscall('shutdown', own, SHUT_RDWR);
        const status = await ended;
        const operation = message.readUInt32LE(4);
        const number = message.readInt32LE(12);
        const { call, title } = program.operations[operation] ?? { call: 'end', title: '' };
        if (call !== 'execve' && call !== 'execveat' && call !== 'fail') throw failed(program, operation, number);
        process.stderr.write(`cannot ${title}: ${errnoName(number)}\n`);
        return status;
      }
    }
    return await ended;
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', end).off('SIGHUP', end);
    close(own);
  }
}

function failed(program: Program, operation: number, number: number): TsrunError {
  const { message, hint } = describeFailure(program, operation, number);
  const unprivileged = number === errno.EPERM && process.geteuid?.() !== 0;
  return new TsrunError('PROGRAM', message, { hint: hint ?? (unprivileged ? 'this needs root' : undefined) });
}

/** One message, empty at the end. The event loop has its turns meanwhile: signals must be served. */
async function nextMessage(fd: number): Promise<Buffer> {
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    if (waitReadable(fd, 0)) return receive(fd, errorSize) ?? Buffer.alloc(0);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
