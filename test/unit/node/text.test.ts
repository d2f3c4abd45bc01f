import './host.ts';
import { expect, test } from 'vitest';
import { Random } from './random.ts';

const own = await import('../../../src/node/text.ts');
const random = new Random(2);

/** Bytes that are mostly UTF-8, cut and broken here and there. */
function almostUtf8(): Uint8Array {
  const text = random.text(random.below(8), 'a\u00e9\u20ac\u{1f600}\ufeff\u0800\ud7ff\u{10ffff}');
  const bytes = [...new TextEncoder().encode(random.below(4) === 0 ? `\ufeff${text}` : text)];
  if (random.below(2) === 0) bytes.splice(random.below(bytes.length + 1), random.below(2), random.of(broken));
  return Uint8Array.from(bytes);
}
const broken = [0x80, 0xbf, 0xc0, 0xc1, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0xff, 0xa0, 0x8f, 0x90];

function decoded(
  decoder: { decode(bytes: Uint8Array, how: { stream: boolean }): string },
  parts: Uint8Array[],
): unknown {
  try {
    return parts.map((part, index) => decoder.decode(part, { stream: index < parts.length - 1 }));
  } catch (error) {
    return [(error as Error).name, (error as { code?: string }).code];
  }
}

test('bytes in any pieces are decoded as by Node, piece by piece', () => {
  for (let round = 0; round < 2000; round++) {
    const bytes = almostUtf8();
    const cuts = [random.below(bytes.length + 1), random.below(bytes.length + 1)].sort((a, b) => a - b);
    const parts = [bytes.subarray(0, cuts[0]), bytes.subarray(cuts[0], cuts[1]), bytes.subarray(cuts[1])];
    const how = { fatal: random.below(3) === 0, ignoreBOM: random.below(2) === 0 };
    const what = [how, parts];
    const expected = decoded(new TextDecoder('utf-8', how), parts);
    expect([...what, decoded(new own.TextDecoder('utf-8', how), parts)]).toEqual([...what, expected]);
  }
});

test('a decoder takes what Node takes, and says what it does not know', () => {
  const { buffer } = Uint8Array.of(65, 0, 66, 0);
  const decoder = new own.TextDecoder('UTF8');
  expect(decoder.decode()).toBe('');
  expect(decoder.decode(buffer)).toBe('A\0B\0');
  expect(decoder.decode(new DataView(buffer, 2, 1))).toBe('B');
  expect(() => new own.TextDecoder('utf-16le')).toThrow('The "utf-16le" encoding is not supported');
  expect([...new own.TextEncoder().encode('\u00e9\ud800')]).toEqual([...new TextEncoder().encode('\u00e9\ud800')]);
});
