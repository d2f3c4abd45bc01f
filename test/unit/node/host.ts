/**
 * The small engine's host as Node has it, for tests of src/node: import it before the modules of src/node, which look at it when
 * they are loaded.
 */
import { isUtf8 } from 'node:buffer';
import { addressOf, rawSyscall } from '../../../src/linux/ffi.ts';
import type { Engine } from '../../../src/node/engine.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

const host: Engine = {
  argv: process.argv,
  environment: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
  syscall: rawSyscall,
  child: () => {
    throw new Error('the tests of src/node start no process');
  },
  address: (bytes) => Number(addressOf(bytes)),
  decodeUtf8: (bytes, start, end) => utf8.decode(bytes.subarray(start, end)),
  decodeLatin1: (bytes, start, end) => Buffer.from(bytes.buffer, bytes.byteOffset).latin1Slice(start, end),
  encodeUtf8: (text) => new TextEncoder().encode(text).buffer as ArrayBuffer,
  isUtf8,
};

Object.assign(globalThis, { tsrunEngine: host });
