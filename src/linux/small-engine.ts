/**
 * The small engine in front of the executable (native/small-engine): what its host gives to JavaScript, and what src/node adds. undefined
 * in every other engine.
 */

export interface SmallEngine {
  /** The command line of the process, its own name first. */
  readonly argv: readonly string[];
  /** NAME=value */
  readonly environment: readonly string[];
  /** The kernel's own answer. Numbers are passed as they are, text NUL-terminated, bytes by their address. */
  syscall(nr: number, ...args: readonly (number | bigint | string | Uint8Array)[]): number;
  /** `tsrun_child` of native/syscall.c. */
  child(flags: number, calls: number): number;
  /** Where bytes lie, which stay there for as long as something refers to them. */
  address(bytes: Uint8Array): number;
  /** As the decoder of WHATWG: what is no UTF-8 becomes U+FFFD. */
  decodeUtf8(bytes: Uint8Array, start: number, end: number): string;
  decodeLatin1(bytes: Uint8Array, start: number, end: number): string;
  /** Lone surrogates become U+FFFD. */
  encodeUtf8(text: string): ArrayBuffer;
  isUtf8(bytes: Uint8Array): boolean;
  /** 32 bytes. */
  sha256(bytes: Uint8Array): ArrayBuffer;
  /** A file that was put in when tsrun was built. Not to be written to. */
  artifact(name: string): ArrayBuffer | undefined;
  /** Goes on as the large engine with the same command line. Throws where that cannot be. */
  handOver(): never;
  /** Begins the command line of this process (src/cli/small.ts). */
  start(): void;
  /**
   * Calls one thing that is due, or waits for some where nothing is; whether anything is left to do (src/node/loop.ts). What promises
   * are for is done between.
   */
  turn(): boolean;
  /** As `process.exit` (src/node/process.ts). */
  exit(code: number): never;
  /** Calls `ready` whenever one of `events` (man 2 poll) has happened, and holds the process meanwhile. */
  watch(fd: number, events: number, ready: (happened: number) => void): Watch;
}

/** Something that the event loop waits for. */
export interface Watch {
  /** Other events of the same descriptor. */
  events: number;
  /** Whether the process is held until it happens. */
  isHolding: boolean;
  end(): void;
}

declare const tsrunEngine: SmallEngine | undefined;

export const smallEngine: SmallEngine | undefined = typeof tsrunEngine === 'undefined' ? undefined : tsrunEngine;

/**
 * For work of which a start is the smaller part: the large engine, which compiles, does it from the beginning of the command line. To be called
 * before anything was done or printed. Where it cannot be had, this one goes on.
 */
export function leaveToLargeEngine(): void {
  try {
    smallEngine?.handOver();
  } catch {
    // It takes longer, and that is all.
  }
}
