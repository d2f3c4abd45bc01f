/**
 * What `RUN --mount` lays into a container. Binds are copies: of what links in the context or in a stage lead to inside of it,
 * and of nothing else, made anew for each command, so that no command can write to a context or to another stage.
 */

import { chmodSync, chownSync, closeSync, mkdirSync, openSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { MountOption } from '../container/run-options.ts';
import { TsrunError } from '../error.ts';
import { throwIfInterrupted } from '../image/errors.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { flock } from '../linux/fs.ts';
import { createHash } from '../linux/hash.ts';
import { copyOut } from './copy-out.ts';
import type { RunMount } from './dockerfile/run-mount.ts';
import type { MountRequest } from './mount-key.ts';
import type { SourceFiles } from './source-files.ts';

export interface MountWorld {
  /** Where directories of type cache are. */
  cache: string;
  /** Where copies are made: the data root's disk. */
  scratch: string;
  /** Where secrets lie: what a reboot loses. */
  secretScratch: string;
  secrets: ReadonlyMap<string, () => Buffer>;
  /** A file that is to be executed, and where. */
  script: { path: string; text: string } | undefined;
  workingDir: string;
  signal: AbortSignal;
}

export interface PreparedMounts {
  mounts: MountOption[];
  /** Of secrets that go into the environment. */
  env: string[];
  close(): void;
}

/** Milliseconds between two looks at a lock. */
const lockPollInterval = 50;

/** Makes everything that the mounts need. Throws `USAGE` for secrets and sources that are missing. */
export async function prepareMounts(requests: readonly MountRequest[], world: MountWorld): Promise<PreparedMounts> {
  const work = new Preparation(world);
  try {
    for (const [index, request] of requests.entries()) await work.add(request, index);
    work.addScript(requests.length);
    return { mounts: work.mounts, env: work.env, close: () => work.close() };
  } catch (error) {
    work.close();
    throw error;
  }
}

class Preparation {
  readonly mounts: MountOption[] = [];
  readonly env: string[] = [];
  private readonly undo: (() => void)[] = [];

  constructor(private readonly world: MountWorld) {}

  close(): void {
    for (const action of this.undo.splice(0).reverse()) action();
  }

  async add({ mount, files }: MountRequest, index: number): Promise<void> {
    if (mount.type === 'tmpfs') {
      this.mounts.push({ ...this.option(mount.target, false), type: 'tmpfs', source: '', ...sized(mount.size) });
    } else if (mount.type === 'secret') this.secret(mount, index);
    else if (mount.type === 'cache') await this.cache(mount, files);
    else if (files !== undefined) {
      const scratch = this.temporary(this.world.scratch, index);
      const source = copySource(files, mount.source, scratch);
      this.mounts.push({ ...this.option(mount.target, mount.readOnly), source });
    }
  }

  addScript(index: number): void {
    const { script, scratch } = this.world;
    if (script === undefined) return;
    const source = join(this.temporary(scratch, index), 'script');
    writeFileSync(source, script.text, { mode: 0o755 });
    chmodSync(source, 0o755);
    this.mounts.push({ ...this.option(script.path, true), source });
  }

  private option(target: string, readOnly: boolean): MountOption {
    const absolute = target.startsWith('/') ? target : join('/', this.world.workingDir, target);
    return {
      type: 'bind',
      source: '',
      target: absolute,
      readOnly,
      propagation: '',
      createSource: false,
      nonRecursive: true,
      mode: '',
    };
  }

  private temporary(parent: string, index: number): string {
    const path = join(parent, `mount-${index}`);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    this.undo.push(() => removeTree(path));
    return path;
  }

  private secret(mount: Extract<RunMount, { type: 'secret' }>, index: number): void {
    const read = this.world.secrets.get(mount.id);
    if (read === undefined) {
      if (!mount.required) return;
      throw new TsrunError('USAGE', `secret ${mount.id}: not found`, {
        hint: `hand it over: tsrun build --secret id=${mount.id},src=FILE`,
      });
    }
    const value = read();
    if (mount.env !== undefined) this.env.push(`${mount.env}=${value.toString()}`);
    if (mount.target === undefined) return;
    const path = join(this.temporary(this.world.secretScratch, index), 'secret');
    writeFileSync(path, value, { mode: 0o600, flag: 'wx' });
    chownSync(path, mount.uid, mount.gid);
    chmodSync(path, mount.mode);
    this.mounts.push({ ...this.option(mount.target, true), source: path });
  }

  /** A directory that outlives the build. One that several commands may not have at a time is locked by its own file. */
  private async cache(mount: Extract<RunMount, { type: 'cache' }>, files: SourceFiles | undefined): Promise<void> {
    const parent = this.world.cache;
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    const name = createHash('sha256')
      .update(JSON.stringify([mount.id, mount.from ?? '']))
      .digest('hex')
      .slice(0, 32);
    const path =
      mount.sharing === 'private'
        ? await this.locked(
            parent,
            Array.from({ length: 100 }, (_, copy) => `${name}-${copy}`),
          )
        : mount.sharing === 'locked'
          ? await this.locked(parent, [name])
          : join(parent, name);
    if (mkdirNew(path)) {
      if (files === undefined) {
        chownSync(path, mount.uid, mount.gid);
        chmodSync(path, mount.mode);
      } else copySource(files, mount.source, path);
    }
    // When it was used last, for who clears up.
    utimesSync(path, new Date(), new Date());
    const source = files === undefined ? path : join(path, 'content');
    this.mounts.push({ ...this.option(mount.target, mount.readOnly), source });
  }

  /** Waits for the first of the names that nobody uses. */
  private async locked(parent: string, names: readonly string[]): Promise<string> {
    for (;;) {
      for (const name of names) {
        const fd = openSync(join(parent, `${name}.lock`), 'a', 0o600);
        if (flock(fd, 'exclusive', false)) {
          this.undo.push(() => closeSync(fd));
          return join(parent, name);
        }
        closeSync(fd);
      }
      throwIfInterrupted(this.world.signal);
      await delay(lockPollInterval);
    }
  }
}

function sized(size: number | undefined): { tmpfsSize?: number } {
  return size === undefined ? {} : { tmpfsSize: size };
}

function mkdirNew(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o755 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Copies what a path of `files` leads to into a directory; returns where the copy is. */
function copySource(files: SourceFiles, source: string, directory: string): string {
  const [entry] = files.find(source === '' ? '/' : source);
  if (entry === undefined) throw new TsrunError('USAGE', `"${source}": not found in ${files.title}`);
  return copyOut(files, entry, directory);
}
