/** See small-engine.mjs. */
export function quickjs(checkout: string): Promise<string | undefined>;
export function readSmallProgram(
  checkout: string,
  define: Readonly<Record<string, string>>,
  large: ReadonlySet<string>,
  main?: string,
): Promise<import('rolldown').RolldownBuild>;
export function buildSmallEngine(parts: {
  checkout: string;
  objects: string;
  directory: string;
  chunks: readonly unknown[];
  monitor: string;
}): Promise<Buffer>;
export function joinEngines(small: Buffer, large: Uint8Array): Buffer;
