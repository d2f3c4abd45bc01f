/** A hold on a container's first process that no other process can take the place of (man 2 pidfd_open). */
import { errno } from '../linux/errno.ts';
import { syscall } from '../linux/ffi.ts';
import { check, close } from '../linux/fs.ts';
import type { Container } from './record.ts';
import { isAlive } from './state.ts';

/** Opens a pidfd of the container's first process; undefined when it has ended. */
export function openProcess(container: Container): number | undefined {
  const { start, pid } = container.state;
  if (start === undefined || pid === 0) return undefined;
  const fd = syscall('pidfd_open', pid, 0);
  if (fd === -errno.ESRCH) return undefined;
  check(fd, 'pidfd_open');
  // The pid may have been given to another process before it was opened: its start time tells.
  if (!isAlive(start)) {
    close(fd);
    return undefined;
  }
  return fd;
}
