/** What a file is by its first bytes: whether ADD unpacks it, and whether stdin is a context or a Dockerfile. */
import { constants, gunzipSync } from 'node:zlib';
import { readFully } from '../linux/read-fully.ts';

/** How much of a file tells what it is, in bytes: enough of a compressed one to inflate the first header. */
const startSize = 8192;

/** `plain` is what layers may be, too: tar, gzip, zstd. */
export type ArchiveKind = 'plain' | 'bzip2' | 'xz';

/** The first bytes of what a descriptor has. */
export function readStart(fd: number): Buffer {
  const buffer = Buffer.alloc(startSize);
  return buffer.subarray(0, readFully(fd, buffer));
}

/** What begins with these bytes; undefined where it is no archive: what is only compressed is none. */
export function archiveKind(start: Buffer): ArchiveKind | undefined {
  const begins = (...bytes: number[]): boolean => bytes.every((byte, index) => start[index] === byte);
  if (isTar(start)) return 'plain';
  if (begins(0x1f, 0x8b)) return isTar(inflatedStart(start)) ? 'plain' : undefined;
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return 'plain';
  if (begins(0x42, 0x5a, 0x68)) return 'bzip2';
  return begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00) ? 'xz' : undefined;
}

/** By the magic of ustar, or, in archives older than that, by the checksum of the first header. */
function isTar(start: Buffer): boolean {
  if (start.length < 512) return false;
  if (start.toString('latin1', 257, 262) === 'ustar') return true;
  const sum = start.subarray(0, 512).reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return start[0] !== 0 && Number.parseInt(start.toString('latin1', 148, 156), 8) === sum;
}

function inflatedStart(start: Buffer): Buffer {
  try {
    return gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}
