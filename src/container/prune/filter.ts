/** Which of the unused things a prune may take: docker's filters `until`, `label` and `label!`. */
import { matchesLabels } from '../labels.ts';

export interface PruneFilter {
  /** Milliseconds since 1970: only what was made before. */
  until?: number;
  /** `key` or `key=value`: all of them must fit. */
  labels: readonly string[];
  /** As `labels`: what fits one of them stays. */
  withoutLabels: readonly string[];
}

/** What a filter looks at. */
export interface Filtered {
  /** RFC 3339, or empty where it is not known: then it counts as old. */
  created: string;
  labels: Readonly<Record<string, string>>;
}

/** Whether the filter lets a thing be taken away. */
export function mayPrune(filter: PruneFilter, { created, labels }: Filtered): boolean {
  if (filter.until !== undefined && Date.parse(created) >= filter.until) return false;
  if (!matchesLabels(labels, filter.labels)) return false;
  return !filter.withoutLabels.some((wanted) => matchesLabels(labels, [wanted]));
}
