/**
 * The small engine's host as Node has it, for tests of src/node: import it before the modules of src/node, which look at it when
 * they are loaded.
 */
import { isUtf8 } from 'node:buffer';
import { addressOf, rawSyscall } from '../../../src/linux/ffi.ts';
import type { SmallEngine } from '../../../src/linux/small-engine.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

const host: Partial<SmallEngine> = {
  argv: process.argv,
  environment: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
  syscall: rawSyscall,
  child: () => {
    throw new Error('the tests of src/node start no process');
  },
  address: (bytes) => Number(addressOf(bytes)),
  decodeUtf8: (bytes, start, end) => utf8.decode(bytes.subarray(start, end)),
  decodeLatin1: (bytes, start, end) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1', start, end),
  encodeUtf8: (text) => Uint8Array.from(new TextEncoder().encode(text)).buffer,
  isUtf8,
};

// The global is there for as long as src/node looks for it: whatever else is loaded would take this for the small engine.
const holder = globalThis as { tsrunEngine?: object };
holder.tsrunEngine = host;
await import('../../../src/node/engine.ts');
delete holder.tsrunEngine;
