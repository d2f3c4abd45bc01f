/** The flags of the commands that stop containers: how they are asked to end, and how long that may take. */
import type { ContainerRecord } from '../../container/record.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';

/** `--signal` and `--timeout`; `patience` is what help says of the time. */
export function stopFlags(patience: string): Flag[] {
  return [
    { name: 'signal', short: 's', type: 'string', description: 'Signal to send instead of the stop signal' },
    { name: 'timeout', short: 't', type: 'int', description: patience, shownDefault: '10' },
    { name: 'time', type: 'int', description: 'Seconds to wait', aliasOf: 'timeout', hidden: true },
  ];
}

/** What they mean for one container; seconds, -1 for ever. */
export function stopOf(
  flags: ParsedFlags,
  { stopTimeout }: ContainerRecord,
): { seconds: number; signal: string | undefined } {
  return { seconds: flags.integer('timeout') ?? stopTimeout, signal: flags.string('signal') || undefined };
}
