/**
 * The time that a stage's new files have. No time of the build gets into an image, or the same instructions would make
 * another one each time: a clock that knows nothing but the inputs goes on with the image below and with the newest file that
 * is copied in. What a command writes is newer in truth, and gets this time: so it is never older than what it was made from.
 * Whole seconds, rounded down, as archives have them: else what is made in the second of the newest input would keep its time.
 * With SOURCE_DATE_EPOCH (reproducible-builds.org) that is the time of everything.
 */

import { TsrunError } from '../error.ts';
import type { TarMember } from '../image/archive/tar-header.ts';
import { TarWriter } from '../image/archive/tar-writer.ts';

/** Seconds since 1970 of RFC 3339; 0 where it says nothing. */
export function clockOf(created: string): number {
  const milliseconds = Date.parse(created);
  return Number.isFinite(milliseconds) && milliseconds > 0 ? Math.floor(milliseconds / 1000) : 0;
}

/** RFC 3339, as images have it. */
export function formatClock(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** Reads SOURCE_DATE_EPOCH. Throws `USAGE`. */
export function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,11}$/.test(text)) {
    throw new TsrunError('USAGE', `invalid SOURCE_DATE_EPOCH: ${text}`, { hint: 'it is in seconds since 1970' });
  }
  return Number(text);
}

/** Writes an archive in which nothing is newer than the clock. */
export class ClockedTarWriter extends TarWriter {
  constructor(
    private readonly clock: number,
    sink: ConstructorParameters<typeof TarWriter>[0],
    options: ConstructorParameters<typeof TarWriter>[1],
  ) {
    super(sink, options);
  }

  override header(member: TarMember): void {
    super.header(
      member.mtime.seconds < this.clock ? member : { ...member, mtime: { seconds: this.clock, nanoseconds: 0 } },
    );
  }
}
