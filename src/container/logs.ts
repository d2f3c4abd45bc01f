/**
 * Reads a container's log: records of one line each, as the container runtime interface of Kubernetes has them:
 * `2026-01-02T03:04:05.123456789Z stdout F text`, with P instead of F where the line goes on in the next record.
 */

import { createReadStream, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../error.ts';
import { openOwn } from '../linux/own-file.ts';

export interface LogRecord {
  /** RFC 3339 with nanoseconds. */
  time: string;
  stream: 'stdout' | 'stderr';
  /** Bytes of the line, with its newline unless the line is still open. */
  data: Buffer;
}

/** The files of the log, oldest first. */
export function logFiles(directory: string): string[] {
  const files: string[] = [];
  for (let index = 0; index < 1000; index++) {
    const path = join(directory, index === 0 ? 'container.log' : `container.log.${index}`);
    if (!existsSync(path)) break;
    files.unshift(path);
  }
  return files;
}

/**
 * Parses one record, which lies in `bytes` from `start` to its newline at `end`; undefined for a line that is none (a log that was cut
 * by a full disk). Its data are those bytes and no copy: a log has a hundred thousand of them.
 */
export function parseLogLine(bytes: Buffer, start = 0, end = bytes.length): LogRecord | undefined {
  const first = bytes.indexOf(0x20, start);
  if (first < start + 20) return undefined;
  const second = bytes.indexOf(0x20, first + 1);
  const third = second < 0 ? -1 : bytes.indexOf(0x20, second + 1);
  if (third < 0 || third >= end) return undefined;
  const stream = bytes.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const partial = bytes[second + 1] === 0x50;
  return {
    time: bytes.toString('latin1', start, first),
    stream,
    data: bytes.subarray(third + 1, partial ? end : end + 1),
  };
}

/**
 * All records of one file from `offset`, in order; resolves to the offset behind the last whole record. A file that is gone has
 * none: its container was removed, or has turned its log over.
 */
export async function readLogFile(
  path: string,
  offset: number,
  onRecord: (record: LogRecord) => void,
): Promise<number> {
  let rest: Buffer = Buffer.alloc(0);
  let position = offset;
  try {
    // Closes the descriptor at the end.
    const stream = createReadStream(path, { fd: openOwn(path).fd, start: offset, highWaterMark: 256 * 1024 });
    for await (const chunk of stream) {
      const data: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let start = 0;
      for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, start)) {
        const record = parseLogLine(data, start, end);
        if (record !== undefined) onRecord(record);
        start = end + 1;
      }
      position += start;
      rest = data.subarray(start);
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  return position;
}

/**
 * Follows the log for as long as `running` says so, from `offset` of the newest file; survives rotation.
 * `tick` milliseconds pass between two looks.
 */
export async function followLog(
  directory: string,
  offset: number,
  running: () => boolean,
  onRecord: (record: LogRecord) => void,
  tick = 50,
): Promise<void> {
  const path = join(directory, 'container.log');
  let inode = statSync(path, { throwIfNoEntry: false })?.ino;
  let position = offset;
  for (;;) {
    const alive = running();
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined) {
      if (inode !== undefined && stats.ino !== inode) {
        const previous = join(directory, 'container.log.1');
        if (statSync(previous, { throwIfNoEntry: false })?.ino === inode)
          await readLogFile(previous, position, onRecord);
        position = 0;
      }
      inode = stats.ino;
      if (stats.size > position) position = await readLogFile(path, position, onRecord);
    }
    if (!alive) return;
    await new Promise((resolve) => setTimeout(resolve, tick));
  }
}
