/**
 * SCMP_ACT_NOTIFY (config-linux.md, "Seccomp"): the listener of a filter is taken out of the process that loaded it, and
 * handed with the state of its container to whoever answers.
 */
import { messageOf, TsrunError } from '../error.ts';
import { syscall } from '../linux/ffi.ts';
import { check, close } from '../linux/fs.ts';
import { connectSocket, sendDescriptors } from '../linux/unix-socket.ts';
import { errorFdOf } from '../runtime/compile/context.ts';
import { type LinuxSeccomp, OCI_VERSION } from '../runtime/spec.ts';
import type { OciContainer } from './store.ts';

/** Hands the listener of process `pid` on. Throws `USAGE` without listenerPath. */
export function handListener(
  container: OciContainer,
  pid: number,
  preserved: number,
  seccomp: LinuxSeccomp | undefined,
): void {
  const path = seccomp?.listenerPath;
  if (path === undefined || path === '') {
    throw new TsrunError('USAGE', 'linux.seccomp.listenerPath is not set, and an action is SCMP_ACT_NOTIFY');
  }
  const pidfd = check(syscall('pidfd_open', pid, 0), 'pidfd_open');
  let listener = -1;
  let socket = -1;
  try {
    listener = check(syscall('pidfd_getfd', pidfd, errorFdOf(preserved) + 1, 0), 'pidfd_getfd');
    const state = {
      ociVersion: OCI_VERSION,
      fds: ['seccompFd'],
      pid,
      metadata: seccomp?.listenerMetadata ?? '',
      state: container.hookState(container.record.pid === pid ? 'creating' : 'running'),
    };
    try {
      socket = connectSocket(path);
    } catch (cause) {
      throw new TsrunError('NOT_FOUND', `failed to connect with seccomp agent "${path}": ${messageOf(cause)}`, {
        cause,
      });
    }
    sendDescriptors(socket, Buffer.from(JSON.stringify(state)), [listener]);
  } finally {
    close(socket);
    close(listener);
    close(pidfd);
  }
}
