/** -e, --env-file, -l and --label-file: `NAME=value` from the command line and from files. */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { messageOf, TsrunError } from '../../error.ts';

/** Checks one -e as docker does. */
export function checkEnvironment(text: string): void {
  if (text === '' || text.startsWith('=')) throw new Error(`invalid environment variable: ${text}`);
}

/** Checks one -l as docker does. */
export function checkLabel(text: string): void {
  if (text === '' || text.startsWith('=')) throw new Error(`invalid label '${text}': empty name`);
}

/** Which line is not UTF-8, and its bytes as Go prints them. */
function firstBroken(bytes: Buffer): string {
  let start = 0;
  for (let number = 1; start <= bytes.length; number++) {
    const end = bytes.indexOf('\n', start);
    const line = bytes.subarray(start, end < 0 ? bytes.length : end);
    if (!isUtf8(line)) return ` at line ${number}: [${[...line].join(' ')}]`;
    if (end < 0) break;
    start = end + 1;
  }
  return '';
}

function readLines(path: string): string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw new TsrunError('USAGE', missing ? `open ${path}: no such file or directory` : messageOf(cause), { cause });
  }
  let text: string;
  try {
    // The decoder takes a byte order mark away.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TsrunError('USAGE', `env file ${path} contains invalid utf8 bytes${firstBroken(bytes)}`, { cause });
  }
  return text.split('\n').map((line) => line.replace(/\r$/, ''));
}

/**
 * Entries of a file of --env-file or --label-file: one a line, `#` begins a comment, a name alone is looked up by
 * `lookup`. Throws `USAGE` with docker's words.
 */
export function readEntries(path: string, lookup: (name: string) => string | undefined): string[] {
  const entries: string[] = [];
  for (const raw of readLines(path)) {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    const name = equals === -1 ? line : line.slice(0, equals);
    if (/\s/.test(name)) {
      throw new TsrunError('USAGE', `poorly formatted environment: variable '${name}' contains whitespaces`, {
        hint: `"${path}" must have lines of the form NAME=value, without quotes and without export`,
      });
    }
    if (name === '') throw new TsrunError('USAGE', `poorly formatted environment: no variable name on line '${line}'`);
    if (equals !== -1) {
      entries.push(line);
      continue;
    }
    const value = lookup(name);
    if (value !== undefined) entries.push(`${name}=${value}`);
  }
  return entries;
}

/** The environment that was asked for: files first, then -e. A name alone takes its value from `caller`, or stays. */
export function environmentOf(files: readonly string[], flags: readonly string[], caller: NodeJS.ProcessEnv): string[] {
  // Not what every object has: a variable may be called "constructor".
  const lookup = (name: string): string | undefined => (Object.hasOwn(caller, name) ? caller[name] : undefined);
  const fromFiles = files.flatMap((path) => readEntries(path, lookup));
  const fromFlags = flags.map((entry) => {
    const value = entry.includes('=') ? undefined : lookup(entry);
    return value === undefined ? entry : `${entry}=${value}`;
  });
  return [...fromFiles, ...fromFlags];
}

/** The labels that were asked for: files first, then -l; a name alone has an empty value. */
export function labelsOf(files: readonly string[], flags: readonly string[]): Record<string, string> {
  const entries = [...files.flatMap((path) => readEntries(path, () => '')), ...flags];
  return Object.fromEntries(
    entries.map((entry): [string, string] => {
      const equals = entry.indexOf('=');
      return equals === -1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}
