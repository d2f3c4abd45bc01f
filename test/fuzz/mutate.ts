/** Changes inputs: bytes, runs of bytes, numbers, known words, pieces of other inputs. Follows from a seed. */

const numbers = [
  0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511, 512, 4095, 4096, 65535, 0x7fffffff, 0xffffffff,
];
/** An input grows no further than that by mutation. */
const longest = 64 * 1024;

export function mutate(
  input: Buffer,
  others: readonly Buffer[],
  words: readonly string[],
  random: () => number,
): Buffer {
  let bytes = Buffer.from(input);
  const below = (count: number): number => Math.floor(random() * count);
  for (let rounds = 1 + below(4); rounds > 0; rounds--) {
    const at = below(bytes.length + 1);
    const splice = (from: number, to: number, piece: Uint8Array): void => {
      bytes = Buffer.concat([bytes.subarray(0, from), piece, bytes.subarray(to)]).subarray(0, longest);
    };
    switch (below(8)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = below(256);
        break;
      case 2:
        splice(at, Math.min(bytes.length, at + 1 + below(16)), Buffer.alloc(0));
        break;
      case 3: {
        const from = below(bytes.length + 1);
        splice(at, at, bytes.subarray(from, from + 1 + below(64)));
        break;
      }
      case 4: {
        const word = words[below(words.length)];
        if (word !== undefined) splice(at, random() < 0.5 ? at : at + word.length, Buffer.from(word, 'latin1'));
        break;
      }
      case 5: {
        const number = numbers[below(numbers.length)] ?? 0;
        if (at + 4 <= bytes.length) bytes.writeUInt32LE(number, at);
        else splice(at, at, Buffer.from(String(number)));
        break;
      }
      case 6: {
        const other = others[below(others.length)] ?? input;
        const from = below(other.length + 1);
        splice(at, at + below(64), other.subarray(from, from + 1 + below(256)));
        break;
      }
      default:
        splice(at, at, Buffer.alloc(1 + below(8), [0, 0x20, 0x2f, 0x2e, 0xff][below(5)]));
    }
  }
  return bytes;
}
