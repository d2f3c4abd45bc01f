/**
 * A layer's archive as gzip (RFC 1952): members of a mebibyte each, one behind the other, so that as many processors as there
 * are work on one layer. Every reader of gzip takes that for one stream. The same archive gives the same bytes, however many
 * threads make them.
 */
import { layerArchivePieces, type StoredArchive } from '../archive/layer-archive.ts';
import { throwIfInterrupted } from '../errors.ts';
import type { Compressors } from './compressors.ts';
import type { Spool } from './spool.ts';

export interface CompressOptions {
  compressors: Compressors;
  signal?: AbortSignal | undefined;
  /** Bytes of the archive that are done. */
  onProgress(done: number): void;
}

/** Writes the compressed archive to `spool`, which is finished or failed then. Rejects as `writeLayerArchive` throws. */
export async function compressArchive(layer: StoredArchive, spool: Spool, options: CompressOptions): Promise<void> {
  const { compressors, signal, onProgress } = options;
  const underway: { size: number; result: Promise<Buffer> }[] = [];
  let done = 0;
  const takeFirst = async (): Promise<void> => {
    const first = underway.shift();
    if (first === undefined) return;
    spool.append(await first.result);
    done += first.size;
    onProgress(done);
    throwIfInterrupted(signal);
  };
  try {
    for (const piece of layerArchivePieces(layer)) {
      const result = compressors.compress(piece);
      result.catch(() => {});
      underway.push({ size: piece.length, result });
      if (underway.length >= compressors.ahead) await takeFirst();
    }
    while (underway.length > 0) await takeFirst();
    spool.finish();
  } catch (error) {
    spool.fail(error);
    throw error;
  }
}
