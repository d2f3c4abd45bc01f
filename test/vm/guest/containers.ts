/** Containers whose limits are looked at from outside: each command costs seconds here, so files of the cgroup say the rest. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { tsrunOk } from '../../integration/tsrun.ts';

/** The only hierarchy of the guest. */
export const hierarchy = '/sys/fs/cgroup';

/** `tsrun run -d` of a script of busybox's shell, without a network unless told otherwise. Returns the id. */
export function start(options: readonly string[], script: string): Promise<string> {
  const network = options.some((option) => option.startsWith('--network')) ? [] : ['--network=none'];
  return tsrunOk(['run', '-d', ...network, ...options, 'busybox', 'sh', '-c', script]);
}

export function remove(...ids: string[]): Promise<string> {
  return tsrunOk(['rm', '-f', ...ids]);
}

export function cgroupOf(id: string): string {
  return join(hierarchy, 'tsrun', id);
}

/** A file of the container's cgroup, without its last newline. */
export function read(id: string, file: string): string {
  return readFileSync(join(cgroupOf(id), file), 'utf8').trimEnd();
}

/** A number of a `key value` file of the cgroup. */
export function count(id: string, file: string, key: string): number {
  const line = read(id, file)
    .split('\n')
    .find((text) => text.startsWith(`${key} `));
  return Number(line?.slice(key.length + 1) ?? Number.NaN);
}

export function processes(id: string): number[] {
  return read(id, 'cgroup.procs')
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

export async function until(what: string, condition: () => boolean, seconds = 180): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!condition()) {
    if (Date.now() > deadline) expect.fail(`${what}: not after ${seconds} s`);
    await delay(100);
  }
}

/** Processor time that each container got while `seconds` passed, as a share of one processor. */
export async function shares(ids: readonly string[], seconds: number): Promise<number[]> {
  const reading = (): { time: number; used: number[] } => ({
    time: performance.now() * 1000,
    used: ids.map((id) => count(id, 'cpu.stat', 'usage_usec')),
  });
  const before = reading();
  await delay(seconds * 1000);
  const after = reading();
  return ids.map((_, at) => ((after.used[at] ?? 0) - (before.used[at] ?? 0)) / (after.time - before.time));
}

/**
 * Measures until the answer is good, at most so often: where others load the machine any one measurement may be off, by the
 * time that the guest itself was not running. What is wrong in truth is never good.
 */
export async function measured<T>(what: string, measure: () => Promise<T>, isGood: (value: T) => boolean): Promise<T> {
  const seen: T[] = [];
  while (seen.length < 8) {
    const value = await measure();
    if (isGood(value)) return value;
    seen.push(value);
  }
  return expect.fail(`${what}: ${JSON.stringify(seen)}`);
}

/** Whether a number is what was asked for, within a tenth. */
export function isNear(value: number, wanted: number): boolean {
  return Math.abs(value / wanted - 1) <= 0.1;
}

/** Bytes of a number as stats writes it: 12.5MiB, 8.39MB. */
export function bytesOf(text: string): number {
  const [, number = '', prefix = '', binary = ''] = /^([\d.]+)([kKMG]?)(i?)B$/.exec(text) ?? [];
  return Number(number) * (binary === '' ? 1000 : 1024) ** ' KMG'.indexOf(prefix.toUpperCase() || ' ');
}

/** The disk that is there for limits of input and output, mounted at /mnt/io. */
export const ioDisk = /^(\/dev\/\S+) \/mnt\/io /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? '';

/** `MAJOR:MINOR` of it. */
export const ioNumber = readFileSync(`/sys/class/block/${ioDisk.slice('/dev/'.length)}/dev`, 'utf8').trim();

/** Forgets what was read, so that reading again reaches the disk. */
export function dropCaches(): void {
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}
