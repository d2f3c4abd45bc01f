/** Where images for tests, demo and benchmarks are kept: built once per machine, used by every checkout on it. */
import { join } from 'node:path';

/** The checkout: this file runs from scripts/images/ or, bundled, from dist/scripts/. */
export const checkout = join(import.meta.dirname, '../..');

/** `TSRUN_CACHE`, by default /var/cache/tsrun. */
export function cacheDirectory(): string {
  return process.env.TSRUN_CACHE || '/var/cache/tsrun';
}

/** The layout of a built image. The version goes up when an image is made differently. */
export function layoutDirectory(name: string): string {
  return join(cacheDirectory(), 'images', `${name}-v1`);
}
