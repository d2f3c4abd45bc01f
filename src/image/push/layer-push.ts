/** One layer to a registry: it has it, or takes it from another repository of its own, or gets it compressed and sent. */
import { archiveSizeOf, type StoredArchive } from '../archive/layer-archive.ts';
import type { StoredLayer } from '../catalogue.ts';
import { shortDigest } from '../digest.ts';
import { RequestError, throwIfInterrupted } from '../errors.ts';
import type { LayerEvent, LayerPushStatus, PushListener } from '../events.ts';
import type { LayerStore } from '../layers.ts';
import type { Descriptor } from '../manifest.ts';
import { type RetryPolicy, withRetry } from '../retry.ts';
import type { Slots } from '../slots.ts';
import { compressArchive } from './compress.ts';
import type { Compressors } from './compressors.ts';
import { type KnownBlob, knownBlobs, rememberBlob } from './known-blobs.ts';
import { Spool } from './spool.ts';
import type { PushTarget } from './target.ts';
import { uploadBlob } from './upload.ts';

export interface LayerPushOptions {
  store: LayerStore;
  /** On the disk of the store: where blobs wait. */
  directory: string;
  target: PushTarget;
  /** `docker.io`, and the repository in full: `docker.io/library/debian`. */
  domain: string;
  repository: string;
  /** What the layer is called when it is compressed here. */
  mediaType: string;
  policy: RetryPolicy;
  stop: AbortController;
  slots: Slots;
  compressors: Compressors;
  onProgress: PushListener;
}

/** Milliseconds between two reports of one layer's progress. */
const reportInterval = 100;
/** Repositories that a registry is asked to mount a blob from, at most. */
const maxMounts = 4;

export class LayerPush {
  #reported = 0;

  constructor(
    private readonly layer: StoredLayer,
    /** Which of the image's layers, 0 is the lowest. */
    private readonly index: number,
    private readonly options: LayerPushOptions,
  ) {}

  /** What the registry has the layer as. `same`: a lower layer of the image with the same archive. */
  async run(same?: Promise<Descriptor>): Promise<Descriptor> {
    const { layer, options } = this;
    if (/foreign|nondistributable/.test(layer.mediaType)) {
      this.report('Skipped foreign layer');
      return layer;
    }
    if (same !== undefined) {
      const blob = await same;
      this.report('Layer already exists');
      return blob;
    }
    const known = knownBlobs(options.store, layer);
    const found = (await this.existing(known)) ?? (await this.mounted(known));
    const blob = found !== undefined && 'digest' in found ? found : await this.upload(found?.location);
    rememberBlob(options.store, layer.chainId, blob, options.repository);
    return blob;
  }

  private retrying<T>(action: () => Promise<T>): Promise<T> {
    const { policy, stop } = this.options;
    return withRetry(action, { policy, signal: stop.signal, onRetry: (_error, wait) => this.reportRetry(wait) });
  }

  private async existing(known: readonly KnownBlob[]): Promise<Descriptor | undefined> {
    const { target } = this.options;
    for (const { digest, mediaType, size } of known) {
      if (!(await this.retrying(() => target.hasBlob(digest)))) continue;
      this.report('Layer already exists');
      return { digest, mediaType, size };
    }
    return undefined;
  }

  /** The blob that was mounted, or the upload that the registry has begun because it would not. */
  private async mounted(known: readonly KnownBlob[]): Promise<Descriptor | { location: URL } | undefined> {
    const { target, domain } = this.options;
    const sources = known.flatMap((blob) =>
      blob.repositories
        .filter((name) => name.startsWith(`${domain}/`) && name !== this.options.repository)
        .map((name) => ({ blob, from: name.slice(domain.length + 1) })),
    );
    let location: URL | undefined;
    for (const { blob, from } of sources.slice(0, maxMounts)) {
      const { digest, mediaType, size } = blob;
      try {
        const begun = await this.retrying(() => target.begin({ digest, from }));
        if (begun.mounted) {
          this.report(`Mounted from ${from}`);
          return { digest, mediaType, size };
        }
        location = begun.location;
      } catch (error) {
        // No right to read there, or a registry that mounts nothing: it can still be sent.
        if (!(error instanceof RequestError) || error.code === 'NETWORK') throw error;
      }
    }
    return location === undefined ? undefined : { location };
  }

  private async upload(location: URL | undefined): Promise<Descriptor> {
    const { store, slots, stop, directory, mediaType } = this.options;
    const { chainId, diffId } = this.layer;
    const archive: StoredArchive = {
      base: store.base(chainId),
      diffId,
      archiveSize: store.record(chainId)?.archiveSize,
    };
    const total = archiveSizeOf(archive);
    await slots.take(() => this.report('Waiting'));
    const spool = new Spool(directory);
    try {
      throwIfInterrupted(stop.signal);
      this.report('Pushing', 0, total);
      await this.send(archive, spool, location, total);
      if (spool.digest === undefined) throw new Error('an upload has ended before its blob');
      this.report('Pushed');
      return { mediaType, digest: spool.digest, size: spool.size };
    } finally {
      spool.close();
      slots.give();
    }
  }

  /** Compresses and sends at the same time. */
  private async send(archive: StoredArchive, spool: Spool, location: URL | undefined, total: number): Promise<void> {
    const { target, policy, stop } = this.options;
    const { signal } = stop;
    let done = 0;
    const compressing = compressArchive(archive, spool, {
      compressors: this.options.compressors,
      signal,
      onProgress: (bytes) => {
        done = bytes;
      },
    });
    const uploading = uploadBlob(spool, {
      target,
      policy,
      signal,
      location,
      onProgress: (sent) => {
        // Docker counts bytes of the archive; how much of it is in what was sent is known only about.
        this.reportNowAndThen(Math.min(total, Math.round((sent / Math.max(1, spool.size)) * done)), total);
      },
      onRetry: (_error, wait) => this.reportRetry(wait),
    });
    // Each ends the other.
    uploading.catch((error) => spool.fail(error));
    for (const result of await Promise.allSettled([compressing, uploading])) {
      if (result.status === 'rejected') throw result.reason;
    }
  }

  private reportNowAndThen(current: number, total: number): void {
    const now = performance.now();
    if (now - this.#reported < reportInterval) return;
    this.#reported = now;
    this.report('Pushing', current, total);
  }

  private reportRetry(wait: number): void {
    this.emit({ status: 'Retrying', delay: Math.ceil(wait / 1000) });
  }

  report(status: LayerPushStatus, current?: number, total?: number): void {
    this.emit({
      status,
      ...(current === undefined ? {} : { current }),
      ...(total === undefined ? {} : { total }),
    });
  }

  private emit(event: Pick<LayerEvent, 'status' | 'current' | 'total' | 'delay'>): void {
    this.options.onProgress({ kind: 'layer', index: this.index, id: shortDigest(this.layer.diffId), ...event });
  }
}
