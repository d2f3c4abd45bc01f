/**
 * ADD of a URL (Dockerfile reference, "ADD"): the file is fetched, has mode 0600, belongs to root, and is as old as the server
 * says. What it is called depends on the URL alone.
 */
import { closeSync, futimesSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, TsrunError } from '../error.ts';
import type { RemoteRecords } from '../image/remote-records.ts';
import { defaultRetryPolicy, withRetry } from '../image/retry.ts';
import { type BytePath, bytePath } from '../image/unpack/byte-path.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { createHash } from '../linux/hash.ts';
import { SourceFiles } from './source-files.ts';

/** What is to be fetched. */
export interface RemoteSource {
  url: string;
  /** What the file is called in a directory; undefined where the URL ends with none. */
  name: BytePath | undefined;
  /** Digest that it must have, in hexadecimal digits of sha256. */
  checksum: string | undefined;
}

/** What a fetch works with. */
export interface Fetching {
  /** A directory that does not exist yet, for the file. */
  scratch: string;
  /** What was fetched before. */
  records: RemoteRecords;
  /** Whether a file that was fetched before is asked for anew. */
  anew: boolean;
  /** Seconds since 1970: the time of a file of which the server tells none. */
  clock: number;
  signal: AbortSignal;
  tell(line: string): void;
}

interface FetchedFile {
  digest: string;
  /** Seconds since 1970. */
  modified: number;
  files: SourceFiles;
}

/** Reads a source of ADD; undefined for one that is no URL. Throws `UNSUPPORTED` for repositories of git. */
export function remoteSource(source: string, checksum: string | undefined): RemoteSource | undefined {
  if (isGit(source)) {
    throw new TsrunError('UNSUPPORTED', `tsrun build has no ADD of a git repository: ${source}`, {
      hint: 'clone it into the context first, or in the image: RUN git clone URL DIRECTORY',
    });
  }
  if (!http.test(source)) {
    if (checksum === undefined) return undefined;
    throw new TsrunError('USAGE', "checksum can't be specified for non-HTTP(S) sources");
  }
  if (!URL.canParse(source)) throw new TsrunError('USAGE', `${JSON.stringify(source)} is no URL`);
  return { url: source, name: nameOf(new URL(source)), checksum: checksum === undefined ? undefined : hexOf(checksum) };
}

const http = /^https?:\/\//i;

function isGit(source: string): boolean {
  if (/^(git|ssh):\/\/|^git@/i.test(source)) return true;
  return http.test(source) && URL.canParse(source) && new URL(source).pathname.endsWith('.git');
}

function hexOf(checksum: string): string {
  const [, algorithm = '', hex = ''] = /^([a-z0-9]+):([0-9a-f]+)$/.exec(checksum) ?? [];
  if (algorithm === '' || (algorithm === 'sha256' && hex.length !== 64)) {
    throw new TsrunError('USAGE', `invalid checksum digest format: ${checksum}`, { hint: 'write sha256:HEX' });
  }
  if (algorithm !== 'sha256') {
    throw new TsrunError('USAGE', `unsupported checksum algorithm: ${algorithm}`, { hint: 'there is sha256' });
  }
  return hex;
}

function nameOf({ pathname }: URL): BytePath | undefined {
  const last = pathname.split('/').at(-1) ?? '';
  let name: string;
  try {
    name = decodeURIComponent(last);
  } catch {
    name = last;
  }
  return /^\.{0,2}$|[/\0]/.test(name) ? undefined : bytePath(name);
}

/** A file that a URL names. It is asked for when its digest is needed first, and fetched unless it is what it was before. */
export class RemoteFile {
  private fetched: Promise<FetchedFile> | undefined;
  /** What the content must be: as it was told, or as the server has said that it still is. */
  private expected: string | undefined;

  constructor(
    readonly source: RemoteSource,
    private readonly fetching: Fetching,
  ) {
    this.expected = source.checksum;
  }

  /** Of the content: as it must be, or as it is. */
  async digest(): Promise<string> {
    if (this.expected !== undefined) return this.expected;
    const { records, anew, tell } = this.fetching;
    const { url } = this.source;
    const record = anew ? undefined : records.read(url);
    if (record === undefined) return (await this.files()).digest;
    const changed = await this.fetch(record.etag);
    if (changed === undefined) {
      tell(`${shownUrl(url)} is what it was`);
      this.expected = record.digest;
      return record.digest;
    }
    this.fetched = Promise.resolve(changed);
    return changed.digest;
  }

  /** The file, in a tree of its own. Throws `NETWORK`, and `VERIFICATION` where it is another one than --checksum says. */
  files(): Promise<FetchedFile> {
    this.fetched ??= this.fetch().then((file) => {
      if (file === undefined) throw new RangeError('a file that nobody has is always new');
      return file;
    });
    return this.fetched;
  }

  /** Undefined where it still is what was called `etag`. */
  private async fetch(etag?: string): Promise<FetchedFile | undefined> {
    const { source, fetching, expected } = this;
    const { url, checksum } = source;
    const { scratch, signal, records, tell } = fetching;
    tell(`fetching ${shownUrl(url)}`);
    const content = await withRetry(() => fetchInto(url, scratch, fetching, etag), {
      policy: defaultRetryPolicy,
      signal,
      onRetry: (error) => tell(`${messageOf(error)}; trying again`),
    });
    if (content === undefined) return undefined;
    const { digest, modified } = content;
    if (checksum !== undefined && checksum !== digest) {
      throw new TsrunError('VERIFICATION', `digest mismatch sha256:${digest}: sha256:${checksum}`, {
        hint: `${shownUrl(url)} is another file than --checksum says`,
      });
    }
    if (expected !== undefined && expected !== digest) {
      throw new TsrunError('NETWORK', `${shownUrl(url)} has changed while it was asked for`, { hint: 'build again' });
    }
    if (content.etag !== undefined) records.keep(url, { etag: content.etag, digest }, `${scratch}.record`);
    const files = new SourceFiles([scratch], shownUrl(url), { isContext: true, onClose: () => removeTree(scratch) });
    return { digest, modified, files };
  }

  close(): void {
    this.fetched?.then(({ files }) => files.close()).catch(() => removeTree(this.fetching.scratch));
  }
}

/** Undefined where it still is what was called `etag`. */
async function fetchInto(
  url: string,
  scratch: string,
  { clock, signal }: Fetching,
  etag: string | undefined,
): Promise<{ digest: string; modified: number; etag: string | undefined } | undefined> {
  const { openDownload } = await import('../image/download.ts');
  const download = await openDownload(url, signal, etag);
  try {
    if (download.unchanged) return undefined;
    mkdirSync(scratch, { recursive: true, mode: 0o700 });
    const hash = createHash('sha256');
    const fd = openSync(join(scratch, 'content'), 'w', 0o600);
    try {
      await download.read((chunk) => {
        hash.update(chunk);
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      });
      const modified = download.lastModified ?? clock;
      futimesSync(fd, modified, modified);
      return { digest: hash.digest('hex'), modified, etag: download.etag };
    } finally {
      closeSync(fd);
    }
  } finally {
    download.close();
  }
}

/** Without the name and the password that it may have. */
function shownUrl(url: string): string {
  return url.replace(/^(https?:\/\/)[^/?#]*@/i, '$1');
}
