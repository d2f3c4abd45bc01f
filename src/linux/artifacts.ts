/**
 * What scripts/build.mjs built: files beside the bundle, in `dist/` when the sources run (tests), or inside the executable,
 * which needs no other file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { smallEngine } from './small-engine.ts';

/** Put in by the build of the executable: name -> contents in base64. */
declare const TSRUN_EMBEDDED: Readonly<Record<string, string>> | undefined;

/** Whether this is the executable (`dist/tsrun`, whichever of its engines runs) and not a script that Node runs. */
export const isExecutable: boolean = smallEngine !== undefined || typeof TSRUN_EMBEDDED !== 'undefined';

/**
 * The path of a built file (`tsrun-monitor`, `tsrun-syscall.so`); the executable has none of them.
 * Throws `UNSUPPORTED` when it was not built.
 */
export function artifact(name: string): string {
  for (const directory of [import.meta.dirname, join(import.meta.dirname, '../../dist')]) {
    const path = join(directory, name);
    if (existsSync(path)) return path;
  }
  throw new TsrunError('UNSUPPORTED', `"${name}" has not been built`, {
    hint: 'run `npm ci` in the checkout (it needs a C compiler: apt install gcc make libc6-dev)',
  });
}

/** The contents of a built file, wherever it is. Throws `UNSUPPORTED` when it was not built. */
export function artifactBytes(name: string): Buffer {
  const own = smallEngine?.artifact(name);
  if (own !== undefined) return Buffer.from(own);
  const embedded = typeof TSRUN_EMBEDDED === 'undefined' ? undefined : TSRUN_EMBEDDED[name];
  return embedded === undefined ? readFileSync(artifact(name)) : Buffer.from(embedded, 'base64');
}

/** What the `Worker` that unpacks layers is made from: a built script, which the executable has in a file system of its own. */
export function unpackWorker(): string {
  return isExecutable ? '/$bunfs/root/worker.js' : artifact('unpack-worker.cjs');
}

/** The same for the threads that compress layers. */
export function compressWorker(): string {
  return isExecutable ? '/$bunfs/root/compress-worker.js' : artifact('compress-worker.cjs');
}

/** The words that start tsrun itself, before those of a command line. */
export function ownProgram(): string[] {
  return isExecutable ? [process.execPath] : [process.execPath, artifact('tsrun.cjs')];
}

/** A file that was written when tsrun was built. */
export function builtFile(): string {
  return isExecutable ? process.execPath : artifact('tsrun-monitor');
}
