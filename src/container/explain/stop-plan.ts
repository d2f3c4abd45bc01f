/** `explain stop` and `explain rm`: how a container would be ended and taken away, without doing it. */
import { existsSync } from 'node:fs';
import { planRemoval } from '../../cgroup/plan.ts';
import { TsrunError } from '../../error.ts';
import { signalName, signalNumber } from '../../linux/signals.ts';
import { planDetach } from '../../network/plan.ts';
import type { Step } from '../../trace.ts';
import { isUp } from '../active.ts';
import { attachmentsOf, cableOfEnded } from '../endpoints.ts';
import type { Container } from '../record.ts';
import { stillRunning } from '../remove.ts';
import * as steps from '../steps.ts';
import { isWithout } from '../walls.ts';
import { type ExplainedStep, type Explanation, hostStep, note } from './explanation.ts';

/** `seconds`: until SIGKILL; -1 for ever. Throws `USAGE` for a signal that is none. */
export function planStop(container: Container, seconds: number, signal: string | undefined): Explanation {
  const { record, state } = container;
  const number = signalNumber(signal ?? record.stopSignal);
  if (number === undefined) throw new TsrunError('USAGE', `Invalid signal: ${signal}`);
  const isRunning = isUp(state);
  return {
    ...explanation('stop', container),
    steps: isRunning
      ? [
          hostStep(steps.markStopped()),
          hostStep(steps.sendSignal(signalName(number), state.pid)),
          hostStep(steps.waitForEnd(seconds)),
          ...(seconds < 0
            ? []
            : [
                note(
                  'command',
                  'teardown',
                  'send SIGKILL where it has not ended by then',
                  'no program can ignore it; in a pid namespace the end of process 1 ends all others',
                ),
              ]),
          ...endOf(container),
          hostStep(steps.waitForCleaning()),
        ]
      : [],
    remarks: isRunning ? [] : ['the container does not run: there is nothing to stop'],
  };
}

/** Throws as `rm` does: `CONFLICT` where it runs and nobody forces it. */
export function planRemove(container: Container, force: boolean, volumes: boolean): Explanation {
  const { record, state } = container;
  const running = isUp(state);
  if (running && !force) throw stillRunning(container);
  const killing = running
    ? [
        hostStep(steps.markStopped()),
        note(
          'command',
          'teardown',
          'send SIGKILL to its first process',
          'in a pid namespace the end of process 1 ends all others',
        ),
        ...endOf(container, true),
      ]
    : [];
  const last = [
    steps.disconnectNetwork(),
    ...(state.start !== undefined && state.start.cgroup !== '' ? [steps.removeCgroup()] : []),
    ...(record.options.remove ? [] : [steps.removeContainer(false)]),
  ].map((step) => hostStep(step));
  const ownVolumes = volumes
    ? [
        note(
          'command',
          'teardown',
          'remove its volumes without a name',
          'nobody could find them again; named volumes stay',
        ),
      ]
    : [];
  return { ...explanation('rm', container), steps: [...killing, ...last, ...ownVolumes], remarks: [] };
}

function explanation(command: string, { record }: Container): Omit<Explanation, 'steps' | 'remarks'> {
  return { command, subject: record.name, isStandIn: false };
}

/** What happens when the first process of a running container has ended, which `goes` with it. */
function endOf({ record, state, directory }: Container, goes = record.options.remove): ExplainedStep[] {
  const cgroup = state.start?.cgroup ?? '';
  const cable = cableOfEnded(directory, goes);
  const cleaning: Step[] = [
    steps.disconnectNetwork(),
    ...attachmentsOf(state).flatMap((attachment) => planDetach(attachment, { cable })),
    ...(cgroup === '' ? [] : [steps.removeCgroup(), ...(existsSync(cgroup) ? planRemoval(cgroup, false) : [])]),
    ...(isWithout(record.options, 'mount') ? [steps.takeMountsAway()] : []),
    ...(record.options.remove ? [steps.removeContainer(true)] : []),
  ];
  return [
    note(
      'monitor',
      'monitor',
      'monitor: wait for the end, and write down how it was',
      'only the parent of a process gets its exit status',
    ),
    // Who ends it claims the cleaning up from the monitor.
    ...cleaning.map((step) => hostStep(step)),
  ];
}
