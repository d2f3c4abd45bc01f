/** See chunks.mjs. */
export function planChunks(
  chunks: readonly { size: number; imports: readonly number[] }[],
  roots: readonly { chunk: number; weight: number }[],
): number[];
