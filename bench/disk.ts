/** A fresh ext4 on a loop device: no run profits from the directories, or the dirty pages, of the one before. */
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
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
    await unmount(point);
    rmSync(image);
  }
}

/** With what the engines have mounted below. What the last container has read of it takes the kernel a moment to let go. */
async function unmount(point: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; ; await delay(100)) {
    try {
      output(['umount', '-R', point]);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
