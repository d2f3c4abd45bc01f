/**
 * The distribution protocol (OCI distribution-spec) as one address serves it: pulling here, pushing in push/target.ts on top of
 * `authorized`.
 */
import { Authenticator } from './auth.ts';
import type { Credentials } from './credentials.ts';
import { type Digest, isDigest, matchesDigest } from './digest.ts';
import { RequestError } from './errors.ts';
import { type Answer, chunks, discard, type HttpClient, type HttpRequest, header, readBody } from './http.ts';
import { parseJson } from './json.ts';
import { maxManifestBytes } from './manifest.ts';
import { acceptManifests, bareMediaType } from './media-types.ts';
import { type Endpoint, isInsecure, isLoopback, type RegistrySettings } from './mirrors.ts';
import { answerError } from './registry-errors.ts';

export interface RegistryOptions {
  endpoint: Endpoint;
  http: HttpClient;
  settings: RegistrySettings;
  /** What to answer when the registry at this host asks who we are. */
  credentials: (host: string) => Promise<Credentials | undefined>;
  signal?: AbortSignal | undefined;
  /** See `AuthenticatorOptions`: for a login. */
  onRefreshToken?: ((token: string) => void) | undefined;
}

/** A repository at a registry, and its name for messages. */
export interface Repository {
  /** `library/debian`. */
  path: string;
  /** `debian`. */
  familiar: string;
}

export interface ManifestAnswer {
  bytes: Buffer;
  /** As the registry states it, without parameters. */
  mediaType: string;
}

const tagsPerPage = 1000;
const maxTags = 100_000;

/** One address of a registry. */
export class Registry {
  readonly endpoint: Endpoint;
  readonly #options: RegistryOptions;
  readonly #authenticator: Authenticator;
  /** The address that answered; http and https are both possible for hosts that are allowed to speak either. */
  #base: URL | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.endpoint = options.endpoint;
    const { endpoint, credentials } = options;
    // A mirror gets its own credentials, never those of the registry that it mirrors.
    const host = endpoint.isMirror ? endpoint.base.host : endpoint.domain;
    this.#authenticator = new Authenticator({ ...options, credentials: () => credentials(host) });
  }

  /** How messages name it: `docker.io`, `mirror 127.0.0.1:5000`. */
  get name(): string {
    return this.endpoint.isMirror ? `mirror ${this.endpoint.base.host}` : this.endpoint.domain;
  }

  /**
   * A manifest or index by tag or digest; by digest it has been verified.
   * Throws `NOT_FOUND`, `UNAUTHORIZED`, `RATE_LIMIT`, `NETWORK`, `REGISTRY`, `VERIFICATION`.
   */
  async manifest(repository: Repository, tagOrDigest: string): Promise<ManifestAnswer> {
    const answer = await this.#pull(repository, `manifests/${tagOrDigest}`, { headers: { accept: acceptManifests } });
    const separator = isDigest(tagOrDigest) ? '@' : ':';
    const subject = `manifest for ${repository.familiar}${separator}${tagOrDigest}`;
    if (answer.status !== 200) throw await this.#error(answer, repository, subject);
    const bytes = await this.#body(answer, maxManifestBytes);
    if (isDigest(tagOrDigest) && !matchesDigest(bytes, tagOrDigest)) {
      throw new RequestError('VERIFICATION', `${this.name} sent another manifest than ${tagOrDigest}`);
    }
    return { bytes, mediaType: bareMediaType(header(answer, 'content-type')) };
  }

  /**
   * The digest that the registry says a tag has now, undefined when it does not say. It is not trusted with anything but
   * the decision whether a manifest that is known already has to be fetched again; Docker Hub does not count it as a pull.
   */
  async manifestDigest(repository: Repository, tag: string): Promise<Digest | undefined> {
    const answer = await this.#pull(repository, `manifests/${tag}`, {
      method: 'HEAD',
      headers: { accept: acceptManifests },
    });
    discard(answer);
    const digest = answer.status === 200 ? header(answer, 'docker-content-digest') : undefined;
    return digest !== undefined && isDigest(digest) ? digest : undefined;
  }

  /** The tags of a repository. Throws as `manifest` does. */
  async tags(repository: Repository): Promise<string[]> {
    const tags: string[] = [];
    for (let page: string | undefined = ''; page !== undefined && tags.length < maxTags; ) {
      const answer: Answer = await this.#pull(repository, `tags/list?n=${tagsPerPage}${page}`, {});
      if (answer.status !== 200) throw await this.#error(answer, repository, `tags of ${repository.familiar}`);
      const bytes = await this.#body(answer, maxManifestBytes);
      const source = { name: `list of tags of "${repository.familiar}"`, code: 'REGISTRY' } as const;
      tags.push(...parseJson(bytes, source).get('tags').strings(maxTags));
      const last: string | undefined = /<[^>]*[?&]last=([^&>]*)[^>]*>;\s*rel="?next"?/.exec(
        header(answer, 'link') ?? '',
      )?.[1];
      page = last === undefined ? undefined : `&last=${last}`;
    }
    return tags;
  }

  /** A small blob as a whole, verified. Throws as `manifest` does. */
  async smallBlob(repository: Repository, digest: Digest, limit: number): Promise<Buffer> {
    const answer = await this.blob(repository, digest, 0);
    const bytes = await this.#body(answer, limit);
    if (!matchesDigest(bytes, digest)) {
      throw new RequestError('VERIFICATION', `${this.name} sent something else as blob ${digest}`);
    }
    return bytes;
  }

  /**
   * A blob from byte `offset` on, unread and unverified. The status is 200 (all of it, whatever the offset), 206 (from
   * the offset on) or 416 (there is nothing there).
   */
  async blob(repository: Repository, digest: Digest, offset: number): Promise<Answer> {
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const answer = await this.#pull(repository, `blobs/${digest}`, { headers });
    if (answer.status === 200 || (offset > 0 && (answer.status === 206 || answer.status === 416))) return answer;
    throw await this.#error(answer, repository, `blob ${digest} of ${repository.familiar}`);
  }

  /**
   * Asks whether the registry lets us in (`GET /v2/`); answers with the URL that was asked, and the status. Throws `UNAUTHORIZED`
   * where the token service does not, `NETWORK`, `REGISTRY`.
   */
  async check(): Promise<{ url: URL; status: number; statusMessage: string }> {
    const answer = await this.authorized('', 'v2/', {});
    discard(answer);
    return { url: answer.url, status: answer.status, statusMessage: answer.body.statusMessage ?? '' };
  }

  /** The pieces of an answer's body. */
  chunks(answer: Answer): AsyncGenerator<Buffer, void, void> {
    return chunks(answer, this.#options.http.idleTimeout, this.#options.signal);
  }

  /** Where an answer says that something continues (`Location`). Throws `REGISTRY` where it does not say, or no place to go. */
  locationOf(answer: Answer): URL {
    const location = header(answer, 'location');
    if (location !== undefined) return this.#options.http.resolve(answer.url, location);
    throw new RequestError('REGISTRY', `${this.name}: does not say where to send the blob (no Location)`);
  }

  /** The error for an answer that was not the one asked for. */
  failure(answer: Answer, repository: Repository, action: string, access: 'pull' | 'push'): Promise<RequestError> {
    const { idleTimeout } = this.#options.http;
    return answerError(answer, { action, repository: repository.familiar, access, idle: idleTimeout });
  }

  #body(answer: Answer, limit: number): Promise<Buffer> {
    return readBody(answer, { limit, idle: this.#options.http.idleTimeout, signal: this.#options.signal });
  }

  #error(answer: Answer, repository: Repository, action: string): Promise<RequestError> {
    return this.failure(answer, repository, action, 'pull');
  }

  #pull(repository: Repository, path: string, request: HttpRequest): Promise<Answer> {
    return this.authorized(`repository:${repository.path}:pull`, `v2/${repository.path}/${path}`, request);
  }

  /**
   * A request with what the registry wants to know about us: at first nothing, then what it asks for.
   * @param scope what is to be allowed, as the token protocol writes it; several are separated by spaces
   * @param target below the registry's base, or a URL that it told; one of another host gets no credentials
   * @param body made anew for each attempt, where it can be sent only once
   */
  async authorized(
    scope: string,
    target: string | URL,
    request: HttpRequest,
    body?: () => AsyncIterable<Uint8Array>,
  ): Promise<Answer> {
    if (target instanceof URL && target.origin !== this.#base?.origin) {
      const content = body === undefined ? {} : { body: body() };
      return await this.#options.http.request(target, { ...request, ...content, signal: this.#options.signal });
    }
    const known = await this.#authenticator.known(scope);
    const send = (authorization: string | undefined): Promise<Answer> => {
      const content = body === undefined ? {} : { body: body() };
      return this.#send(target, { ...request, ...content, authorization, signal: this.#options.signal });
    };
    const answer = await send(known);
    // A token service's word counts for the registry; a CDN behind a redirect has none to answer to.
    if (answer.status !== 401 || answer.url.origin !== this.#base?.origin) return answer;
    const authorization = await this.#authenticator.answer(answer, scope, known, this.#options.signal);
    if (authorization === undefined) return answer;
    discard(answer);
    return await send(authorization);
  }

  async #send(path: string | URL, request: HttpRequest): Promise<Answer> {
    const { http } = this.#options;
    if (this.#base !== undefined) return await http.request(new URL(path, this.#base), request);
    const [first, second] = this.#candidates();
    try {
      const answer = await http.request(new URL(path, first), request);
      if (second === undefined || answer.status !== 400) {
        this.#base = first;
        return answer;
      }
      discard(answer);
    } catch (error) {
      const otherScheme =
        error instanceof RequestError && /^(HPE_|ERR_SSL|EPROTO|ECONNREFUSED|ECONNRESET)/.test(error.reason ?? '');
      if (second === undefined || !otherScheme) throw error;
      if (error.reason === 'ECONNREFUSED' && first.port !== '') throw error;
    }
    const answer = await http.request(new URL(path, second), request);
    this.#base = second;
    return answer;
  }

  /** Addresses to try: this machine's own registries mostly speak http, insecure ones either, all others https only. */
  #candidates(): [first: URL, second?: URL] {
    const { base, isMirror } = this.endpoint;
    const allowed = isLoopback(base.hostname) || isInsecure(this.#options.settings, base);
    if (isMirror || !allowed) return [base];
    const other = new URL(base);
    other.protocol = base.protocol === 'http:' ? 'https:' : 'http:';
    return [base, other];
  }
}
