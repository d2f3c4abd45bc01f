import { createHash } from 'node:crypto';
import * as zlib from 'node:zlib';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { TsrunError } from '../../../../src/error.ts';
import { createDecompressor } from '../../../../src/image/unpack/decompress.ts';
import type { Decompressor, Output } from '../../../../src/image/unpack/decompressor.ts';
import { createZstdDecompressor } from '../../../../src/image/unpack/zstd.ts';

async function decompressBy(
  create: (output: Output) => Decompressor,
  bytes: Buffer,
  step: number,
  onOutput: (chunk: Buffer) => void,
): Promise<Buffer> {
  const output: Buffer[] = [];
  const decompressor = create((chunk) => {
    output.push(Buffer.from(chunk));
    onOutput(chunk);
  });
  try {
    // A copy that is overwritten afterwards: nothing may depend on memory that was given back.
    for (let i = 0; i < bytes.length; i += step) {
      const chunk = Buffer.from(bytes.subarray(i, i + step));
      await decompressor.write(chunk);
      chunk.fill(0xaa);
    }
    await decompressor.end();
  } finally {
    decompressor.destroy();
  }
  return Buffer.concat(output);
}

const decompress = (bytes: Buffer, step = 65536, onOutput: (chunk: Buffer) => void = () => {}) =>
  decompressBy((output) => createDecompressor(bytes.subarray(0, 6), output), bytes, step, onOutput);

const text = Buffer.from(
  Array.from({ length: 20_000 }, (_, i) => `line ${i % 97} of a text that compresses well\n`).join(''),
);
const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');

describe('gzip', () => {
  test.each([1, 3, 100, 65536])('comes out whole when it goes in by %d bytes', async (step) => {
    expect(digest(await decompress(gzipSync(text), step))).toBe(digest(text));
  });

  test.each([1, 7, 65536])('may have several members (%d bytes at a time)', async (step) => {
    const members = [gzipSync('one '), gzipSync(''), gzipSync('two '), gzipSync(text.subarray(0, 1000))];
    const whole = await decompress(Buffer.concat(members), step);
    expect(whole.toString()).toBe(`one two ${text.subarray(0, 1000)}`);
  });

  test('members may end where pieces end', async () => {
    const members = [gzipSync('one '), gzipSync('two')];
    const output: Buffer[] = [];
    const decompressor = createDecompressor(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]), (chunk) =>
      output.push(Buffer.from(chunk)),
    );
    for (const bytes of members) await decompressor.write(bytes);
    await decompressor.end();
    expect(Buffer.concat(output).toString()).toBe('one two');
  });

  test.each([1, 100, 65536])(
    'zeros behind the end are padding, anything else is not (%d bytes at a time)',
    async (step) => {
      const zeros = Buffer.concat([gzipSync('content'), Buffer.alloc(1000)]);
      expect((await decompress(zeros, step)).toString()).toBe('content');
      for (const garbage of [Buffer.from('garbage'), gzipSync('hidden')]) {
        await expect(decompress(Buffer.concat([zeros, garbage]), step)).rejects.toThrow(
          'something behind its gzip data',
        );
      }
      await expect(decompress(Buffer.concat([gzipSync('a'), Buffer.from('garbage')]), step)).rejects.toMatchObject({
        code: 'ARCHIVE',
      });
    },
  );

  test('is refused when it is cut off', async () => {
    const bytes = gzipSync(text);
    for (const length of [10, 100, bytes.length - 8, bytes.length - 1]) {
      await expect(decompress(bytes.subarray(0, length))).rejects.toMatchObject({
        code: 'ARCHIVE',
        message: 'the layer ends in the middle of its gzip data',
      });
    }
  });

  test('is refused when it is damaged', async () => {
    const bytes = gzipSync(text);
    bytes[bytes.length - 6] = (bytes[bytes.length - 6] ?? 0) ^ 1;
    await expect(decompress(bytes)).rejects.toThrow(/damaged gzip data \(.*data check/);
    const other = gzipSync(text);
    other[100] = (other[100] ?? 0) ^ 0xff;
    await expect(decompress(other)).rejects.toMatchObject({ code: 'ARCHIVE' });
  });

  test('what the output throws comes back, and nothing is delivered after it', async () => {
    let calls = 0;
    const failure = new TsrunError('NO_SPACE', 'full');
    const stop = () => {
      calls++;
      throw failure;
    };
    await expect(decompress(gzipSync(Buffer.alloc(4 * 1024 * 1024)), 1000, stop)).rejects.toBe(failure);
    expect(calls).toBe(1);
  });
});

/** A zstd frame of blocks; RFC 8878. `window`: descriptor byte; `checksum`: of the content, in hex (XXH64, low half). */
function zstdFrame(blocks: [type: 0 | 1 | 2, body: Buffer, size?: number][], window = 0x38, checksum = ''): Buffer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, checksum === '' ? 0 : 4, window])];
  blocks.forEach(([type, body, size], i) => {
    const head = Buffer.alloc(3);
    head.writeUIntLE((i === blocks.length - 1 ? 1 : 0) | (type << 1) | ((size ?? body.length) << 3), 0, 3);
    parts.push(head, body);
  });
  parts.push(Buffer.from(checksum, 'hex'));
  return Buffer.concat(parts);
}

/** `zstd -19` of 20,000 lines as above, which has compressed blocks, a large window and a checksum. */
const compressed = Buffer.from(
  [
    'KLUv/aTK3gsAXAUA4skaFZCrDSh0RclXCbo7yZIru7vPyV1nJ9va2djX1tX9n7/X5/F3qzefVxPPinvPq4lntX1eTTwr7fNq4lll',
    'n1cTzwr7vJp4Vtfn1cQz6/Nq4hlgGMlBTGKYtChHIqAmIBrUPKlBARoSVCghhRFiqCHAvv9n4DWWNRJIEPj/TxCwb/83QPHAbhEN',
    '6EADHagj29qwVfP9ZP+T/05/P+1/rvYXoIogWxonwK4CVAAAAAEA/f8d9bkGAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9',
    '/zkAAkUAAAABAMfeOQACCYB8aw==',
  ].join(''),
  'base64',
);

const decoders: [name: string, pure: boolean][] = [['in JavaScript', true]];
if ('createZstdDecompress' in zlib) decoders.push(['natively', false]);

describe.each(decoders)('zstd, %s', (_, pure) => {
  const decompress = (bytes: Buffer, step = 65536, onOutput: (chunk: Buffer) => void = () => {}) =>
    decompressBy((output) => createZstdDecompressor(output, pure), bytes, step, onOutput);

  test.each([1, 5, 1000, 65536])('comes out whole when it goes in by %d bytes', async (step) => {
    expect(digest(await decompress(compressed, step))).toBe(digest(text));
  });

  test.each([1, 65536])('may have several frames, with skippable ones between (%d bytes at a time)', async (step) => {
    const skippable = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const bytes = Buffer.concat([
      skippable,
      zstdFrame([[0, Buffer.from('raw ')]]),
      skippable,
      Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]),
      zstdFrame([[1, Buffer.from('r'), 5]], 0x38, 'de6bb6c2'),
      zstdFrame([[0, Buffer.alloc(0)]], 0x38, '99e9d851'),
      zstdFrame([
        [0, Buffer.from(' one')],
        [0, Buffer.from(' two')],
        [1, Buffer.from('!'), 3],
      ]),
      compressed,
      skippable,
    ]);
    expect((await decompress(bytes, step)).toString()).toBe(`raw rrrrr one two!!!${text}`);
  });

  test('small frames do not cost their window each', async () => {
    // 100 MiB each, if it were allocated.
    const frame = zstdFrame([[0, Buffer.from('x')]], 0x88);
    const before = process.memoryUsage.rss();
    const whole = await decompress(Buffer.concat(Array.from({ length: 2000 }, () => frame)));
    expect(whole).toHaveLength(2000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
  });

  test.each([
    ['cut off', compressed.subarray(0, -5), 'ends in the middle of its zstd data'],
    ['without its checksum', compressed.subarray(0, -1), 'ends in the middle of its zstd data'],
    ['a window of gigabytes', zstdFrame([[0, Buffer.from('x')]], 0xa8), 'needs 2147483648 bytes of memory'],
    ['an impossible block', zstdFrame([[0, Buffer.alloc(10), 1_000_000]]), 'impossible block'],
    ['garbage behind a frame', Buffer.concat([compressed, Buffer.from('garbage!')]), 'no frame where one must begin'],
    ['garbage in a block', zstdFrame([[2, Buffer.alloc(100, 0xff)]]), 'damaged zstd data'],
  ])('%s is refused', async (_, bytes, message) => {
    await expect(decompress(bytes)).rejects.toMatchObject({
      code: 'ARCHIVE',
      message: expect.stringContaining(message),
    });
  });

  test('what the output throws comes back', async () => {
    const failure = new RangeError('from the output');
    const stop = () => {
      throw failure;
    };
    await expect(decompress(compressed, 1000, stop)).rejects.toBe(failure);
  });
});

test('what is not compressed passes through', async () => {
  expect((await decompress(Buffer.from('plain text'))).toString()).toBe('plain text');
  expect(await decompress(Buffer.alloc(0))).toHaveLength(0);
});

test.each([
  ['bzip2', 'BZh91AY&SY'],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['lz4', Buffer.from([0x04, 0x22, 0x4d, 0x18, 0, 0])],
])('%s is refused by name', (name, magic) => {
  expect(() => createDecompressor(Buffer.from(magic), () => {})).toThrow(`is compressed with ${name}`);
});
