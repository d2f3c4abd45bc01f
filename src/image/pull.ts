/** `pull`: from a reference to an image in the store, in the phases manifest, config, layers, record. */
import { messageOf, TsrunError } from '../error.ts';
import { stepAsync } from '../trace.ts';
import type { ImageEntry } from './catalogue.ts';
import { type Credentials, credentialsFor } from './credentials.ts';
import { chainIds, type Digest } from './digest.ts';
import { storeError, throwIfInterrupted } from './errors.ts';
import type { PullListener } from './events.ts';
import { HttpClient, type Timeouts } from './http.ts';
import { pullLayers, type WantedLayer } from './layer-pull.ts';
import { endpointsFor, loadRegistrySettings, type RegistrySettings } from './mirrors.ts';
import { formatPlatform, hostPlatform, type Platform, platformMatches } from './platform.ts';
import {
  familiarName,
  familiarRepository,
  formatReference,
  type Reference,
  repositoryName,
  withDigest,
} from './reference.ts';
import { Registry } from './registry.ts';
import { type ResolvedManifest, type ResolveOptions, resolveConfig, resolveManifest } from './resolve.ts';
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts';
import type { ImageStore, StoredImage } from './store.ts';
import type { Unpacker } from './unpacker.ts';

export interface PullOptions {
  /** By default this machine's. */
  platform?: Platform;
  onProgress?: PullListener;
  /** Ends the pull; layers that are complete stay. */
  signal?: AbortSignal;
  /** Mirrors and insecure hosts; by default those of the environment and the settings files. */
  settings?: RegistrySettings;
  /** By default from docker's configuration. */
  credentials?: (host: string) => Promise<Credentials | undefined>;
  retry?: RetryPolicy;
  timeouts?: Timeouts;
  /** Downloads at one time. */
  parallel?: number;
  /** By default src/image/unpack. */
  unpacker?: Unpacker;
  /** Where certificates are, instead of certs.d. */
  certificates?: string | undefined;
}

export type PulledImage = StoredImage & {
  /** Whether the name means another image than before, or parts of it had to be fetched again. */
  changed: boolean;
};

/** docker's number; more gains nothing where unpacking is the limit, and registries mind. */
const defaultParallel = 3;

/** One pull with all that its phases share. */
class Pull {
  readonly #store: ImageStore;
  readonly #reference: Reference;
  readonly #options: PullOptions;
  readonly #stop = new AbortController();
  readonly #http: HttpClient;
  readonly #resolve: ResolveOptions;
  #fetchedLayers = false;

  constructor(store: ImageStore, reference: Reference, options: PullOptions) {
    this.#store = store;
    this.#reference = reference;
    this.#options = options;
    const settings = options.settings ?? loadRegistrySettings();
    const { signal } = this.#stop;
    const http = new HttpClient(settings, options.timeouts, options.certificates);
    this.#http = http;
    const credentials = (host: string): Promise<Credentials | undefined> => this.#credentials(host);
    this.#resolve = {
      reference,
      repository: { path: reference.path, familiar: familiarRepository(reference) },
      registries: endpointsFor(reference.domain, settings).map(
        (endpoint) => new Registry({ endpoint, http, settings, credentials, signal }),
      ),
      platform: options.platform ?? hostPlatform(),
      policy: options.retry ?? defaultRetryPolicy,
      signal,
      known: isKnown(store, formatReference(reference)),
      stored: (digest) => store.readBlob(digest),
      onWarning: (text) => this.#warn(text),
    };
  }

  #warn(text: string): void {
    this.#options.onProgress?.({ kind: 'warning', text });
  }

  /** Credentials that cannot be read are no reason not to try without: most images are public. */
  async #credentials(host: string): Promise<Credentials | undefined> {
    try {
      return await (this.#options.credentials ?? credentialsFor)(host);
    } catch (error) {
      this.#warn(`${messageOf(error)}; trying without credentials`);
      return undefined;
    }
  }

  async run(): Promise<PulledImage> {
    const { signal } = this.#options;
    const abort = (): void => this.#stop.abort();
    throwIfInterrupted(signal);
    signal?.addEventListener('abort', abort, { once: true });
    let hold: { release(): void } | undefined;
    try {
      hold = this.#prepareStore();
      return await this.#phases();
    } finally {
      hold?.release();
      signal?.removeEventListener('abort', abort);
      this.#http.close();
    }
  }

  /** From here on no layer is deleted by others, and what killed processes left behind is gone. */
  #prepareStore(): { release(): void } {
    try {
      const hold = this.#store.hold();
      this.#store.layers.sweep();
      return hold;
    } catch (error) {
      throw storeError(error, `cannot write to "${this.#store.root}"`);
    }
  }

  async #phases(): Promise<PulledImage> {
    const name = formatReference(this.#reference);
    const info = {
      phase: 'image',
      title: `find the manifest of ${name}`,
      why: 'it names the layers by their digests',
    } as const;
    const resolved = await stepAsync(info, () => resolveManifest(this.#resolve));
    const { config, document } = await resolveConfig(resolved, this.#resolve);
    this.#checkPlatform(config.platform);
    const reference = this.#reference;
    this.#options.onProgress?.({
      kind: 'start',
      what:
        reference.digest === undefined
          ? (reference.tag ?? '')
          : formatReference(withDigest(reference, reference.digest)),
      repository: reference.path,
    });

    const layers = await this.#layers(resolved, config.diffIds);
    const entry: ImageEntry = {
      manifest: resolved.manifestDigest,
      documents: resolved.documents.map(({ digest }) => digest),
      created: config.created,
      platform: config.platform,
      bytes: layers.reduce((sum, layer) => sum + layer.bytes, 0),
      layers,
    };
    return this.#record(resolved, entry, [...resolved.documents, document]);
  }

  #checkPlatform(actual: Platform): void {
    const wanted = this.#resolve.platform;
    // Images of old tools do not say what they are for.
    if (actual.architecture === '' || platformMatches(wanted, actual)) return;
    const name = familiarName(this.#reference);
    if (this.#options.platform === undefined) {
      this.#warn(
        `${name} is for ${formatPlatform(actual)}, this machine is ${formatPlatform(wanted)}: it may not run here`,
      );
      return;
    }
    throw new TsrunError(
      'NOT_FOUND',
      `no image for ${formatPlatform(wanted)} in "${name}": it has ${formatPlatform(actual)}`,
    );
  }

  async #layers(resolved: ResolvedManifest, diffIds: readonly Digest[]): Promise<ImageEntry['layers']> {
    const chain = chainIds(diffIds);
    const wanted: WantedLayer[] = resolved.manifest.layers.map((descriptor, index) => ({
      ...descriptor,
      diffId: diffIds[index] as Digest,
      chainId: chain[index] as Digest,
    }));
    const complete = this.#completeLayers(resolved.manifest.config.digest, wanted);
    if (complete !== undefined) return complete;
    return await pullLayers(wanted, {
      store: this.#store.layers,
      unpacker: this.#options.unpacker ?? (await loadUnpacker()),
      registries: resolved.registries,
      repository: this.#resolve.repository,
      source: repositoryName(this.#reference),
      policy: this.#resolve.policy,
      stop: this.#stop,
      parallel: this.#options.parallel ?? defaultParallel,
      onProgress: (event) => {
        if (event.kind === 'layer' && event.status === 'Pull complete') this.#fetchedLayers = true;
        this.#options.onProgress?.(event);
      },
    });
  }

  /** The layers of an image that is there, whole: as docker, without a word about them. */
  #completeLayers(id: Digest, wanted: readonly WantedLayer[]): ImageEntry['layers'] | undefined {
    const image = isKnown(this.#store, id) ? this.#store.resolve(id) : undefined;
    return image !== undefined && wanted.every(({ chainId }) => this.#store.layers.has(chainId))
      ? [...image.layers]
      : undefined;
  }

  #record(resolved: ResolvedManifest, entry: ImageEntry, blobs: { digest: Digest; bytes: Uint8Array }[]): PulledImage {
    const reference = this.#reference;
    const id = resolved.manifest.config.digest;
    const byDigest = withDigest(reference, resolved.topDigest);
    const references = reference.digest === undefined ? [reference, byDigest] : [byDigest];
    const before = this.#store.add({ id, entry, references, blobs }, (path) =>
      this.#warn(`images.json could not be read; it is now "${path}", and only what is pulled again has a name`),
    );
    const named = references[0] as Reference;
    const changed = before.get(formatReference(named)) !== id || this.#fetchedLayers;
    this.#options.onProgress?.({
      kind: 'end',
      digest: resolved.topDigest,
      changed,
      familiar: familiarName(named),
      canonical: formatReference(reference),
    });
    const image = this.#store.require(id);
    return Object.assign(image, { changed });
  }
}

/** A store that does not read is repaired by the pull, not by asking less of the registry. */
function isKnown(store: ImageStore, name: string): boolean {
  try {
    return store.resolve(name) !== undefined;
  } catch {
    return false;
  }
}

async function loadUnpacker(): Promise<Unpacker> {
  const { LayerWriter } = await import('./unpack/index.ts');
  return { start: (options) => LayerWriter.start(options) };
}

/**
 * Makes an image available: nothing is downloaded that is there already, damaged parts are fetched again.
 * Throws `INVALID_REFERENCE`, `NOT_FOUND`, `UNAUTHORIZED`, `RATE_LIMIT`, `NETWORK`, `REGISTRY`, `VERIFICATION`,
 * `ARCHIVE`, `NO_SPACE`, `PERMISSION`, `INTERRUPTED`.
 */
export async function pull(store: ImageStore, reference: Reference, options: PullOptions = {}): Promise<PulledImage> {
  return await new Pull(store, reference, options).run();
}
