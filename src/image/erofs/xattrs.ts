/**
 * Extended attributes in an EROFS image (erofs_fs.h, struct erofs_xattr_entry): behind the inode, each with the number of its
 * namespace. Which of an archive's attributes count is as on disk (unpack/attributes.ts).
 */
import { checkXattr } from '../unpack/attributes.ts';
import type { BytePath } from '../unpack/byte-path.ts';
import type { EntryType } from '../unpack/entry.ts';
import { isForeignXattr, opaqueXattr } from '../unpack/whiteout.ts';
import { Unfit } from './unfit.ts';

const namespaces: readonly (readonly [prefix: string, index: number])[] = [
  ['user.', 1],
  ['trusted.', 4],
  ['security.', 6],
];

/** struct erofs_xattr_ibody_header. */
const headerSize = 12;
/** All attributes of one inode together, in bytes: the count of their words has 16 bits; no other filesystem takes more. */
const totalMax = 60_000;
/** VFS_CAP_REVISION_2 of linux/capability.h, and what it is long. */
const capabilityRevision = 0x02000000;
const capabilitySize = 20;

interface StoredXattr {
  index: number;
  name: BytePath;
  value: Uint8Array;
}

/** The attributes of one inode as they stand behind it; empty without any. Throws `ARCHIVE`, `Unfit`. */
export function encodeXattrs(
  xattrs: ReadonlyMap<BytePath, Uint8Array> | undefined,
  of: { type: EntryType; path: BytePath; opaque?: boolean },
): Buffer {
  const stored: StoredXattr[] = [];
  for (const [attribute, value] of xattrs ?? []) {
    if (isForeignXattr(attribute)) continue;
    checkXattr(attribute, value, of.path);
    const found = storedForm(attribute, value, of.type);
    if (found !== undefined) stored.push(found);
  }
  if (of.opaque === true) {
    stored.push({ index: 4, name: opaqueXattr.slice('trusted.'.length), value: Buffer.from('y') });
  }
  if (stored.length === 0) return Buffer.alloc(0);
  const entries = stored.map(encodeEntry);
  const size = entries.reduce((sum, entry) => sum + entry.length, headerSize);
  if (size > totalMax) throw new Unfit('extended attributes are too large');
  return Buffer.concat([Buffer.alloc(headerSize), ...entries]);
}

/** Undefined for what a filesystem would refuse and nobody would miss. */
function storedForm(attribute: BytePath, value: Uint8Array, type: EntryType): StoredXattr | undefined {
  // The kernel changes the mode with them, or leaves them out where they say the same.
  if (attribute.startsWith('system.posix_acl_')) throw new Unfit('access control lists');
  if (attribute === 'security.capability' && !(type === 'file' && isCapability(value))) {
    throw new Unfit('capabilities that the kernel must look at');
  }
  // man 7 xattr: users have them on files and directories only.
  if (attribute.startsWith('user.') && type !== 'file' && type !== 'directory') return undefined;
  for (const [prefix, index] of namespaces) {
    if (!attribute.startsWith(prefix)) continue;
    if (attribute.length === prefix.length || value.byteLength > 0xffff) throw new Unfit('an odd extended attribute');
    return { index, name: attribute.slice(prefix.length), value };
  }
  return undefined;
}

function isCapability(value: Uint8Array): boolean {
  if (value.byteLength !== capabilitySize) return false;
  const revision = Buffer.from(value.buffer, value.byteOffset, 4).readUInt32LE(0);
  return (revision & 0xff000000) >>> 0 === capabilityRevision;
}

function encodeEntry({ index, name, value }: StoredXattr): Buffer {
  const length = 4 + name.length + value.byteLength;
  const entry = Buffer.alloc(Math.ceil(length / 4) * 4);
  entry[0] = name.length;
  entry[1] = index;
  entry.writeUInt16LE(value.byteLength, 2);
  entry.write(name, 4, 'latin1');
  entry.set(value, 4 + name.length);
  return entry;
}

/** i_xattr_icount of an inode whose attributes take `size` bytes. */
export function xattrCount(size: number): number {
  return size === 0 ? 0 : 1 + (size - headerSize) / 4;
}
