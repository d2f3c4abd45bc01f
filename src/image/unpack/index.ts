/** Unpacking of image layers: `LayerWriter` streams one into a directory, `settleLayer` fits it onto those below. */
export type { DeferredEntry, UnpackedLayer } from './deferred.ts';
export type { LayerFormName } from './layer-form.ts';
export { defaultMaxBytes, defaultMaxEntries, LayerWriter, type LayerWriterOptions } from './layer-writer.ts';
export { removeTree, removeTreeAt } from './remove-tree.ts';
export { type SettleOptions, settleLayer } from './settle.ts';
