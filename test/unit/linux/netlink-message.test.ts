import { expect, test } from 'vitest';
import { TsrunError } from '../../../src/error.ts';
import {
  Attributes,
  attribute,
  be16,
  be32,
  decodeMessages,
  encodeMessage,
  nested,
  text,
  u32,
} from '../../../src/linux/netlink-message.ts';

test('a message is its header and its body, padded to four bytes', () => {
  const bytes = encodeMessage(16, 0x605, 7, Buffer.from('abcde'));
  expect(bytes.toString('hex')).toBe('15000000100005060700000000000000' + '6162636465000000');
  expect(decodeMessages(bytes)).toEqual([{ type: 16, flags: 0x605, sequence: 7, body: Buffer.from('abcde') }]);
});

test('several messages in one datagram are told apart', () => {
  const datagram = Buffer.concat([1, 2, 3].map((i) => encodeMessage(i, 0, i, Buffer.alloc(i))));
  expect(decodeMessages(datagram).map(({ type, body }) => [type, body.length])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
});

test('attributes come back as what they were, nested ones and lists too', () => {
  const bytes = Buffer.concat([
    attribute(3, text('tsrun0')),
    attribute(4, u32(1500)),
    nested(18, attribute(1, text('veth')), nested(2, attribute(1, be32(7)), attribute(2, be16(80)))),
    attribute(9, Buffer.of(1)),
    attribute(9, Buffer.of(2)),
  ]);
  const attributes = new Attributes(bytes);
  expect(attributes.text(3)).toBe('tsrun0');
  expect(attributes.u32(4)).toBe(1500);
  expect(attributes.nested(18)?.text(1)).toBe('veth');
  expect(attributes.nested(18)?.nested(2)?.be32(1)).toBe(7);
  expect(attributes.nested(18)?.nested(2)?.be16(2)).toBe(80);
  expect(attributes.entries.filter(({ type }) => type === 9).map(({ value }) => value[0])).toEqual([1, 2]);
  expect(attributes.bytes(5)).toBeUndefined();
  expect(attributes.u32(5)).toBeUndefined();
});

test('a value that does not fit an attribute is an error, not a shorter value', () => {
  expect(() => attribute(1, Buffer.alloc(65_532))).toThrow(RangeError);
  expect(attribute(1, Buffer.alloc(65_531)).length).toBe(65_536);
});

test.each([
  ['a message shorter than its header', '0f00000000000000'],
  ['a message that claims more than there is', '20000000100000000000000000000000'],
  ['a message that claims less than a header', '08000000100000000000000000000000'],
])('%s is malformed', (_, hex) => {
  expect(() => decodeMessages(Buffer.from(hex, 'hex'))).toThrow(/malformed/);
});

test.each([
  ['an attribute shorter than its header', '0800'],
  ['an attribute that claims more than there is', '0900010000000000'],
  ['an attribute that claims less than a header', '0300010000000000'],
])('%s is malformed', (_, hex) => {
  expect(() => new Attributes(Buffer.from(hex, 'hex'))).toThrow(/malformed/);
});

test('an integer whose attribute is too short is malformed', () => {
  expect(() => new Attributes(attribute(1, Buffer.of(1, 2))).u32(1)).toThrow('attribute 1 has 2 bytes');
});

test('whatever bytes come, they are read or refused', () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed;
  };
  for (let i = 0; i < 3000; i++) {
    const bytes = Buffer.from(Array.from({ length: random() % 80 }, () => (random() % 3 === 0 ? random() % 24 : 0)));
    for (const read of [decodeMessages, (input: Buffer) => new Attributes(input)]) {
      try {
        read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(TsrunError);
      }
    }
  }
});
