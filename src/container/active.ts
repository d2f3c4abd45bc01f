/** Which containers run, and the errors for those that do not. */
import { TsrunError } from '../error.ts';
import type { Container, ContainerState } from './record.ts';

/** Whether its processes exist, or will again: docker counts a container that waits for its restart as running. */
export function isUp({ status }: Pick<ContainerState, 'status'>): boolean {
  return status === 'running' || status === 'paused' || status === 'restarting';
}

/** `Container … is not running`, as docker says it. */
export function notRunning({ record }: Container): TsrunError {
  return new TsrunError('CONFLICT', `Container ${record.id} is not running`, {
    hint: `tsrun start ${record.name} starts it`,
  });
}

/** `Container … is restarting`, as docker says it. */
export function isRestarting({ id, name }: Container['record']): TsrunError {
  return new TsrunError('CONFLICT', `Container ${id} is restarting, wait until the container is running`, {
    hint: `tsrun logs ${name} may show why it ends`,
  });
}

/** Throws `CONFLICT` with docker's words unless the container runs (or is paused). */
export function requireRunning(container: Container): void {
  const { status } = container.state;
  if (status === 'restarting') throw isRestarting(container.record);
  if (status !== 'running' && status !== 'paused') throw notRunning(container);
}
