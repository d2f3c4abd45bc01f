/** The push side of the distribution protocol (OCI distribution-spec, "Push"): one repository at the address that serves it. */
import { type Digest, digestOf } from '../digest.ts';
import { RequestError } from '../errors.ts';
import { type Answer, discard, header } from '../http.ts';
import type { Registry, Repository } from '../registry.ts';

/** What an attempt to begin an upload comes to. */
export type BegunUpload =
  /** The registry took the blob from another repository of its own. */
  | { mounted: true }
  /** Where to send it. */
  | { mounted: false; location: URL };

/** How far an upload is. */
export interface UploadState {
  location: URL;
  /** Bytes that the registry has; undefined where it does not say. */
  offset: number | undefined;
}

/** Bytes of a blob, as often as they are asked for. */
export interface UploadBody {
  /** Absent where the end is not known yet. */
  length?: number;
  pieces(): AsyncIterable<Uint8Array>;
}

const octets = 'application/octet-stream';

/** Whether a status says nothing about the thing that was asked for: who asks may not, or the registry cannot. */
function isNoAnswer(status: number): boolean {
  return status === 401 || status === 403 || status === 429 || status >= 500;
}

export class PushTarget {
  constructor(
    readonly registry: Registry,
    readonly repository: Repository,
  ) {}

  get #scope(): string {
    return `repository:${this.repository.path}:pull,push`;
  }

  #at(path: string): string {
    return `v2/${this.repository.path}/${path}`;
  }

  #failure(answer: Answer, action: string): Promise<RequestError> {
    return this.registry.failure(answer, this.repository, action, 'push');
  }

  /** As `#failure`; an upload that the registry has forgotten can be begun again. */
  async #uploadFailure(answer: Answer, action: string): Promise<RequestError> {
    const error = await this.#failure(answer, action);
    if (answer.status !== 404) return error;
    const text = `${this.registry.name}: has forgotten an upload that was under way`;
    return new RequestError('REGISTRY', text, { transient: true, status: 404, cause: error });
  }

  /** Whether the repository has the blob. Throws `UNAUTHORIZED`, `RATE_LIMIT`, `NETWORK`, `REGISTRY`. */
  async hasBlob(digest: Digest): Promise<boolean> {
    const answer = await this.registry.authorized(this.#scope, this.#at(`blobs/${digest}`), { method: 'HEAD' });
    if (isNoAnswer(answer.status)) {
      throw await this.#failure(answer, `looking for blob ${digest}`);
    }
    discard(answer);
    return answer.status === 200;
  }

  /** Begins an upload, or has the blob mounted where `mount` names a repository (`library/debian`) that may have it. */
  async begin(mount?: { digest: Digest; from: string }): Promise<BegunUpload> {
    const scope = mount === undefined ? this.#scope : `${this.#scope} repository:${mount.from}:pull`;
    const query = mount === undefined ? '' : `?mount=${mount.digest}&from=${encodeURIComponent(mount.from)}`;
    const answer = await this.registry.authorized(scope, `${this.#at('blobs/uploads/')}${query}`, {
      method: 'POST',
      headers: { 'content-length': '0' },
    });
    if (answer.status === 201 && mount !== undefined) {
      discard(answer);
      return { mounted: true };
    }
    if (answer.status !== 202) throw await this.#failure(answer, 'beginning an upload');
    const location = this.registry.locationOf(answer);
    discard(answer);
    return { mounted: false, location };
  }

  /** Sends bytes from `offset` on. Status 416 means that the registry has other bytes than that; `undefined` then. */
  async send(location: URL, body: UploadBody, offset: number): Promise<UploadState | undefined> {
    const { length } = body;
    const answer = await this.registry.authorized(
      this.#scope,
      location,
      {
        method: 'PATCH',
        headers: {
          'content-type': octets,
          ...(length === undefined ? {} : { 'content-length': String(length) }),
          // Without a length nothing can be said; a registry takes what comes for the continuation then.
          ...(length === undefined || length === 0 ? {} : { 'content-range': `${offset}-${offset + length - 1}` }),
        },
      },
      () => body.pieces(),
    );
    if (answer.status === 416) {
      discard(answer);
      return undefined;
    }
    if (answer.status !== 202) throw await this.#uploadFailure(answer, 'sending a blob');
    return this.#state(answer);
  }

  /** Asks how far an upload is; undefined where the registry knows of none (any more). */
  async status(location: URL): Promise<UploadState | undefined> {
    const answer = await this.registry.authorized(this.#scope, location, { method: 'GET' });
    if (isNoAnswer(answer.status)) {
      throw await this.#failure(answer, 'asking how far an upload is');
    }
    if (answer.status !== 204 && answer.status !== 202 && answer.status !== 200) {
      discard(answer);
      return undefined;
    }
    return this.#state(answer, location);
  }

  #state(answer: Answer, before?: URL): UploadState {
    const stays = before !== undefined && header(answer, 'location') === undefined;
    const location = stays ? before : this.registry.locationOf(answer);
    discard(answer);
    return { location, offset: rangeEnd(header(answer, 'range')) };
  }

  /**
   * Ends an upload: what was sent so far, and `body` behind it, is the blob with that digest. Throws a transient error for an
   * upload that the registry does not know (any more).
   */
  async complete(location: URL, digest: Digest, body?: UploadBody): Promise<void> {
    const target = new URL(location);
    // As text: what is there may be signed.
    target.search += `${target.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
    const length = body?.length ?? 0;
    const headers = { 'content-length': String(length), ...(body === undefined ? {} : { 'content-type': octets }) };
    const answer = await this.registry.authorized(
      this.#scope,
      target,
      { method: 'PUT', headers },
      body === undefined ? undefined : () => body.pieces(),
    );
    if (answer.status !== 201 && answer.status !== 204) {
      throw await this.#uploadFailure(answer, `storing blob ${digest}`);
    }
    discard(answer);
  }

  /**
   * Stores a manifest or index under a tag or its digest. Throws `REGISTRY` with the status where the registry refuses it, and
   * `VERIFICATION` where it has stored something else.
   */
  async putManifest(tagOrDigest: string, mediaType: string, bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes);
    const answer = await this.registry.authorized(this.#scope, this.#at(`manifests/${tagOrDigest}`), {
      method: 'PUT',
      headers: { 'content-type': mediaType, 'content-length': String(bytes.length) },
      body: bytes,
    });
    if (answer.status !== 201) throw await this.#failure(answer, `storing the manifest ${tagOrDigest}`);
    discard(answer);
    const stored = header(answer, 'docker-content-digest');
    if (stored !== undefined && stored !== digest) {
      throw new RequestError('VERIFICATION', `${this.registry.name} stored ${stored} where it was sent ${digest}`);
    }
    return digest;
  }
}

/** `0-99` are 100 bytes. `0-0` is what most say for none. */
function rangeEnd(range: string | undefined): number | undefined {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(range?.trim() ?? '')?.[1];
  if (last === undefined) return undefined;
  return last === '0' ? 0 : Number(last) + 1;
}
