/** Which paths of lower layers a layer hides by its own whiteouts and opaque directories. */
import type { BytePath } from './byte-path.ts';
import type { DeferredEntry } from './deferred.ts';

export class Hidden {
  private readonly whiteouts = new Set<BytePath>();
  private readonly opaque = new Set<BytePath>();

  constructor(entries: readonly DeferredEntry[]) {
    for (const { kind, path } of entries) {
      if (kind === 'whiteout') this.whiteouts.add(path);
      else if (kind === 'opaque') this.opaque.add(path);
    }
  }

  /** Whether `path` itself is hidden: by a whiteout of it, or together with what is above it. */
  at(path: BytePath): boolean {
    return this.whiteouts.has(path) || this.above(path);
  }

  /** Whether a directory above `path` is hidden, or hides what lower layers have in it. */
  above(path: BytePath): boolean {
    if (this.whiteouts.size === 0 && this.opaque.size === 0) return false;
    if (path !== '' && this.opaque.has('')) return true;
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash);
      if (this.whiteouts.has(directory) || this.opaque.has(directory)) return true;
    }
    return false;
  }
}
