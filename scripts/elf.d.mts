/** See elf.mjs. */
export const hugePage: number;
export const PF_X: number;
export const PF_W: number;
export function loadable(
  file: Buffer,
): { header: number; flags: number; offset: number; address: number; length: number }[];
export function alignSegments(file: Buffer): Buffer;
export function widenCode(file: Buffer): void;
export function fillHugePage(file: Buffer): void;
export function writeExecutable(path: string, file: Buffer): void;
