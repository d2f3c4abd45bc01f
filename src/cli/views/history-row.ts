/** The lines of `history`: what an image was made of, the newest first. */
import type { StoredImage } from '../../image/store.ts';
import type { Struct, Value } from '../format/value.ts';
import { humanSize, timeAgo } from '../units.ts';

export const historyTitles: Readonly<Record<string, Value>> = {
  ID: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
  Size: 'SIZE',
  Comment: 'COMMENT',
};

/** Characters of CREATED BY, the last being the ellipsis. */
const createdByWidth = 45;

export interface HistoryOptions {
  truncate: boolean;
  human: boolean;
  now?: Date;
}

/** All rows. `ancestors`: ids of the images that this one was made from here, the nearest first. */
export function historyRows(image: StoredImage, ancestors: readonly string[], options: HistoryOptions): Struct[] {
  let layer = 0;
  const entries = image.config.history.map((entry) => ({
    entry,
    size: entry.emptyLayer ? 0 : (image.layers[layer++]?.bytes ?? 0),
  }));
  const ids = [image.id as string, ...ancestors];
  return entries.toReversed().map(({ entry, size }, index): Struct => {
    const id = ids[index] ?? '<missing>';
    const command = entry.createdBy.replaceAll('\t', ' ');
    return {
      // In this order {{json .}} shows them.
      Comment: entry.comment,
      CreatedAt: isoSeconds(entry.created),
      CreatedBy: options.truncate ? shortened(command) : command,
      CreatedSince: options.human ? timeAgo(new Date(entry.created), options.now) : isoSeconds(entry.created),
      ID: options.truncate && id.startsWith('sha256:') ? id.slice(7, 19) : id,
      Size: options.human ? humanSize(size) : String(size),
    };
  });
}

function shortened(text: string): string {
  const characters = [...text];
  return characters.length <= createdByWidth ? text : `${characters.slice(0, createdByWidth - 1).join('')}…`;
}

/** RFC 3339 in whole seconds and the local time zone. */
function isoSeconds(rfc3339: string): string {
  const time = new Date(rfc3339);
  if (Number.isNaN(time.getTime())) return '';
  const minutes = -time.getTimezoneOffset();
  const local = new Date(time.getTime() + minutes * 60_000).toISOString().slice(0, 19);
  if (minutes === 0) return `${local}Z`;
  const two = (value: number): string => String(Math.trunc(value)).padStart(2, '0');
  return `${local}${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}
