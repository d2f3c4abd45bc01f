/** A registry's answer that is not the one asked for, told as an error (distribution-spec, "Error Codes"). */
import type { ErrorCode } from '../error.ts';
import { RequestError } from './errors.ts';
import { type Answer, header, readBody } from './http.ts';
import { Json } from './json.ts';

const maxErrorBytes = 65_536;
const maxErrorText = 300;

export interface AnswerContext {
  /** What failed, as the beginning of the message: `manifest for debian:13`. */
  action: string;
  /** The repository as people write it, where the request was for one. */
  repository?: string;
  /** What was to be done there; pulled from it if left out. */
  access?: 'pull' | 'push';
  /** Milliseconds without a byte after which the body of the error is given up. */
  idle: number;
}

/** Registries' messages end up on terminals: one line, no control characters, not too long. */
function printable(text: string): string {
  return text
    .replace(/[\s\x00-\x1f\x7f-\x9f]+/g, ' ')
    .trim()
    .slice(0, maxErrorText);
}

/** `{"errors": [{"code": "DENIED", "message": …}]}` -> `denied: …`, as docker prints it; empty for anything else. */
function registryText(body: string): string {
  try {
    const json = new Json(JSON.parse(body), { name: 'error', code: 'REGISTRY' });
    const texts = json
      .get('errors')
      .array(20)
      .map((error) => {
        const code = (error.get('code').optionalString() ?? 'unknown').toLowerCase().replaceAll('_', ' ');
        return `${code}: ${error.get('message').optionalString() ?? ''}`;
      });
    return printable(texts.join(', ') || (json.get('details').optionalString() ?? ''));
  } catch {
    // HTML of a proxy, or nothing
    return '';
  }
}

/** Retry-After (RFC 9110, 10.2.3) in milliseconds: seconds or a date. */
export function parseRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const date = /^\s*[A-Za-z]{3}/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** `100;w=21600` -> `100 per 6 h`. */
function describeLimit(value: string): string {
  const match = /^(\d+)(?:;w=(\d+))?$/.exec(value);
  if (match === null) return printable(value);
  const seconds = Number(match[2] ?? 0);
  if (seconds === 0) return match[1] as string;
  return `${match[1]} per ${seconds % 3600 === 0 ? `${seconds / 3600} h` : `${seconds} s`}`;
}

/** What the rate-limit headers of Docker Hub and others say. */
function rateLimit(answer: Answer): string {
  const parts: string[] = [];
  const limit = header(answer, 'ratelimit-limit');
  const remaining = header(answer, 'ratelimit-remaining');
  const source = header(answer, 'docker-ratelimit-source');
  const after = header(answer, 'retry-after');
  if (limit !== undefined) parts.push(`limit ${describeLimit(limit)}`);
  if (remaining !== undefined) parts.push(`${describeLimit(remaining).replace(/ per .*/, '')} remaining`);
  if (source !== undefined) parts.push(`counted for ${printable(source)}`);
  if (after !== undefined) parts.push(`try again after ${printable(after)}${/^\d+$/.test(after) ? ' s' : ''}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

interface Meaning {
  code: ErrorCode;
  message: string;
  hint?: string;
  transient?: boolean;
}

/** Docker's words for a push without the right to it, where the registry has none of its own. */
const pushDenied = 'denied: requested access to the resource is denied';

function meaningOf(answer: Answer, context: AnswerContext, text: string): Meaning {
  const { status, url } = answer;
  const said = text === '' ? '' : `: ${text}`;
  const { action, repository } = context;
  if (context.access === 'push' && (status === 401 || status === 403)) {
    return {
      code: 'UNAUTHORIZED',
      message: `push access denied for ${repository}: ${text || pushDenied}`,
      hint: `log in with an account that may push there: tsrun login ${url.host}`,
    };
  }
  switch (status) {
    case 401:
      return {
        code: 'UNAUTHORIZED',
        message:
          repository === undefined
            ? `${action}: ${url.host} refuses the credentials${said}`
            : `pull access denied for ${repository}, repository does not exist or may require a login${said}`,
        hint: `check the name; for a private repository log in: tsrun login, or docker login`,
      };
    case 403:
      return {
        code: 'UNAUTHORIZED',
        message: `${action}: ${url.host} forbids it (403)${said}`,
        hint: 'the credentials in ~/.docker/config.json, if any, have no right to it',
      };
    case 404:
    case 410:
      return { code: 'NOT_FOUND', message: `${action} not found${said}`, hint: 'check the name and the tag' };
    case 429:
      return {
        code: 'RATE_LIMIT',
        message: `${action}: ${url.host} says too many requests (429)${said}${rateLimit(answer)}`,
        hint: 'wait, log in for a higher limit, or name a mirror in TSRUN_MIRRORS',
        transient: header(answer, 'retry-after') !== undefined,
      };
    default:
      return {
        code: 'REGISTRY',
        message: `${action}: ${url.host} answers ${status} ${printable(answer.body.statusMessage ?? '')}${said}`,
        transient: status === 408 || status === 425 || (status >= 500 && status !== 501 && status !== 505),
      };
  }
}

/** The error for an answer whose status is not the expected one; reads its body. */
export async function answerError(answer: Answer, context: AnswerContext): Promise<RequestError> {
  let text = '';
  try {
    text = registryText((await readBody(answer, { limit: maxErrorBytes, idle: context.idle })).toString('utf8'));
  } catch {
    // The status alone has to say it.
  }
  const { code, message, ...rest } = meaningOf(answer, context, text);
  return new RequestError(code, message, {
    ...rest,
    status: answer.status,
    retryAfter: parseRetryAfter(header(answer, 'retry-after')),
  });
}
