/** Writes the JSON files of a container: whole, or as they were. */
import { renameSync, writeFileSync } from 'node:fs';

/** Writes `value` to a temporary name and renames it: a reader sees the old record or the new one. */
export function writeRecord(path: string, value: object): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
  renameSync(temporary, path);
}

/** `writeRecord` of plain text. */
export function writeText(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}
