/** `start` (OCI runtime-spec runtime.md, "Start"): the first process, which waits, becomes the command. */

import { TsrunError } from '../error.ts';
import { SOCK_SEQPACKET } from '../linux/constants.ts';
import { close } from '../linux/fs.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { connectSocket, send } from '../linux/unix-socket.ts';
import { withHome } from './home.ts';
import { runHooks } from './hooks.ts';
import { runHooksInside } from './inside.ts';
import { handListener } from './listener.ts';
import { readMessage } from './machine.ts';
import { endProcesses } from './signal.ts';
import { keptFailure } from './steps.ts';
import type { OciContainer } from './store.ts';

/**
 * Starts a created container. Throws `CONFLICT`, `COMMAND_NOT_FOUND`, `PROGRAM`. A hook that fails ends the container (runtime.md,
 * "Lifecycle"): also a poststart one, as the specification has it since 1.2.1, and runc and crun had it before.
 */
export function startContainer(container: OciContainer): void {
  const unlock = container.lock();
  try {
    const status = container.status();
    if (status === 'stopped') throw new TsrunError('CONFLICT', 'cannot start a container that has stopped');
    if (status !== 'created') throw new TsrunError('CONFLICT', `cannot start an already running container`);
    const spec = container.spec();
    if (spec.process === undefined)
      throw new TsrunError('USAGE', "cannot start: the configuration's process is not set");
    const { hooks } = spec;
    const { env = [] } = withHome(spec.process, `/proc/${container.record.pid}/root`);
    const { cwd } = spec.process;
    const surroundings = { cwd, env, confinedBy: spec };
    orEnd(container, () =>
      runHooksInside('startContainer', hooks?.startContainer, container.hookState('created'), container, surroundings),
    );
    letGo(container, spec);
    orEnd(container, () =>
      runHooks('poststart', hooks?.poststart, container.hookState('running'), container.record.bundle),
    );
  } finally {
    unlock();
  }
}

function orEnd(container: OciContainer, hooks: () => void): void {
  try {
    hooks();
  } catch (error) {
    endProcesses(container);
    throw error;
  }
}

function letGo(container: OciContainer, spec: ReturnType<OciContainer['spec']>): void {
  const { record } = container;
  const connection = connectSocket(container.socket, SOCK_SEQPACKET);
  try {
    for (;;) {
      const message = readMessage(connection);
      if (message.kind === 'failed') {
        unlinkIfThere(container.socket);
        throw keptFailure(container.directory, message.operation, message.errno, spec.process?.args ?? []);
      }
      if (message.kind === 'listener') {
        handListener(container, record.pid, record.preserved, spec.linux?.seccomp);
        send(connection, Uint8Array.of(1));
      }
      if (message.kind === 'end') break;
    }
  } finally {
    close(connection);
  }
  unlinkIfThere(container.socket);
}
