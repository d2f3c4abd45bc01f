/** Sizes as sentences have them. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `12.3 GB`: powers of 1000. */
export function humanBytes(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${Number(size.toPrecision(3))} ${units[unit]}`;
}
