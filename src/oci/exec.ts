/** A further process in a container (`exec`), with no monitor: its parent is the caller's subreaper. */
import { TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import { openPidfd } from '../linux/process.ts';
import { compileUnattendedExec } from '../runtime/compile/exec.ts';
import { foreignNamespaces } from '../runtime/namespaces.ts';
import { seccompFlags } from '../runtime/seccomp/index.ts';
import type { NamespaceType, Process, Spec } from '../runtime/spec.ts';
import { handOn } from './descriptors.ts';
import { openCgroups } from './exec-cgroup.ts';
import { checkExecutable } from './executable.ts';
import { withHome } from './home.ts';
import { sharesMounts } from './host-mounts.ts';
import { labelsOf } from './labels.ts';
import { handListener } from './listener.ts';
import { failureOf, Machine } from './machine.ts';
import type { OciContainer } from './store.ts';

export interface ExecOptions {
  process: Process;
  connectConsole: (process: Process) => number | undefined;
  preserveFds: number;
  /** Its terminal is read by a pipe or a file. */
  plainTerminal?: boolean;
  /** Below the container's cgroup: values of --cgroup. */
  cgroup: readonly string[];
  /** Called with the pid before the command runs. */
  onCreated: (pid: number) => void;
}

/** Starts the process and returns its pid when its command runs. */
export function execProcess(container: OciContainer, options: ExecOptions): number {
  const { record } = container;
  const pidfd = openPidfd(record.pid, record.startTime);
  if (pidfd === undefined) throw new TsrunError('CONFLICT', 'cannot exec in a stopped container');
  const { fd: cgroup, v1Procs } = openCgroups(record, options.cgroup);
  let console: number | undefined;
  try {
    const spec = container.spec();
    if (sharesMounts(spec)) {
      throw new TsrunError(
        'UNSUPPORTED',
        'exec needs a container with a mount namespace: here it would see the root of the host',
      );
    }
    const handed = handOn(withHome(options.process, `/proc/${record.pid}/root`), options.preserveFds, process.env);
    console = options.connectConsole(handed.process);
    checkExecutable(record.pid, handed.process);
    const filter = container.filter();
    const profile = spec.linux?.seccomp;
    const namespaces = foreignNamespaces(record.pid);
    const program = compileUnattendedExec({
      process: handed.process,
      namespaces,
      pidLast: isTraced(spec, namespaces),
      intoCgroup: cgroup >= 0,
      stdin: true,
      target: 'inherited',
      sync: true,
      seccomp: filter,
      lenientRlimit: () => false,
      unattended: {
        console: console !== undefined,
        preserved: handed.count,
        v1Procs,
        seccompFlags: profile === undefined ? 0 : seccompFlags(profile),
        labels: labelsOf(handed.process),
        plainTerminal: options.plainTerminal === true,
        memoryPolicy: spec.linux?.memoryPolicy,
        ...(spec.linux?.personality === undefined ? {} : { personality: spec.linux.personality }),
      },
    });
    const machine = new Machine(program, { console, cgroup, target: pidfd, preserved: handed.count });
    try {
      let pid = 0;
      for (;;) {
        const message = machine.next();
        if (message.kind === 'failed') {
          throw failureOf(program, message.operation, message.errno, handed.process.args ?? []);
        }
        if (message.kind === 'end') break;
        if (message.kind === 'created') {
          pid = message.pid;
          options.onCreated(pid);
        }
        if (message.kind === 'listener') {
          handListener(container, pid, handed.count, spec.linux?.seccomp);
          machine.proceed();
        }
      }
      if (pid === 0) throw new TsrunError('PROGRAM', 'the process ended before it was set up');
      return pid;
    } finally {
      machine.close();
    }
  } finally {
    close(pidfd);
    close(cgroup);
    if (console !== undefined) close(console);
  }
}

/**
 * Whether somebody in the container's pid namespace may trace: it has CAP_SYS_PTRACE and no user namespace of its own, or others
 * are there of whom nothing is known. Not where a listener answers calls: it is to be told the pid of who loads the filter.
 */
function isTraced({ process, linux }: Spec, foreign: readonly NamespaceType[]): boolean {
  if (foreign.includes('user') || linux?.seccomp?.listenerPath !== undefined) return false;
  const joined = linux?.namespaces?.some(({ type, path }) => type === 'pid' && path !== undefined);
  return (
    joined === true ||
    Object.values(process?.capabilities ?? {})
      .flat()
      .includes('CAP_SYS_PTRACE')
  );
}
