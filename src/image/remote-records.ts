/**
 * Files that builds have fetched by their URL: which tag the server gave each (RFC 9110, ETag) and what its content was, so that
 * a server which says that nothing has changed sends nothing. A file for each URL, named by its digest: URLs may hold passwords.
 */
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../linux/hash.ts';
import { namesIn } from '../linux/optional.ts';
import { readOwnText } from '../linux/own-file.ts';
import { parseJson } from './json.ts';

export interface RemoteRecord {
  etag: string;
  /** Of the content: sha256 in hexadecimal digits. */
  digest: string;
}

export class RemoteRecords {
  constructor(private readonly directory: string) {}

  /** Undefined where nothing is known, or what is known is damaged. */
  read(url: string): RemoteRecord | undefined {
    try {
      const path = this.path(url);
      const json = parseJson(readOwnText(path), { name: path, code: 'CORRUPT' });
      const record = { etag: json.get('etag').string(), digest: json.get('digest').string() };
      return /^[0-9a-f]{64}$/.test(record.digest) ? record : undefined;
    } catch {
      return undefined;
    }
  }

  /** `temporary`: a name on the same disk that is free. What cannot be kept is asked for again, and no reason to stop. */
  keep(url: string, { etag, digest }: RemoteRecord, temporary: string): void {
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      writeFileSync(temporary, JSON.stringify({ etag, digest }), { mode: 0o600 });
      renameSync(temporary, this.path(url));
    } catch {
      rmSync(temporary, { force: true });
    }
  }

  /** Forgets what was written down before `until` (milliseconds since 1970), or all. */
  forget(until = Number.POSITIVE_INFINITY): void {
    for (const name of namesIn(this.directory)) {
      const path = join(this.directory, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats !== undefined && stats.mtimeMs < until) rmSync(path, { force: true });
    }
  }

  private path(url: string): string {
    return join(this.directory, `${sha256(url).toString('hex')}.json`);
  }
}
