/** Lays a tree out as an EROFS image whose files' contents are in the layer's archive, and writes it. */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../linux/constants.ts';
import { type BytePath, joinPath } from '../unpack/byte-path.ts';
import { encodeDevice } from '../unpack/calls.ts';
import type { LayerDirectory } from '../unpack/directory-tree.ts';
import type { Attributes } from '../unpack/entry.ts';
import { unknownDirectory } from '../unpack/settle.ts';
import { type Chunks, chunksOf } from './chunks.ts';
import { type DirectoryName, layOutNames, putNames } from './directory-data.ts';
import {
  blockBytes,
  chunkIndexes,
  chunkIndexSize,
  dataLayout,
  fileTypes,
  firstInode,
  inodeSize,
  nidUnit,
  putInode,
  putSuperBlock,
} from './format.ts';
import type { Inode, InodeType } from './inode.ts';
import { Unfit } from './unfit.ts';
import { encodeXattrs, xattrCount } from './xattrs.ts';

const formats: Readonly<Record<InodeType, number>> = {
  file: S_IFREG,
  symlink: S_IFLNK,
  character: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
};

/** Node numbers have 32 bits here: more metadata than this is unpacked. */
const imageMax = 2 ** 31 - blockBytes;

/** An inode that has its place. */
interface Placed {
  place: number;
  mode: number;
  attributes: Attributes;
  links: number;
  size: number;
  xattrs: Buffer;
  content:
    | { kind: 'none'; union: number }
    | { kind: 'chunks'; chunks: Chunks }
    | { kind: 'bytes'; inline: boolean; at: number; write: (image: Buffer, at: number) => void };
}

/**
 * The metadata of a settled tree. `digest`: 64 characters that name the archive, which has `archiveSize` bytes. Throws
 * `ARCHIVE` for attributes that cannot be, `Unfit` for what EROFS cannot say.
 */
export function encodeImage(root: LayerDirectory, archive: { digest: string; size: number }): Buffer {
  const layout = new Layout();
  layout.add(root);
  return layout.write(archive);
}

class Layout {
  private cursor = firstInode;
  private readonly placed: Placed[] = [];
  private readonly directories = new Map<LayerDirectory, Placed>();
  private readonly inodes = new Map<Inode, Placed>();
  /** Blocks behind the inodes, in their order. */
  private readonly blocks: Placed[] = [];

  /** Directories before what is in them, so that the root comes first: its number has 16 bits. */
  add(root: LayerDirectory): void {
    const todo: { node: LayerDirectory; parent: LayerDirectory; path: BytePath }[] = [
      { node: root, parent: root, path: '' },
    ];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const { node, parent, path } = next;
      this.placeDirectory(node, parent, path);
      for (const [name, inode] of node.members ?? []) this.placeInode(inode, joinPath(path, name));
      const children = [...(node.children ?? [])];
      for (const [name, child] of children.reverse()) {
        todo.push({ node: child, parent: node, path: joinPath(path, name) });
      }
    }
  }

  private placeDirectory(node: LayerDirectory, parent: LayerDirectory, path: BytePath): void {
    const attributes = node.attributes ?? unknownDirectory;
    const xattrs = encodeXattrs(attributes.xattrs, { type: 'directory', path, opaque: node.opaque });
    const names: DirectoryName[] = [
      { name: '.', fileType: fileTypes.directory, place: () => this.placeOf(node) },
      { name: '..', fileType: fileTypes.directory, place: () => this.placeOf(parent) },
    ];
    for (const [name, child] of node.children ?? []) {
      names.push({ name, fileType: fileTypes.directory, place: () => this.placeOf(child) });
    }
    for (const [name, inode] of node.members ?? []) {
      names.push({ name, fileType: fileTypes[inode.type], place: () => this.inodes.get(inode)?.place ?? 0 });
    }
    const { blocks, size } = layOutNames(names);
    const placed = this.place(
      { mode: S_IFDIR | attributes.mode, attributes, links: 2 + (node.children?.size ?? 0), size, xattrs },
      (image, at) => putNames(image, at, names, blocks),
    );
    this.directories.set(node, placed);
  }

  private placeOf(node: LayerDirectory): number {
    return this.directories.get(node)?.place ?? 0;
  }

  private placeInode(inode: Inode, path: BytePath): void {
    const known = this.inodes.get(inode);
    if (known !== undefined) {
      known.links++;
      return;
    }
    const { type, attributes } = inode;
    const xattrs = encodeXattrs(attributes.xattrs, { type, path });
    const base = { mode: formats[type] | attributes.mode, attributes, links: 1, xattrs };
    let placed: Placed;
    if (type === 'symlink') {
      placed = this.place({ ...base, size: inode.target.length }, (image, at) => {
        image.write(inode.target, at, 'latin1');
      });
    } else if (type === 'file' && inode.size > 0) {
      const chunks = chunksOf(inode);
      const at = this.reserve(inodeSize);
      this.cursor = align(at + inodeSize + xattrs.length, chunkIndexSize) + chunks.addresses.length * chunkIndexSize;
      placed = { ...base, size: inode.size, place: at, content: { kind: 'chunks', chunks } };
      this.placed.push(placed);
    } else {
      const union = type === 'character' || type === 'block' ? encodeDevice(inode.major, inode.minor) : 0;
      const at = this.reserve(inodeSize);
      this.cursor = at + inodeSize + xattrs.length;
      placed = { ...base, size: 0, place: at, content: { kind: 'none', union } };
      this.placed.push(placed);
    }
    this.inodes.set(inode, placed);
  }

  /** An inode with content of its own: behind it where both fit into one block, else in blocks of their own. */
  private place(base: Omit<Placed, 'place' | 'content'>, write: (image: Buffer, at: number) => void): Placed {
    const whole = inodeSize + base.xattrs.length + base.size;
    const inline = whole <= blockBytes;
    const at = this.reserve(inline ? whole : inodeSize);
    const behind = at + inodeSize + base.xattrs.length;
    this.cursor = inline ? at + whole : behind;
    const placed: Placed = { ...base, place: at, content: { kind: 'bytes', inline, at: behind, write } };
    this.placed.push(placed);
    if (!inline) this.blocks.push(placed);
    return placed;
  }

  /** The next place for an inode, so that its first `size` bytes lie in one block. */
  private reserve(size: number): number {
    const at = align(this.cursor, nidUnit);
    if (at > imageMax) throw new Unfit('too much metadata');
    return (at % blockBytes) + size > blockBytes ? align(at, blockBytes) : at;
  }

  write({ digest, size: archiveSize }: { digest: string; size: number }): Buffer {
    let end = align(this.cursor, blockBytes);
    for (const placed of this.blocks) {
      if (placed.content.kind === 'bytes') placed.content.at = end;
      end = align(end + placed.size, blockBytes);
    }
    if (end > imageMax) throw new Unfit('too much metadata');
    const image = Buffer.alloc(end);
    const { length: inodes } = this.placed;
    putSuperBlock(image, { root: this.placed[0]?.place ?? 0, inodes, size: end, archiveSize, tag: digest });
    for (const [index, placed] of this.placed.entries()) putPlaced(image, placed, index + 1);
    return image;
  }
}

function putPlaced(image: Buffer, placed: Placed, number: number): void {
  const { place, mode, attributes, links, size, xattrs, content } = placed;
  let layout: number = dataLayout.plain;
  let union = 0;
  const behind = place + inodeSize + xattrs.length;
  if (content.kind === 'none') {
    union = content.union;
  } else if (content.kind === 'chunks') {
    layout = dataLayout.chunks;
    union = chunkIndexes | content.chunks.bits;
    let at = align(behind, chunkIndexSize);
    for (const address of content.chunks.addresses) {
      // The first device is the metadata itself; the archive is the one after it.
      image.writeUInt16LE(1, at + 2);
      image.writeUInt32LE(address, at + 4);
      at += chunkIndexSize;
    }
  } else {
    layout = content.inline ? dataLayout.inline : dataLayout.plain;
    union = content.inline ? 0 : content.at / blockBytes;
    content.write(image, content.at);
  }
  const { uid, gid, mtime } = attributes;
  putInode(image, place, {
    layout,
    xattrCount: xattrCount(xattrs.length),
    mode,
    size,
    union,
    number,
    uid,
    gid,
    mtime,
    links,
  });
  xattrs.copy(image, place + inodeSize);
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
