import { expect, test } from 'vitest';
import {
  andWith,
  copy,
  encodeEbpf,
  exit,
  loadWord,
  move,
  shiftRight,
  skipIf,
  skipUnless,
} from '../../../src/linux/ebpf.ts';

test('instructions are encoded as struct bpf_insn', () => {
  const bytes = encodeEbpf([
    loadWord(2, 1, 4),
    copy(3, 2),
    andWith(2, 0xffff),
    shiftRight(3, 16),
    skipUnless(2, 1, 5),
    skipIf(3, -1, -2),
    move(0, 1),
    exit(),
  ]);
  expect(bytes.toString('hex').match(/.{16}/g)).toEqual([
    '6112040000000000',
    'bf23000000000000',
    '57020000ffff0000',
    '7703000010000000',
    '5502050001000000',
    '1503feffffffffff',
    'b700000001000000',
    '9500000000000000',
  ]);
});
