/** The host of the small engine as far as text goes, made of Node's: imported before the modules of src/node. */
export {};

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const fatal = new TextDecoder('utf-8', { fatal: true });

const textOfHost = {
  decodeUtf8: (bytes: Uint8Array, start: number, end: number): string => utf8.decode(bytes.subarray(start, end)),
  decodeLatin1: (bytes: Uint8Array, start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).toString('latin1'),
  encodeUtf8: (text: string): ArrayBuffer => {
    const { buffer, byteOffset, byteLength } = new TextEncoder().encode(text);
    return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
  },
  isUtf8: (bytes: Uint8Array): boolean => {
    try {
      fatal.decode(bytes);
      return true;
    } catch {
      return false;
    }
  },
};
// Files of one worker share their modules, and so the host that these have got.
const host = globalThis as { tsrunEngine?: object };
host.tsrunEngine = Object.assign(host.tsrunEngine ?? {}, textOfHost);
