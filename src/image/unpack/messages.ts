/**
 * What a `LayerWriter` and its worker thread say to each other:
 *
 *     LayerWriter                                worker
 *       chunk (compressed bytes, transferred)  ->
 *                                              <- taken (the same memory, given back for the next chunk)
 *       end                                    ->
 *                                              <- done (digest, sizes, what is left to settle)
 *       settle (the trees of lower layers)     ->  (only of a layer whose tree the worker has in memory)
 *                                              <- settled
 *       abort                                  ->  (the worker closes what it has open and exits)
 *                                              <- failed (at any time; the worker exits)
 */
import type { ErrorCode } from '../../error.ts';
import type { UnpackedLayer } from './deferred.ts';
import type { LayerFormName } from './layer-form.ts';

export interface UnpackOptions {
  /** The directory to fill: exists and is empty. */
  directory: string;
  /** Of the descriptor; for messages only, the first bytes decide. */
  mediaType: string;
  /** Bytes that the archive may have after inflating. */
  maxBytes: number;
  /** Files, directories and markers that the archive may make. */
  maxEntries: number;
  /** Where to remember the archive itself (archive-recorder.ts), if anybody will want it again. */
  archive?: string | undefined;
  /** `unpacked` if left out; `erofs` needs `archive`. */
  form?: LayerFormName | undefined;
}

export type ToWorker =
  | { type: 'chunk'; memory: ArrayBuffer; length: number }
  | { type: 'end' }
  | { type: 'settle'; lowers: readonly string[] }
  | { type: 'abort' };

export type FromWorker =
  | { type: 'taken'; memory: ArrayBuffer; length: number }
  | { type: 'done'; layer: UnpackedLayer }
  | { type: 'settled' }
  | { type: 'failed'; code: ErrorCode; message: string; hint: string | undefined };
