/** What can stand where a command takes an argument: read from its usage line, so that every command has it. */
import { isUp } from '../../container/active.ts';
import type { ContainerStatus } from '../../container/record.ts';
import type { Command } from '../command.ts';
import { type Completion, nothing, values } from './candidate.ts';
import { containerNames, imageNames, lessonNumbers, networkNames, volumeNames } from './resources.ts';

const up = (status: ContainerStatus): boolean => isUp({ status });

/** Which containers a command can do something with; those that are not named take any. */
const fitting: Readonly<Record<string, (status: ContainerStatus) => boolean>> = {
  attach: (status) => status === 'running',
  exec: (status) => status === 'running',
  kill: up,
  pause: (status) => status === 'running',
  port: up,
  rm: (status) => !up(status),
  start: (status) => !up(status),
  stats: up,
  stop: up,
  top: up,
  unpause: (status) => status === 'paused',
  wait: up,
};

/** The words of a usage line that stand for arguments: `[OPTIONS] CONTAINER [CONTAINER...]`. */
function placesOf(usage: string): string[] {
  return (
    usage
      .split('\n')[0]
      ?.split(/\s+/)
      .filter((word) => word !== '' && word !== '[OPTIONS]') ?? []
  );
}

/** The place of the argument with that index; the last one is repeated where it says so (`...`). */
function placeAt(usage: string, index: number): string | undefined {
  const places = placesOf(usage);
  return places[index] ?? (places.at(-1)?.includes('...') ? places.at(-1) : undefined);
}

export interface ArgumentPosition {
  command: Command;
  /** The command's own name, whatever it was called by: `rm`. */
  action: string;
  /** How many arguments stand before. */
  index: number;
  typed: string;
  /** -f was given. */
  force: boolean;
}

/** What the argument may be. */
export function argumentValues({ command, action, index, typed, force }: ArgumentPosition): Completion {
  const place = placeAt(command.usage, index);
  if (place === undefined) return nothing;
  const wanted = (force ? undefined : fitting[action]) ?? (() => true);
  const names = place.replace(/[[\]]/g, '').replace('...', '');
  if (names.startsWith('CONTAINER:')) {
    const candidates = containerNames(typed, wanted).map(({ value }) => ({ value: `${value}:` }));
    return { candidates, files: 'files', open: true };
  }
  if (names === 'NAME|ID') {
    return {
      candidates: [...containerNames(typed, wanted), ...imageNames(typed), ...networkNames(), ...volumeNames()],
    };
  }
  if (names.includes('CONTAINER')) return { candidates: containerNames(typed, wanted) };
  if (/IMAGE|REPOSITORY/.test(names)) return { candidates: imageNames(typed) };
  if (names.includes('NETWORK')) return { candidates: networkNames() };
  if (names === 'LESSON') return { candidates: lessonNumbers() };
  if (names.includes('VOLUME')) return { candidates: volumeNames() };
  if (/PATH|COMMAND|ARG|FILE|DIRECTORY/i.test(names)) return { candidates: [], files: 'files' };
  return /^[a-z|]+$/.test(names) ? values(names.split('|')) : nothing;
}
