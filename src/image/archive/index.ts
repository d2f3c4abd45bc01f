/** Tar archives of directory trees: for `cp`, `export`, `commit` and `save`. */

export { archiveSizeOf, type StoredArchive, writeLayerArchive } from './layer-archive.ts';
export { writeMergedTree } from './merged-tree.ts';
export { LinkTable, TreeNode } from './node.ts';
export { type ByteSink, DescriptorSink } from './sink.ts';
export type { TarMember } from './tar-header.ts';
export { TarWriter, type TarWriterOptions } from './tar-writer.ts';
export { type TreeOptions, writeDirectory, writeTree } from './tree.ts';
