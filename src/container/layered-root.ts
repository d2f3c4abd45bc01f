/**
 * Reads files of a root filesystem before it is mounted: looks a path up in a stack of layers as overlayfs would merge
 * them (Documentation/filesystems/overlayfs.rst). No symlink is followed by the kernel here, each is resolved inside
 * the stack, so that an image cannot name a file of the host.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../error.ts';
import { syscall } from '../linux/ffi.ts';

const maxLinks = 40;
const opaqueName = 'trusted.overlay.opaque';

/** A path found in one of the layers. */
export interface Found {
  hostPath: string;
  stats: Stats;
}

/** A stack of directories, the topmost first. */
export class LayeredRoot {
  private readonly layers: readonly string[];

  constructor(layers: readonly string[]) {
    this.layers = layers;
  }

  /** Looks `path` up, following symlinks inside the stack. */
  find(path: string): Found | undefined {
    let links = 0;
    let pending = split(path);
    let done: string[] = [];
    // One set of merged directories for every component that was passed.
    let merged: string[][] = [[...this.layers]];
    while (pending.length > 0) {
      const name = pending.shift() as string;
      if (name === '..') {
        done.pop();
        if (merged.length > 1) merged.pop();
        continue;
      }
      const step = lookup(merged.at(-1) ?? [], name);
      if (step === undefined) return undefined;
      if (step.kind === 'directory') {
        merged.push(step.directories);
        done.push(name);
        continue;
      }
      if (step.found.stats.isSymbolicLink()) {
        if (++links > maxLinks) throw new TsrunError('NOT_FOUND', `too many symlinks in "${path}" of the image`);
        const target = readlinkSync(step.found.hostPath);
        if (target.startsWith('/')) {
          done = [];
          merged = merged.slice(0, 1);
        }
        pending = [...split(target), ...pending];
        continue;
      }
      return pending.length === 0 ? step.found : undefined;
    }
    const top = merged.at(-1)?.[0];
    return top === undefined ? undefined : { hostPath: top, stats: lstatSync(top) };
  }

  /** The text of a regular file, or undefined where there is none. Throws `NO_SPACE`-free errors only for oversize. */
  readText(path: string, maxBytes = 1024 * 1024): string | undefined {
    const found = this.find(path);
    if (found === undefined || !found.stats.isFile()) return undefined;
    const fd = openSync(found.hostPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { size } = fstatSync(fd);
      if (size > maxBytes)
        throw new TsrunError('UNSUPPORTED', `"${path}" of the image has ${size} bytes, more than ${maxBytes}`);
      const buffer = Buffer.alloc(size);
      return buffer.toString('utf8', 0, readSync(fd, buffer, 0, size, 0));
    } finally {
      closeSync(fd);
    }
  }

  /** Whether `path` is a file that somebody may execute. */
  isExecutable(path: string): boolean {
    const found = this.find(path);
    return found?.stats.isFile() === true && (found.stats.mode & 0o111) !== 0;
  }
}

function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

type LookupResult = { kind: 'directory'; directories: string[] } | { kind: 'other'; found: Found };

function lookup(directories: readonly string[], name: string): LookupResult | undefined {
  const collected: string[] = [];
  for (const directory of directories) {
    const hostPath = join(directory, name);
    const stats = lstatSync(hostPath, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    if (stats.isCharacterDevice() && stats.rdev === 0) break;
    if (!stats.isDirectory()) {
      if (collected.length > 0) break;
      return { kind: 'other', found: { hostPath, stats } };
    }
    collected.push(hostPath);
    if (directories.length > 1 && isOpaque(hostPath)) break;
  }
  return collected.length === 0 ? undefined : { kind: 'directory', directories: collected };
}

/** Whether overlayfs shows nothing of the layers below in a directory. */
function isOpaque(path: string): boolean {
  const value = Buffer.alloc(8);
  return syscall('lgetxattr', path, opaqueName, value, value.length) === 1 && value[0] === 0x79;
}
