/**
 * Lets the allocator of the executable's engine (mimalloc) ask the kernel for huge pages. A command touches 2 to 4 MB of memory, a
 * page at a time, and each first touch is a fault: half of them go with one setting, which mimalloc reads from the environment
 * of its process before any program could set it. So its default is changed where it lies, in the data of the executable.
 */

const PT_LOAD = 1;
const PF_W = 2;
/** mimalloc's `mi_option_desc_t` (src/options.c): the value, an int "is initialised", an int "which", the name's address. */
const valueBeforeName = 16;
const initialisedBeforeName = 8;

/** The loadable segments of a 64-bit ELF file (elf(5)). */
function segments(file) {
  const [start, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    const number = (offset) => Number(file.readBigUInt64LE(at + offset));
    return {
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: number(8),
      address: number(16),
      length: number(32),
    };
  }).filter((segment) => segment.type === PT_LOAD);
}

/** Every place of `bytes` in `file` between `from` and `to`. */
function places(file, bytes, from, to) {
  const found = [];
  for (let at = file.indexOf(bytes, from); at !== -1 && at < to; at = file.indexOf(bytes, at + 1)) found.push(at);
  return found;
}

/**
 * Changes the default of mimalloc's option `allow_thp` from 0 to 1 in the bytes of an executable.
 * False, and nothing changed, if it is not there exactly once and as it is known.
 */
export function allowHugePages(file) {
  const loaded = segments(file);
  const descriptions = [];
  for (const { offset, address, length } of loaded) {
    for (const at of places(file, Buffer.from('\0allow_thp\0'), offset, offset + length)) {
      const pointer = Buffer.alloc(8);
      pointer.writeBigUInt64LE(BigInt(address + at + 1 - offset));
      for (const data of loaded.filter(({ flags }) => flags & PF_W)) {
        descriptions.push(...places(file, pointer, data.offset, data.offset + data.length));
      }
    }
  }
  const [name] = descriptions;
  if (descriptions.length !== 1) return false;
  if (file.readBigInt64LE(name - valueBeforeName) !== 0n || file.readInt32LE(name - initialisedBeforeName) !== 0) {
    return false;
  }
  file.writeBigInt64LE(1n, name - valueBeforeName);
  return true;
}
