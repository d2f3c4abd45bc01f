import { expect, test } from 'vitest';
import {
  and,
  encodeFilter,
  jump,
  jumpEqual,
  jumpGreater,
  jumpGreaterOrEqual,
  load,
  ret,
} from '../../../src/linux/bpf.ts';

test('instructions are encoded as struct sock_filter', () => {
  const bytes = encodeFilter([
    load(4),
    jumpEqual(0xc000003e, 1, 0),
    jump(0x1234),
    and(0xfffffff0),
    jumpGreater(1, 2, 3),
    jumpGreaterOrEqual(4, 255, 0),
    ret(0x7fff0000),
  ]);
  expect(Buffer.from(bytes).toString('hex').match(/.{16}/g)).toEqual([
    '2000000004000000',
    '150001003e0000c0',
    '0500000034120000',
    '54000000f0ffffff',
    '2500020301000000',
    '3500ff0004000000',
    '060000000000ff7f',
  ]);
});

test('a program that the kernel would not take is refused', () => {
  expect(encodeFilter(Array.from({ length: 4096 }, () => ret(0)))).toHaveLength(4096 * 8);
  expect(() => encodeFilter(Array.from({ length: 4097 }, () => ret(0)))).toThrow('4097 instructions; Linux takes 4096');
});
