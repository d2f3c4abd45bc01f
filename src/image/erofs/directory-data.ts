/**
 * The content of a directory (erofs_fs.h, struct erofs_dirent): blocks of entries and, behind these, their names. Names
 * ascend as bytes through all blocks, so that the kernel finds one by halving.
 */
import type { BytePath } from '../unpack/byte-path.ts';
import { blockBytes, direntSize, nidUnit } from './format.ts';

export interface DirectoryName {
  name: BytePath;
  fileType: number;
  /** Where the inode is, in bytes; known when everything has been laid out. */
  place: () => number;
}

/** Sorts the names, and says how many of them stand in each block. */
export function layOutNames(names: DirectoryName[]): { blocks: number[]; size: number } {
  names.sort((a, b) => (a.name < b.name ? -1 : 1));
  const blocks: number[] = [];
  let count = 0;
  let used = 0;
  for (const { name } of names) {
    const need = direntSize + name.length;
    if (used + need > blockBytes) {
      blocks.push(count);
      count = 0;
      used = 0;
    }
    count++;
    used += need;
  }
  const size = blocks.length * blockBytes + used;
  blocks.push(count);
  return { blocks, size };
}

/** Writes sorted names from `at` on. */
export function putNames(image: Buffer, at: number, names: readonly DirectoryName[], blocks: readonly number[]): void {
  let next = 0;
  blocks.forEach((count, block) => {
    const start = at + block * blockBytes;
    let nameOffset = count * direntSize;
    for (let i = 0; i < count; i++) {
      const { name, fileType, place } = names[next++] as DirectoryName;
      const entry = start + i * direntSize;
      image.writeUInt32LE(place() / nidUnit, entry);
      image.writeUInt16LE(nameOffset, entry + 8);
      image[entry + 10] = fileType;
      image.write(name, start + nameOffset, 'latin1');
      nameOffset += name.length;
    }
  });
}
