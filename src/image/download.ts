/** A file by its http(s) URL: for `import` and for ADD of a Dockerfile. Redirects are followed, but never from https to http. */
import { TsrunError } from '../error.ts';
import { RequestError } from './errors.ts';
import { chunks, discard, HttpClient, header } from './http.ts';
import { loadRegistrySettings } from './mirrors.ts';

/** An answer that is there and has not been read. */
export interface Download {
  /** Seconds since 1970, of the header Last-Modified; undefined where it says nothing. */
  lastModified: number | undefined;
  /** What the server calls this content; undefined where it has no name for it. */
  etag: string | undefined;
  /** It still is what the caller has: there is nothing to read. */
  unchanged: boolean;
  /** Hands the file over. Throws `NETWORK` where the connection breaks. */
  read(write: (chunk: Buffer) => Promise<void> | void): Promise<void>;
  close(): void;
}

/**
 * Asks for it, unless it still is what was called `etag`. Throws `USAGE` for what is no URL, `NETWORK` for no answer and for
 * one that is not 200.
 */
export async function openDownload(source: string, signal: AbortSignal, etag?: string): Promise<Download> {
  if (!URL.canParse(source)) throw new TsrunError('USAGE', `${JSON.stringify(source)} is no URL`);
  const http = new HttpClient(loadRegistrySettings());
  try {
    const url = new URL(source);
    const answer = await http.request(url, {
      signal,
      clear: 'followed',
      authorization: authorizationOf(url),
      ...(etag === undefined ? {} : { headers: { 'if-none-match': etag } }),
    });
    const unchanged = etag !== undefined && answer.status === 304;
    if (answer.status !== 200 && !unchanged) {
      discard(answer);
      const text = `Get ${JSON.stringify(source)}: ${answer.status} ${answer.body.statusMessage ?? ''}`.trimEnd();
      throw new RequestError('NETWORK', text, {
        hint: 'check the address',
        status: answer.status,
        transient: answer.status >= 500,
      });
    }
    const modified = Date.parse(header(answer, 'last-modified') ?? '');
    if (unchanged) discard(answer);
    return {
      unchanged,
      etag: header(answer, 'etag') || undefined,
      lastModified: Number.isFinite(modified) && modified > 0 ? Math.floor(modified / 1000) : undefined,
      async read(write) {
        let length = 0;
        for await (const chunk of chunks(answer, http.idleTimeout, signal)) {
          length += chunk.length;
          await write(chunk);
        }
        const announced = Number(header(answer, 'content-length') ?? length);
        if (length === announced) return;
        const text = `Get ${JSON.stringify(source)}: ${length} of ${announced} bytes came`;
        throw new RequestError('NETWORK', text, { transient: true });
      },
      close: () => http.close(),
    };
  } catch (error) {
    http.close();
    throw error;
  }
}

/** A part of a URL; what is wrongly encoded stands for itself. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Basic authentication (RFC 7617), where the URL has a name and a password. */
function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '') return undefined;
  const pair = [username, password].map(decoded).join(':');
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}
