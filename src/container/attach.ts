/** `attach`: a further client of a container that runs, by the socket of its monitor. */
import { TsrunError } from '../error.ts';
import { errnoName, SyscallError } from '../linux/errno.ts';
import { isTty, windowSize } from '../linux/tty.ts';
import { waitUntilReaped } from './claim.ts';
import { asClient, type ClientEnd } from './foreground.ts';
import { attachClient, type MonitorControl } from './monitor-control.ts';
import type { Container } from './record.ts';
import { signalProcess } from './signal.ts';
import type { ContainerStore } from './store.ts';

export interface AttachRequest {
  /** Type into it; heeded where the container keeps its stdin open. */
  stdin: boolean;
  detachKeys: Uint8Array;
  /** Signals that tsrun gets are the container's; never with a terminal. */
  sigProxy: boolean;
}

/** Milliseconds that the cleaning up behind a container may take before its exit status is told anyway. */
const patience = 10_000;

/**
 * Connects the caller's descriptors with a container that runs, until it ends or this client leaves. Throws `CONFLICT`
 * with docker's words for one that cannot be attached to.
 */
export async function attachContainer(
  store: ContainerStore,
  container: Container,
  request: AttachRequest,
  onNotice: (line: string) => void,
): Promise<ClientEnd> {
  const { record, state } = container;
  checkAttachable(container);
  const { terminal, openStdin } = record.process;
  const stdin = request.stdin && openStdin;
  const control = connect(store, container, stdin, request.detachKeys, onNotice);
  const proxy =
    request.sigProxy && !terminal ? (signal: number) => void signalProcess(store, container, signal) : undefined;
  if (terminal && isTty(1)) {
    // Another size for a moment, as docker does it: who paints the screen there paints it again.
    const { rows, columns } = windowSize(1);
    control.resize(rows + 1, columns + 1);
  }
  const end = await asClient(control, { terminal, stdin, proxy }, () => control.onExit);
  control.close();
  if (end === 'lost') {
    const now = store.read(record.id);
    if (now !== undefined && now.state.pid === 0 && now.state.start?.startTime === state.start?.startTime) {
      return now.state.exitCode;
    }
    throw new TsrunError('PROGRAM', `the connection to container ${record.name} was lost`, {
      hint: 'its monitor was killed, has eight clients already, or this one took no output for a second',
    });
  }
  if (end === 'detached' || end === 'unread') return end;
  // Its network and, with --rm, its files are gone when this command is over; unless it is started again.
  if (!end.restarts) await waitUntilReaped(store, record.id, patience);
  return end.status;
}

/** Throws `CONFLICT` unless the container runs and is not paused. */
function checkAttachable({ record, state }: Container): void {
  const cannot = (what: string, then: string, hint: string): TsrunError =>
    new TsrunError('CONFLICT', `You cannot attach to a ${what} container, ${then}`, { hint });
  if (state.status === 'paused') throw cannot('paused', 'unpause it first', `tsrun unpause ${record.name}`);
  if (state.status === 'restarting') {
    throw cannot('restarting', 'wait until it is running', `tsrun logs ${record.name} may show why it ends`);
  }
  if (state.status !== 'running') throw cannot('stopped', 'start it first', `tsrun start -ai ${record.name}`);
}

function connect(
  store: ContainerStore,
  { record }: Container,
  stdin: boolean,
  detachKeys: Uint8Array,
  onNotice: (line: string) => void,
): MonitorControl {
  const { terminal } = record.process;
  try {
    return attachClient(store.socket(record.id), {
      stdin: stdin ? 0 : -1,
      stdout: 1,
      // A terminal has one stream.
      stderr: terminal ? -1 : 2,
      detachKeys,
      endUnread: true,
      onBroken: ({ stream, errno }) =>
        onNotice(`cannot write to ${stream === 1 ? 'stdout' : 'stderr'}: ${errnoName(errno)}; the container goes on`),
    });
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new TsrunError('CONFLICT', `cannot attach to ${record.name}: its monitor does not answer`, {
      cause: error,
      hint: 'it was killed, or the container has just ended: see tsrun ps -a',
    });
  }
}
