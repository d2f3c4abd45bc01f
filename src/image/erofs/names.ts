/** The files of a layer that is kept as an archive (erofs-form.ts). */

export const archiveFile = 'archive.tar';
export const metadataFile = 'tree.erofs';
