/** Namespaces of containers that run, for others to join and for changes from outside (man 7 namespaces). */
import { TsrunError } from '../error.ts';
import { O_RDONLY } from '../linux/constants.ts';
import { SyscallError } from '../linux/errno.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import { isRestarting } from './active.ts';
import type { Container, ContainerRecord } from './record.ts';
import { isAlive } from './state.ts';
import type { ContainerStore } from './store.ts';

/**
 * Opens a namespace of the container's first process, and of no process that has got its pid since; the caller closes it.
 * `what` is what is to be joined, for messages. Throws `CONFLICT` where the container does not run.
 */
export function openNamespace({ record, state }: Container, file: 'net' | 'pid' | 'ipc', what: string): number {
  if (state.status === 'restarting') throw isRestarting(record);
  const { pid, start } = state;
  if (pid !== 0 && start !== undefined) {
    try {
      const fd = openat(AT_FDCWD, `/proc/${pid}/ns/${file}`, O_RDONLY);
      if (isAlive(start)) return fd;
      close(fd);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
    }
  }
  throw new TsrunError('CONFLICT', `cannot join ${what} of a non running container: ${record.id}`, {
    hint: `start it first: tsrun start ${record.name}`,
  });
}

/**
 * --pid container:X and --ipc container:X: the namespaces of the other container's first process. By descriptors that the
 * monitor keeps, from `firstFd` on: when it starts the container again, the pid may be another's.
 */
export function joinedNamespaces(
  store: ContainerStore,
  { options }: ContainerRecord,
  firstFd: number,
): { paths: { joinedPid?: string; joinedIpc?: string }; held: number[] } {
  const held: number[] = [];
  const path = (mode: string, name: 'pid' | 'ipc'): string | undefined => {
    if (!mode.startsWith('container:')) return undefined;
    held.push(openNamespace(store.resolve(mode.slice('container:'.length)), name, `${name} namespace`));
    return `/proc/self/fd/${firstFd + held.length - 1}`;
  };
  try {
    const joinedPid = path(options.pidMode, 'pid');
    const joinedIpc = path(options.ipcMode, 'ipc');
    return {
      paths: { ...(joinedPid === undefined ? {} : { joinedPid }), ...(joinedIpc === undefined ? {} : { joinedIpc }) },
      held,
    };
  } catch (error) {
    held.forEach(close);
    throw error;
  }
}
