/** What pull needs of whoever turns a layer's archive into a tree: src/image/unpack, loaded when it is needed. */
import type { UnpackedLayer } from './unpack/deferred.ts';
import type { LayerWriterOptions } from './unpack/layer-writer.ts';

/** One layer on its way into the store. */
export interface LayerSink {
  /** Compressed bytes; resolves when more may come. The memory of `chunk` may be taken over. */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<UnpackedLayer>;
  /** Finishes what depends on lower layers: `lowers` are their directories, lowest first. */
  settle(lowers: readonly string[]): Promise<void>;
  /** Ends it; the directory is the caller's to remove. */
  abort(): Promise<void>;
}

export interface Unpacker {
  start(options: LayerWriterOptions): LayerSink;
}
