/** User namespaces (man 7 user_namespaces): their maps, and how one is made for a container that is to enter it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { O_RDONLY, SOCK_SEQPACKET } from '../linux/constants.ts';
import { AT_FDCWD, close, openat, sealedMemfd } from '../linux/fs.ts';
import { monitorExecutable } from '../linux/monitor-executable.ts';
import { receive, send, socketPair, waitReadable } from '../linux/unix-socket.ts';
import { encodeProgram } from '../program/encode.ts';
import { describeFailure } from '../program/render.ts';
import { type Step, step } from '../trace.ts';
import { fdProgram, fdSync, messageError } from './compile/context.ts';
import { compileNamespaceHolder } from './compile/holder.ts';
import type { IdMapping } from './spec.ts';

export interface IdMappings {
  uids: readonly IdMapping[];
  gids: readonly IdMapping[];
}

/** The step of writing a map; `pid`: whose, a number or what a shell calls it. */
export function mapStep(pid: number | string, file: 'uid_map' | 'gid_map', mappings: readonly IdMapping[]): Step {
  const text = mapText(mappings);
  return {
    phase: 'namespaces',
    title: `map ${text.trim().replaceAll('\n', ', ')}`,
    why: 'who is who in the user namespace: inside, outside, how many',
    shell: `printf '${text.replaceAll('\n', '\\n')}' >/proc/${pid}/${file}`,
  };
}

function mapText(mappings: readonly IdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
}

/** The opposite of `mapText`: the content of a file like /proc/PID/uid_map. */
export function parseMap(text: string): IdMapping[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [containerID = 0, hostID = 0, size = 0] = line.trim().split(/\s+/).map(Number);
      return { containerID, hostID, size };
    });
}

/** Writes the maps of the user namespace that `pid` is in. Throws `PERMISSION`, `USAGE`. */
export function writeMappings(pid: number, uids: readonly IdMapping[], gids: readonly IdMapping[]): void {
  write(pid, 'uid_map', uids);
  write(pid, 'gid_map', gids);
}

function write(pid: number, file: 'uid_map' | 'gid_map', mappings: readonly IdMapping[]): void {
  const text = mapText(mappings);
  step(mapStep(pid, file, mappings), () => {
    try {
      // One write(2): the kernel takes no second one.
      writeFileSync(`/proc/${pid}/${file}`, text, { flag: 'r+' });
    } catch (cause) {
      throw new TsrunError(
        codeOf(cause) === 'EPERM' ? 'PERMISSION' : 'USAGE',
        `cannot map ${text.trim().replaceAll('\n', ', ')}: ${messageOf(cause)}`,
        {
          cause,
          hint: codeOf(cause) === 'EPERM' ? 'mappings of more than the own user need root' : 'ranges must not overlap',
        },
      );
    }
  });
}

export function makeNamespaceStep(withNetwork: boolean): Step {
  return {
    phase: 'namespaces',
    title: withNetwork ? 'make a user namespace, and a network namespace in it' : 'make a user namespace',
    why: 'a process makes them and ends; what keeps them are descriptors. JavaScript cannot: it has more than one thread',
    shell: `unshare --user${withNetwork ? ' --net' : ''} sleep infinity & HOLDER=$!`,
  };
}

/**
 * A new user namespace with these maps, and with `withNetwork` a network namespace that belongs to it (else -1). The caller
 * closes both. Throws `PROGRAM` where the kernel refuses, `PERMISSION`, `USAGE`.
 */
export function makeUserNamespace(mappings: IdMappings, withNetwork: boolean): { user: number; network: number } {
  return step(makeNamespaceStep(withNetwork), () => {
    const program = compileNamespaceHolder(withNetwork);
    const [own, theirs] = socketPair(SOCK_SEQPACKET);
    const memfd = sealedMemfd('tsrun-program', encodeProgram(program));
    let child: ChildProcess | undefined;
    const fds: number[] = [];
    try {
      const stdio: (number | 'ignore')[] = ['ignore', 'ignore', 'ignore'];
      stdio[fdProgram] = memfd;
      stdio[fdSync] = theirs;
      child = spawn(`/proc/${process.pid}/fd/${monitorExecutable()}`, ['run'], {
        argv0: 'tsrun-monitor',
        cwd: '/',
        detached: true,
        env: {},
        stdio,
      });
      child.on('error', () => {});
      child.unref();
      close(theirs);
      const { pid } = child;
      if (pid === undefined)
        throw new TsrunError('SYSCALL', 'cannot start a process', { hint: 'is ulimit -u reached?' });
      const next = (): void => {
        while (!waitReadable(own, 3_600_000));
        const bytes = receive(own, 16);
        if (bytes === undefined || bytes.length < 16) {
          throw new TsrunError('PROGRAM', 'the process that was to make a user namespace has ended');
        }
        if (bytes.readUInt32LE(0) !== messageError) return;
        const { message, hint } = describeFailure(program, bytes.readUInt32LE(4), bytes.readInt32LE(12));
        throw new TsrunError('PROGRAM', message, { hint });
      };
      next();
      writeMappings(pid, mappings.uids, mappings.gids);
      send(own, Uint8Array.of(1));
      next();
      const open = (name: string): number => {
        const fd = openat(AT_FDCWD, `/proc/${pid}/ns/${name}`, O_RDONLY);
        fds.push(fd);
        return fd;
      };
      return { user: open('user'), network: withNetwork ? open('net') : -1 };
    } catch (error) {
      fds.forEach(close);
      throw error;
    } finally {
      // The process reads the end of it, and goes.
      close(own);
      close(memfd);
    }
  });
}
