/** A container's state, computed from its records and the kernel: nothing that could be out of date is stored. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readLive } from './endpoints.ts';
import { parseExitRecord, parseStartRecord } from './parse-record.ts';
import type { ContainerState, ExitRecord, StartRecord } from './record.ts';

/** Field 22 of /proc/PID/stat: the start time in clock ticks since boot; undefined where there is no such process. */
export function processStartTime(pid: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name in parentheses may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

let boot: string | undefined;

/** Names this boot of the machine: pids of an earlier one mean nothing. */
export function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Reads `start.json` of a container's directory. */
export function readStart(directory: string): StartRecord | undefined {
  const path = join(directory, 'start.json');
  const text = readOptional(path);
  return text === undefined ? undefined : parseStartRecord(text, path);
}

/** Reads `exit.json` of a container's directory. */
export function readExit(directory: string): ExitRecord | undefined {
  const path = join(directory, 'exit.json');
  const text = readOptional(path);
  return text === undefined ? undefined : parseExitRecord(text, path);
}

/** Whether the process of a start is still there. */
export function isAlive(start: StartRecord): boolean {
  return start.bootId === bootId() && processStartTime(start.pid) === start.startTime;
}

/** The state of the container in `directory`. */
export function computeState(directory: string): ContainerState {
  const start = readStart(directory);
  const base = {
    unsupervised: false,
    pid: 0,
    exitCode: 0,
    oomKilled: false,
    error: start?.error ?? '',
    startedAt: start?.startedAt,
    finishedAt: undefined,
    start,
  };
  if (start === undefined) return { ...base, status: 'created' };
  if (start.error !== undefined) {
    return {
      ...base,
      status: start.startedAt === undefined ? 'created' : 'exited',
      exitCode: start.errorCode ?? 128,
    };
  }
  if (start.pid === 0) return { ...base, status: 'created' };
  const exited = (exit: ExitRecord): ContainerState => ({
    ...base,
    status: 'exited',
    exitCode: exit.exitCode,
    oomKilled: exit.oomKilled,
    finishedAt: exit.finishedAt,
  });
  const exit = readExit(directory);
  if (exit !== undefined) return exited(exit);
  const monitored = start.bootId === bootId() && processStartTime(start.monitorPid) === start.monitorStartTime;
  if (!isAlive(start)) {
    // It may have ended since; its monitor writes the record when the last output has been taken.
    const late = readExit(directory);
    if (late !== undefined) return exited(late);
    if (monitored) return { ...base, ...onNetworks(directory), status: 'running', pid: start.pid };
    const last = readExit(directory);
    return last === undefined ? { ...base, status: 'exited', exitCode: 255 } : exited(last);
  }
  const frozen = start.cgroup !== '' && /^frozen 1$/m.test(readOptional(join(start.cgroup, 'cgroup.events')) ?? '');
  const status = frozen ? 'paused' : 'running';
  return { ...base, ...onNetworks(directory), status, unsupervised: !monitored, pid: start.pid };
}

function onNetworks(directory: string): Pick<ContainerState, 'attachments'> {
  const live = readLive(directory);
  return live === undefined ? {} : { attachments: live.attachments };
}
