/**
 * Names of containers: `names/<name>` in the data root holds the id; link(2) makes names unique. A name whose owner is gone,
 * or is called otherwise, finds nothing, and the next who wants it takes it.
 */
import { linkSync, mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, TsrunError } from '../error.ts';
import { close, flock } from '../linux/fs.ts';
import { readIfThere } from '../linux/optional.ts';
import { openDirectory } from './locked-directory.ts';

/** Docker's rule for names of containers. */
export function isName(text: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text) && text.length <= 255;
}

export class ContainerNames {
  private readonly directory: string;

  constructor(root: string) {
    this.directory = join(root, 'names');
  }

  private path(name: string): string {
    return join(this.directory, name);
  }

  /** The id that a name belongs to. */
  owner(name: string): string | undefined {
    return isName(name) ? readIfThere(this.path(name))?.trim() : undefined;
  }

  /**
   * Gives a name to `id`; `temporary` is a path for a moment, on the same filesystem. `isInUse` says whether the owner that
   * is found still goes by that name. Throws `CONFLICT` with docker's words when it does.
   */
  take(name: string, id: string, temporary: string, isInUse: (name: string, owner: string) => boolean): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    writeFileSync(temporary, `${id}\n`, { mode: 0o600 });
    try {
      for (let attempt = 0; !this.tryLink(name, temporary); attempt++) {
        const owner = this.owner(name);
        const inUse = owner !== undefined && isInUse(name, owner);
        if (inUse || attempt > 2) {
          throw new TsrunError(
            'CONFLICT',
            `Conflict. The container name "/${name}" is already in use by container "${owner ?? ''}". You have to remove (or rename) that container to be able to reuse that name.`,
          );
        }
        this.drop(name, owner);
      }
    } finally {
      unlinkSync(temporary);
    }
  }

  private tryLink(name: string, temporary: string): boolean {
    try {
      linkSync(temporary, this.path(name));
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
  }

  /** Drops a name if it is still that owner's: of several who find a dead one, one drops it, and then takes it. */
  drop(name: string, owner: string | undefined): void {
    const fd = openDirectory(this.directory);
    if (fd === undefined) return;
    try {
      flock(fd, 'exclusive', true);
      if (this.owner(name) === owner) unlinkSync(this.path(name));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    } finally {
      close(fd);
    }
  }
}
