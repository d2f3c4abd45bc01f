/** `why path`: where a file of a container comes from: a mount, a layer of its image, or the container itself. */
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { TsrunError } from '../../error.ts';
import type { HistoryEntry } from '../../image/config.ts';
import { LayeredRoot } from '../layered-root.ts';
import type { Container } from '../record.ts';

interface MountPoint {
  path: string;
  /** Of the filesystem: the directory that is mounted. */
  root: string;
  type: string;
}

/** Sentences. `layers`: paths, lowest first. `history`: of the image. Throws `NOT_FOUND` where nothing is there. */
export function whyPath(
  { record, state, directory }: Container,
  path: string,
  layers: readonly string[],
  history: readonly HistoryEntry[],
): string[] {
  const wanted = posix.resolve('/', path);
  if (state.pid !== 0) {
    const mount = mountOf(readFileSync(`/proc/${state.pid}/mountinfo`, 'utf8'), wanted);
    if (mount !== undefined && mount.path !== '/') return ofMount(mount, wanted, record.mounts);
  }
  const stack = [join(directory, 'upper'), ...layers.toReversed()];
  const found = new LayeredRoot(stack).find(wanted);
  if (found === undefined) {
    const hint =
      state.pid === 0 ? 'what is mounted there is seen only while it runs' : 'it is neither in a mount nor in a layer';
    throw new TsrunError('NOT_FOUND', `no ${wanted} in container ${record.name}`, { hint });
  }
  const below = stack.slice(1).findIndex((layer) => new LayeredRoot([layer]).find(wanted) !== undefined);
  if (stack.findIndex((layer) => isBelow(found.hostPath, layer)) === 0) {
    const first = `${wanted} is the container's own: it was made or changed after its start, in ${found.hostPath}`;
    return below < 0
      ? [first]
      : [first, `it lies over the one of ${layerText(layers.length - below, layers, history)}`];
  }
  const index = layers.findIndex((layer) => isBelow(found.hostPath, layer));
  // A layer that is kept as a filesystem is nowhere on the host; it is only looked into.
  const place = found.hostPath.startsWith('/proc/') ? [] : [`on the host it is ${found.hostPath}`];
  return [`${wanted} comes from ${layerText(index + 1, layers, history)}`, ...place];
}

function isBelow(path: string, directory: string): boolean {
  const [inner, outer] = [posix.resolve(path), posix.resolve(directory)];
  return inner === outer || inner.startsWith(`${outer}/`);
}

/** `number` counts from 1, the lowest. */
function layerText(number: number, layers: readonly string[], history: readonly HistoryEntry[]): string {
  const step = history.filter(({ emptyLayer }) => !emptyLayer)[number - 1]?.createdBy ?? '';
  return `layer ${number} of ${layers.length} of the image${step === '' ? '' : `, made by: ${step}`}`;
}

/** The mount that a path is in (man 5 proc, mountinfo): the longest that it lies below, the last where one hides another. */
export function mountOf(mountinfo: string, path: string): MountPoint | undefined {
  const plain = (text: string): string =>
    text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
  let found: MountPoint | undefined;
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const fields = before.split(' ');
    const at = plain(fields[4] ?? '');
    if (at === '' || !(at === '/' || isBelow(path, at))) continue;
    if (found !== undefined && at.length < found.path.length) continue;
    found = { path: at, root: plain(fields[3] ?? ''), type: after.split(' ')[0] ?? '' };
  }
  return found;
}

const own = new Set(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf']);

function ofMount(mount: MountPoint, path: string, mounts: Container['record']['mounts']): string[] {
  const asked = mounts.find(({ destination }) => posix.resolve('/', destination) === mount.path);
  const rest = path.slice(mount.path.length);
  if (asked?.type === 'volume')
    return [`${path} is in the volume ${asked.name ?? ''}, on the host ${asked.source}${rest}`];
  if (asked?.type === 'bind') return [`${path} is the host's ${asked.source}${rest}, mounted at ${mount.path}`];
  if (own.has(mount.path)) return [`${path} is written by tsrun for this container, and mounted over the image's`];
  const hidden = mount.type === 'devtmpfs' && mount.root === '/null';
  if (hidden) return [`${path} is hidden: the null device lies over it, since it tells about the host or changes it`];
  if (mount.type === 'tmpfs')
    return [`${path} is in a ${mount.type} at ${mount.path}: memory, which ends with the container`];
  return [`${path} is made by the kernel: a ${mount.type} is mounted at ${mount.path}`];
}
