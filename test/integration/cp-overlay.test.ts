/** The overlay that cp looks into while a container does not run, on kernels with and without a way to add layers one by one. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { detachedOverlay } from '../../src/container/copy/detached-overlay.ts';
import { close } from '../../src/linux/fs.ts';
import { appendsLayers } from '../../src/linux/release.ts';

let directory: string;
let layers: string[];

beforeAll(() => {
  directory = mkdtempSync(join(inject('root'), 'overlay-'));
  layers = Array.from({ length: 130 }, (_, index) => join(directory, `layer-of-a-long-name-${index}`));
  for (const [index, path] of layers.entries()) {
    mkdirSync(path);
    writeFileSync(join(path, `own-${index}`), '');
    writeFileSync(join(path, 'common'), String(index));
  }
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A container's directory; each is used by one overlay. */
function container(name: string): string {
  for (const part of ['upper', 'work']) mkdirSync(join(directory, name, part), { recursive: true });
  return join(directory, name);
}

test.each([
  { append: false, count: 1 },
  { append: false, count: 60 },
  // As the kernel of this machine has it.
  { append: appendsLayers(), count: 70 },
])('$count layers, one by one: $append', ({ append, count }) => {
  const own = container(`of-${count}`);
  const before = { directory: readlinkSync('/proc/self/cwd'), mounts: readFileSync('/proc/self/mountinfo', 'utf8') };
  const fd = detachedOverlay(own, layers.slice(0, count), append);
  try {
    const root = `/proc/self/fd/${fd}`;
    expect(readdirSync(root).filter((name) => name.startsWith('own-'))).toHaveLength(count);
    expect(readFileSync(join(root, 'common'), 'utf8')).toBe(String(count - 1));
    writeFileSync(join(root, 'new'), 'text');
    expect(readFileSync(join(own, 'upper/new'), 'utf8')).toBe('text');
    expect({ directory: readlinkSync('/proc/self/cwd'), mounts: readFileSync('/proc/self/mountinfo', 'utf8') }).toEqual(
      before,
    );
  } finally {
    close(fd);
  }
});

test('more layers than one string can name are refused with what helps', () => {
  const message = 'a stopped container of 130 layers needs Linux 6.8 here';
  expect(() => detachedOverlay(container('many'), layers, false)).toThrow(message);
});
