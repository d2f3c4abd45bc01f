/** A fresh ext4 on a loop device: no run profits from the directories, or the dirty pages, of the one before. */
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { output } from './harness.ts';

/** Bytes of the disk; sparse. */
const diskSize = 6 * 2 ** 30;

/** Runs `use` with a fresh ext4 mounted on `directory`. */
export async function onFreshDisk(directory: string, use: (mountPoint: string) => Promise<number>): Promise<number> {
  mkdirSync(directory, { recursive: true });
  const image = join(directory, 'disk.img');
  const point = join(directory, 'disk');
  mkdirSync(point, { recursive: true });
  const fd = openSync(image, 'w');
  ftruncateSync(fd, diskSize);
  closeSync(fd);
  output(['mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image]);
  output(['mount', '-o', 'loop', image, point]);
  try {
    output(['sync']);
    return await use(point);
  } finally {
    // What the engines have mounted below goes with it.
    output(['umount', '-R', point]);
    rmSync(image);
  }
}
