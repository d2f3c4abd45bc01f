/** Processes by number, and how to be sure that it is still the same one (man 5 proc, man 2 pidfd_open). */
import { PR_SET_THP_DISABLE } from './constants.ts';
import { errno } from './errno.ts';
import { syscall } from './ffi.ts';
import { check, close } from './fs.ts';
import { readOnce } from './kernel-file.ts';

/** Fields of /proc/PID/stat from the state on, as far as the start time; the name before it may hold spaces and parentheses. */
function statFields(pid: number): string[] | undefined {
  const stat = readOnce(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ', 20);
}

/** When a process began, in clock ticks since boot: with the pid it names one process for good. Undefined: it has ended. */
export function startTimeOf(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

/** The same of a process that runs: one that waits to be reaped does not. */
export function processStartTime(pid: number): string | undefined {
  const fields = statFields(pid);
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
}

/** Whether the process that began at `startTime` runs. */
export function isRunning(pid: number, startTime: string): boolean {
  return processStartTime(pid) === startTime;
}

/** A pidfd of the process that began at `startTime`; undefined when it has ended. The caller closes it. */
export function openPidfd(pid: number, startTime: string): number | undefined {
  const fd = syscall('pidfd_open', pid, 0);
  if (fd === -errno.ESRCH) return undefined;
  check(fd, 'pidfd_open');
  if (isRunning(pid, startTime)) return fd;
  close(fd);
  return undefined;
}

/** Sends a signal by a pidfd; false when the process has ended. */
export function signalPidfd(pidfd: number, signal: number): boolean {
  const result = syscall('pidfd_send_signal', pidfd, signal, 0, 0);
  if (result === -errno.ESRCH) return false;
  check(result, 'pidfd_send_signal');
  return true;
}

/**
 * What this process touches from now on comes in pages of the base size, not in huge ones (man 2 PR_SET_THP_DISABLE): for one
 * that has little left to do. Its children inherit that.
 */
export function endHugePages(): void {
  syscall('prctl', PR_SET_THP_DISABLE, 1, 0, 0, 0);
}
