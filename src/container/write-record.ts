/** Writes the JSON files of a container: whole, or as they were. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** Writes `value` to a temporary name and renames it: a reader sees the old record or the new one. */
export function writeRecord(path: string, value: object): void {
  writeText(path, JSON.stringify(value));
}

/** `writeRecord` of plain text. */
export function writeText(path: string, text: string): void {
  writeWhole(path, (temporary) => writeFileSync(temporary, text, { mode: 0o600 }));
}

/** Renames to `path` what `write` makes of a temporary name. What a full disk has cut is taken away. */
export function writeWhole(path: string, write: (temporary: string) => void): void {
  const temporary = `${path}.${process.pid}`;
  try {
    write(temporary);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
