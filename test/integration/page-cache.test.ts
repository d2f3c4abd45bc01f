/** The executable copied as people copy it: the first command that ends has it read into huge pages, for those that follow. */
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import { kernelAtLeast } from '../../src/linux/release.ts';
import { environment, run } from './tsrun.ts';

const built = join(checkout, 'dist/tsrun');
const ext4 = 0xef53;
/** ext4 has large folios since 6.16; on other filesystems nothing is promised here. */
const hasLargeFolios = kernelAtLeast(6, 16) && statfsSync('/var/tmp').type === ext4;
const huge = readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8');
const isTested = existsSync(built) && hasLargeFolios && !huge.includes('[never]');

let directory: string;
let copy: string;
let state: string;

beforeAll(() => {
  directory = mkdtempSync('/var/tmp/tsrun-pages-');
  copy = join(directory, 'tsrun');
  state = join(directory, 'state');
  if (isTested) execFileSync('cp', [built, copy]);
});
afterAll(() => rmSync(directory, { recursive: true }));

const version = (engine = '') => run(copy, ['version'], { env: { TSRUN_STATE: state, TSRUN_ENGINE: engine } });
const note = () => statSync(join(state, 'executable-pages'), { throwIfNoEntry: false });

/** Whether some process has the copy open, as that has which reads it anew. */
function isOpen(): boolean {
  const links = (directory: string): string[] => {
    try {
      return readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
    } catch {
      return []; // It has ended.
    }
  };
  return readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && links(`/proc/${pid}/fd`).includes(copy));
}

/** MiB of the copy that a process which runs has mapped in huge pages. */
async function mappedHuge(): Promise<number> {
  const env = environment({ TSRUN_STATE: state, TSRUN_ENGINE: 'large' });
  const child = spawn(copy, ['events'], { env, stdio: 'ignore' });
  try {
    const smaps = `/proc/${child.pid}/smaps_rollup`;
    await expect.poll(() => /^Anonymous: +(\d+)/m.exec(readFileSync(smaps, 'utf8'))?.[1]?.length).toBeGreaterThan(4);
    return Number(/^FilePmdMapped: +(\d+)/m.exec(readFileSync(smaps, 'utf8'))?.[1]) / 1024;
  } finally {
    const end = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await end;
  }
}

test.runIf(isTested)('nothing is looked at before tsrun has a place for its state', async () => {
  expect(await version()).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(state)).toBe(false);
});

test.runIf(isTested)('a copy is mapped in huge pages after the first command', async () => {
  mkdirSync(state);
  expect(await mappedHuge()).toBeLessThan(8);
  expect(await version()).toMatchObject({ code: 0, stderr: '' });
  // One attempt, and the next look in a minute.
  expect(note()?.size).toBe(1);
  expect(note()?.mtimeMs).toBeGreaterThan(Date.now() + 30_000);
  await expect.poll(isOpen, { timeout: 20_000 }).toBe(false);
  expect(await mappedHuge()).toBeGreaterThan(32);

  // It is not due, so that nothing is written.
  const before = note()?.mtimeMs;
  await version();
  expect(note()?.mtimeMs).toBe(before);

  // When it is, all is found well.
  utimesSync(join(state, 'executable-pages'), 1, 1);
  await version();
  expect(note()?.size).toBe(0);
});

test.runIf(isTested)('the large engine looks too', async () => {
  utimesSync(join(state, 'executable-pages'), 1, 1);
  await version('large');
  expect(note()?.size).toBe(0);
  expect(note()?.mtimeMs).toBeGreaterThan(Date.now() + 30_000);
});

test.runIf(isTested)('a note that is no file is left as it is, and the command does what it should', async () => {
  rmSync(join(state, 'executable-pages'));
  execFileSync('mkfifo', [join(state, 'executable-pages')]);
  utimesSync(join(state, 'executable-pages'), 1, 1);
  expect(await version()).toMatchObject({ code: 0, stderr: '' });
});
