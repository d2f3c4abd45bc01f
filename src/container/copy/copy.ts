/** `cp`: what goes where, by docker's rules (docs: docker cp), and the copying itself. */
import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, posix, resolve } from 'node:path';
import { codeOf, TsrunError } from '../../error.ts';
import type { ByteSink } from '../../image/archive/index.ts';
import { TarWriter, writeTree } from '../../image/archive/index.ts';
import { type BytePath, bytePath, joinPath } from '../../image/unpack/byte-path.ts';
import * as calls from '../../image/unpack/calls.ts';
import { createDecompressor, magicSize } from '../../image/unpack/decompress.ts';
import { TarParser } from '../../image/unpack/tar-parser.ts';
import { O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, S_IFDIR, S_IFREG } from '../../linux/constants.ts';
import { AT_FDCWD, close, openat } from '../../linux/fs.ts';
import type { ContainerRoot, Located } from './container-root.ts';
import { Extraction } from './extract.ts';
import type { Owner } from './place.ts';
import { copyTree } from './tree.ts';

/** A path of a container as the user names it. */
export interface ContainerPath {
  root: ContainerRoot;
  /** The container as it was typed, for messages. */
  name: string;
  path: string;
}

function usage(message: string, hint?: string): TsrunError {
  return new TsrunError('USAGE', message, { hint, exitCode: 1 });
}

function notFound({ name, path }: ContainerPath): TsrunError {
  return new TsrunError('NOT_FOUND', `No such container:path: ${name}:${path}`);
}

/** `x/.`: what is in x, not x itself. */
function meansContents(path: string): boolean {
  return path === '.' || path.endsWith('/.') || posix.normalize(path) === '/';
}

/** `x/` and `x/.` say that x is a directory. */
function assertsDirectory(path: string): boolean {
  return path.endsWith('/') || path.endsWith('/.') || path === '.';
}

/** The name that something has at its new place. */
function baseOf(path: string): string {
  return basename(posix.normalize(path).replace(/\/+$/, ''));
}

/** Copies from a container to a path of the host. */
export function copyToHost(from: ContainerPath, target: string, followLink: boolean, owner: Owner | undefined): void {
  const host = hostTarget(target);
  const source = locateSource(from, followLink);
  try {
    const isDirectory = source.stat?.type === S_IFDIR;
    const contents = meansContents(from.path);
    let place = host.path;
    if (host.stats?.isDirectory() === true) {
      if (!contents) place = resolve(host.path, baseOf(from.path));
    } else if (host.stats !== undefined) {
      if (isDirectory) throw usage('cannot copy directory');
    } else if (!isDirectory && assertsDirectory(target)) {
      throw usage('no such directory');
    }
    withHostDirectory(dirname(place), (directory) => {
      const to = { directory, name: place === '/' ? '.' : bytePath(basename(place)), path: bytePath(place) };
      const options = {
        owner,
        contents: contents && host.stats !== undefined,
        skip: (path: BytePath) => from.root.isKernels(source.path, path),
        mapped: (ids: Owner) => from.root.owners.inside(ids),
      };
      if (!copyTree(source, to, options)) throw notFound(from);
    });
  } finally {
    source.close();
  }
}

/** Writes what is at a path of a container to a sink, as a tar archive. */
export function copyToArchive(from: ContainerPath, sink: ByteSink, followLink: boolean): void {
  const source = locateSource(from, followLink);
  try {
    const writer = new TarWriter(sink);
    const top = meansContents(from.path) ? '.' : bytePath(baseOf(from.path));
    const skip = (path: BytePath): boolean => from.root.isKernels(source.path, path.slice(top.length + 1));
    const owner = (ids: Owner): Owner => from.root.owners.inside(ids);
    if (!writeTree(writer, source, top, { skip, owner })) throw notFound(from);
    writer.finish();
  } finally {
    source.close();
  }
}

function locateSource(from: ContainerPath, followLink: boolean): Located {
  if (from.path === '') throw usage('bad parameter: path cannot be empty');
  const found = from.root.locate(bytePath(from.path), followLink);
  if (found?.stat !== undefined) return found;
  found?.close();
  throw notFound(from);
}

/** Copies a path of the host into a container. */
export function copyToContainer(
  source: string,
  to: ContainerPath,
  followLink: boolean,
  owner: Owner | undefined,
): void {
  const from = hostSource(source, followLink);
  const found = locateTarget(to);
  try {
    const { stat } = found;
    const contents = meansContents(source);
    const name = contents ? '.' : bytePath(baseOf(resolve(source)));
    if (stat === undefined) {
      if (!from.stats.isDirectory() && assertsDirectory(to.path)) throw usage('no such directory');
    } else if (stat.type !== S_IFDIR) {
      if (from.stats.isDirectory()) throw usage('cannot copy directory');
      if (stat.type !== S_IFREG)
        throw usage(`destination "${to.name}:${to.path}" must be a directory or a regular file`);
    }
    const inside = stat?.type === S_IFDIR;
    const path = inside && !contents ? joinPath(found.path, name) : found.path;
    to.root.checkWritable(path);
    withDirectory(found, inside, (directory) => {
      const place = { directory, name: inside ? name : found.name, path };
      withHostDirectory(dirname(from.path), (host) => {
        const fromName = from.path === '/' ? '.' : bytePath(basename(from.path));
        const { owners } = to.root;
        const options = {
          owner: owner && owners.outside(owner),
          contents: contents && stat !== undefined,
          mapped: (ids: Owner) => owners.outside(ids),
        };
        if (!copyTree({ directory: host, name: fromName }, place, options)) throw missing(source);
      });
    });
  } finally {
    found.close();
  }
}

/** Extracts an archive, which may be compressed, into a directory of a container. */
export async function copyFromArchive(
  chunks: Iterable<Buffer>,
  to: ContainerPath,
  owner: Owner | undefined,
): Promise<void> {
  const found = to.path === '' ? undefined : tryLocate(to);
  const isDirectory = found?.stat?.type === S_IFDIR;
  const path = found?.path ?? '';
  found?.close();
  if (!isDirectory) throw usage(`destination "${to.name}:${to.path}" must be a directory`);
  to.root.checkWritable(path);
  const extraction = new Extraction(
    (inner) => openDirectory(to.root, joinPath(path, inner)),
    (entry) => to.root.owners.outside(owner ?? entry),
  );
  try {
    const parser = new TarParser(extraction);
    let start: Buffer = Buffer.alloc(0);
    let decompressor: ReturnType<typeof createDecompressor> | undefined;
    for (const chunk of chunks) {
      if (decompressor === undefined) {
        start = Buffer.concat([start, chunk]);
        if (start.length < magicSize) continue;
        decompressor = createDecompressor(start, (bytes) => parser.push(bytes));
        await decompressor.write(start);
      } else await decompressor.write(chunk);
    }
    if (decompressor !== undefined) await decompressor.end();
    else parser.push(start);
    parser.finish();
    extraction.finish();
  } catch (error) {
    throw archiveFailure(error);
  } finally {
    extraction.close();
  }
}

/** The parser speaks of layers: here it is somebody's archive. */
function archiveFailure(error: unknown): unknown {
  if (!(error instanceof TsrunError) || error.code !== 'ARCHIVE') return error;
  return new TsrunError('ARCHIVE', `Error processing tar file: ${error.message.replace(/^the layer/, 'the archive')}`, {
    cause: error,
    hint: 'what came before it has been extracted',
  });
}

function openDirectory(root: ContainerRoot, path: BytePath): number | undefined {
  const found = root.locate(path, true);
  try {
    if (found?.stat === undefined) return undefined;
    // Of a directory the name is `.`. A file's could be a link by now, which the kernel would follow out of the container.
    const fd = calls.openName(found.directory, found.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0) throw usage(`/${Buffer.from(path, 'latin1').toString()} is no directory`);
    return fd;
  } finally {
    found?.close();
  }
}

/** What a path ends at, the link at its end followed; an absent one in a directory that is there. */
function locateTarget(to: ContainerPath): Located {
  if (to.path === '') throw usage('no such directory');
  const found = tryLocate(to);
  if (found !== undefined) return found;
  if (assertsDirectory(to.path)) throw usage('no such directory');
  throw notFound({ ...to, path: posix.dirname(posix.normalize(to.path)) });
}

/** As the container's `locate`; where a file is on the way, there is nothing. */
function tryLocate({ root, path }: ContainerPath): Located | undefined {
  try {
    return root.locate(bytePath(path), true);
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'USAGE') return undefined;
    throw error;
  }
}

/** Runs `use` with the directory that a copy goes to: the found one itself, or the one that has or will have it. */
function withDirectory(found: Located, itself: boolean, use: (directory: number) => void): void {
  if (!itself || found.name === '.') use(found.directory);
  else {
    const fd = calls.openName(found.directory, found.name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0) throw usage('no such directory');
    try {
      use(fd);
    } finally {
      calls.closeDescriptor(fd);
    }
  }
}

function withHostDirectory(path: string, use: (directory: number) => void): void {
  const fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY);
  try {
    use(fd);
  } finally {
    close(fd);
  }
}

function missing(path: string): TsrunError {
  return new TsrunError('USAGE', `lstat ${resolve(path)}: no such file or directory`, {
    exitCode: 1,
    hint: 'it is a path of the host',
  });
}

/** A source on the host: itself, or with -L and where a directory is asserted what its link leads to. */
function hostSource(source: string, followLink: boolean): { path: string; stats: Stats } {
  try {
    const asserted = assertsDirectory(source);
    const path = followLink || asserted ? realpathSync(source) : resolve(source);
    const stats = lstatSync(path);
    if (asserted && !stats.isDirectory()) throw usage('not a directory');
    return { path, stats };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOTDIR') throw usage('not a directory');
    if (code === 'ENOENT') throw missing(source);
    throw error;
  }
}

/** A target on the host, the link at its end followed. Throws docker's words. */
function hostTarget(target: string): { path: string; stats: Stats | undefined } {
  const path = resolve(target);
  if (statSync(dirname(path), { throwIfNoEntry: false }) === undefined) {
    throw usage(`invalid output path: directory ${JSON.stringify(dirname(path))} does not exist`);
  }
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    const link = lstatSync(path, { throwIfNoEntry: false });
    return { path: link?.isSymbolicLink() ? resolve(dirname(path), readlinkSync(path)) : path, stats };
  }
  if (!stats.isDirectory() && assertsDirectory(target)) throw usage(`stat ${path}/: not a directory`);
  if (!stats.isDirectory() && !stats.isFile()) {
    throw usage(`invalid output path: ${JSON.stringify(path)} must be a directory or a regular file`);
  }
  return { path: realpathSync(path), stats };
}
