/**
 * An image's layers from registry to store: download -> digest -> unpack is one stream per layer, some of them at
 * once; what depends on lower layers is finished in order from the lowest, and each layer appears when it is complete.
 */
import { TsrunError } from '../error.ts';
import { stepAsync } from '../trace.ts';
import { downloadBlob } from './blob.ts';
import type { StoredLayer } from './catalogue.ts';
import { type Digest, shortDigest } from './digest.ts';
import { RequestError, storeError, throwIfInterrupted } from './errors.ts';
import type { LayerEvent, LayerStatus, PullListener } from './events.ts';
import type { LayerDraft, LayerStore } from './layers.ts';
import type { Descriptor } from './manifest.ts';
import { OpenedLayers } from './readable-layers.ts';
import type { Registry, Repository } from './registry.ts';
import type { RetryPolicy } from './retry.ts';
import { Slots } from './slots.ts';
import type { UnpackedLayer } from './unpack/deferred.ts';
import type { LayerSink, Unpacker } from './unpacker.ts';

/** A layer that the image needs. */
export interface WantedLayer extends Descriptor {
  diffId: Digest;
  chainId: Digest;
}

export interface LayerPullOptions {
  store: LayerStore;
  unpacker: Unpacker;
  registries: readonly Registry[];
  repository: Repository;
  /** `docker.io/library/debian`: noted in each layer's record. */
  source: string;
  policy: RetryPolicy;
  /** Ends everything that is under way, for Ctrl-C and when one layer fails. */
  stop: AbortController;
  onProgress: PullListener;
  /** Downloads at one time. */
  parallel: number;
}

/** A layer that waits for those below it. */
interface MadeLayer {
  draft: LayerDraft;
  sink: LayerSink;
  unpacked: UnpackedLayer;
}

/** Milliseconds between two reports of one layer's progress. */
const reportInterval = 100;

/** Pulls one layer; its parts are the phases of its life. */
class LayerPull {
  readonly #layer: WantedLayer;
  readonly #index: number;
  readonly #below: readonly WantedLayer[];
  readonly #options: LayerPullOptions;
  readonly #opened: OpenedLayers;
  #reported = 0;

  /** `opened`: layers of the image, as far as they are complete. */
  constructor(
    layers: readonly WantedLayer[],
    index: number,
    layer: WantedLayer,
    options: LayerPullOptions,
    opened: OpenedLayers,
  ) {
    this.#opened = opened;
    this.#layer = layer;
    this.#index = index;
    this.#below = layers.slice(0, index);
    this.#options = options;
  }

  /** @param lowerDone resolves when all lower layers are complete */
  async run(slots: Slots, lowerDone: Promise<unknown>): Promise<StoredLayer> {
    const { store, stop } = this.#options;
    const { chainId } = this.#layer;
    const existing = store.record(chainId);
    if (existing !== undefined && store.has(chainId)) {
      this.#report('Already exists');
      return this.#stored(existing.bytes);
    }
    this.#report('Pulling fs layer');
    let waited = false;
    const lock = await store.lock(chainId, {
      signal: stop.signal,
      onWait: () => {
        waited = true;
        this.#report('Waiting');
      },
    });
    try {
      const meanwhile = waited ? store.record(chainId) : undefined;
      if (meanwhile !== undefined && store.has(chainId)) {
        this.#report('Already exists');
        return this.#stored(meanwhile.bytes);
      }
      return await this.#make(slots, lowerDone);
    } finally {
      lock.release();
    }
  }

  async #make(slots: Slots, lowerDone: Promise<unknown>): Promise<StoredLayer> {
    const { registries, stop } = this.#options;
    await slots.take(() => this.#report('Waiting'));
    let made: MadeLayer;
    try {
      throwIfInterrupted(stop.signal);
      made = await this.#unpackVerified(registries);
    } finally {
      slots.give();
    }
    const { draft, sink, unpacked } = made;
    try {
      const { mediaType, digest, size, diffId, chainId } = this.#layer;
      if (unpacked.diffId !== diffId) {
        throw new TsrunError(
          'VERIFICATION',
          `layer ${digest} unpacks to ${unpacked.diffId}, the image says ${diffId}`,
          {
            hint: 'the image was built or copied wrongly: its config does not belong to its layers',
          },
        );
      }
      this.#report('Extracting', size, true);
      await lowerDone;
      throwIfInterrupted(stop.signal);
      const needed = unpacked.deferred.length === 0 ? [] : this.#below;
      await sink.settle(needed.map((layer) => this.#opened.path(layer.chainId)));
      const parent = this.#below.at(-1)?.chainId;
      draft.commit({
        chainId,
        ...(parent === undefined ? {} : { parent }),
        diffId,
        digest,
        mediaType,
        size,
        source: this.#options.source,
        bytes: unpacked.bytes,
        entries: unpacked.entries,
        archiveSize: unpacked.archiveSize,
      });
    } catch (error) {
      await sink.abort().catch(() => {});
      draft.discard();
      throw error;
    }
    this.#report('Pull complete');
    return this.#stored(unpacked.bytes);
  }

  /** Downloads and unpacks; what turns out to be damaged is tried once more, from another address where there is one. */
  async #unpackVerified(registries: readonly Registry[]): Promise<MadeLayer> {
    try {
      return await this.#unpack(registries);
    } catch (error) {
      // What a registry said wrongly in its headers has been tried elsewhere already.
      const damaged = error instanceof TsrunError && !(error instanceof RequestError) && error.code === 'VERIFICATION';
      if (!damaged) throw error;
      return await this.#unpack([...registries.slice(1), ...registries.slice(0, 1)]);
    }
  }

  async #unpack(registries: readonly Registry[]): Promise<MadeLayer> {
    const { store, unpacker } = this.#options;
    const { mediaType } = this.#layer;
    const form = await store.form();
    const draft = store.begin(this.#layer.chainId);
    let sink: LayerSink | undefined;
    try {
      sink = unpacker.start({ directory: draft.directory, mediaType, archive: draft.base, form });
      await this.#download(registries, sink);
      this.#report('Download complete');
      return { draft, sink, unpacked: await sink.finish() };
    } catch (error) {
      await sink?.abort().catch(() => {});
      draft.discard();
      throw error;
    }
  }

  async #download(registries: readonly Registry[], sink: LayerSink): Promise<void> {
    const { repository, policy, stop } = this.#options;
    const { mediaType, digest, size } = this.#layer;
    let broken: unknown;
    await downloadBlob({
      registries,
      repository,
      descriptor: { mediaType, digest, size },
      policy,
      signal: stop.signal,
      sink: async (chunk) => {
        if (broken !== undefined) return;
        try {
          await sink.write(chunk);
        } catch (error) {
          // Whether the archive is bad or was damaged on the way is known when all of it has been hashed.
          if (!(error instanceof TsrunError) || error.code !== 'ARCHIVE') throw error;
          broken = error;
        }
      },
      onProgress: (received) => {
        this.#report('Downloading', received, received === size);
        if (received === size) this.#report('Verifying Checksum');
      },
      onRetry: (_error, delay) => this.#emit({ status: 'Retrying', delay: Math.ceil(delay / 1000) }),
    });
    if (broken !== undefined) throw broken;
  }

  #stored(bytes: number): StoredLayer {
    const { digest, mediaType, size, diffId, chainId } = this.#layer;
    return { digest, mediaType, size, diffId, chainId, bytes };
  }

  /** Reports a status; with `current` only now and then, unless `always`. */
  #report(status: LayerStatus, current?: number, always = false): void {
    if (current === undefined) {
      this.#emit({ status });
      return;
    }
    const now = performance.now();
    if (!always && now - this.#reported < reportInterval) return;
    this.#reported = now;
    this.#emit({ status, current, total: this.#layer.size });
  }

  #emit(event: Omit<LayerEvent, 'kind' | 'index' | 'id'>): void {
    this.#options.onProgress({ kind: 'layer', index: this.#index, id: shortDigest(this.#layer.digest), ...event });
  }
}

/**
 * Pulls all layers, lowest first in `layers`. When one fails the others are stopped; those that were complete stay.
 * Throws the first failure.
 */
export async function pullLayers(layers: readonly WantedLayer[], options: LayerPullOptions): Promise<StoredLayer[]> {
  const slots = new Slots(options.parallel);
  const opened = new OpenedLayers(options.store);
  let failure: { error: unknown } | undefined;
  let lowerDone: Promise<unknown> = Promise.resolve();
  const running = layers.map((layer, index) => {
    const pull = new LayerPull(layers, index, layer, options, opened);
    const shell = `curl -L https://REGISTRY/v2/${options.repository.path}/blobs/${layer.digest} | tar -xz -C layers/${layer.chainId}`;
    const info = {
      phase: 'image',
      title: `layer ${shortDigest(layer.digest)}`,
      why: `a part of the image's files`,
      shell,
    } as const;
    const below = lowerDone;
    const result = stepAsync(info, () => pull.run(slots, below));
    result.catch((error) => {
      failure ??= { error };
      options.stop.abort();
    });
    lowerDone = Promise.all([below, result]);
    lowerDone.catch(() => {});
    return result;
  });
  await Promise.allSettled(running);
  opened.close();
  if (failure !== undefined) throw storeError(failure.error, `cannot store layers in "${options.store.directory}"`);
  return await Promise.all(running);
}
