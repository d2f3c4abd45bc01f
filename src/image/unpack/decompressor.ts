/** What every decompression looks like to those who use it. */
export interface Decompressor {
  /** Takes compressed bytes; resolves when it wants more. Rejects with `ARCHIVE`, or with what the output threw. */
  write(chunk: Buffer): Promise<void>;
  /** No more will come; resolves when all output has been delivered. */
  end(): Promise<void>;
  /** Gives up. */
  destroy(): void;
}

/** Receives inflated bytes, valid only during the call. */
export type Output = (chunk: Buffer) => void;
