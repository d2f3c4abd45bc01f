/**
 * Settings of the allocator of the executable's engine (mimalloc), which it reads from the environment of its process before any
 * program could set them. So their defaults are changed where they lie, in the data of the executable.
 *
 * A command touches 2 to 4 MB of memory, a page at a time, and each first touch is a fault: half of them go with huge pages. And
 * a command ends before it could make use of memory that was given back: the thread that does so (a madvise(2) for each run of
 * pages) makes the others wait and the next touch a fault again. Addresses are reserved for 128 MiB at a time (in KiB): what
 * mimalloc notes about its own proposal of 1 GiB lies in two huge pages more, which hold little else.
 */

import { loadable, PF_W } from './elf.mjs';

/** name: [as the compiler of the executable has it, as tsrun wants it]; the latter is said by docs/decisions/0081. */
const settings = {
  allow_thp: [0n, 1n],
  purge_delay: [100n, -1n],
  arena_reserve: [1024n * 1024n, 128n * 1024n],
};

/** mimalloc's `mi_option_desc_t` (src/options.c): the value, an int "is initialised", an int "which", the name's address. */
const valueBeforeName = 16;
const initialisedBeforeName = 8;

/** Every place of `bytes` in `file` between `from` and `to`. */
function places(file, bytes, from, to) {
  const found = [];
  for (let at = file.indexOf(bytes, from); at !== -1 && at < to; at = file.indexOf(bytes, at + 1)) found.push(at);
  return found;
}

/** Where the value of the option `name` lies in the file; undefined if that is not the only place that looks like it. */
function placeOf(name, file, loaded) {
  const descriptions = [];
  for (const { offset, address, length } of loaded) {
    for (const at of places(file, Buffer.from(`\0${name}\0`), offset, offset + length)) {
      const pointer = Buffer.alloc(8);
      pointer.writeBigUInt64LE(BigInt(address + at + 1 - offset));
      for (const data of loaded.filter(({ flags }) => flags & PF_W)) {
        descriptions.push(...places(file, pointer, data.offset, data.offset + data.length));
      }
    }
  }
  const [description] = descriptions;
  if (descriptions.length !== 1 || file.readInt32LE(description - initialisedBeforeName) !== 0) return undefined;
  return description - valueBeforeName;
}

/**
 * Changes the defaults of mimalloc in the bytes of an executable.
 * Returns the names of the options that were left as they are, because they are not there exactly once and as they are known.
 */
export function setAllocator(file) {
  const loaded = loadable(file);
  return Object.entries(settings).flatMap(([name, [is, wanted]]) => {
    const place = placeOf(name, file, loaded);
    if (place === undefined || file.readBigInt64LE(place) !== is) return [name];
    file.writeBigInt64LE(wanted, place);
    return [];
  });
}
