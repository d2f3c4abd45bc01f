/**
 * Names of images as docker reads them: `[domain/]path[:tag][@digest]`, with docker.io, library/ and latest filled in
 * (the grammar of github.com/distribution/reference; the texts of errors are docker's).
 */
import { TsrunError } from '../error.ts';
import { type Digest, digestProblem, isDigest } from './digest.ts';

export interface Reference {
  /** Host and port of the registry: `docker.io`, `localhost:5000`. */
  domain: string;
  /** `library/debian`. */
  path: string;
  /** `latest` where neither a tag nor a digest was given. */
  tag?: string;
  digest?: Digest;
}

export const defaultDomain = 'docker.io';
const legacyDefaultDomain = 'index.docker.io';
const officialPrefix = 'library/';
const defaultTag = 'latest';
const maxPathLength = 255;

const component = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domainPattern = new RegExp(`^(?:${component}(?:\\.${component})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const pathPattern = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`);
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

function invalid(text: string, message: string): TsrunError {
  return new TsrunError('INVALID_REFERENCE', message, {
    hint: `${JSON.stringify(text)} must read [HOST[:PORT]/]NAME[:TAG][@DIGEST], for example debian:12`,
  });
}

/** Domain and rest: a first component is a host only if it has a dot, a colon or a capital, or is `localhost`. */
function splitDomain(name: string): [domain: string, rest: string] {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first;
  let domain = isHost ? first : defaultDomain;
  let rest = isHost ? name.slice(slash + 1) : name;
  if (domain === legacyDefaultDomain) domain = defaultDomain;
  if (domain === defaultDomain && !rest.includes('/')) rest = officialPrefix + rest;
  return [domain, rest];
}

/**
 * Reads what a user typed. `debian` becomes docker.io/library/debian:latest.
 * Throws `INVALID_REFERENCE` with docker's text.
 */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(text, `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const [domain, rest] = splitDomain(text);
  const colon = rest.indexOf(':');
  const beforeTag = colon === -1 ? rest : rest.slice(0, colon);
  if (beforeTag.toLowerCase() !== beforeTag) {
    throw invalid(text, 'invalid reference format: repository name must be lowercase');
  }

  const at = rest.indexOf('@');
  const named = at === -1 ? rest : rest.slice(0, at);
  const digest = at === -1 ? undefined : rest.slice(at + 1);
  const tagColon = named.indexOf(':');
  const path = tagColon === -1 ? named : named.slice(0, tagColon);
  const tag = tagColon === -1 ? undefined : named.slice(tagColon + 1);

  const wellFormed =
    domainPattern.test(domain) &&
    pathPattern.test(path) &&
    (tag === undefined || tagPattern.test(tag)) &&
    (digest === undefined || digestPattern.test(digest));
  if (!wellFormed) throw invalid(text, 'invalid reference format');
  if (path.length > maxPathLength) {
    throw invalid(text, `repository name must not be more than ${maxPathLength} characters`);
  }
  const reference: Reference = { domain, path };
  if (tag !== undefined) reference.tag = tag;
  if (digest !== undefined) {
    if (!isDigest(digest)) throw invalid(text, digestProblem(digest) ?? 'invalid reference format');
    reference.digest = digest;
  }
  if (tag === undefined && digest === undefined) reference.tag = defaultTag;
  return reference;
}

/** `docker.io/library/debian`. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The repository as people write it: `debian`, `foo/bar`, `localhost:5000/debian`. */
export function familiarRepository(reference: Reference): string {
  if (reference.domain !== defaultDomain) return repositoryName(reference);
  const { path } = reference;
  // Without its host it would be read as one on another.
  const [first = ''] = path.split('/');
  if (path !== first && (first.includes('.') || first === 'localhost')) return repositoryName(reference);
  const official = path.startsWith(officialPrefix) && !path.slice(officialPrefix.length).includes('/');
  return official ? path.slice(officialPrefix.length) : path;
}

function suffix(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}

/** As docker prints it: `debian:latest`, `debian@sha256:…`. */
export function familiarName(reference: Reference): string {
  return familiarRepository(reference) + suffix(reference);
}

/** In full: `docker.io/library/debian:latest`. */
export function formatReference(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

/** The same repository by digest only: how an image that was pulled by its digest is recorded. */
export function withDigest(reference: Reference, digest: Digest): Reference {
  return { domain: reference.domain, path: reference.path, digest };
}

/** Whether a name as it was typed has a tag or a digest. */
export function hasTagOrDigest(text: string): boolean {
  return text.includes('@') || /:[^/]*$/.test(text);
}
