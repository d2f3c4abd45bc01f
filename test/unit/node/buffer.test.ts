import './host.ts';
import { expect, test } from 'vitest';
import { Random } from './random.ts';

const { Buffer: Own, isUtf8 } = await import('../../../src/node/buffer.ts');

const random = new Random(1);

/** What came of it, for comparison: bytes, a value, or how it failed. */
function outcome(action: () => unknown): unknown {
  try {
    const value = action();
    return value instanceof Uint8Array ? { bytes: Array.from(value) } : { value };
  } catch (error) {
    const { name, code } = error as { name: string; code?: string };
    return { failed: name, code };
  }
}

/** Both are called alike; `what` tells a failing case. */
function alike(what: unknown, own: () => unknown, node: () => unknown): void {
  expect({ what, ...(outcome(own) as object) }).toEqual({ what, ...(outcome(node) as object) });
}

const letters = 'aZ09+/-_= \n\u00e9\u00ff\u20ac\u{1f600}\ud83d\ufeff\0xF';
const encodings = ['utf8', 'UTF-8', 'latin1', 'binary', 'ascii', 'hex', 'base64', 'base64url', 'utf16le', 'ucs2'];

/** Mostly what is of the encoding: where base64 is broken, versions of Node differ. */
function textFor(encoding: string): string {
  if (encoding === 'hex') return random.text(random.below(20), '0123456789abcdefABCDEF0123456789g');
  if (!encoding.startsWith('base64')) return random.text(random.below(20), letters);
  return `${random.text(random.below(20), 'aZ09+/-_\n BCxyzefgh')}${random.of(['', '=', '=='])}`;
}

test('text becomes the bytes that Node makes of it, and these become the same text', () => {
  for (let round = 0; round < 700; round++) {
    const encoding = random.of(encodings) as BufferEncoding;
    const text = textFor(encoding);
    alike(
      [text, encoding],
      () => Own.from(text, encoding),
      () => Buffer.from(text, encoding),
    );
    alike(
      [text, encoding],
      () => Own.byteLength(text, encoding),
      () => Buffer.byteLength(text, encoding),
    );
    const bytes = random.bytes(random.below(20));
    const start = random.below(24) - 2;
    const end = random.below(24) - 2;
    alike(
      [bytes, encoding],
      () => Own.from(bytes).toString(encoding),
      () => Buffer.from(bytes).toString(encoding),
    );
    alike(
      [bytes, encoding, start, end],
      () => Own.from(bytes).toString(encoding, start, end),
      () => Buffer.from(bytes).toString(encoding, start, end),
    );
    alike(
      [text],
      () => Own.from(text).toString(),
      () => Buffer.from(text).toString(),
    );
  }
  alike(
    'unknown',
    () => Own.from('a', 'what'),
    () => Buffer.from('a', 'what' as never),
  );
  alike(
    'unknown',
    () => Own.from('a').toString('what'),
    () => Buffer.from('a').toString('what' as never),
  );
});

test('text is written as far as there is room, and no character is cut', () => {
  for (let round = 0; round < 700; round++) {
    const encoding = random.of(encodings) as BufferEncoding;
    const text = textFor(encoding);
    const size = random.below(16);
    const offset = random.below(18) - 1;
    const length = random.below(18) - 1;
    const all: unknown[][] = [[text], [text, offset], [text, encoding], [text, offset, encoding]];
    all.push([text, offset, length], [text, offset, length, encoding]);
    for (const given of all) {
      const own = Own.alloc(size, 7);
      const node = Buffer.alloc(size, 7);
      alike(
        [size, given],
        () => own.write(...(given as [string])),
        () => node.write(...(given as [string])),
      );
      expect([given, ...own]).toEqual([given, ...node]);
    }
  }
});

const widths = ['Int8', 'Int16LE', 'Int16BE', 'Int32LE', 'Int32BE', 'UInt8', 'UInt16LE', 'UInt16BE', 'UInt32LE'];
const integers = [...widths, 'UInt32BE', 'BigInt64LE', 'BigInt64BE', 'BigUInt64LE', 'BigUInt64BE'];
type Calls = Record<string, (...given: unknown[]) => unknown>;

test.each(integers)('%s is read and written as by Node, with its errors', (name) => {
  const offsets = [0, 0, 1, 2, 3, 5, 8, 9, 12, 13, 15, 16, -1, 1.5, Number.NaN, undefined];
  const edges = [0n, 1n, -1n];
  for (const bits of [7n, 8n, 15n, 16n, 31n, 32n, 63n, 64n]) {
    for (const by of [-1n, 0n, 1n]) edges.push((1n << bits) + by, -(1n << bits) + by);
  }
  for (let round = 0; round < 300; round++) {
    const bytes = random.bytes(random.of([0, 1, 4, 16, 16, 16]));
    const offset = random.of(offsets);
    const edge = random.of(edges);
    const value = name.startsWith('Big') ? edge : random.of([Number(edge), Number(edge), 1.7, Number.NaN]);
    const own = Own.from(bytes) as unknown as Calls & Uint8Array;
    const node = Buffer.from(bytes) as unknown as Calls & Uint8Array;
    alike(
      [name, bytes, offset],
      () => own[`read${name}`]?.(offset),
      () => node[`read${name}`]?.(offset),
    );
    alike(
      [name, value, offset],
      () => own[`write${name}`]?.(value, offset),
      () => node[`write${name}`]?.(value, offset),
    );
    // What was written before an error is Node's own affair.
    if (typeof offset === 'number' && offset >= 0 && offset + 8 <= bytes.length) {
      expect([name, value, offset, ...own]).toEqual([name, value, offset, ...node]);
    }
  }
});

test.each(['UIntLE', 'UIntBE'])('%s of one to six bytes is read and written as by Node', (name) => {
  for (let round = 0; round < 300; round++) {
    const bytes = random.bytes(10);
    const offset = random.of([0, 1, 3, 6, 9, 10, -1]);
    const size = random.of([1, 2, 3, 4, 5, 6, 7, 0]);
    const value = random.of([0, 255, 256, 2 ** 24 - 1, 2 ** 32, 2 ** 48 - 1, 2 ** 48, -1]);
    const own = Own.from(bytes) as unknown as Calls & Uint8Array;
    const node = Buffer.from(bytes) as unknown as Calls & Uint8Array;
    const what = [name, bytes, value, offset, size];
    alike(
      what,
      () => own[`read${name}`]?.(offset, size),
      () => node[`read${name}`]?.(offset, size),
    );
    alike(
      what,
      () => own[`write${name}`]?.(value, offset, size),
      () => node[`write${name}`]?.(value, offset, size),
    );
    expect([...what, ...own]).toEqual([...what, ...node]);
  }
});

test('bytes are sought, filled, copied, compared and turned round as by Node', () => {
  for (let round = 0; round < 800; round++) {
    const bytes = random.bytes(random.below(12), 4);
    const other = random.bytes(random.below(6), 4);
    const own = Own.from(bytes);
    const node = Buffer.from(bytes);
    const at = random.of([undefined, 0, 1, 3, 20, -1, -3, -20, 1.5]);
    const to = random.of([undefined, 0, 2, 5, 20, -1]);
    const sought = random.of([other, 1, 257, '\u0001', '\u0001\u0002', '', 'AQI=']);
    const encoding = sought === 'AQI=' ? 'base64' : undefined;
    const what = [bytes, sought, at, to];
    for (const way of ['indexOf', 'lastIndexOf', 'includes'] as const) {
      // Where the last nothing is found is Node's own affair.
      if (way === 'lastIndexOf' && typeof sought !== 'number' && sought.length === 0) continue;
      alike(
        [way, ...what],
        () => own[way](sought, at, encoding),
        () => node[way](sought as string, at, encoding),
      );
    }
    alike(
      ['slice', ...what],
      () => own.slice(at, to),
      () => node.subarray(at, to),
    );
    alike(
      ['fill', ...what],
      () => Own.from(bytes).fill(sought, at, to),
      () => Buffer.from(bytes).fill(sought as string, at, to),
    );
    alike(
      ['equals', ...what],
      () => own.equals(other),
      () => node.equals(other),
    );
    alike(
      ['compare', ...what],
      () => Own.compare(own, other),
      () => Buffer.compare(node, other),
    );
    alike(
      ['compare', ...what],
      () => own.compare(other, at, to),
      () => node.compare(other, at, to),
    );
    const from = random.of([undefined, 0, 1, 4, 20]);
    const until = random.of([undefined, 0, 2, 6, 20]);
    const target = new Uint8Array(8);
    const targetOfNode = new Uint8Array(8);
    const start = random.of([undefined, 0, 2, 8, 9]);
    alike(
      ['copy', ...what],
      () => own.copy(target, start, from, until),
      () => node.copy(targetOfNode, start, from, until),
    );
    expect(target).toEqual(targetOfNode);
    for (const way of ['swap16', 'swap32', 'swap64'] as const)
      alike(
        [way, bytes],
        () => own[way](),
        () => node[way](),
      );
    alike(
      'toJSON',
      () => JSON.stringify(own),
      () => JSON.stringify(node),
    );
    alike(
      'isUtf8',
      () => isUtf8(own),
      () => outcomeOfDecoder(node),
    );
    const length = random.of([undefined, 0, 5, 30]);
    alike(
      'concat',
      () => Own.concat([bytes, other, own], length),
      () => Buffer.concat([bytes, other, node], length),
    );
  }
});

function outcomeOfDecoder(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.toString()).equals(bytes);
}

test('buffers are made of what Node makes them of, and share what Node shares', () => {
  const memory = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer;
  const sources: unknown[][] = [[[1, 256, -1, '7', 2.9]], [{ length: 2, 0: 5, 1: 6 }], [{ type: 'Buffer', data: [1] }]];
  sources.push([memory], [memory, 2], [memory, 2, 3], [memory, 8], [memory, 9], [memory, 2, 7], [memory, 0, -1]);
  sources.push([5], [null], [undefined], [true], [new Uint16Array([1, 300])]);
  for (const source of sources) {
    alike(
      source,
      () => Own.from(...(source as [string])),
      () => Buffer.from(...(source as [string])),
    );
  }
  for (const size of [0, 3, -1, Number.NaN, '3', undefined]) {
    for (const fill of [undefined, 0, 5, 300, 'ab', '', Uint8Array.of(1, 2)]) {
      alike(
        [size, fill],
        () => Own.alloc(size as number, fill),
        () => Buffer.alloc(size as number, fill as string),
      );
    }
    alike(
      size,
      () => Own.allocUnsafe(size as number).length,
      () => Buffer.allocUnsafe(size as number).length,
    );
  }
  const shared = Own.from(memory, 1, 4);
  for (const part of [shared.subarray(1), shared.slice(1, 2), shared.slice(-3)]) {
    expect(part).toBeInstanceOf(Own);
    part[0] = 99;
    expect(new Uint8Array(memory)[2]).toBe(99);
  }
  const copy = Own.from(shared);
  copy[0] = 1;
  expect(shared[0]).not.toBe(1);
  expect(Own.of(1, 2)).toBeInstanceOf(Own);
  expect(Array.from(Own.of(1, 257))).toEqual([1, 1]);
  expect([Own.isBuffer(copy), Own.isBuffer(new Uint8Array(1)), Own.isEncoding('UTF-8'), Own.isEncoding('x')]).toEqual([
    true,
    false,
    true,
    false,
  ]);
});
