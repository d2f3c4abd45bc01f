/** The layers that a container's root is made of, and where in them a path is. */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { join, posix } from 'node:path';
import { TsrunError } from '../../error.ts';
import type { HistoryEntry } from '../../image/config.ts';
import type { Digest } from '../../image/digest.ts';
import type { ReadableLayers } from '../../image/readable-layers.ts';
import type { ImageStore } from '../../image/store.ts';
import { isOpaque, LayeredRoot } from '../layered-root.ts';
import type { Container } from '../record.ts';
import { english, type Sentence } from '../sentence.ts';
import { isBelow, whyPath } from '../why/path.ts';
import { describeMounts, type MountView, readMounts } from './mounts.ts';

export interface LayerView {
  /** From 1, the lowest. */
  number: number;
  chainId: string;
  /** `erofs`: mounted from its archive. */
  form: 'unpacked' | 'erofs';
  /** Where it is on the host. */
  place: string;
  /** Of its files. */
  bytes: number | undefined;
  createdBy: string;
}

/** Lowest first. */
export function layersOf(images: ImageStore, { record }: Container, opened: ReadableLayers): LayerView[] {
  const made = historyOf(images, record.image.id).filter(({ emptyLayer }) => !emptyLayer);
  return opened.places.map((place, index) => {
    const chainId = record.image.layers[index] ?? '';
    return {
      number: index + 1,
      chainId,
      form: place.kind,
      place: place.kind === 'unpacked' ? place.path : place.archive,
      bytes: images.layers.record(chainId as Digest)?.bytes,
      createdBy: made[index]?.createdBy ?? '',
    };
  });
}

/** Of an image that may have been removed since. */
export function historyOf(images: ImageStore, id: string): readonly HistoryEntry[] {
  return images.resolve(id)?.config.history ?? [];
}

export type FileKind = 'file' | 'directory' | 'link' | 'device' | 'pipe' | 'socket' | 'whiteout';

/** One place where a path is. */
export interface PlaceView {
  /** 0 is the container's own directory, 1 the lowest layer. */
  layer: number;
  kind: FileKind;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Of a link. */
  target: string | undefined;
  /** What the container sees there; directories are merged. */
  isSeen: boolean;
}

export interface PathView {
  /** As it was asked for, from the root. */
  path: string;
  /** Behind all links of layers; the same without any. */
  resolved: string;
  /** Which mount or layer it comes from, in words. */
  answer: Sentence[];
  /** The mount that it lies in; undefined: the root itself. */
  mount: MountView | undefined;
  /** From the top down; empty where it is in a mount. */
  places: PlaceView[];
}

/** Throws `NOT_FOUND` where nothing is there. */
export function pathOf(
  container: Container,
  path: string,
  layers: readonly string[],
  history: readonly HistoryEntry[],
): PathView {
  const { state, record, directory } = container;
  const answer = whyPath(container, path, layers, history);
  const wanted = posix.resolve('/', path);
  const mounts = state.pid === 0 ? [] : describeMounts(readMounts(state.pid), record);
  const within = mounts.filter(({ point }) => point === '/' || wanted === point || wanted.startsWith(`${point}/`));
  const mount = within.reduce<MountView | undefined>(
    (best, one) => (best === undefined || one.point.length >= best.point.length ? one : best),
    undefined,
  );
  if (mount !== undefined && mount.point !== '/') {
    return { path: wanted, resolved: wanted, answer, mount, places: [] };
  }
  const stack = [join(directory, 'upper'), ...layers.toReversed()];
  const found = new LayeredRoot(stack).find(wanted);
  if (found === undefined) throw new TsrunError('NOT_FOUND', `no ${wanted}: ${answer.map(english).join('; ')}`);
  const owner = stack.find((layer) => isBelow(found.hostPath, layer)) ?? '';
  const resolved = posix.resolve('/', posix.relative(posix.resolve(owner), posix.resolve(found.hostPath)));
  return { path: wanted, resolved, answer, mount: undefined, places: placesOf(stack, resolved) };
}

/** Every layer that has something of that name, from the top down, and whether overlayfs shows it. */
function placesOf(stack: readonly string[], resolved: string): PlaceView[] {
  const places: PlaceView[] = [];
  let hidden = false;
  let merges = true;
  for (const [index, layer] of stack.entries()) {
    const stats = lookIn(layer, resolved);
    if (stats !== undefined) {
      const kind = kindOf(stats);
      const isSeen = !hidden && kind !== 'whiteout' && (merges || kind === 'directory');
      places.push({
        layer: index === 0 ? 0 : stack.length - index,
        ...{ kind, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid, size: stats.size, isSeen },
        target: kind === 'link' ? readlinkSync(join(layer, resolved)) : undefined,
      });
      if (kind !== 'directory') hidden = true;
      else merges = false;
    }
    // What covers a parent covers everything below it.
    if (covers(layer, resolved)) hidden = true;
  }
  return places;
}

/** Without following a link of the layer: each parent must be a directory. */
function lookIn(layer: string, resolved: string): Stats | undefined {
  const parts = resolved.split('/').filter(Boolean);
  for (let length = 1; length < parts.length; length++) {
    const stats = lstatSync(join(layer, ...parts.slice(0, length)), { throwIfNoEntry: false });
    if (stats === undefined || !stats.isDirectory()) return undefined;
  }
  return lstatSync(join(layer, ...parts), { throwIfNoEntry: false });
}

/** Whether a layer hides what is below it at a path: an opaque directory, or something else where a directory was. */
function covers(layer: string, resolved: string): boolean {
  const parts = resolved.split('/').filter(Boolean);
  for (let length = 1; length <= parts.length; length++) {
    const path = join(layer, ...parts.slice(0, length));
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    if (!stats.isDirectory() || isOpaque(path)) return true;
  }
  return false;
}

function kindOf(stats: Stats): FileKind {
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'link';
  if (stats.isCharacterDevice() && stats.rdev === 0) return 'whiteout';
  if (stats.isFIFO()) return 'pipe';
  if (stats.isSocket()) return 'socket';
  return stats.isFile() ? 'file' : 'device';
}
