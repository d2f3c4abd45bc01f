/** `tsrun image prune`: images that nothing needs. */
import { readSync } from 'node:fs';
import { recordEvent } from '../../container/events.ts';
import { ContainerStore } from '../../container/store.ts';
import { TsrunError } from '../../error.ts';
import type { Removal } from '../../image/removal.ts';
import { ImageStore, type StoredImage } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { parseBoolean } from '../flag.ts';
import { print } from '../output.ts';
import { humanSize, parseMoment } from '../units.ts';
import { matchesLabels, parseFilters } from '../views/container-filter.ts';
import { removeImage, type Stores } from './remove-image.ts';

const filterNames = new Set(['dangling', 'label', 'label!', 'until']);

const warning = (all: boolean): string =>
  `WARNING! This will remove all ${all ? 'images without at least one container associated to them' : 'dangling images'}.\n` +
  'Are you sure you want to continue? [y/N] ';

export const imagePrune: Command = {
  usage: '[OPTIONS]',
  description: 'Remove unused images',
  flags: [
    { name: 'all', short: 'a', type: 'bool', description: 'Remove all unused images, not only those without a name' },
    { name: 'filter', type: 'filter', description: "Only those that fit, such as 'until=24h' or 'label=x'" },
    { name: 'force', short: 'f', type: 'bool', description: 'Do not ask' },
  ],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const { all, matches } = compileFilter(flags.strings('filter'), flags.boolean('all'));
    if (!flags.boolean('force') && !confirmed(warning(all))) {
      print('Total reclaimed space: 0B\n');
      return 0;
    }
    const containers = new ContainerStore();
    const images = new ImageStore(containers.root);
    const used = new Set(containers.list(fail).map(({ record }) => record.image.id));
    const lines: string[] = [];
    let reclaimed = 0;
    for (const image of images.list()) {
      // A digest alone is no name that anybody would miss, as docker has it.
      if (used.has(image.id) || (image.references.length > 0 && !all) || !matches(image)) continue;
      const sizes = new Map<string, number>(image.layers.map((layer) => [layer.chainId, layer.bytes]));
      try {
        for (const removal of removeWhole({ containers, images }, image)) {
          lines.push('untagged' in removal ? `untagged: ${removal.untagged}` : `deleted: ${removal.deleted}`);
          if ('deleted' in removal) reclaimed += sizes.get(removal.deleted) ?? 0;
        }
      } catch (error) {
        // A container was made of it, or somebody removed it meanwhile.
        if (!(error instanceof TsrunError) || (error.code !== 'CONFLICT' && error.code !== 'NOT_FOUND')) throw error;
      }
    }
    reclaimed += images.removeOrphans((chainId) =>
      containers.list(fail).some(({ record }) => record.image.layers.includes(chainId)),
    );
    if (lines.length > 0) print(`Deleted Images:\n${lines.join('\n')}\n\n`);
    print(`Total reclaimed space: ${humanSize(reclaimed, 4)}\n`);
    recordEvent(images.root, { type: 'image', action: 'prune', id: '', attributes: { reclaimed: String(reclaimed) } });
    return 0;
  },
};

/** One name after the other, without force: a container that is made meanwhile keeps its image. */
function removeWhole(stores: Stores, image: StoredImage): Removal[] {
  const removals: Removal[] = [];
  for (const name of [...image.references, ...image.repoDigests]) {
    if (stores.images.resolve(name)?.id === image.id) removals.push(...removeImage(stores, name, false));
  }
  if (stores.images.resolve(image.id) !== undefined) removals.push(...removeImage(stores, image.id, false));
  return removals;
}

/** Its image is not known: none may be removed under it. */
function fail(error: TsrunError): never {
  throw error;
}

function compileFilter(
  texts: readonly string[],
  all: boolean,
): { all: boolean; matches: (image: StoredImage) => boolean } {
  const filters = parseFilters(texts, filterNames);
  const dangling = filters.get('dangling')?.[0];
  let everything = all;
  if (dangling !== undefined) {
    try {
      everything = !parseBoolean(dangling);
    } catch {
      throw new TsrunError('USAGE', `Invalid filter 'dangling=[${dangling}]'`);
    }
  }
  const until = (filters.get('until') ?? []).map((value) => {
    const moment = parseMoment(value);
    if (moment !== undefined) return Date.parse(moment);
    throw new TsrunError('USAGE', `failed to parse value as time or duration: ${JSON.stringify(value)}`);
  });
  const labels = filters.get('label') ?? [];
  const without = filters.get('label!') ?? [];
  const matches = (image: StoredImage): boolean => {
    if (!until.every((limit) => Date.parse(image.created) < limit)) return false;
    if (labels.length === 0 && without.length === 0) return true;
    const own = image.config.execution.labels;
    return matchesLabels(own, labels) && !without.some((label) => matchesLabels(own, [label]));
  };
  return { all: everything, matches };
}

/** Asks on stdout, as docker does; nothing but `y` means yes. */
function confirmed(question: string): boolean {
  print(question);
  const answer = Buffer.alloc(256);
  let length = 0;
  try {
    length = readSync(0, answer);
  } catch {
    // No stdin: no.
  }
  return answer.toString('utf8', 0, length).split('\n')[0]?.trim().toLowerCase() === 'y';
}
