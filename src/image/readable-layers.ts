/**
 * The layers of an image as directories that can be read, whatever form they are kept in. What has to be mounted for it is
 * mounted when it is first asked for, attached nowhere, and ends with `close`, or with this process.
 */
import { messageOf, TsrunError } from '../error.ts';
import { close } from '../linux/fs.ts';
import type { Digest } from './digest.ts';
import { mountErofs } from './erofs/mount.ts';
import type { LayerPlace, LayerStore, MountedPlace } from './layers.ts';

export class ReadableLayers {
  readonly #paths: (string | undefined)[];
  readonly #mounts: number[] = [];

  /** Lowest first. `mount` gives the descriptor of the mount of one layer; by default it is made. */
  constructor(
    readonly places: readonly LayerPlace[],
    private readonly mount: (place: MountedPlace, index: number) => number = ({ metadata, archive }) =>
      mountErofs(metadata, archive),
  ) {
    this.#paths = places.map(() => undefined);
  }

  /** The directory of one layer, by its number. Throws `UNSUPPORTED` where the kernel cannot mount it. */
  path(index: number): string {
    const known = this.#paths[index];
    if (known !== undefined) return known;
    const place = this.places[index];
    if (place === undefined) throw new RangeError(`there is no layer ${index}`);
    const path = place.kind === 'unpacked' ? place.path : this.#mount(place, index);
    this.#paths[index] = path;
    return path;
  }

  /** The directories of all layers, lowest first; valid until `close`. */
  get paths(): string[] {
    return this.places.map((_, index) => this.path(index));
  }

  /** Descriptors of the layers that are mounted, in the order in which they were asked for; `close` ends them. */
  get mounts(): readonly number[] {
    return this.#mounts;
  }

  #mount(place: MountedPlace, index: number): string {
    const { metadata } = place;
    try {
      const fd = this.mount(place, index);
      this.#mounts.push(fd);
      // The last component is a directory and no link: it can be opened with O_NOFOLLOW.
      return `/proc/self/fd/${fd}/.`;
    } catch (cause) {
      throw new TsrunError('UNSUPPORTED', `cannot mount the layer "${metadata}": ${messageOf(cause)}`, {
        cause,
        hint: 'it needs root, and a kernel with erofs that mounts files (Linux 6.12); else remove the image and pull it again with --storage unpacked',
      });
    }
  }

  close(): void {
    for (const fd of this.#mounts.splice(0)) close(fd);
    this.#paths.fill(undefined);
  }
}

/** Layers that are read again and again while others are made over them: each is mounted once. */
export class OpenedLayers {
  readonly #open = new Map<Digest, ReadableLayers>();

  constructor(private readonly store: LayerStore) {}

  /** The directory of a complete layer, valid until `close`. */
  path(chainId: Digest): string {
    let layers = this.#open.get(chainId);
    if (layers === undefined) {
      const place = this.store.place(chainId);
      if (place === undefined) throw new TsrunError('CORRUPT', `layer "${this.store.path(chainId)}" is missing`);
      layers = new ReadableLayers([place]);
      this.#open.set(chainId, layers);
    }
    return layers.path(0);
  }

  close(): void {
    for (const layers of this.#open.values()) layers.close();
    this.#open.clear();
  }
}
