/**
 * How a registry is told who asks: the token flow of the distribution project (spec/auth/token.md, oauth.md), basic
 * authentication (RFC 7617), or nothing. Nothing is sent before the registry asked for it.
 */
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { RequestError } from './errors.ts';
import { type Answer, discard, type HttpClient, header, readBody } from './http.ts';
import { parseJson } from './json.ts';
import { allowsPlainHttp, type RegistrySettings } from './mirrors.ts';
import { answerError } from './registry-errors.ts';

const maxTokenBytes = 1024 * 1024;
const clientId = 'tsrun';

export interface AuthenticatorOptions {
  http: HttpClient;
  settings: RegistrySettings;
  /** Asked once, when the registry wants to know. */
  credentials: () => Promise<Credentials | undefined>;
  /** Asks token services for a refresh token too, which may be kept in place of the password; told where there is one. */
  onRefreshToken?: ((token: string) => void) | undefined;
}

/** Answers one registry's challenges and remembers what it accepted. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  #credentials: Promise<Credentials | undefined> | undefined;
  /** `Authorization` by scope; requests of one scope that come at once share one token. */
  readonly #accepted = new Map<string, Promise<string>>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** The header that was right for this scope before; undefined at first. */
  async known(scope: string): Promise<string | undefined> {
    // A token that could not be had is the concern of whoever asked for it.
    return await this.#accepted.get(scope)?.catch(() => undefined);
  }

  /**
   * The `Authorization` that a 401 asks for; undefined when there is nothing to add to what was sent.
   * @param sent what the refused request carried
   */
  async answer(
    refusal: Answer,
    scope: string,
    sent: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const challenges = parseChallenges(header(refusal, 'www-authenticate'));
    // Another request may have got a new token in the meantime.
    const known = await this.known(scope);
    if (known !== undefined && known !== sent) return known;
    const authorization = this.#authorize(challenges, scope, refusal.url, signal);
    const remembered = authorization.then((value) => {
      if (value === undefined) throw new Error('nothing to send');
      return value;
    });
    remembered.catch(() => this.#accepted.delete(scope));
    this.#accepted.set(scope, remembered);
    const value = await authorization;
    return value === sent && !value?.startsWith('Bearer ') ? undefined : value;
  }

  async #authorize(
    challenges: Challenge[],
    scope: string,
    from: URL,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    this.#credentials ??= this.#options.credentials();
    const credentials = await this.#credentials;
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    if (bearer !== undefined) return `Bearer ${await this.#token(bearer, scope, from, credentials, signal)}`;
    const basic = challenges.some((challenge) => challenge.scheme === 'basic');
    return basic && credentials !== undefined && credentials.username !== ''
      ? basicAuthorization(credentials)
      : undefined;
  }

  /** The token service's URL: https, or where the registry itself is spoken to in the clear, a host that may be too. */
  #realm(challenge: Challenge, from: URL): URL {
    const text = challenge.parameters.get('realm') ?? '';
    if (!URL.canParse(text))
      throw new RequestError('REGISTRY', `${from.host}: its token service ${JSON.stringify(text)} is no URL`);
    const realm = new URL(text);
    const clear =
      realm.protocol === 'http:' && from.protocol === 'http:' && allowsPlainHttp(this.#options.settings, realm);
    if (realm.protocol !== 'https:' && !clear) {
      throw new RequestError('REGISTRY', `${from.host}: its token service ${realm.origin} is not https`, {
        hint: 'a password or token would cross the network in the clear',
      });
    }
    return realm;
  }

  async #token(
    challenge: Challenge,
    scope: string,
    from: URL,
    credentials: Credentials | undefined,
    signal?: AbortSignal,
  ): Promise<string> {
    const realm = this.#realm(challenge, from);
    const service = challenge.parameters.get('service');
    const wanted = scopesToAsk(challenge.parameters.get('scope'), scope);
    const answer =
      credentials?.identityToken === undefined
        ? await this.#getToken(realm, service, wanted, credentials, signal)
        : await this.#postToken(realm, service, wanted, credentials.identityToken, signal);
    if (answer.status !== 200)
      throw await answerError(answer, { action: `no token from ${realm.host}`, idle: this.#options.http.idleTimeout });
    const body = await readBody(answer, { limit: maxTokenBytes, idle: this.#options.http.idleTimeout, signal });
    const json = parseJson(body, { name: `the token service ${realm.host}`, code: 'REGISTRY' });
    const token = json.get('token').optionalString() ?? json.get('access_token').optionalString() ?? '';
    const refreshToken = json.get('refresh_token').optionalString() ?? '';
    if (refreshToken !== '') this.#options.onRefreshToken?.(refreshToken);
    if (!/^[\x21-\x7e]+$/.test(token)) throw json.fail('has neither "token" nor "access_token"');
    return token;
  }

  #getToken(
    realm: URL,
    service: string | undefined,
    scope: string,
    credentials: Credentials | undefined,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    // Several scopes come in one parameter, separated by spaces, and go in as many.
    for (const one of scope.split(' ')) if (one !== '') url.searchParams.append('scope', one);
    url.searchParams.set('client_id', clientId);
    if (this.#options.onRefreshToken !== undefined) url.searchParams.set('offline_token', 'true');
    const named = credentials !== undefined && credentials.username !== '';
    if (named) url.searchParams.set('account', credentials.username);
    const authorization = named ? basicAuthorization(credentials) : undefined;
    return this.#options.http.request(url, { authorization, signal });
  }

  async #postToken(
    realm: URL,
    service: string | undefined,
    scope: string,
    refreshToken: string,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: clientId,
      scope,
    });
    if (service !== undefined) form.set('service', service);
    const answer = await this.#options.http.request(realm, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
      signal,
    });
    // Token services older than OAuth 2 take the refresh token as a password.
    if (answer.status !== 404 && answer.status !== 405) return answer;
    discard(answer);
    return await this.#getToken(realm, service, scope, { username: '<token>', password: refreshToken }, signal);
  }
}

function basicAuthorization(credentials: Credentials): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}

/**
 * What a token shall allow. The registry knows what the refused request needs; who pushes asks for all that comes after it too,
 * or a push of many parts would get a new token at each turn.
 */
export function scopesToAsk(challenged: string | undefined, wanted: string): string {
  if (challenged === undefined || challenged === '') return wanted;
  if (!/:(?:[^ ]*,)?push(?:,|$| )/.test(wanted)) return challenged;
  const actions = new Map<string, Set<string>>();
  for (const scope of `${wanted} ${challenged}`.split(' ')) {
    const colon = scope.lastIndexOf(':');
    if (colon === -1) continue;
    const resource = scope.slice(0, colon);
    const known = actions.get(resource) ?? new Set<string>();
    for (const action of scope.slice(colon + 1).split(',')) known.add(action);
    actions.set(resource, known);
  }
  return [...actions].map(([resource, known]) => `${resource}:${[...known].join(',')}`).join(' ');
}
