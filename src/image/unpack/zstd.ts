/**
 * zstd layers: decoded by node:zlib where the runtime has zstd (Node 22.15, 23.8), else by fzstd, which is JavaScript and
 * takes five times as long. Both get single frames (zstd-frames.ts says why).
 */
import * as zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import { messageOf } from '../../error.ts';
import { archiveError } from './byte-path.ts';
import type { Decompressor, Output } from './decompressor.ts';
import { InflatePipe, type InflateStream, inflatedChunkSize } from './inflate-pipe.ts';
import { blockMax, FrameSplitter, frameMagic } from './zstd-frames.ts';

type CreateStream = (options: { chunkSize: number }) => InflateStream;

/** Not in the types of Node 20. */
const createStream = (zlib as { createZstdDecompress?: CreateStream }).createZstdDecompress;

/** `pure` asks for the decoder in JavaScript, whatever the runtime has. */
export function createZstdDecompressor(output: Output, pure = createStream === undefined): Decompressor {
  return pure || createStream === undefined ? new PureZstd(output) : new NativeZstd(createStream, output);
}

class NativeZstd implements Decompressor {
  private readonly pipe: InflatePipe;
  private readonly splitter: FrameSplitter;
  /** What is to be written, none of it with the beginning of another frame behind its end. */
  private readonly writes: Buffer[] = [];
  private parts: Buffer[] = [];
  /** Blocks came whose frame has not ended. */
  private open = false;

  constructor(create: CreateStream, output: Output) {
    this.pipe = new InflatePipe(create({ chunkSize: inflatedChunkSize }), 'zstd', output);
    this.splitter = new FrameSplitter({
      frame: (header) => {
        if (!this.open) this.flush();
        this.open = true;
        this.parts.push(header);
      },
      block: (bytes, last) => {
        this.parts.push(bytes);
        if (last) this.open = false;
      },
      checksum: (bytes) => this.parts.push(bytes),
    });
  }

  private flush(): void {
    if (this.parts.length > 0) this.writes.push(Buffer.concat(this.parts));
    this.parts = [];
  }

  async write(chunk: Buffer): Promise<void> {
    this.splitter.push(chunk);
    this.flush();
    for (const bytes of this.writes.splice(0)) await this.pipe.write(bytes);
  }

  async end(): Promise<void> {
    this.splitter.finish();
    await this.pipe.end();
  }

  destroy(): void {
    this.pipe.destroy();
  }
}

class PureZstd implements Decompressor {
  private readonly splitter: FrameSplitter;
  private window = 0;
  private decoder: Decompress | undefined;
  private outputError: unknown;

  constructor(private readonly output: Output) {
    this.splitter = new FrameSplitter({
      frame: (_, window) => {
        this.window = window;
      },
      block: (bytes, last) => this.block(bytes, last),
      // Its content is covered by the diffID.
      checksum: () => {},
    });
  }

  async write(chunk: Buffer): Promise<void> {
    this.splitter.push(chunk);
  }

  async end(): Promise<void> {
    this.splitter.finish();
  }

  destroy(): void {
    this.decoder = undefined;
  }

  private block(bytes: Buffer, last: boolean): void {
    if (this.decoder === undefined) {
      this.decoder = new Decompress((data) => this.deliver(data));
      // A frame of one block needs no window beyond it: thousands of small frames do not cost megabytes each.
      this.decode(frameHeader(last ? Math.min(this.window, blockMax) : this.window), false);
    }
    this.decode(bytes, last);
    if (last) this.decoder = undefined;
  }

  private deliver(data: Uint8Array): void {
    if (data.length === 0) return;
    try {
      this.output(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    } catch (error) {
      this.outputError = error;
      throw error;
    }
  }

  /** The decoder keeps what it cannot use yet, so it gets copies of what it may keep. */
  private decode(bytes: Buffer, last: boolean): void {
    try {
      this.decoder?.push(last ? bytes : Buffer.from(bytes), last);
    } catch (error) {
      if (error === this.outputError) throw error;
      throw archiveError(undefined, `has damaged zstd data (${messageOf(error)})`);
    }
  }
}

/** A frame header without content size and checksum, for the smallest window that is at least `window` bytes. */
function frameHeader(window: number): Buffer {
  let exponent = 10;
  while (2 ** exponent < window) exponent++;
  const header = Buffer.alloc(6);
  header.writeUInt32LE(frameMagic, 0);
  header[5] = (exponent - 10) << 3;
  return header;
}
