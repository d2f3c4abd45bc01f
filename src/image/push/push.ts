/** `push`: from an image of the store to a registry, in the phases layers, config, manifest, record. */
import { messageOf, TsrunError } from '../../error.ts';
import { stepAsync } from '../../trace.ts';
import { type Credentials, credentialsFor } from '../credentials.ts';
import { type Digest, digestOf, matchesDigest } from '../digest.ts';
import { RequestError, storeError, throwIfInterrupted } from '../errors.ts';
import type { PushListener } from '../events.ts';
import { HttpClient, type Timeouts } from '../http.ts';
import type { Descriptor } from '../manifest.ts';
import { loadRegistrySettings, type RegistrySettings, registryEndpoint } from '../mirrors.ts';
import { familiarRepository, type Reference, repositoryName, withDigest } from '../reference.ts';
import { Registry } from '../registry.ts';
import { defaultRetryPolicy, type RetryPolicy, withRetry } from '../retry.ts';
import { Slots } from '../slots.ts';
import type { ImageStore, StoredImage } from '../store.ts';
import { Compressors } from './compressors.ts';
import { LayerPush, type LayerPushOptions } from './layer-push.ts';
import { gzipLayerType, inDockerForm, manifestWith, type PushedManifest } from './manifest.ts';
import { Spool } from './spool.ts';
import { PushTarget } from './target.ts';
import { uploadBlob } from './upload.ts';

export interface PushOptions {
  onProgress?: PushListener;
  /** Ends the push; blobs that are complete stay in the registry. */
  signal?: AbortSignal;
  /** Insecure hosts; by default those of the settings files. Mirrors are for pulling only. */
  settings?: RegistrySettings;
  /** By default from docker's configuration. */
  credentials?: (host: string) => Promise<Credentials | undefined>;
  retry?: RetryPolicy;
  timeouts?: Timeouts;
  /** Uploads at one time. */
  parallel?: number;
  /** Where certificates are, instead of certs.d. */
  certificates?: string | undefined;
}

export interface PushedImage {
  /** Of the manifest. */
  digest: Digest;
  /** Bytes of the manifest. */
  size: number;
  mediaType: string;
}

/** docker's number. */
const defaultParallel = 5;

/** A session with one repository: several images may be pushed in it. */
export class Push {
  readonly target: PushTarget;
  readonly #store: ImageStore;
  readonly #repository: Reference;
  readonly #options: PushOptions;
  readonly #stop = new AbortController();
  readonly #http: HttpClient;
  readonly #policy: RetryPolicy;
  readonly #slots: Slots;
  readonly #compressors = new Compressors();

  /** `repository`: its tag does not matter. */
  constructor(store: ImageStore, repository: Reference, options: PushOptions = {}) {
    this.#store = store;
    this.#repository = repository;
    this.#options = options;
    this.#policy = options.retry ?? defaultRetryPolicy;
    this.#slots = new Slots(options.parallel ?? defaultParallel);
    const settings = options.settings ?? loadRegistrySettings();
    this.#http = new HttpClient(settings, options.timeouts, options.certificates);
    const registry = new Registry({
      endpoint: registryEndpoint(repository.domain),
      http: this.#http,
      settings,
      credentials: (host) => this.#credentials(host),
      signal: this.#stop.signal,
    });
    this.target = new PushTarget(registry, { path: repository.path, familiar: familiarRepository(repository) });
  }

  /** What cannot be read may not be needed; what is needed the registry says. */
  async #credentials(host: string): Promise<Credentials | undefined> {
    try {
      return await (this.#options.credentials ?? credentialsFor)(host);
    } catch (error) {
      const text = `${messageOf(error)}; trying without credentials`;
      this.#options.onProgress?.({ kind: 'warning', text });
      return undefined;
    }
  }

  retrying<T>(action: () => Promise<T>): Promise<T> {
    return withRetry(action, { policy: this.#policy, signal: this.#stop.signal });
  }

  /** Runs `action` while a signal is heeded, no layer may go, and connections are kept. */
  async run<T>(action: () => Promise<T>): Promise<T> {
    const { signal } = this.#options;
    const abort = (): void => this.#stop.abort();
    throwIfInterrupted(signal);
    signal?.addEventListener('abort', abort, { once: true });
    let hold: { release(): void } | undefined;
    try {
      hold = this.#store.hold();
      return await action();
    } finally {
      hold?.release();
      signal?.removeEventListener('abort', abort);
      this.#http.close();
      this.#compressors.close();
    }
  }

  /** Pushes one image under a tag of the repository. Called within `run`. */
  async image(image: StoredImage, tag: string): Promise<PushedImage> {
    const manifest = this.#store.readBlob(image.manifestDigest);
    if (manifest === undefined) {
      throw new TsrunError('CORRUPT', `the manifest ${image.manifestDigest} of the image is missing or damaged`, {
        hint: 'pull or load the image again',
      });
    }
    this.#store.checkLayers(image);
    const layers = await this.#layers(image, gzipLayerType(manifestWith(manifest, image.layers).mediaType));
    await this.smallBlob(this.#store.configBytes(image.id, image.references[0]), image.id);
    const pushed = manifestWith(manifest, layers);
    const stored = await this.#putManifest(pushed, tag);
    const digest = digestOf(stored.bytes);
    this.#record(image, stored, digest);
    this.#options.onProgress?.({ kind: 'pushed', tag, digest, size: stored.bytes.length });
    return { digest, size: stored.bytes.length, mediaType: stored.mediaType };
  }

  async #layers(image: StoredImage, mediaType: string): Promise<Descriptor[]> {
    const options: LayerPushOptions = {
      store: this.#store.layers,
      directory: this.#store.root,
      target: this.target,
      domain: this.#repository.domain,
      repository: repositoryName(this.#repository),
      mediaType,
      policy: this.#policy,
      stop: this.#stop,
      slots: this.#slots,
      compressors: this.#compressors,
      onProgress: (event) => this.#options.onProgress?.(event),
    };
    const pushes = image.layers.map((layer, index) => ({ layer, push: new LayerPush(layer, index, options) }));
    // The highest comes first, as in docker: what changes most often.
    for (const { push } of pushes.toReversed()) push.report('Preparing');
    const byArchive = new Map<Digest, Promise<Descriptor>>();
    let failure: { error: unknown } | undefined;
    const running = pushes.map(({ layer, push }) => {
      const shell = `tar -c -C layers/${layer.chainId}/fs . | gzip | curl -T - https://REGISTRY/v2/${this.target.repository.path}/blobs/uploads/…`;
      const title = `layer ${layer.diffId.slice(7, 19)}`;
      const info = { phase: 'image', title, why: 'a registry keeps each part of an image once', shell } as const;
      const result = stepAsync(info, () => push.run(byArchive.get(layer.diffId)));
      if (!byArchive.has(layer.diffId)) byArchive.set(layer.diffId, result);
      result.catch((error) => {
        failure ??= { error };
        this.#stop.abort();
      });
      return result;
    });
    await Promise.allSettled(running);
    if (failure !== undefined) throw storeError(failure.error, `cannot push from "${this.#store.root}"`);
    return await Promise.all(running);
  }

  /** A blob that is small enough for the memory: a config. */
  async smallBlob(bytes: Buffer, digest: Digest): Promise<void> {
    if (!matchesDigest(bytes, digest)) throw new TsrunError('CORRUPT', `blob ${digest} is not what its name says`);
    if (await this.retrying(() => this.target.hasBlob(digest))) return;
    const spool = new Spool(this.#store.root);
    try {
      spool.append(bytes);
      spool.finish();
      const { signal } = this.#stop;
      const options = { target: this.target, policy: this.#policy, signal, onProgress: () => {}, onRetry: () => {} };
      await uploadBlob(spool, options);
    } finally {
      spool.close();
    }
  }

  /** Registries that know Docker's manifests only refuse others. */
  async #putManifest(manifest: PushedManifest, tag: string): Promise<PushedManifest> {
    const put = async (one: PushedManifest): Promise<PushedManifest> => {
      await this.retrying(() => this.target.putManifest(tag, one.mediaType, one.bytes));
      return one;
    };
    try {
      return await put(manifest);
    } catch (error) {
      const refused = error instanceof RequestError && [400, 406, 415, 422].includes(error.status ?? 0);
      const other = refused ? inDockerForm(manifest) : undefined;
      if (other === undefined) throw error;
      // What the first was refused for may be something else: then that is what people must hear.
      return await put(other).catch(() => Promise.reject(error));
    }
  }

  /** The image is known by the digest that it has in the registry too, as after a pull. */
  #record(image: StoredImage, { bytes }: PushedManifest, digest: Digest): void {
    this.#store.addDigest(image.id, withDigest(this.#repository, digest), { digest, bytes });
  }
}
