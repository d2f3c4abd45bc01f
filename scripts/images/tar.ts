/**
 * Writes small tar archives in memory, for test images: POSIX ustar (`man 5 tar`) with pax records where a field does
 * not fit. Deterministic: the same entries give the same bytes.
 */

export interface TarEntry {
  path: string;
  type?: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';
  data?: Uint8Array | string;
  /** Target of a link. */
  target?: string;
  /** Permission bits; by default 0644 for files, 0755 for directories, 0777 for symbolic links. */
  mode?: number;
  uid?: number;
  gid?: number;
  /** Seconds since 1970. */
  mtime?: number;
  major?: number;
  minor?: number;
  /** Further pax records, such as `SCHILY.xattr.user.name`. */
  pax?: Record<string, string>;
}

const typeFlags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const;
const defaultModes: Partial<Record<keyof typeof typeFlags, number>> = { directory: 0o755, symlink: 0o777 };
const blockSize = 512;

/** The archive of `entries`, in their order. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const entry of entries) {
    const type = entry.type ?? 'file';
    const data = Buffer.from(entry.data ?? '');
    const path = type === 'directory' && !entry.path.endsWith('/') ? `${entry.path}/` : entry.path;
    const pax = { ...entry.pax };
    if (Buffer.byteLength(path) > 100) pax.path = path;
    if (Buffer.byteLength(entry.target ?? '') > 100) pax.linkpath = entry.target ?? '';
    if (Object.keys(pax).length > 0) {
      const records = Buffer.concat(Object.entries(pax).map(([key, value]) => paxRecord(key, value)));
      parts.push(header({ path: 'PaxHeaders/0', mode: 0o644 }, 'x', records.length), padded(records));
    }
    const mode = entry.mode ?? defaultModes[type] ?? 0o644;
    parts.push(header({ ...entry, path, mode }, typeFlags[type], data.length), padded(data));
  }
  parts.push(Buffer.alloc(2 * blockSize));
  return Buffer.concat(parts);
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function padded(data: Buffer): Buffer {
  const rest = data.length % blockSize;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(blockSize - rest)]);
}

function header(entry: TarEntry & { mode: number }, typeFlag: string, size: number): Buffer {
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, offset: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, offset, 'latin1');
  block.write(entry.path, 0, 100);
  octal(entry.mode, 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(entry.gid ?? 0, 116, 8);
  octal(size, 124, 12);
  octal(entry.mtime ?? 0, 136, 12);
  block.fill(' ', 148, 156);
  block.write(typeFlag, 156, 'latin1');
  block.write(entry.target ?? '', 157, 100);
  block.write('ustar\x0000', 257, 'latin1');
  octal(entry.major ?? 0, 329, 8);
  octal(entry.minor ?? 0, 337, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
