/** The layers that a container's root is made of, and where in them a path is. */
import { join, posix } from 'node:path';
import { TsrunError } from '../../error.ts';
import type { HistoryEntry } from '../../image/config.ts';
import type { Digest } from '../../image/digest.ts';
import type { ReadableLayers } from '../../image/readable-layers.ts';
import type { ImageStore } from '../../image/store.ts';
import type { Stat } from '../../image/unpack/calls.ts';
import { isWhiteout } from '../../image/unpack/merged-view.ts';
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from '../../linux/constants.ts';
import { locateInLayers, lookInLayer } from '../layer-paths.ts';
import type { Container } from '../record.ts';
import { english, type Sentence } from '../sentence.ts';
import { whyPath } from '../why/path.ts';
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
  const found = locateInLayers(stack, wanted);
  if (found === undefined) throw new TsrunError('NOT_FOUND', `no ${wanted}: ${answer.map(english).join('; ')}`);
  return {
    path: wanted,
    resolved: posix.resolve('/', found.path),
    answer,
    mount: undefined,
    places: placesOf(stack, found.path),
  };
}

/** Every layer that has something of that name, from the top down, and whether overlayfs shows it. */
function placesOf(stack: readonly string[], resolved: string): PlaceView[] {
  const places: PlaceView[] = [];
  let hidden = false;
  let merges = true;
  for (const [index, layer] of stack.entries()) {
    const { file, covers } = lookInLayer(layer, resolved);
    if (file !== undefined) {
      const { mode, uid, gid, size } = file.stat;
      const kind = kindOf(file.stat);
      const isSeen = !hidden && kind !== 'whiteout' && (merges || kind === 'directory');
      places.push({
        layer: index === 0 ? 0 : stack.length - index,
        ...{ kind, mode, uid, gid, size, isSeen, target: file.target },
      });
      if (kind !== 'directory') hidden = true;
      else merges = false;
    }
    // What covers a parent covers everything below it.
    if (covers) hidden = true;
  }
  return places;
}

const kinds: Readonly<Record<number, FileKind>> = {
  [S_IFREG]: 'file',
  [S_IFDIR]: 'directory',
  [S_IFLNK]: 'link',
  [S_IFIFO]: 'pipe',
  [S_IFSOCK]: 'socket',
};

function kindOf(stat: Stat): FileKind {
  return isWhiteout(stat) ? 'whiteout' : (kinds[stat.type] ?? 'device');
}
