/** Ending, freezing and removing cgroups with everything below them. All of it is synchronous and bounded in time. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { pause } from '../linux/pause.ts';
import { step } from '../trace.ts';
import { parseKeyed, readControl, waitForEvent, writeControl } from './files.ts';
import { readWords } from './mount.ts';
import * as steps from './steps.ts';

/** How long processes may take to die or to stop, in milliseconds; one that sleeps in the kernel may take longer. */
const PATIENCE = 10_000;

/**
 * Kills all processes in the cgroup and below it, and waits for their end, at most `milliseconds`. New ones that they
 * make meanwhile die too. A cgroup that is gone is no error. Returns whether nothing is left.
 */
export function killCgroup(path: string, milliseconds: number = PATIENCE): boolean {
  if (!isPopulated(path)) return true;
  const info = steps.killAll(path);
  return step(info, () => {
    try {
      writeControl(join(path, 'cgroup.kill'), '1');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw failed('kill the processes of', path, error);
      return killOneByOne(path, milliseconds);
    }
    return waitForEvent(path, 'populated', 0, milliseconds);
  });
}

/** Before Linux 5.14: nothing can fork while it is frozen, so that the list of processes is complete. */
export function killOneByOne(path: string, milliseconds: number): boolean {
  const deadline = performance.now() + milliseconds;
  do {
    setFrozen(path, '1');
    waitForEvent(path, 'frozen', 1, 500);
    for (const pid of processesBelow(path)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it went away
      }
    }
    setFrozen(path, '0');
    if (waitForEvent(path, 'populated', 0, 200)) return true;
  } while (performance.now() < deadline);
  return false;
}

function setFrozen(path: string, value: '0' | '1'): void {
  try {
    writeControl(join(path, 'cgroup.freeze'), value);
  } catch {
    // no freezer before Linux 5.2, or the cgroup went away: the caller looks again
  }
}

/**
 * Stops all processes of the cgroup, or lets them go on, and waits until it is so. Throws `NOT_FOUND` for a cgroup that
 * is gone, `UNSUPPORTED` without a freezer, `IN_USE` where processes did not stop in time: then they go on again.
 */
export function freezeCgroup(path: string, frozen: boolean, milliseconds: number = PATIENCE): void {
  const value = frozen ? '1' : '0';
  const info = {
    phase: 'cgroup' as const,
    title: frozen ? 'freeze the cgroup' : 'thaw the cgroup',
    shell: `echo ${value} > ${join(path, 'cgroup.freeze')}`,
  };
  step(info, () => {
    if (!existsSync(path)) throw new TsrunError('NOT_FOUND', `cgroup "${path}" is gone`);
    try {
      writeControl(join(path, 'cgroup.freeze'), value);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw failed(frozen ? 'freeze' : 'thaw', path, error);
      throw new TsrunError('UNSUPPORTED', `cgroup "${path}" cannot be frozen: it has no file cgroup.freeze`, {
        hint: 'it is there since Linux 5.2',
      });
    }
    if (waitForEvent(path, 'frozen', frozen ? 1 : 0, milliseconds)) return;
    if (frozen) setFrozen(path, '0');
    throw new TsrunError('IN_USE', `cgroup "${path}" did not ${frozen ? 'freeze' : 'thaw'} in ${milliseconds} ms`, {
      hint: frozen ? 'a process sleeps in the kernel, for example on a network file system; try again' : undefined,
    });
  });
}

/** Whether a living process is in the cgroup or below it. */
export function isPopulated(path: string): boolean {
  return parseKeyed(readControl(join(path, 'cgroup.events'))).populated === 1;
}

/**
 * Removes the cgroup and all below it, deepest first, waiting for dying processes at most `milliseconds`. A cgroup that
 * is gone is no error. Throws `IN_USE` with the processes that are still there.
 */
export function removeCgroup(path: string, milliseconds: number = PATIENCE): void {
  if (path === '' || !existsSync(path)) return;
  const info = steps.removeOwn(path);
  step(info, () => removeTree(path, performance.now() + milliseconds));
}

function removeTree(path: string, deadline: number): void {
  for (;;) {
    for (const child of subgroups(path)) removeTree(join(path, child), deadline);
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      if (codeOf(error) !== 'EBUSY') throw failed('remove', path, error);
      if (performance.now() >= deadline) {
        const pids = processesBelow(path);
        throw new TsrunError('IN_USE', `cannot remove cgroup "${path}": processes in it: ${pids.join(' ') || 'none'}`, {
          cause: error,
        });
      }
      // Empty and busy at once: its last process is on its way out.
      if (waitForEvent(path, 'populated', 0, deadline - performance.now())) pause(2);
    }
  }
}

function subgroups(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}

/** The processes in the cgroup and below it. */
export function processesBelow(path: string): number[] {
  const own = readWords(join(path, 'cgroup.procs')).map(Number);
  return [...own, ...subgroups(path).flatMap((child) => processesBelow(join(path, child)))];
}

function failed(action: string, path: string, cause: unknown): TsrunError {
  return new TsrunError('SYSCALL', `cannot ${action} cgroup "${path}": ${messageOf(cause)}`, { cause });
}
