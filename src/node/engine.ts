/** What the small engine's host gives to JavaScript: native/small-engine/host.c. */
export interface Engine {
  readonly argv: readonly string[]; // of the process, argv[0] first
  readonly environment: readonly string[]; // NAME=value
  syscall(nr: number, ...args: (number | bigint)[]): number; // six, the kernel's own answer
  child(flags: number, calls: number): number;
  address(bytes: Uint8Array): number;
  /** As WHATWG's decoder does: what is no UTF-8 becomes U+FFFD. */
  decodeUtf8(bytes: Uint8Array, start: number, end: number): string;
  decodeLatin1(bytes: Uint8Array, start: number, end: number): string;
  /** Lone surrogates become U+FFFD. */
  encodeUtf8(text: string): ArrayBuffer;
  isUtf8(bytes: Uint8Array): boolean;
}
declare const tsrunEngine: Engine;
export const engine = tsrunEngine;
