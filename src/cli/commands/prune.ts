/** `tsrun builder|container|image|network|volume prune`: the same question, filters and account for each kind of thing. */
import {
  type PruneFilter,
  type PruneRequest,
  type Pruner,
  pruneBuildCache,
  pruneContainers,
  pruneImages,
  pruneNetworks,
  pruneVolumes,
} from '../../container/prune/index.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { type Flag, parseBoolean } from '../flag.ts';
import { parsePruneFilter } from '../options/prune-filter.ts';
import { print, printError } from '../output.ts';
import { printForeign } from '../terminal.ts';
import { humanSize, parseBytes } from '../units.ts';

/** Digits that docker prints of what was reclaimed. */
export const reclaimedDigits = 4;

/** What a pruner works on. `allImages`: also images that have a name. */
export function pruneRequest(filter: PruneFilter, allImages: boolean): PruneRequest {
  const containers = new ContainerStore();
  return {
    containers,
    images: new ImageStore(containers.root),
    filter,
    allImages,
    onNotice: (line) => printError(`tsrun: ${line}`),
  };
}

interface Kind {
  description: string;
  /** An example of a filter. */
  filter: string;
  flags?: readonly Flag[];
  /** What the warning says will go. */
  doomed: (all: boolean) => string;
  /** Above the list of what went. */
  title: string;
  pruner: Pruner;
  /** Where other flags say what it does. */
  prunerOf?: (flags: ParsedFlags) => Pruner;
  /** What goes takes no space that anybody counts. */
  weightless?: boolean;
  /** Filters that there are; absent: all of docker's. */
  filters?: readonly string[];
  /** Whether --all or a filter widens it, and the other filters. */
  scope?: (flags: ParsedFlags, filters: readonly string[]) => { all: boolean; filters: string[] };
}

function pruneCommand(kind: Kind): Command {
  return {
    usage: '[OPTIONS]',
    description: kind.description,
    flags: [
      ...(kind.flags ?? []),
      { name: 'filter', type: 'filter', description: `Only those that fit, such as ${kind.filter}` },
      { name: 'force', short: 'f', type: 'bool', description: 'Do not ask' },
    ],
    args: { min: 0, max: 0 },
    async run({ flags }) {
      const given = flags.strings('filter');
      const { all, filters } = kind.scope?.(flags, given) ?? { all: false, filters: [...given] };
      const filter = parsePruneFilter(filters, new Date(), kind.filters);
      const question = `WARNING! This will remove ${kind.doomed(all)}.\nAre you sure you want to continue?`;
      if (!flags.boolean('force') && !confirm(question)) {
        if (!kind.weightless) print('Total reclaimed space: 0B\n');
        return 0;
      }
      const { deleted, reclaimed } = await (kind.prunerOf?.(flags) ?? kind.pruner)(pruneRequest(filter, all));
      if (deleted.length > 0) printForeign(`${[kind.title, ...deleted].join('\n')}\n\n`);
      if (!kind.weightless) print(`Total reclaimed space: ${humanSize(reclaimed, reclaimedDigits)}\n`);
      return 0;
    },
  };
}

export const containerPrune = pruneCommand({
  description: 'Remove all stopped containers',
  filter: 'until=24h or label=tier',
  doomed: () => 'all stopped containers',
  title: 'Deleted Containers:',
  pruner: pruneContainers,
});

export const imagePrune = pruneCommand({
  description: 'Remove unused images',
  filter: 'until=24h or label=tier',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'Remove all unused images, not only those without a name' },
  ],
  doomed: (all) => `all ${all ? 'images without at least one container associated to them' : 'dangling images'}`,
  title: 'Deleted Images:',
  pruner: pruneImages,
  scope: imageScope,
});

/** `dangling=false` says what --all says. */
function imageScope(flags: ParsedFlags, given: readonly string[]): { all: boolean; filters: string[] } {
  const dangling = given.filter((text) => text.startsWith('dangling='));
  const value = dangling.at(-1)?.slice('dangling='.length);
  let all = flags.boolean('all');
  if (value !== undefined) {
    try {
      all = !parseBoolean(value);
    } catch {
      throw new TsrunError('USAGE', `Invalid filter 'dangling=[${value}]'`);
    }
  }
  return { all, filters: given.filter((text) => !dangling.includes(text)) };
}

export const builderPrune = pruneCommand({
  description: 'Remove build cache',
  filter: 'until=24h',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'Remove all of it, not only what no image has' },
    {
      name: 'keep-storage',
      type: 'string',
      description: 'Amount of disk space to keep for cache',
      check: (text) => void parseBytes(text),
    },
  ],
  doomed: (all) => `all ${all ? '' : 'dangling '}build cache`,
  title: 'Deleted build cache objects:',
  pruner: pruneBuildCache,
  prunerOf: (flags) => (request) => pruneBuildCache(request, parseBytes(flags.string('keep-storage') ?? '0')),
  scope: (flags, filters) => ({ all: flags.boolean('all'), filters: [...filters] }),
  filters: ['until'],
});

export const volumePrune = pruneCommand({
  description: 'Remove all volumes that no container has',
  filter: 'label=tier or label!=keep',
  flags: [{ name: 'all', short: 'a', type: 'bool', description: 'No effect: volumes with names go in any case' }],
  doomed: () => 'all local volumes not used by at least one container',
  title: 'Deleted Volumes:',
  pruner: pruneVolumes,
});

export const networkPrune = pruneCommand({
  description: 'Remove networks that no running container is on',
  filter: 'until=24h or label=stage',
  doomed: () => 'all custom networks not used by at least one container',
  title: 'Deleted Networks:',
  pruner: pruneNetworks,
  weightless: true,
});
