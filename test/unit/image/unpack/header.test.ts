import { describe, expect, test } from 'vitest';
import { Malformed } from '../../../../src/image/unpack/entry.ts';
import { parseHeader, parseNumber } from '../../../../src/image/unpack/header.ts';
import { base256, header, type Member } from '../../../fixtures/archives.ts';

const field = (text: string | Buffer) => Buffer.concat([Buffer.from(text), Buffer.alloc(12)]).subarray(0, 12);

test.each([
  ['00000000644\0', 0o644],
  ['        644 ', 0o644],
  ['644\0garbage', 0o644],
  ['77777777777\0', 0o77777777777],
  ['777777777777', 0o777777777777],
  ['', 0],
  ['            ', 0],
])('the octal field %j is %d', (text, value) => {
  expect(parseNumber(field(text), 0, 12, 'size')).toBe(value);
});

test.each([
  [0n, 0],
  [8_589_934_592n, 8_589_934_592],
  [BigInt(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER],
  [-1n, -1],
  [-256n, -256],
  [-86_400n, -86_400],
  [-BigInt(Number.MAX_SAFE_INTEGER), -Number.MAX_SAFE_INTEGER],
])('base 256 holds %d', (value, expected) => {
  expect(parseNumber(base256(value, 12), 0, 12, 'mtime')).toBe(expected);
});

test.each(['0000000644x', '08', '-1', '0x1f', '1 2'])('%j is not a number', (text) => {
  expect(() => parseNumber(field(text), 0, 12, 'size')).toThrow(
    new Malformed('has a header whose size is not a number'),
  );
});

test.each([2n ** 63n - 1n, -(2n ** 63n), 2n ** 94n, 2n ** 53n])('%d is out of range, not rounded', (value) => {
  expect(() => parseNumber(base256(value, 12), 0, 12, 'size')).toThrow('out of range');
});

const cases: [string, Member, object][] = [
  [
    'ustar with a prefix',
    { name: 'name', prefix: 'some/prefix', mode: 0o4755, uid: 1, gid: 2, size: 3, mtime: 4 },
    { dialect: 'ustar', path: 'some/prefix/name', mode: 0o4755, uid: 1, gid: 2, size: 3, mtime: 4, type: '0' },
  ],
  [
    'a name and a prefix that fill their fields',
    { name: 'n'.repeat(100), prefix: 'p'.repeat(155) },
    { path: `${'p'.repeat(155)}/${'n'.repeat(100)}` },
  ],
  [
    'GNU, which has other things where the prefix is',
    { name: 'name', dialect: 'gnu', prefix: '14000000000\x0014000000000' },
    { dialect: 'gnu', path: 'name' },
  ],
  [
    'star, whose prefix is shorter',
    { name: 'n', dialect: 'star', prefix: 'p'.repeat(155) },
    { path: `${'p'.repeat(131)}/n` },
  ],
  [
    'V7, whose device fields mean nothing',
    { name: 'old', dialect: 'v7', type: '\0' },
    { dialect: 'v7', type: '0', major: 0 },
  ],
  ['a device', { name: 'd', type: '3', major: 136, minor: 300 }, { type: '3', major: 136, minor: 300 }],
  ['a link', { name: 'l', type: '2', linkName: 'x'.repeat(100) }, { type: '2', linkPath: 'x'.repeat(100) }],
  ['a mode with the type in it', { name: 'f', mode: 0o100644 }, { mode: 0o644 }],
  ['bytes that are no UTF-8', { name: Buffer.from([0xff, 0x41, 0xe4]) }, { path: '\xffA\xe4' }],
  ['a large uid', { name: 'u', uid: 4_294_967_294 }, { uid: 4_294_967_294 }],
  ['a time before the epoch', { name: 't', mtime: -1 }, { mtime: -1 }],
];

test.each(cases)('reads %s', (_, member, expected) => {
  expect(parseHeader(header(member), 0, true)).toMatchObject(expected);
});

describe('the checksum', () => {
  test('may be the sum of signed bytes', () => {
    const block = header({ name: Buffer.from([0xff, 0xfe]) });
    block.fill(0x20, 148, 156);
    let sum = 0;
    for (const byte of block) sum += byte > 127 ? byte - 256 : byte;
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    expect(parseHeader(block, 0, true).path).toBe('\xff\xfe');
  });

  test.each(['0000000\0', 'garbage!', '777777\0 '])('is refused when it is %j', (checksum) => {
    const block = header({ name: 'x', checksum });
    expect(() => parseHeader(block, 0, true)).toThrow('is not a tar archive');
    expect(() => parseHeader(block, 0, false)).toThrow('has a header whose checksum is wrong');
  });

  test('notices every flipped byte of a header', () => {
    const block = header({ name: 'name', content: 'abc', prefix: 'p' });
    // The blank behind the checksum alone means nothing.
    for (let i = 0; i < 512; i++) {
      if (i === 155) continue;
      const damaged = Buffer.from(block);
      damaged[i] = (damaged[i] ?? 0) ^ 1;
      expect(() => parseHeader(damaged, 0, true), `byte ${i}`).toThrow();
    }
  });
});
