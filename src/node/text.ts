/** TextDecoder and TextEncoder, https://encoding.spec.whatwg.org/, for UTF-8, which is all that tsrun reads. */
import { engine } from './engine.ts';
import { coded } from './errors.ts';

export class TextEncoder {
  readonly encoding = 'utf-8';

  encode(text = ''): Uint8Array<ArrayBuffer> {
    return new Uint8Array(engine.encodeUtf8(String(text)));
  }
}

/** How many bytes at the end begin a character whose rest may follow. */
function incomplete(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const first = bytes[bytes.length - back] as number;
    if ((first & 0xc0) === 0x80) continue;
    const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size <= back) return 0;
    if (back === 1) return 1;
    // The second byte has a narrower range behind these, https://encoding.spec.whatwg.org/#utf-8-decoder.
    const second = bytes[bytes.length - back + 1] as number;
    const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high ? back : 0;
  }
  return 0;
}

export class TextDecoder {
  readonly encoding = 'utf-8';
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  #held: Uint8Array | undefined;
  #begun = false;

  /** @throws RangeError for another encoding than UTF-8 */
  constructor(label = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    if (!/^\s*(unicode-1-1-utf-8|utf-?8)\s*$/i.test(label)) {
      throw coded(new RangeError(`The "${label}" encoding is not supported`), 'ERR_ENCODING_NOT_SUPPORTED');
    }
    this.fatal = options.fatal === true;
    this.ignoreBOM = options.ignoreBOM === true;
  }

  decode(input?: ArrayBufferLike | ArrayBufferView, options: { stream?: boolean } = {}): string {
    let bytes = bytesOf(input);
    if (this.#held !== undefined) {
      const joined = new Uint8Array(this.#held.length + bytes.length);
      joined.set(this.#held);
      joined.set(bytes, this.#held.length);
      bytes = joined;
      this.#held = undefined;
    }
    let end = bytes.length;
    if (options.stream === true) {
      end -= incomplete(bytes);
      if (end < bytes.length) this.#held = bytes.slice(end);
    }
    if (this.fatal && !engine.isUtf8(end === bytes.length ? bytes : bytes.subarray(0, end))) {
      this.#begun = false;
      this.#held = undefined;
      const text = 'The encoded data was not valid for encoding utf-8';
      throw coded(new TypeError(text), 'ERR_ENCODING_INVALID_ENCODED_DATA');
    }
    const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf && end >= 3;
    const start = marked && !this.#begun && !this.ignoreBOM ? 3 : 0;
    this.#begun = options.stream === true && (this.#begun || end > 0);
    return engine.decodeUtf8(bytes, start, end);
  }
}

function bytesOf(input: ArrayBufferLike | ArrayBufferView | undefined): Uint8Array {
  if (input === undefined) return new Uint8Array(0);
  if (input instanceof Uint8Array) return input;
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  return new Uint8Array(input);
}
