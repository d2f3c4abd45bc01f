/** `--filter` of the prune commands. */
import type { PruneFilter } from '../../container/prune/index.ts';
import { TsrunError } from '../../error.ts';
import { parseMoment } from '../units.ts';
import { parseFilters } from '../views/container-filter.ts';

const all = ['until', 'label', 'label!'];

/** Reads the values of --filter. Throws `USAGE` with docker's words. */
export function parsePruneFilter(
  texts: readonly string[],
  now = new Date(),
  names: readonly string[] = all,
): PruneFilter {
  const filters = parseFilters(texts, new Set(names));
  const untils = filters.get('until') ?? [];
  if (untils.length > 1) throw new TsrunError('USAGE', 'more than one until filter specified');
  const [until] = untils;
  return {
    ...(until === undefined ? {} : { until: timeOf(until, now) }),
    labels: filters.get('label') ?? [],
    withoutLabels: filters.get('label!') ?? [],
  };
}

function timeOf(text: string, now: Date): number {
  const moment = parseMoment(text, now);
  if (moment !== undefined) return Date.parse(moment);
  throw new TsrunError('USAGE', `failed to parse value as time or duration: ${JSON.stringify(text)}`, {
    hint: 'such as until=24h or until=2026-01-02T15:04:05',
  });
}
