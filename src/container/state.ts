/** A container's state, computed from its records and the kernel: nothing that could be out of date is stored. */
import { join } from 'node:path';
import { isFrozen } from '../cgroup/files.ts';
import { TsrunError } from '../error.ts';
import { errnoName } from '../linux/errno.ts';
import { readKernelText } from '../linux/kernel-file.ts';
import { readOwnText } from '../linux/own-file.ts';
import { processStartTime } from '../linux/process.ts';
import { readLive } from './endpoints.ts';
import { parseExitRecord, parseHealthRecord, parseRunRecord, parseStartRecord } from './parse-record.ts';
import type { ContainerState, ExitRecord, HealthRecord, RunRecord, StartRecord } from './record.ts';

/** A name for this process that no later one has: `PID-START TIME`. */
export function ownName(): string {
  return `${process.pid}-${processStartTime(process.pid) ?? '0'}`;
}

let boot: string | undefined;

/** Names this boot of the machine: pids of an earlier one mean nothing. */
export function bootId(): string {
  boot ??= readKernelText('/proc/sys/kernel/random/boot_id').trim();
  return boot;
}

function readOptional(path: string): string | undefined {
  try {
    return readOwnText(path);
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    return undefined;
  }
}

/** Reads `start.json` of a container's directory, with the process of the last restart in the place of the first. */
export function readStart(directory: string): StartRecord | undefined {
  const first = readFirstStart(directory);
  return first === undefined ? undefined : currentStart(first, readRun(directory, first));
}

function readFirstStart(directory: string): StartRecord | undefined {
  const path = `${directory}/start.json`;
  const text = readOptional(path);
  return text === undefined ? undefined : parseStartRecord(text, path);
}

/** Reads `exit.json` of a container's directory. */
export function readExit(directory: string): ExitRecord | undefined {
  const path = `${directory}/exit.json`;
  const text = readOptional(path);
  return text === undefined ? undefined : parseExitRecord(text, path);
}

/** Reads `run.json` of a container's directory, if it belongs to this start. */
function readRun(directory: string, start: StartRecord): RunRecord | undefined {
  const path = join(directory, 'run.json');
  const text = readOptional(path);
  const run = text === undefined ? undefined : parseRunRecord(text, path);
  return run?.monitorPid === start.monitorPid ? run : undefined;
}

function readHealth(directory: string): HealthRecord | undefined {
  const path = join(directory, 'health.json');
  const text = readOptional(path);
  return text === undefined ? undefined : parseHealthRecord(text, path);
}

/** The start as it is now: the process of the last restart stands for the first one. */
function currentStart(start: StartRecord, run: RunRecord | undefined): StartRecord {
  if (run === undefined) return start;
  const startedAt = run.startedAt || start.startedAt;
  const now = run.pid === 0 ? start : { ...start, pid: run.pid, startTime: run.startTime };
  return startedAt === undefined ? now : { ...now, startedAt };
}

/** Whether the process of a start is still there. */
export function isAlive(start: StartRecord): boolean {
  return start.bootId === bootId() && processStartTime(start.pid) === start.startTime;
}

/** Whether the monitor of a start is still there. */
export function isMonitored(start: StartRecord): boolean {
  return start.bootId === bootId() && processStartTime(start.monitorPid) === start.monitorStartTime;
}

/** What State.Error says of a restart that failed: the program that names its steps is gone by then. */
function restartError({ failedStep, failedErrno }: ExitRecord): string {
  if (failedStep === undefined || failedErrno === undefined) return '';
  return `cannot start it again: ${errnoName(failedErrno)} in step ${failedStep + 1} of its start`;
}

/** The state of the container in `directory`. */
export function computeState(directory: string): ContainerState {
  const first = readFirstStart(directory);
  const base = {
    unsupervised: false,
    pid: 0,
    exitCode: 0,
    oomKilled: false,
    error: first?.error ?? '',
    startedAt: first?.startedAt,
    finishedAt: undefined,
    start: first,
    restartCount: 0,
    health: undefined,
  };
  if (first === undefined) return { ...base, status: 'created' };
  if (first.error !== undefined) {
    return {
      ...base,
      status: first.startedAt === undefined ? 'created' : 'exited',
      exitCode: first.errorCode ?? 128,
    };
  }
  if (first.pid === 0) return { ...base, status: 'created' };
  return stateOfStart(directory, first, base);
}

function stateOfStart(
  directory: string,
  first: StartRecord,
  base: Omit<ContainerState, 'status'>,
  attempt = 0,
): ContainerState {
  // Who is dead now has ended before the records are read below; a monitor that lives may write them meanwhile.
  const monitored = isMonitored(first);
  const run = readRun(directory, first);
  const start = currentStart(first, run);
  const known = {
    ...base,
    start,
    startedAt: start.startedAt,
    restartCount: run?.restartCount ?? 0,
    health: readHealth(directory),
  };
  // What is not checked any more is not healthy, as docker has it.
  const unchecked = known.health === undefined ? {} : { health: { ...known.health, Status: 'unhealthy' as const } };
  const alive = isAlive(start) && !(run !== undefined && run.pid === 0);
  const exit = readExit(directory);
  if (exit !== undefined) {
    const { exitCode, oomKilled, finishedAt } = exit;
    return { ...known, ...unchecked, status: 'exited', exitCode, oomKilled, finishedAt, error: restartError(exit) };
  }
  if (run !== undefined && run.pid === 0) {
    const { exitCode = 0, oomKilled = false, finishedAt } = run;
    const ended = { ...known, ...unchecked, exitCode, oomKilled, finishedAt };
    // Its address and ports stay its own while it waits.
    return monitored ? { ...ended, ...onNetworks(directory), status: 'restarting' } : { ...ended, status: 'exited' };
  }
  if (!alive) {
    // It may have ended since; its monitor writes the record when the last output has been taken. Or runs it again.
    if (monitored) {
      const later = readRun(directory, first);
      if (later?.pid !== run?.pid && attempt < 3) return stateOfStart(directory, first, base, attempt + 1);
      return { ...known, ...onNetworks(directory), status: 'running', pid: start.pid };
    }
    return { ...known, ...unchecked, status: 'exited', exitCode: 255 };
  }
  return { ...known, ...onNetworks(directory), status: runningStatus(start), unsupervised: !monitored, pid: start.pid };
}

function runningStatus(start: StartRecord): 'running' | 'paused' {
  return start.cgroup !== '' && isFrozen(start.cgroup) ? 'paused' : 'running';
}

/**
 * What has become of a container that ran when its state was computed, if its records have not changed since. As long as its
 * monitor lives, and has not written how it ended, it runs. Undefined where neither the monitor nor the process is there.
 */
export function stillRunning(known: ContainerState): ContainerState | undefined {
  const { start } = known;
  if (start === undefined) return undefined;
  const monitored = isMonitored(start);
  if (!monitored && !isAlive(start)) return undefined;
  return { ...known, status: runningStatus(start), unsupervised: !monitored };
}

function onNetworks(directory: string): Pick<ContainerState, 'attachments'> {
  const live = readLive(directory);
  return live === undefined ? {} : { attachments: live.attachments };
}
