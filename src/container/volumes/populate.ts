/**
 * What an image has where a volume is mounted belongs into the volume, when that is empty: docker's copy-up. The layers are
 * read as overlayfs would merge them, without mounting anything; no link is followed but inside of them.
 *
 * The copy is made in a directory of its own, which gets its name by rename when it is complete; then its entries move into
 * the volume, one by one, and it goes. So a container that has the empty volume mounted sees the files come, and whatever is
 * killed meanwhile is begun anew or finished by the next who uses the volume.
 */
import { TsrunError } from '../../error.ts';
import { setXattrs } from '../../image/unpack/attributes.ts';
import { type BytePath, bytePath, joinPath } from '../../image/unpack/byte-path.ts';
import * as calls from '../../image/unpack/calls.ts';
import { copyNode, readXattrs } from '../../image/unpack/copy-node.ts';
import { setDirectoryAttributes } from '../../image/unpack/directory-attributes.ts';
import type { Attributes } from '../../image/unpack/entry.ts';
import { checkCall, checkStat, unpackError } from '../../image/unpack/failures.ts';
import { splitLast } from '../../image/unpack/layer-access.ts';
import { type Member, type MergedDirectory, MergedView } from '../../image/unpack/merged-view.ts';
import { removeTreeAt } from '../../image/unpack/remove-tree.ts';
import { O_DIRECTORY, O_RDONLY, S_IFDIR } from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { AT_FDCWD } from '../../linux/fs.ts';
import { nextTurn } from '../../linux/pause.ts';
import { step } from '../../trace.ts';

const unfinished = 'stage.tmp';
const complete = 'stage';

/** Milliseconds of copying after which signals and timers get their turn. */
const turn = 50;

export interface PopulateRequest {
  /** The volume's files. */
  target: string;
  /** A directory on the same filesystem, where nobody but the holder of the volume's lock writes `prefix` and `stage`. */
  stageParent: string;
  /** Of the names of what is made there; to be hidden in directories of the user's. */
  prefix: string;
  /** Paths of the image's layers, the uppermost first. */
  layers: readonly string[];
  /** Where the volume is mounted. */
  destination: string;
  signal?: AbortSignal | undefined;
}

/**
 * Copies what the image has at `destination` into the volume if that is empty; finishes what was interrupted. The caller has
 * the volume's lock. Throws `USAGE` where the image has a file there, `INTERRUPTED`, `NO_SPACE` and others.
 */
export async function populateVolume(request: PopulateRequest): Promise<void> {
  const parent = openDirectory(request.stageParent);
  try {
    const target = openDirectory(request.target);
    try {
      const stage = { parent, unfinished: request.prefix + unfinished, complete: request.prefix + complete };
      removeTreeAt(parent, stage.unfinished);
      if (!exists(parent, stage.complete)) {
        if (!isEmpty(target)) return;
        if (!(await makeStage(request, stage))) return;
      }
      moveIn(stage, target, request.target);
    } finally {
      calls.closeDescriptor(target);
    }
  } finally {
    calls.closeDescriptor(parent);
  }
}

interface Stage {
  /** Descriptor of the directory that has it. */
  parent: number;
  unfinished: BytePath;
  complete: BytePath;
}

function openDirectory(path: string): number {
  const name = bytePath(path);
  return checkCall(calls.openName(AT_FDCWD, name, O_RDONLY | O_DIRECTORY, 0), 'openat', name);
}

function exists(directory: number, name: BytePath): boolean {
  return typeof calls.stat(directory, name) === 'object';
}

function isEmpty(directory: number): boolean {
  const names = calls.listDirectory(directory);
  if (typeof names === 'number') throw unpackError('list', '', names);
  return names.length === 0;
}

/** Makes the complete copy; false where the image has nothing at the destination. */
async function makeStage(request: PopulateRequest, stage: Stage): Promise<boolean> {
  const { destination, layers, signal } = request;
  const view = new MergedView(layers);
  try {
    const path = directoryAt(view, destination);
    if (path === undefined) return false;
    const made = calls.makeDirectory(stage.parent, stage.unfinished, 0o700);
    if (made < 0) throw unpackError('make', stage.unfinished, made);
    try {
      await new Copy(view, path, stage, signal).run();
    } catch (error) {
      removeTreeAt(stage.parent, stage.unfinished);
      throw error;
    }
    const result = calls.renameNew(stage.parent, stage.unfinished, stage.parent, stage.complete);
    if (result < 0) throw unpackError('complete', stage.unfinished, result);
    return true;
  } finally {
    view.close();
  }
}

/** The directory that `destination` leads to in the image, links followed inside of it; undefined: there is none. */
function directoryAt(view: MergedView, destination: string): BytePath | undefined {
  const place = view.resolve('', bytePath(destination), true);
  if (place === 'root') return '';
  if (place === undefined || place.rest.length > 0) return undefined;
  const found = view.child(place.directory, place.name);
  if (found.kind === 'absent') return undefined;
  if (found.kind === 'directory') return found.directory.path;
  throw new TsrunError('USAGE', `cannot mount volume over existing file, file exists ${destination}`, {
    hint: 'a volume is a directory; a single file of the host can be mounted: -v /absolute/path:/path',
  });
}

/** One copy from the view at `from` into the unfinished stage. */
class Copy {
  /** First names of files with several, by device and inode. */
  private readonly links = new Map<string, BytePath>();
  private readonly directories: { path: BytePath; attributes: Attributes }[] = [];
  private since = Date.now();

  constructor(
    private readonly view: MergedView,
    private readonly from: BytePath,
    private readonly stage: Stage,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async run(): Promise<void> {
    const pending: BytePath[] = [''];
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      pending.push(...(await this.directory(path)));
    }
    // The deepest first: what is made in a directory changes its times.
    for (const { path, attributes } of this.directories.reverse()) {
      this.at(path, (fd) => setDirectoryAttributes(fd, '.', path, attributes));
    }
  }

  /** Copies a directory without those in it, whose paths it returns. */
  private async directory(path: BytePath): Promise<BytePath[]> {
    const directory = this.lookup(path);
    this.directories.push({ path, attributes: attributesOf(directory) });
    const inner: BytePath[] = [];
    for (const member of this.view.members(directory)) {
      const memberPath = joinPath(path, member.name);
      if (member.stat.type === S_IFDIR) {
        inner.push(memberPath);
        this.at(path, (fd) => must(calls.makeDirectory(fd, member.name, 0o700), 'make', memberPath));
      } else {
        this.at(path, (fd) => this.node(member, fd, memberPath));
      }
      await this.rest();
    }
    return inner;
  }

  private node({ fd, name, stat }: Member, to: number, path: BytePath): void {
    const key = `${stat.device} ${stat.inode}`;
    const first = stat.links > 1 ? this.links.get(key) : undefined;
    if (first !== undefined) {
      // Its directory may be a link by now, where a container has this one mounted.
      const [parent, last] = splitLast(first);
      this.at(parent, (from) => must(calls.link(from, last, to, name), 'link', path));
      return;
    }
    copyNode({ fd, name }, stat, { fd: to, name }, path);
    if (stat.links > 1) this.links.set(key, path);
  }

  private lookup(path: BytePath): MergedDirectory {
    const whole = this.from === '' ? path : path === '' ? this.from : joinPath(this.from, path);
    const found = this.view.lookup(whole);
    if (found.kind !== 'directory') throw unpackError('open', whole, -errno.ENOENT);
    return found.directory;
  }

  /** Runs `use` with a directory of the stage. */
  private at<T>(path: BytePath, use: (fd: number) => T): T {
    const fd = calls.openBeneath(this.stage.parent, joinPath(this.stage.unfinished, path).replace(/\/$/, ''));
    if (fd < 0) throw unpackError('open', path, fd);
    try {
      return use(fd);
    } finally {
      calls.closeDescriptor(fd);
    }
  }

  /** Lets signals come through now and then. */
  private async rest(): Promise<void> {
    if (Date.now() - this.since < turn) return;
    await nextTurn();
    if (this.signal?.aborted) throw new TsrunError('INTERRUPTED', 'interrupted while copying into a volume');
    this.since = Date.now();
  }
}

function must(result: number, action: string, path: BytePath): void {
  if (result < 0) throw unpackError(action, path, result);
}

/** Of a merged directory those of the uppermost layer count. */
function attributesOf({ fds, path }: MergedDirectory): Attributes {
  const fd = fds[0] ?? -1;
  const stat = checkStat(calls.stat(fd, ''), path);
  const { mode, uid, gid, mtime, atime } = stat;
  return { mode, uid, gid, mtime, atime, xattrs: readXattrs({ fd, name: '.' }) };
}

/** Moves the entries of the complete stage into the volume, then gives the volume its attributes; what is there stays. */
function moveIn(stage: Stage, target: number, path: string): void {
  step(
    {
      phase: 'rootfs',
      title: `fill the volume at ${path}`,
      why: 'it is empty, and the image has files where it is mounted',
      shell: `cp -a --no-clobber "$IMAGE"/. ${path}`,
    },
    () => {
      const fd = calls.openBeneath(stage.parent, stage.complete);
      if (fd < 0) throw unpackError('open', stage.complete, fd);
      try {
        const names = calls.listDirectory(fd);
        if (typeof names === 'number') throw unpackError('list', stage.complete, names);
        const { mode, uid, gid, mtime, atime } = checkStat(calls.stat(fd, ''), '');
        for (const { name } of names) {
          const result = calls.renameNew(fd, name, target, name);
          if (result < 0 && result !== -errno.EEXIST) throw unpackError('move', name, result);
        }
        must(calls.changeOpenOwner(target, uid, gid), 'set the owner of', '');
        must(calls.changeOpenMode(target, mode), 'set the mode of', '');
        setXattrs(target, undefined, '', readXattrs({ fd, name: '.' }));
        must(calls.setOpenTimes(target, atime, mtime), 'set the times of', '');
      } finally {
        calls.closeDescriptor(fd);
      }
      removeTreeAt(stage.parent, stage.complete);
    },
  );
}
