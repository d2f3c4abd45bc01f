/**
 * Whether layers can be mounted from files of this data root and stacked by overlayfs as containers need it. Nothing is
 * derived from versions: a small layer is made and looked at through an overlay, once for each kernel and data root;
 * `cache/erofs.json` remembers the answer. Linux 6.15 is the first that passes: it takes mounts for layers that are attached
 * nowhere.
 */
import { closeSync, mkdirSync, openSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../error.ts';
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FD,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from '../../linux/constants.ts';
import { syscall } from '../../linux/ffi.ts';
import { AT_FDCWD, check, close, openat } from '../../linux/fs.ts';
import { readOwnText } from '../../linux/own-file.ts';
import { uname } from '../../linux/uname.ts';
import { encodeHeader, paddingOf } from '../archive/tar-header.ts';
import { parseJson } from '../json.ts';
import { removeTree } from '../unpack/remove-tree.ts';
import { ErofsForm } from './erofs-form.ts';
import { mountErofs, mountPathMax } from './mount.ts';
import { archiveFile, metadataFile } from './names.ts';

export interface ErofsProbe {
  works: boolean;
  /** Why not; empty where it works. */
  reason: string;
}

/** `layers/.tmp-<pid>-<chain id>/tree.erofs` and what else may come behind the data root, in bytes. */
const pathReserve = 100;
const content = 'a layer\n';

/** The answer that is remembered, or a new one. Asks nothing without root, and remembers nothing then. */
export function probeErofs(root: string): ErofsProbe {
  if (process.geteuid?.() !== 0) return { works: false, reason: 'mounting needs root' };
  if (Buffer.byteLength(root) > mountPathMax - pathReserve) {
    return { works: false, reason: `the path of the data root is longer than ${mountPathMax - pathReserve} bytes` };
  }
  try {
    return probeIn(join(root, 'cache'));
  } catch (error) {
    return { works: false, reason: messageOf(error) };
  }
}

function probeIn(directory: string): ErofsProbe {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'erofs.json');
  const { release, version } = uname();
  const machine = `${release} ${version} ${statSync(directory).dev}`;
  const known = remembered(path, machine);
  if (known !== undefined) return known;
  const probe = tryOut(join(directory, `.erofs-${process.pid}`));
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify({ version: 1, machine, ...probe })}\n`, { mode: 0o600 });
  renameSync(temporary, path);
  return probe;
}

function remembered(path: string, machine: string): ErofsProbe | undefined {
  try {
    const json = parseJson(readOwnText(path), { name: path, code: 'CORRUPT' });
    if (json.get('version').size() !== 1 || json.get('machine').string() !== machine) return undefined;
    return { works: json.get('works').boolean(), reason: json.get('reason').string() };
  } catch {
    // It is not there, or does not read: the answer is found again.
    return undefined;
  }
}

function tryOut(directory: string): ErofsProbe {
  try {
    removeTree(directory);
    for (const name of ['fs', 'upper', 'work']) mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
    makeLayer(directory);
    const found = readThroughOverlay(directory);
    return found === content ? { works: true, reason: '' } : { works: false, reason: 'a test layer reads wrongly' };
  } catch (error) {
    return { works: false, reason: messageOf(error) };
  } finally {
    removeTree(directory);
  }
}

function makeLayer(directory: string): void {
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } };
  const header = encodeHeader({ path: 'file', type: 'file', ...attributes, size: content.length });
  const end = Buffer.alloc(paddingOf(content.length) + 1024);
  const options = {
    directory: join(directory, 'fs'),
    archive: directory,
    mediaType: '',
    maxBytes: 1e6,
    maxEntries: 10,
  };
  const form = new ErofsForm(options, 0);
  try {
    form.take(Buffer.concat([header, Buffer.from(content), end]));
    const deferred = form.finish();
    form.settle({ deferred, diffId: `sha256:${'0'.repeat(64)}`, bytes: 0, entries: 0, archiveSize: 0 }, []);
  } finally {
    form.close();
  }
}

/** Mounts as a start does: detached layers, named to overlayfs by descriptor. */
function readThroughOverlay(directory: string): string {
  const opened: number[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    const layer = keep(mountErofs(join(directory, metadataFile), join(directory, archiveFile)));
    const context = keep(check(syscall('fsopen', 'overlay', FSOPEN_CLOEXEC), 'fsopen', 'overlay'));
    const set = (key: string, fd: number): void => {
      check(syscall('fsconfig', context, FSCONFIG_SET_FD, key, 0, fd), 'fsconfig', key);
    };
    set('lowerdir+', layer);
    for (const name of ['upper', 'work']) {
      set(`${name}dir`, keep(openat(AT_FDCWD, join(directory, name), O_PATH | O_DIRECTORY)));
    }
    check(syscall('fsconfig', context, FSCONFIG_CMD_CREATE, 0, 0, 0), 'fsconfig', 'overlay');
    const merged = keep(check(syscall('fsmount', context, FSMOUNT_CLOEXEC, 0), 'fsmount', 'overlay'));
    const file = openSync(`/proc/self/fd/${merged}/file`, 'r');
    try {
      const buffer = Buffer.alloc(2 * content.length);
      return buffer.toString('latin1', 0, readSync(file, buffer));
    } finally {
      closeSync(file);
    }
  } finally {
    for (const fd of opened.reverse()) close(fd);
  }
}
