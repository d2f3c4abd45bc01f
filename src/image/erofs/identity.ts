/**
 * Whether a mount that somebody else made is that of a layer: what its metadata says, beside what the kernel says of the mount
 * (man 2 fstatfs).
 */
import { closeSync, fstatSync } from 'node:fs';
import { syscall } from '../../linux/ffi.ts';
import { openOwn } from '../../linux/own-file.ts';
import { readFully } from '../../linux/read-fully.ts';
import { deviceSlot, deviceSlotSize, nidUnit, readSuperBlock, superMagic } from './format.ts';

/** What tells the mount of one layer from others. */
export interface ErofsIdentity {
  /** `DEVICE:INODE` of the metadata. No other file gets these as long as it is mounted, whatever becomes of its name. */
  file: string;
  /** `f_fsid`: the two halves of the identifier in the super block, one over the other. */
  fsid: bigint;
  /** Of the metadata and the archive. */
  blocks: number;
  /** Inode number of the root. */
  root: number;
}

/** Throws what opening and reading throw, and `RangeError` for what is no metadata. */
export function identityOf(metadata: string): ErofsIdentity {
  const { fd } = openOwn(metadata);
  try {
    const head = Buffer.alloc((deviceSlot + 1) * deviceSlotSize);
    if (readFully(fd, head) < head.length) throw new RangeError('the metadata is cut short');
    const { uuid, blocks, root } = readSuperBlock(head);
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return {
      file: `${dev}:${ino}`,
      fsid: uuid.readBigUInt64LE(0) ^ uuid.readBigUInt64LE(8),
      blocks,
      root: root / nidUnit,
    };
  } finally {
    closeSync(fd);
  }
}

/** Whether a descriptor is the root of a mount of that filesystem; of whose files is for the caller to know. */
export function isMountOf(fd: number, { fsid, blocks, root }: ErofsIdentity): boolean {
  // struct statfs: type, block size, blocks, …, the identifier
  const statfs = Buffer.alloc(120);
  return (
    syscall('fstatfs', fd, statfs) === 0 &&
    statfs.readBigUInt64LE(0) === BigInt(superMagic) &&
    statfs.readBigUInt64LE(16) === BigInt(blocks) &&
    statfs.readBigUInt64LE(56) === fsid &&
    fstatSync(fd).ino === root
  );
}
