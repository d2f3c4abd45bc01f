/** What pull needs of whoever turns a layer's archive into a directory: src/image/unpack, loaded when it is needed. */
import type { UnpackedLayer } from './unpack/deferred.ts';

/** One layer on its way to a directory. */
export interface LayerSink {
  /** Compressed bytes; resolves when more may come. The memory of `chunk` may be taken over. */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<UnpackedLayer>;
  /** Ends it; the directory is the caller's to remove. */
  abort(): Promise<void>;
}

export interface Unpacker {
  start(options: { directory: string; mediaType: string; archive?: string | undefined }): LayerSink;
  /** Finishes what depends on lower layers: `lowers` are their directories, lowest first. */
  settle(options: {
    directory: string;
    lowers: string[];
    deferred: UnpackedLayer['deferred'];
    archive?: string | undefined;
  }): void;
}
