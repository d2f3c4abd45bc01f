/** A further process in a container (`exec`), with no monitor: its parent is the caller's subreaper. */
import { TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import { openPidfd } from '../linux/process.ts';
import { compileUnattendedExec } from '../runtime/compile/exec.ts';
import { foreignNamespaces } from '../runtime/namespaces.ts';
import { seccompFlags } from '../runtime/seccomp/index.ts';
import type { Process } from '../runtime/spec.ts';
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
    const program = compileUnattendedExec({
      process: handed.process,
      namespaces: foreignNamespaces(record.pid),
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
