/** `why path`: where a file of a container comes from: a mount, a layer of its image, or the container itself. */
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { TsrunError } from '../../error.ts';
import type { HistoryEntry } from '../../image/config.ts';
import { mountHolding, parseMountinfo } from '../../linux/mountinfo.ts';
import { locateInLayers } from '../layer-paths.ts';
import type { Container } from '../record.ts';
import { type Sentence, say } from '../sentence.ts';

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
): Sentence[] {
  const wanted = posix.resolve('/', path);
  if (state.pid !== 0) {
    const mount = mountOf(readFileSync(`/proc/${state.pid}/mountinfo`, 'utf8'), wanted);
    if (mount !== undefined && mount.path !== '/') return ofMount(mount, wanted, record.mounts);
  }
  const stack = [join(directory, 'upper'), ...layers.toReversed()];
  const found = locateInLayers(stack, wanted);
  if (found === undefined) {
    const hint =
      state.pid === 0 ? 'what is mounted there is seen only while it runs' : 'it is neither in a mount nor in a layer';
    throw new TsrunError('NOT_FOUND', `no ${wanted} in container ${record.name}`, { hint });
  }
  const hostPath = join(stack[found.layer] ?? '', found.path);
  if (found.layer === 0) {
    const first = say("{1} is the container's own: it was made or changed after its start, in {2}", wanted, hostPath);
    const below = stack.slice(1).findIndex((layer) => locateInLayers([layer], wanted) !== undefined);
    return below < 0
      ? [first]
      : [first, say('it lies over the one of {1}', layerText(layers.length - below, layers, history))];
  }
  // A layer that is kept as a filesystem is nowhere on the host; it is only looked into.
  const place = hostPath.startsWith('/proc/') ? [] : [say('on the host it is {1}', hostPath)];
  const number = layers.length + 1 - found.layer;
  return [say('{1} comes from {2}', wanted, layerText(number, layers, history)), ...place];
}

/** `number` counts from 1, the lowest. */
function layerText(number: number, layers: readonly string[], history: readonly HistoryEntry[]): Sentence {
  const step = history.filter(({ emptyLayer }) => !emptyLayer)[number - 1]?.createdBy ?? '';
  return step === ''
    ? say('layer {1} of {2} of the image', number, layers.length)
    : say('layer {1} of {2} of the image, made by: {3}', number, layers.length, step);
}

/** The mount that a path is in. */
export function mountOf(mountinfo: string, path: string): MountPoint | undefined {
  const found = mountHolding(parseMountinfo(mountinfo), path);
  return found === undefined ? undefined : { path: found.mountPoint, root: found.root, type: found.type };
}

const own = new Set(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf']);

function ofMount(mount: MountPoint, path: string, mounts: Container['record']['mounts']): Sentence[] {
  const asked = mounts.find(({ destination }) => posix.resolve('/', destination) === mount.path);
  const rest = path.slice(mount.path.length);
  if (asked?.type === 'volume') {
    return [say('{1} is in the volume {2}, on the host {3}', path, asked.name ?? '', asked.source + rest)];
  }
  if (asked?.type === 'bind')
    return [say("{1} is the host's {2}, mounted at {3}", path, asked.source + rest, mount.path)];
  if (own.has(mount.path)) {
    return [say("{1} is written by tsrun for this container, and mounted over the image's", path)];
  }
  const hidden = mount.type === 'devtmpfs' && mount.root === '/null';
  if (hidden) {
    return [say('{1} is hidden: the null device lies over it, since it tells about the host or changes it', path)];
  }
  if (mount.type === 'tmpfs') {
    return [say('{1} is in a {2} at {3}: memory, which ends with the container', path, mount.type, mount.path)];
  }
  return [say('{1} is made by the kernel: a {2} is mounted at {3}', path, mount.type, mount.path)];
}
