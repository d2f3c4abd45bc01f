/**
 * EROFS on disk, as far as layers need it (Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h). Numbers are
 * little-endian.
 *
 *     0      nothing
 *     1024   super block
 *     1152   device slot: the layer's archive is the second device
 *     1280   inodes, each with its attributes behind it, and then: a small directory, the target of a link, or where the
 *            content of a file is in the archive (chunk indexes)
 *     …      blocks of larger directories and longer targets
 *
 * Blocks have 512 bytes, because that is where tar puts the contents of files.
 */

export const blockBits = 9;
export const blockBytes = 1 << blockBits;
export const superOffset = 1024;
export const superMagic = 0xe0f5e1e2;
export const deviceSlotSize = 128;
/** Slots are counted from the beginning of the image. */
export const deviceSlot = 9;
/** Inodes are named by their place in units of this. */
export const nidUnit = 32;
export const inodeSize = 64;
export const firstInode = (deviceSlot + 1) * deviceSlotSize;
export const chunkIndexSize = 8;
export const direntSize = 12;

/** EROFS_FEATURE_COMPAT_MTIME; EROFS_FEATURE_INCOMPAT_CHUNKED_FILE and _DEVICE_TABLE. */
const featureCompat = 0x2;
const featureIncompat = 0x4 | 0x8;

export const dataLayout = { plain: 0, inline: 2, chunks: 4 } as const;
/** EROFS_CHUNK_FORMAT_INDEXES; the bits below it say how many blocks a chunk has. */
export const chunkIndexes = 0x20;
export const chunkBitsMax = 31;
/** A chunk of zeros. */
export const holeAddress = 0xffffffff;

/** EROFS_FT_*. */
export const fileTypes = { file: 1, directory: 2, character: 3, block: 4, fifo: 5, symlink: 7 } as const;

export interface SuperBlock {
  /** In bytes. */
  root: number;
  inodes: number;
  /** Bytes of the metadata and of the archive. */
  size: number;
  archiveSize: number;
  /** 64 characters that name the archive: its digest. */
  tag: string;
}

/** Writes the super block and the slot of the archive. */
export function putSuperBlock(image: Buffer, info: SuperBlock): void {
  const at = superOffset;
  image.writeUInt32LE(superMagic, at);
  image.writeUInt32LE(featureCompat, at + 8);
  image[at + 12] = blockBits;
  image.writeUInt16LE(info.root / nidUnit, at + 14);
  image.writeUInt32LE(info.inodes, at + 16);
  image.writeUInt32LE(info.size / blockBytes, at + 36);
  Buffer.from(info.tag.slice(0, 32), 'hex').copy(image, at + 48);
  image.writeUInt32LE(featureIncompat, at + 80);
  image.writeUInt16LE(1, at + 86);
  image.writeUInt16LE(deviceSlot, at + 88);
  const slot = deviceSlot * deviceSlotSize;
  image.write(info.tag, slot, 64, 'latin1');
  image.writeUInt32LE(Math.ceil(info.archiveSize / blockBytes), slot + 64);
}

/** What is read of a super block: `putSuperBlock`'s other side. `blocks` counts both devices. Throws `RangeError` for another format. */
export function readSuperBlock(image: Buffer): { uuid: Buffer; blocks: number; root: number } {
  const at = superOffset;
  if (image.readUInt32LE(at) !== superMagic || image[at + 12] !== blockBits)
    throw new RangeError('no metadata of a layer');
  return {
    uuid: image.subarray(at + 48, at + 64),
    blocks: image.readUInt32LE(at + 36) + image.readUInt32LE(deviceSlot * deviceSlotSize + 64),
    root: image.readUInt16LE(at + 14) * nidUnit,
  };
}

export interface InodeFields {
  layout: number;
  xattrCount: number;
  /** With the type. */
  mode: number;
  size: number;
  /** Address, device number or chunk format, as the layout and the type want it. */
  union: number;
  number: number;
  uid: number;
  gid: number;
  mtime: { seconds: number; nanoseconds: number };
  links: number;
}

/** struct erofs_inode_extended. */
export function putInode(image: Buffer, at: number, inode: InodeFields): void {
  image.writeUInt16LE(1 | (inode.layout << 1), at);
  image.writeUInt16LE(inode.xattrCount, at + 2);
  image.writeUInt16LE(inode.mode, at + 4);
  putLong(image, at + 8, inode.size);
  image.writeUInt32LE(inode.union, at + 16);
  image.writeUInt32LE(inode.number, at + 20);
  image.writeUInt32LE(inode.uid, at + 24);
  image.writeUInt32LE(inode.gid, at + 28);
  putLong(image, at + 32, inode.mtime.seconds);
  image.writeUInt32LE(inode.mtime.nanoseconds, at + 40);
  image.writeUInt32LE(inode.links, at + 44);
}

/** A signed 64-bit number in two halves; no BigInt per file. */
function putLong(image: Buffer, at: number, value: number): void {
  image.writeUInt32LE(value >>> 0, at);
  image.writeInt32LE(Math.floor(value / 0x1_0000_0000) | 0, at + 4);
}
