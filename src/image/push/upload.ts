/**
 * One blob to a registry, in one stream if the line holds (PATCH while it is still being made, or PUT when it is whole), and
 * from where the registry says that it stands when it broke off (distribution-spec, "Pushing a blob in chunks").
 */
import { RequestError } from '../errors.ts';
import { delay, type RetryPolicy, retryDelay, withRetry } from '../retry.ts';
import type { Spool } from './spool.ts';
import type { PushTarget, UploadBody } from './target.ts';

export interface UploadOptions {
  target: PushTarget;
  policy: RetryPolicy;
  signal?: AbortSignal | undefined;
  /** An upload that has been begun already. */
  location?: URL | undefined;
  /** Bytes that are on their way or there. */
  onProgress(sent: number): void;
  /** Another attempt follows in `delay` milliseconds. */
  onRetry(error: unknown, delay: number): void;
}

/** So many further bytes make an attempt a success, even if it broke off: the count of attempts begins anew. */
const progressThatCounts = 1024 * 1024;

class BlobUpload {
  readonly #spool: Spool;
  readonly #options: UploadOptions;
  #state: { location: URL; offset: number } | undefined;

  constructor(spool: Spool, options: UploadOptions) {
    this.#spool = spool;
    this.#options = options;
    if (options.location !== undefined) this.#state = { location: options.location, offset: 0 };
  }

  async run(): Promise<void> {
    const { policy, signal, onRetry } = this.#options;
    let farthest = 0;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt();
      } catch (error) {
        const reached = this.#state?.offset ?? 0;
        if (reached - farthest >= progressThatCounts) attempt = 1;
        farthest = Math.max(farthest, reached);
        const wait = retryDelay(error, attempt, policy);
        if (wait === undefined) throw error;
        onRetry(error, wait);
        await delay(wait, signal);
        if (await this.#isThere()) return;
        await this.#lookWhere();
      }
    }
  }

  async #attempt(): Promise<void> {
    const { target } = this.#options;
    this.#state ??= await this.#begin();
    const { digest } = this.#spool;
    // One request less, where nothing has been sent yet and all of it is known.
    if (this.#state.offset === 0 && digest !== undefined) {
      await target.complete(this.#state.location, digest, this.#body(0));
      return;
    }
    while (this.#spool.digest === undefined || this.#state.offset < this.#spool.size) await this.#sendRest(this.#state);
    await target.complete(this.#state.location, this.#spool.digest, undefined);
  }

  async #begin(): Promise<{ location: URL; offset: number }> {
    const begun = await this.#options.target.begin();
    if (begun.mounted) throw new RequestError('REGISTRY', 'a blob was mounted that nobody asked for');
    return { location: begun.location, offset: 0 };
  }

  /** Everything from where the registry stands, to the end of the blob. */
  async #sendRest({ location, offset }: { location: URL; offset: number }): Promise<void> {
    const { target } = this.#options;
    const state = await target.send(location, this.#body(offset), offset);
    const { registry } = target;
    if (state === undefined) {
      const text = `${registry.name}: has another part of the blob than it said (416)`;
      throw new RequestError('REGISTRY', text, { transient: true, status: 416 });
    }
    const reached = state.offset ?? this.#spool.size;
    this.#state = { location: state.location, offset: reached };
    if (reached <= offset || reached > this.#spool.size) {
      this.#state = undefined;
      const text = `${registry.name}: has ${reached} bytes of a blob where it was sent ${this.#spool.size}`;
      throw new RequestError('REGISTRY', text, { transient: true });
    }
  }

  #body(offset: number): UploadBody {
    const { digest, size } = this.#spool;
    return { ...(digest === undefined ? {} : { length: size - offset }), pieces: () => this.#pieces(offset) };
  }

  async *#pieces(offset: number): AsyncGenerator<Buffer, void, void> {
    let sent = offset;
    for await (const piece of this.#spool.read(offset)) {
      sent += piece.length;
      this.#options.onProgress(sent);
      yield piece;
    }
  }

  /** Whether only the answer was lost. */
  async #isThere(): Promise<boolean> {
    const { digest } = this.#spool;
    if (digest === undefined || this.#state === undefined) return false;
    const { target, policy, signal } = this.#options;
    return await withRetry(() => target.hasBlob(digest), { policy, signal });
  }

  /** Finds out what the registry has of the blob; nothing where it knows of no such upload, or cannot say. */
  async #lookWhere(): Promise<void> {
    const { target } = this.#options;
    if (this.#state === undefined) return;
    const { location } = this.#state;
    this.#state = undefined;
    try {
      const state = await target.status(location);
      // More than what there is was sent by nobody.
      if (state?.offset !== undefined && state.offset <= this.#spool.size) {
        this.#state = { location: state.location, offset: state.offset };
      }
    } catch (error) {
      if (!(error instanceof RequestError) || !error.transient) throw error;
    }
  }
}

/**
 * Sends what `spool` has and gets. Resolves when the registry has stored it under its digest. Throws what the spool fails with,
 * `UNAUTHORIZED`, `RATE_LIMIT`, `NETWORK`, `REGISTRY`, `INTERRUPTED`.
 */
export async function uploadBlob(spool: Spool, options: UploadOptions): Promise<void> {
  await new BlobUpload(spool, options).run();
}
