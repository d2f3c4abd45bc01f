/** `volume ls --filter`: docker's filters. Values of one name are alternatives, labels all hold, names too. */
import { matchesLabels } from '../../container/labels.ts';
import type { Volume } from '../../container/volumes/store.ts';
import { TsrunError } from '../../error.ts';
import { parseBoolean } from '../flag.ts';
import { parseFilters } from './container-filter.ts';

const names = new Set(['dangling', 'driver', 'label', 'name']);

/** Compiles the values of --filter. `isUsed`: whether a container has the volume. Throws `USAGE` with docker's words. */
export function compileVolumeFilter(
  texts: readonly string[],
  isUsed: (name: string) => boolean,
): (volume: Volume) => boolean {
  const filters = parseFilters(texts, names);
  const dangling = filters.get('dangling');
  const wanted = dangling === undefined ? undefined : danglingOf(dangling);
  const drivers = filters.get('driver');
  const labels = filters.get('label') ?? [];
  const parts = filters.get('name');
  return ({ record }) =>
    (drivers === undefined || drivers.includes(record.driver)) &&
    (parts === undefined || parts.some((part) => record.name.includes(part))) &&
    matchesLabels(record.labels, labels) &&
    (wanted === undefined || isUsed(record.name) !== wanted);
}

function danglingOf(values: readonly string[]): boolean {
  try {
    return parseBoolean(values[0] ?? '');
  } catch {
    throw new TsrunError('USAGE', `Invalid filter 'dangling=[${values.join(' ')}]'`);
  }
}
