/** Where the built files lie: beside the bundle, or in `dist/` when the sources run (tests). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';

const candidates = [import.meta.dirname, join(import.meta.dirname, '../../dist')];

/** The path of a built file (`tsrun-monitor`, `tsrun-syscall.so`). Throws `UNSUPPORTED` when it was not built. */
export function artifact(name: string): string {
  for (const directory of candidates) {
    const path = join(directory, name);
    if (existsSync(path)) return path;
  }
  throw new TsrunError('UNSUPPORTED', `"${name}" has not been built`, {
    hint: 'run `npm ci` in the checkout (it needs a C compiler: apt install gcc make libc6-dev)',
  });
}
