/** The encodings of Buffer, https://nodejs.org/docs/latest/api/buffer.html#buffers-and-character-encodings. */

import { engine } from './engine.ts';
import { coded } from './errors.ts';

export type Encoding = 'utf8' | 'latin1' | 'ascii' | 'hex' | 'base64' | 'base64url' | 'utf16le';

/** @returns Node's name of an encoding, or undefined for what is none */
export function encodingOf(name: string): Encoding | undefined {
  switch (name) {
    case 'utf8':
    case 'latin1':
    case 'ascii':
    case 'hex':
    case 'base64':
    case 'base64url':
    case 'utf16le':
      return name;
  }
  switch (name.toLowerCase()) {
    case 'utf8':
    case 'utf-8':
      return 'utf8';
    case 'latin1':
    case 'binary':
      return 'latin1';
    case 'ucs2':
    case 'ucs-2':
    case 'utf16le':
    case 'utf-16le':
      return 'utf16le';
    case 'ascii':
      return 'ascii';
    case 'hex':
      return 'hex';
    case 'base64':
      return 'base64';
    case 'base64url':
      return 'base64url';
  }
  return undefined;
}

function knownEncoding(name: string): Encoding {
  const encoding = encodingOf(name);
  if (encoding === undefined) throw coded(new TypeError(`Unknown encoding: ${name}`), 'ERR_UNKNOWN_ENCODING');
  return encoding;
}

/** @returns bytes of their own */
export function encode(text: string, encoding: string): ArrayBuffer {
  if (encoding === 'utf8') return engine.encodeUtf8(text);
  switch (knownEncoding(encoding)) {
    case 'utf8':
      return engine.encodeUtf8(text);
    case 'latin1':
    case 'ascii':
      return encodeLatin1(text);
    case 'hex':
      return encodeHex(text);
    case 'base64':
    case 'base64url':
      return encodeBase64(text);
    case 'utf16le':
      return encodeUtf16(text);
  }
}

/** @param start and `end` lie within */
export function decode(bytes: Uint8Array, encoding: string, start: number, end: number): string {
  switch (knownEncoding(encoding)) {
    case 'utf8':
      return engine.decodeUtf8(bytes, start, end);
    case 'latin1':
      return engine.decodeLatin1(bytes, start, end);
    case 'ascii':
      return decodeAscii(bytes, start, end);
    case 'hex':
      return decodeHex(bytes, start, end);
    case 'base64':
      return decodeBase64(bytes, start, end, false);
    case 'base64url':
      return decodeBase64(bytes, start, end, true);
    case 'utf16le':
      return decodeUtf16(bytes, start, end);
  }
}

function encodeLatin1(text: string): ArrayBuffer {
  // Text as long as its UTF-8 is ASCII.
  const utf8 = engine.encodeUtf8(text);
  const length = text.length;
  if (utf8.byteLength === length) return utf8;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = text.charCodeAt(at);
  return bytes.buffer;
}

function decodeAscii(bytes: Uint8Array, start: number, end: number): string {
  const clean = bytes.slice(start, end);
  for (let at = 0; at < clean.length; at++) clean[at] = (clean[at] as number) & 0x7f;
  return engine.decodeLatin1(clean, 0, clean.length);
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** Ends before the first pair that is no hexadecimal number, as Node does. */
function encodeHex(text: string): ArrayBuffer {
  const length = text.length >> 1;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) {
    const high = hexDigit(text.charCodeAt(at * 2));
    const low = hexDigit(text.charCodeAt(at * 2 + 1));
    if (high < 0 || low < 0) return bytes.buffer.slice(0, at);
    bytes[at] = (high << 4) | low;
  }
  return bytes.buffer;
}

function decodeHex(bytes: Uint8Array, start: number, end: number): string {
  const codes = new Uint8Array((end - start) * 2);
  let to = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    const high = byte >> 4;
    const low = byte & 15;
    codes[to++] = high < 10 ? 48 + high : 87 + high;
    codes[to++] = low < 10 ? 48 + low : 87 + low;
  }
  return engine.decodeLatin1(codes, 0, to);
}

const base64Letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** What base64 is of the letter with this code, in either alphabet, or -1. */
function base64Value(code: number): number {
  if (code >= 97 && code <= 122) return code - 71;
  if (code >= 65 && code <= 90) return code - 65;
  if (code >= 48 && code <= 57) return code + 4;
  if (code === 43 || code === 45) return 62;
  return code === 47 || code === 95 ? 63 : -1;
}

/** Passes over what is no base64 and ends at "=", as Node does. */
function encodeBase64(text: string): ArrayBuffer {
  const bytes = new Uint8Array(((text.length + 3) >> 2) * 3);
  let fill = 0;
  let bits = 0;
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 61) break;
    const value = base64Value(code);
    if (value < 0) continue;
    bits = ((bits << 6) | value) & 0xffffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes[fill++] = bits >> count;
    }
  }
  return fill === bytes.length ? bytes.buffer : bytes.buffer.slice(0, fill);
}

function decodeBase64(bytes: Uint8Array, start: number, end: number, url: boolean): string {
  const letters = new Uint8Array(engine.encodeUtf8(url ? `${base64Letters.slice(0, 62)}-_` : base64Letters));
  const codes = new Uint8Array(Math.ceil((end - start) / 3) * 4);
  let to = 0;
  let at = start;
  for (; at + 2 < end; at += 3) {
    const bits = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    codes[to++] = letters[bits >> 18] as number;
    codes[to++] = letters[(bits >> 12) & 63] as number;
    codes[to++] = letters[(bits >> 6) & 63] as number;
    codes[to++] = letters[bits & 63] as number;
  }
  if (at < end) {
    const bits = ((bytes[at] as number) << 16) | ((at + 1 < end ? (bytes[at + 1] as number) : 0) << 8);
    codes[to++] = letters[bits >> 18] as number;
    codes[to++] = letters[(bits >> 12) & 63] as number;
    if (at + 1 < end) codes[to++] = letters[(bits >> 6) & 63] as number;
    else if (!url) codes[to++] = 61;
    if (!url) codes[to++] = 61;
  }
  return engine.decodeLatin1(codes, 0, to);
}

function encodeUtf16(text: string): ArrayBuffer {
  const units = new Uint16Array(text.length);
  for (let at = 0; at < text.length; at++) units[at] = text.charCodeAt(at);
  return units.buffer;
}

function decodeUtf16(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at + 1 < end; at += 2) {
    text += String.fromCharCode((bytes[at] as number) | ((bytes[at + 1] as number) << 8));
  }
  return text;
}
