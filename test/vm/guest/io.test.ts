/** Limits of a disk: how fast, how often, and in what proportion. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tsrunOk } from '../../integration/tsrun.ts';
import { bytesOf, dropCaches, ioDisk, ioNumber, read, remove, start, until } from './containers.ts';

const directory = '/mnt/io/test';
const MiB = 1 << 20;

beforeAll(async () => {
  mkdirSync(directory);
  writeFileSync(`${directory}/large`, Buffer.alloc(8 * MiB, 1));
  execFileSync('sync');
  await tsrunOk(['pull', '-q', 'busybox']);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs a script with limits; it prints /proc/uptime before and after: the seconds between. */
async function seconds(limits: string[], script: string): Promise<number> {
  dropCaches();
  const clock = 'cut -d" " -f1 /proc/uptime';
  const output = await tsrunOk([
    ...['run', '--rm', '--network=none', '-v', `${directory}:/io`, ...limits],
    ...['busybox', 'sh', '-c', `${clock}; { ${script}; } >/dev/null 2>&1; ${clock}`],
  ]);
  const [from = Number.NaN, to = Number.NaN] = output.split('\n').map(Number);
  return to - from;
}

// A bucket that is full at first lets the first moments pass. A loaded machine may be slower than the limit, never faster.
test('bytes read', async () => {
  const time = await seconds([`--device-read-bps=${ioDisk}:2mb`], 'cat /io/large');
  expect(time).toBeGreaterThan(3);
});

test('stats count what is read and written as the file of the cgroup does', async () => {
  dropCaches();
  const script = 'cat /io/large >/dev/null; dd if=/dev/zero of=/io/new bs=64k count=32 conv=fsync; exec sleep 1000';
  const id = await start(['-v', `${directory}:/io`], script);
  const counted = (key: string): number =>
    Number(new RegExp(`^${ioNumber} .*${key}=(\\d+)`, 'm').exec(read(id, 'io.stat'))?.[1]);
  await until('all is written', () => counted('wbytes') >= 2 * MiB);
  expect(counted('rbytes')).toBeGreaterThanOrEqual(8 * MiB);
  const line = await tsrunOk(['stats', '--no-stream', '--format', '{{.BlockIO}}', id]);
  const [shownRead = '', shownWritten = ''] = line.split(' / ');
  // Other disks (the image) count there too.
  expect(bytesOf(shownRead)).toBeGreaterThanOrEqual(counted('rbytes') * 0.99);
  expect(bytesOf(shownRead)).toBeLessThan(counted('rbytes') + 16 * MiB);
  expect(bytesOf(shownWritten)).toBeGreaterThanOrEqual(counted('wbytes') * 0.99);
  await remove(id);
});

test('bytes written', async () => {
  const time = await seconds(
    [`--device-write-bps=${ioDisk}:1mb`],
    'dd if=/dev/zero of=/io/new bs=64k count=64 conv=fsync',
  );
  expect(time).toBeGreaterThan(3);
});

test('reads', async () => {
  // Far apart, so that no read is joined with another.
  const script = 'i=0; while [ $i -lt 30 ]; do dd if=/io/large bs=4k count=1 skip=$((i * 64)); i=$((i + 1)); done';
  const time = await seconds([`--device-read-iops=${ioDisk}:10`], script);
  expect(time).toBeGreaterThan(2);
});

test('writes', async () => {
  const script =
    'i=0; while [ $i -lt 30 ]; do dd if=/dev/zero of=/io/large bs=4k count=1 seek=$((i * 64)) conv=notrunc,fsync; i=$((i + 1)); done';
  const time = await seconds([`--device-write-iops=${ioDisk}:10`], script);
  expect(time).toBeGreaterThan(2);
});

test('weights: of all disks, and of one under the scheduler that has them', async () => {
  const scheduler = `/sys/class/block/${ioDisk.slice('/dev/'.length)}/queue/scheduler`;
  execFileSync('modprobe', ['bfq']);
  writeFileSync(scheduler, 'bfq');
  try {
    const id = await start(['--blkio-weight=500', `--blkio-weight-device=${ioDisk}:100`], 'sleep 1000');
    expect(read(id, 'io.bfq.weight').split('\n')).toEqual(['default 500', `${ioNumber} 100`]);
    await remove(id);
  } finally {
    writeFileSync(scheduler, 'none');
  }
});
