/** `explain exec`: what a further command in a running container would take, without running it. */
import { requireRunning } from '../active.ts';
import { clientOf, type ExecRequest, processOf } from '../exec.ts';
import { compileCommand, filterOf } from '../exec-program.ts';
import type { Container } from '../record.ts';
import * as steps from '../steps.ts';
import type { ContainerStore } from '../store.ts';
import { type Explanation, hostStep, note, programSteps } from './explanation.ts';

/** Throws as `exec` does before it has made anything: `CONFLICT` where the container does not run, `USAGE`. */
export async function planExec(
  store: ContainerStore,
  container: Container,
  request: ExecRequest,
): Promise<Explanation> {
  requireRunning(container);
  const foreground = clientOf(request);
  const program = compileCommand(store, container, processOf(store, container, request), {
    seccomp: await filterOf(store, container),
    intoCgroup: (container.state.start?.cgroup ?? '') !== '',
    stdin: foreground.stdin,
    foreground,
    execId: '0'.repeat(64),
  });
  return {
    command: 'exec',
    subject: container.record.name,
    isStandIn: false,
    remarks: [],
    steps: [
      hostStep(steps.compileCommand()),
      hostStep(steps.startCommandMonitor()),
      ...programSteps(program),
      note(
        'monitor',
        'monitor',
        'monitor: copy what the command prints to whoever called',
        'the command line stands beside the data, which never passes through JavaScript',
      ),
      note(
        'monitor',
        'monitor',
        'monitor: wait for the end, and write down how it was',
        'only the parent of a process gets its exit status',
      ),
    ],
  };
}
