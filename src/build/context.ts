/**
 * The context of a build: a directory, or an archive that is unpacked for the time of the build; its Dockerfile and its
 * `.dockerignore`. What the archive of a person says is theirs: it is unpacked in a directory that nobody else can enter.
 */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { TsrunError } from '../error.ts';
import { errorCode } from '../image/errors.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { archiveKind, readStart } from './archive-kind.ts';
import { openContextFiles, SourceFiles } from './source-files.ts';

export interface BuildContext {
  files: SourceFiles;
  /** Text and name of the Dockerfile. */
  dockerfile: { text: string; name: string };
  close(): void;
}

export interface ContextOptions {
  /** A directory, a file or `-`. */
  context: string;
  /** -f: a path of the host for a directory, one in the archive for an archive, `-` for stdin. */
  file: string | undefined;
  /** Where an archive is unpacked: a directory that does not exist yet. */
  scratch: string;
  signal: AbortSignal;
}

const remote = /^(https?:\/\/|git:\/\/|ssh:\/\/|git@|github\.com\/)/;
const ignoreName = '.dockerignore';

/** Opens it. Throws `USAGE`, `UNSUPPORTED`, and `ARCHIVE` for one that is damaged. */
export async function openContext(options: ContextOptions): Promise<BuildContext> {
  const { context, file } = options;
  if (remote.test(context)) {
    throw new TsrunError('UNSUPPORTED', `tsrun build fetches no remote context: ${context}`, {
      hint: 'fetch it first: git clone URL DIRECTORY; or hand an archive over: curl -L URL | tsrun build -',
    });
  }
  if (context === '-' && file === '-') {
    throw new TsrunError('USAGE', "invalid argument: can't use stdin for both build context and Dockerfile");
  }
  if (context === '-') return fromStream(0, 'stdin', options);
  const stats = statSync(context, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new TsrunError('USAGE', `unable to prepare context: path "${context}" not found`);
  }
  if (stats.isDirectory()) return fromDirectory(realpathSync(context), file);
  const fd = openSync(context, 'r');
  try {
    return await fromStream(fd, `"${context}"`, options);
  } finally {
    closeSync(fd);
  }
}

function readHostFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EISDIR') {
      throw new TsrunError('USAGE', `failed to read dockerfile: read ${path}: is a directory`, {
        hint: 'tsrun build -f FILE CONTEXT names the file',
        cause,
      });
    }
    throw new TsrunError('USAGE', `failed to read dockerfile: open ${path}: ${code}`, { cause });
  }
}

function missing(path: string): TsrunError {
  const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return new TsrunError('USAGE', `failed to read dockerfile: open ${path}: no such file or directory`, {
    hint: link
      ? `it is a link to "${readlinkSync(path)}", which is not in the context: tsrun build -f FILE CONTEXT names a file elsewhere`
      : 'tsrun build -f FILE CONTEXT names another one',
  });
}

/** Reads a file of a context, with its links led as in COPY: whoever made the context chooses none of the host's files. */
function contextReader(directory: string, files: SourceFiles): (path: string) => string | undefined {
  return (path) => {
    const text = files.readText(path);
    const stats = text === undefined ? lstatSync(join(directory, path), { throwIfNoEntry: false }) : undefined;
    if (stats === undefined || stats.isSymbolicLink()) return text;
    throw new TsrunError(
      'USAGE',
      `failed to read dockerfile: read ${join(directory, path)}: is ${stats.isDirectory() ? 'a directory' : 'no ordinary file'}`,
      { hint: 'tsrun build -f FILE CONTEXT names the file' },
    );
  };
}

interface FoundDockerfile {
  text: string;
  name: string;
  ignore: string | undefined;
}

/** `-f` names a file of the context, or one of the host's elsewhere. */
function findDockerfile(
  directory: string,
  file: string | undefined,
  inContext: (path: string) => string | undefined,
): FoundDockerfile {
  if (file === '-') return { text: readFileSync(0, 'utf8'), name: 'Dockerfile', ignore: undefined };
  const given = file === undefined ? undefined : resolve(file);
  const inner = given === undefined ? undefined : relative(directory, given);
  const isElsewhere = inner !== undefined && (inner === '..' || inner.startsWith('../'));
  const paths = given === undefined ? ['Dockerfile', 'dockerfile'] : [isElsewhere ? given : (inner ?? '')];
  const read = isElsewhere ? readHostFile : inContext;
  for (const path of paths) {
    const text = read(path);
    if (text !== undefined) return { text, name: basename(path), ignore: read(`${path}${ignoreName}`) };
  }
  throw missing(resolve(directory, paths[0] ?? ''));
}

function fromDirectory(directory: string, file: string | undefined): BuildContext {
  const { files, found } = openContextFiles(directory, 'the build context', (all) => {
    const inContext = contextReader(directory, all);
    const dockerfile = findDockerfile(directory, file, inContext);
    return { ...dockerfile, ignore: dockerfile.ignore ?? inContext(ignoreName) };
  });
  return { files, dockerfile: found, close: () => files.close() };
}

async function fromStream(fd: number, title: string, options: ContextOptions): Promise<BuildContext> {
  const start = readStart(fd);
  if (archiveKind(start) !== undefined) return fromArchive(fd, start, options);
  const rest = readFileSync(fd);
  const text = Buffer.concat([start, rest]).toString('utf8');
  if (text.trim() === '') throw new TsrunError('USAGE', `the Dockerfile on ${title} cannot be empty`);
  if (options.file !== undefined) {
    throw new TsrunError('USAGE', `ambiguous Dockerfile source: both ${title} and flag correspond to Dockerfiles`);
  }
  // As docker has it: a Dockerfile alone has an empty context.
  mkdirSync(options.scratch, { recursive: true, mode: 0o700 });
  const files = new SourceFiles([options.scratch], 'the build context, which is empty', { isContext: true });
  return {
    files,
    dockerfile: { text, name: 'Dockerfile' },
    close: () => {
      files.close();
      rmSync(options.scratch, { recursive: true, force: true });
    },
  };
}

async function fromArchive(
  fd: number,
  start: Buffer,
  { scratch, file, signal }: ContextOptions,
): Promise<BuildContext> {
  const { unpackArchive } = await import('./archive.ts');
  await unpackArchive(fd, start, scratch, signal);
  const close = (): void => removeTree(scratch);
  try {
    // What is not a part of the context may still be the Dockerfile.
    const name = file ?? 'Dockerfile';
    const look = (all: SourceFiles) => {
      const text = all.readText(name) ?? (file === undefined ? all.readText('dockerfile') : undefined);
      if (text === undefined) throw missing(name);
      return { text, ignore: all.readText(`${name}${ignoreName}`) ?? all.readText(ignoreName) };
    };
    const { files, found } = openContextFiles(scratch, 'the build context', look, 'the archive');
    const closeAll = (): void => {
      files.close();
      close();
    };
    return { files, dockerfile: { text: found.text, name: basename(name) }, close: closeAll };
  } catch (error) {
    close();
    throw error;
  }
}
