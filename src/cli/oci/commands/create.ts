/** `create`, `start` and `run`. */
import { resolve } from 'node:path';
import { SOCK_STREAM } from '../../../linux/constants.ts';
import { close } from '../../../linux/fs.ts';
import { isTty } from '../../../linux/tty.ts';
import { socketPair } from '../../../linux/unix-socket.ts';
import { type CreateOptions, createContainer } from '../../../oci/create.ts';
import { connectConsole, sendPidfd } from '../../../oci/descriptors.ts';
import { becomeSubreaper, waitForProcess } from '../../../oci/foreground.ts';
import { Readiness } from '../../../oci/notify.ts';
import { deleteContainer } from '../../../oci/signal.ts';
import { startContainer } from '../../../oci/start.ts';
import { type OciContainer, writeWhole } from '../../../oci/store.ts';
import type { Flag } from '../../flag.ts';
import type { OciCommand, OciInvocation } from '../command.ts';

const createFlags: readonly Flag[] = [
  {
    name: 'bundle',
    short: 'b',
    type: 'string',
    description: 'Directory of config.json; the working directory by default',
  },
  { name: 'config', short: 'f', type: 'string', description: 'Another name than config.json in the bundle' },
  { name: 'console-socket', type: 'string', description: "Unix socket that gets the terminal's master" },
  { name: 'pid-file', type: 'string', description: 'File that the pid is written to' },
  { name: 'pidfd-socket', type: 'string', description: 'Unix socket that gets a pidfd of the first process' },
  { name: 'no-pivot', type: 'bool', description: 'Do not use pivot_root (for a host on an initramfs)' },
  { name: 'no-new-keyring', type: 'bool', description: "Keep the caller's session keyring" },
  { name: 'preserve-fds', type: 'uint', description: 'How many further descriptors from 3 on to hand on' },
];

/** The pid, in a file that is complete or not there. */
export function writePidFile(path: string | undefined, pid: number): void {
  if (path !== undefined && path !== '') writeWhole(resolve(path), String(pid));
}

function createOptions({ flags, args, log, manager }: OciInvocation): CreateOptions {
  return {
    id: args[0] ?? '',
    bundle: resolve(flags.string('bundle') || '.'),
    config: flags.string('config') || 'config.json',
    connectConsole: (process) => connectConsole(process, flags.string('console-socket')),
    preserveFds: flags.integer('preserve-fds') ?? 0,
    noPivot: flags.boolean('no-pivot'),
    noNewKeyring: flags.boolean('no-new-keyring'),
    manager,
    warn: (message) => log.warn(message),
    onCreated: (pid) => {
      writePidFile(flags.string('pid-file'), pid);
      sendPidfd(flags.string('pidfd-socket'), pid);
    },
  };
}

export const create: OciCommand = {
  usage: '[OPTIONS] CONTAINER',
  flags: createFlags,
  args: { min: 1, max: 1 },
  run: async (invocation) => {
    createContainer(invocation.store, createOptions(invocation));
    return 0;
  },
};

export const start: OciCommand = {
  usage: 'CONTAINER',
  flags: [],
  args: { min: 1, max: 1 },
  run: async ({ args, store, log }) => {
    const container = store.get(args[0] ?? '');
    const readiness = Readiness.open(container, process.env, (message) => log.warn(message));
    try {
      startContainer(container);
      readiness?.wait(container.record.pid);
    } finally {
      readiness?.close();
    }
    return 0;
  },
};

export const run: OciCommand = {
  usage: '[OPTIONS] CONTAINER',
  flags: [
    ...createFlags,
    { name: 'detach', short: 'd', type: 'bool', description: 'Do not wait for the end' },
    { name: 'keep', type: 'bool', description: 'Do not delete the container when it has ended' },
    { name: 'no-subreaper', type: 'bool', description: 'Do not become the parent of orphans' },
  ],
  args: { min: 1, max: 1 },
  run: async (invocation) => {
    const { flags, store, log } = invocation;
    const warn = (message: string): void => log.warn(message);
    if (flags.boolean('detach')) {
      const container = createContainer(store, createOptions(invocation));
      const readiness = startOrDelete(invocation, container);
      readiness?.wait(container.record.pid);
      readiness?.close();
      return 0;
    }
    const { copyTerminal } = await import('../../../oci/copy-terminal.ts');
    becomeSubreaper();
    const options = createOptions(invocation);
    let master: number | undefined;
    const container = createContainer(store, {
      ...options,
      plainTerminal: !flags.string('console-socket') && !isTty(1),
      connectConsole: (process) => {
        if (process?.terminal !== true || flags.string('console-socket')) return options.connectConsole(process);
        const [own, theirs] = socketPair(SOCK_STREAM);
        master = own;
        return theirs;
      },
    });
    const readiness = startOrDelete(invocation, container);
    const unwatch = readiness?.watch();
    const status = await waitForProcess(container.record.pid, master, copyTerminal);
    unwatch?.();
    if (master !== undefined) close(master);
    if (!flags.boolean('keep')) deleteContainer(store, container.record.id, true, warn);
    return status;
  },
};

/** What could not be started is not left behind: nobody knows of it. Returns who listens for its readiness, where somebody wants to know. */
function startOrDelete({ store, log }: OciInvocation, container: OciContainer): Readiness | undefined {
  const warn = (message: string): void => log.warn(message);
  const readiness = Readiness.open(container, process.env, warn);
  try {
    startContainer(container);
    return readiness;
  } catch (error) {
    readiness?.close();
    deleteContainer(store, container.record.id, true, warn);
    throw error;
  }
}
