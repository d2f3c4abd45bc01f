/**
 * One blob from the addresses that have it, as a stream that survives broken connections: what arrived stays, the rest
 * is asked for by Range (RFC 9110, 14.2), from the same address or the next one. Length and digest are those of the
 * descriptor or it is an error, whatever the registry's headers say.
 */
import { TsrunError } from '../error.ts';
import { Digester, digestAlgorithm } from './digest.ts';
import { RequestError } from './errors.ts';
import { type Answer, discard, header } from './http.ts';
import type { Descriptor } from './manifest.ts';
import type { Registry, Repository } from './registry.ts';
import { delay, type RetryPolicy, retryDelay } from './retry.ts';

export interface BlobRequest {
  /** In the order in which they are tried. */
  registries: readonly Registry[];
  repository: Repository;
  descriptor: Descriptor;
  policy: RetryPolicy;
  signal?: AbortSignal | undefined;
  /** Takes the bytes; what it throws ends the download. The memory is its own from then on. */
  sink: (chunk: Buffer) => Promise<void>;
  /** Bytes so far. */
  onProgress: (received: number) => void;
  /** Another attempt follows in `delay` milliseconds. */
  onRetry: (error: unknown, delay: number) => void;
}

/** So many further bytes make an attempt a success, even if it broke off: the count of attempts begins anew. */
const progressThatCounts = 1024 * 1024;

class BlobDownload {
  readonly #request: BlobRequest;
  readonly #digester: Digester;
  #received = 0;
  /** The server answers a Range with something else than the rest: ask for everything and skip. */
  #rangeless = false;

  constructor(request: BlobRequest) {
    this.#request = request;
    this.#digester = new Digester(digestAlgorithm(request.descriptor.digest));
  }

  async run(): Promise<void> {
    const { registries, descriptor } = this.#request;
    let failure: unknown = new TsrunError('REGISTRY', `no registry to get ${descriptor.digest} from`);
    for (const [index, registry] of registries.entries()) {
      try {
        this.#rangeless = false;
        await this.#from(registry);
        break;
      } catch (error) {
        const another = error instanceof RequestError && index < registries.length - 1;
        if (!another) throw error;
        failure = error;
      }
    }
    const { size } = descriptor;
    if (this.#received !== size) throw failure;
    const actual = this.#digester.digest();
    if (actual !== descriptor.digest) {
      throw new TsrunError('VERIFICATION', `blob ${descriptor.digest} was received with the digest ${actual}`, {
        hint: 'it was damaged or changed on the way or in the registry; pull again, or from another registry or mirror',
      });
    }
  }

  /** All that is missing, from one address. */
  async #from(registry: Registry): Promise<void> {
    const { descriptor, policy, signal, onRetry } = this.#request;
    let attempt = 1;
    while (this.#received < descriptor.size || attempt === 1) {
      const before = this.#received;
      try {
        await this.#attempt(registry);
        if (this.#received === descriptor.size) return;
        throw new RequestError('REGISTRY', `${registry.name}: ended blob ${descriptor.digest} early`, {
          transient: true,
        });
      } catch (error) {
        if (this.#received - before >= progressThatCounts) attempt = 1;
        const wait = retryDelay(error, attempt, policy);
        if (wait === undefined) throw error;
        onRetry(error, wait);
        await delay(wait, signal);
        attempt++;
      }
    }
  }

  async #attempt(registry: Registry): Promise<void> {
    const { repository, descriptor } = this.#request;
    const offset = this.#rangeless ? 0 : this.#received;
    const answer = await registry.blob(repository, descriptor.digest, offset);
    const start = this.#startOf(registry, answer, offset);
    if (start === undefined) {
      discard(answer);
      this.#rangeless = true;
      return await this.#attempt(registry);
    }
    await this.#take(registry, answer, this.#received - start);
  }

  /** The byte at which an answer begins; undefined when it is not what was asked for and a request without Range may be. */
  #startOf(registry: Registry, answer: Answer, offset: number): number | undefined {
    const { digest, size } = this.#request.descriptor;
    if (answer.status === 416) return undefined;
    if (answer.status === 206) {
      const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header(answer, 'content-range') ?? '');
      if (range === null || Number(range[1]) !== offset || (range[3] !== '*' && Number(range[3]) !== size))
        return undefined;
      return offset;
    }
    const announced = header(answer, 'content-length');
    if (announced !== undefined && Number(announced) !== size) {
      discard(answer);
      throw new RequestError(
        'VERIFICATION',
        `${registry.name}: announces ${announced} bytes for blob ${digest}, which has ${size}`,
      );
    }
    return 0;
  }

  /** Passes a body on, without the first `skip` bytes, which came before. */
  async #take(registry: Registry, answer: Answer, skip: number): Promise<void> {
    const { descriptor, sink, onProgress } = this.#request;
    let toSkip = skip;
    for await (const chunk of registry.chunks(answer)) {
      let fresh = chunk;
      if (toSkip > 0) {
        fresh = chunk.subarray(toSkip);
        toSkip -= chunk.length - fresh.length;
        if (fresh.length === 0) continue;
      }
      if (this.#received + fresh.length > descriptor.size) {
        const text = `${registry.name}: sends more than the ${descriptor.size} bytes of blob ${descriptor.digest}`;
        throw new RequestError('VERIFICATION', text);
      }
      this.#digester.update(fresh);
      this.#received += fresh.length;
      onProgress(this.#received);
      await sink(fresh);
    }
  }
}

/**
 * Streams a blob into `request.sink`. Returns when all of it has passed and its digest is right.
 * Throws `VERIFICATION`, the registry's last error, or what the sink throws.
 */
export async function downloadBlob(request: BlobRequest): Promise<void> {
  await new BlobDownload(request).run();
}
