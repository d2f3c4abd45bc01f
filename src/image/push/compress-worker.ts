/**
 * A thread that compresses: pieces come, each becomes a member of gzip (RFC 1952) by itself (compressors.ts). It is a bundle of its
 * own, so that it starts without loading the command line.
 */
import { parentPort } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { messageOf } from '../../error.ts';

/** A piece to compress, or none: the thread ends. */
export interface ToCompressor {
  id: number;
  memory?: ArrayBuffer;
  length: number;
}

export interface FromCompressor {
  id: number;
  /** The memory of the piece, to be used again. */
  memory: ArrayBuffer;
  result?: Uint8Array<ArrayBuffer>;
  error?: string;
}

/** What the executable's runtime has beside node:zlib: libdeflate, which takes half of the time for the same size. */
declare const Bun:
  | { gzipSync(bytes: Uint8Array, options: { level: number; library: 'libdeflate' }): Uint8Array<ArrayBuffer> }
  | undefined;

/** Where each of the two stops to gain much for what it costs (docs/decisions/0130). */
const levels = { libdeflate: 3, zlib: 5 };

function compress(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof Bun !== 'undefined') return Bun.gzipSync(bytes, { level: levels.libdeflate, library: 'libdeflate' });
  return new Uint8Array(gzipSync(bytes, { level: levels.zlib }));
}

const port = parentPort;
if (port === null) throw new Error('this is the compressing thread; Compressors starts it');

port.on('message', ({ id, memory, length }: ToCompressor) => {
  if (memory === undefined) {
    port.close();
    return;
  }
  let answer: FromCompressor;
  try {
    answer = { id, memory, result: compress(new Uint8Array(memory, 0, length)) };
  } catch (error) {
    answer = { id, memory, error: messageOf(error) };
  }
  port.postMessage(answer, [memory]);
});
