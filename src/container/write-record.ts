/** Writes the JSON files of a container: whole, or as they were. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';

/** Writes `value` to a temporary name and renames it; with `durable` it is on the disk before it has its name. */
export function writeRecord(path: string, value: object, durable = false): void {
  const temporary = `${path}.${process.pid}`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeFileSync(fd, JSON.stringify(value));
    if (durable) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}
