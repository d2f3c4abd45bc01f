/** What a time zone is called at a moment ("CET"): from the file of the zone, tzfile(5), as Go's time package does it. */
import { readFileSync } from 'node:fs';

const headerSize = 44;

/**
 * @param file of a zone, TZif of any version
 * @param time seconds since 1970
 * @param offset of local time at that moment, seconds east of Greenwich
 * @returns the abbreviation, or undefined where the file has none for it
 */
export function abbreviationIn(file: Buffer, time: number, offset: number): string | undefined {
  if (file.length < headerSize || file.toString('latin1', 0, 4) !== 'TZif') return undefined;
  // Version 1 has a block of 32-bit times only; later ones begin with it and then have one of 64 bits.
  const isLong = file[4] !== 0;
  const counts = (start: number): number[] => [0, 4, 8, 12, 16, 20].map((at) => file.readUInt32BE(start + 20 + at));
  const sizeOf = (width: number, [universal = 0, standard = 0, leaps = 0, times = 0, types = 0, text = 0]: number[]) =>
    times * (width + 1) + types * 6 + text + leaps * (width + 4) + standard + universal;
  const start = isLong ? headerSize + sizeOf(4, counts(0)) : 0;
  if (start + headerSize > file.length) return undefined;
  const width = isLong ? 8 : 4;
  const [, , , times = 0, types = 0] = counts(start);
  const kinds = start + headerSize + times * width;
  const infos = kinds + times;
  const names = infos + types * 6;
  if (start + headerSize + sizeOf(width, counts(start)) > file.length) return undefined;
  const nameOf = (kind: number): string | undefined => {
    const info = infos + kind * 6;
    if (kind >= types || file.readInt32BE(info) !== offset) return undefined;
    const name = names + (file[info + 5] as number);
    return file.toString('latin1', name, file.indexOf(0, name));
  };
  // After the last change a rule goes on, with names that were there before: the newest of this offset is meant.
  for (let index = times - 1; index >= 0; index--) {
    const at = start + headerSize + index * width;
    const change = isLong ? file.readInt32BE(at) * 2 ** 32 + file.readUInt32BE(at + 4) : file.readInt32BE(at);
    if (change > time) continue;
    const name = nameOf(file[kinds + index] as number);
    if (name !== undefined) return name;
  }
  for (let kind = 0; kind < types; kind++) {
    const name = nameOf(kind);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** The zone that was read last: a table of many rows reads it once. */
let kept: { zone: string; file: Buffer } | undefined;

/**
 * The name of the local zone: of the environment's TZ, or of /etc/localtime.
 *
 * @param minutes of local time at that moment, east of Greenwich
 */
export function localAbbreviation(time: Date, minutes: number): string | undefined {
  const zone = process.env.TZ?.replace(/^:/, '') ?? '/etc/localtime';
  try {
    if (kept?.zone !== zone) {
      kept = { zone, file: readFileSync(zone.startsWith('/') ? zone : `/usr/share/zoneinfo/${zone}`) };
    }
    return abbreviationIn(kept.file, Math.floor(time.getTime() / 1000), minutes * 60);
  } catch {
    // A machine without these files, or TZ=XYZ3: the zone has no name that could be shown.
    return undefined;
  }
}
