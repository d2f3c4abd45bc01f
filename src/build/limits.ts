/** What the commands of a build may use, and which hosts they know: the flags that `build` has in common with `run`. */
import type { LimitOptions, RunOptions } from '../container/run-options.ts';
import { defaultShmSize } from '../runtime/defaults.ts';

export type CommandLimits = Pick<RunOptions, 'extraHosts' | 'ulimits' | 'shmSize'> & LimitOptions;

/**
 * What of it a command can see and may write into its files, for the cache: nothing where nothing was asked for. How much memory
 * and how many processors it has decides whether it comes to its end, not what it makes: that is in no key, as in docker.
 */
export function limitsKey({ extraHosts, ulimits, shmSize }: CommandLimits): unknown[] {
  const asked = extraHosts.length > 0 || ulimits.length > 0 || shmSize !== defaultShmSize;
  return asked ? [{ extraHosts, ulimits, shmSize }] : [];
}
