import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { AT_FDCWD, O_CLOEXEC, O_NOCTTY, O_RDWR, TIOCGPTPEER, TIOCSPTLCK } from '../../../src/linux/constants.ts';
import { syscall } from '../../../src/linux/ffi.ts';
import { check, close, openat, writeAll } from '../../../src/linux/fs.ts';
import { isTty, makeRaw, parseDetachKeys, setWindowSize, windowSize } from '../../../src/linux/tty.ts';

const checkout = join(import.meta.dirname, '../../..');

function openTerminal(): { master: number; slave: number; [Symbol.dispose]: () => void } {
  const master = openat(AT_FDCWD, '/dev/ptmx', O_RDWR | O_NOCTTY);
  check(syscall('ioctl', master, TIOCSPTLCK, Buffer.alloc(8)), 'ioctl');
  const slave = check(syscall('ioctl', master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), 'ioctl');
  return {
    master,
    slave,
    [Symbol.dispose]: () => {
      close(slave);
      close(master);
    },
  };
}

/** src/linux/tty.ts for a process of its own: one file of CommonJS. */
const directory = mkdtempSync(join(tmpdir(), 'tsrun-tty-'));
afterAll(() => rmSync(directory, { recursive: true }));
let bundled: string | undefined;
function bundle(): string {
  if (bundled !== undefined) return bundled;
  bundled = join(directory, 'tty.cjs');
  buildSync({
    entryPoints: [join(checkout, 'src/linux/tty.ts')],
    outfile: bundled,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    define: { 'import.meta.dirname': JSON.stringify(join(checkout, 'src/linux')) },
    external: ['koffi'],
  });
  return bundled;
}

/** Settings as stty(1) names them. */
function stty(fd: number): string {
  return spawnSync('stty', ['-a'], { stdio: [fd, 'pipe', 'inherit'], encoding: 'utf8' }).stdout;
}

test('a terminal is told from what is none', () => {
  using terminal = openTerminal();
  expect(isTty(terminal.slave)).toBe(true);
  const file = openat(AT_FDCWD, '/dev/null', O_RDWR);
  expect(isTty(file)).toBe(false);
  expect(windowSize(file)).toEqual({ rows: 0, columns: 0 });
  close(file);
  expect(isTty(9999)).toBe(false);
});

test('the window size that was set is the one that is read', () => {
  using terminal = openTerminal();
  expect(windowSize(terminal.slave)).toEqual({ rows: 0, columns: 0 });
  setWindowSize(terminal.master, 43, 132);
  expect(windowSize(terminal.slave)).toEqual({ rows: 43, columns: 132 });
  expect(stty(terminal.slave)).toContain('rows 43; columns 132;');
});

test('raw mode is what stty calls raw, and is taken back exactly', () => {
  using terminal = openTerminal();
  const before = stty(terminal.slave);
  expect(before).toMatch(/ icanon /);
  const listeners = process.listenerCount('SIGTERM');
  const restore = makeRaw(terminal.slave);
  const raw = stty(terminal.slave);
  for (const off of [
    'icanon',
    'isig',
    'iexten',
    'echo',
    'echonl',
    'icrnl',
    'inlcr',
    'ixon',
    'brkint',
    'opost',
    'parenb',
  ]) {
    expect(raw).toMatch(new RegExp(`[ \\n]-${off}[ \\n;]`));
  }
  expect(raw).toMatch(/ cs8[ \n]/);
  expect(raw).toMatch(/min = 1; time = 0;/);
  restore();
  expect(stty(terminal.slave)).toBe(before);
  expect(process.listenerCount('SIGTERM')).toBe(listeners);
  restore();
  expect(() => makeRaw(9999)).toThrow(/EBADF/);
});

test('in raw mode every byte arrives as it was typed', () => {
  using terminal = openTerminal();
  const restore = makeRaw(terminal.slave);
  const typed = Buffer.from([3, 4, 13, 10, 17, 19, 26, 28, 127, 255, 0, 65]);
  writeAll(terminal.master, typed);
  const read = Buffer.alloc(64);
  expect(read.subarray(0, syscall('read', terminal.slave, read, 64))).toEqual(typed);
  restore();
});

test.each(['exit', 'SIGTERM', 'SIGINT', 'SIGHUP'])('raw mode is taken back on %s', (how) => {
  using terminal = openTerminal();
  const before = stty(terminal.slave);
  const script = `
    const { makeRaw } = require(${JSON.stringify(bundle())});
    makeRaw(0);
    const { execFileSync } = require('node:child_process');
    process.stderr.write(execFileSync('stty', ['-a'], { stdio: [0, 'pipe', 'pipe'] }));
    ${how === 'exit' ? 'process.exit(7)' : `process.kill(process.pid, '${how}'); setTimeout(() => {}, 5000)`};`;
  const result = spawnSync(process.execPath, ['-e', script], {
    stdio: [terminal.slave, 'inherit', 'pipe'],
    encoding: 'utf8',
  });
  expect(result.stderr).toContain('-icanon');
  expect([result.status, result.signal]).toEqual(how === 'exit' ? [7, null] : [null, how]);
  expect(stty(terminal.slave)).toBe(before);
});

test('detach keys are read as docker reads them', () => {
  expect([...parseDetachKeys('ctrl-p,ctrl-q')]).toEqual([16, 17]);
  expect([...parseDetachKeys('a,B,1')]).toEqual([97, 66, 49]);
  expect([...parseDetachKeys('ctrl-@,ctrl-a,ctrl-z,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,DEL')]).toEqual([
    0, 1, 26, 27, 28, 29, 30, 31, 127,
  ]);
});

test.each(['', 'ctrl-', 'ctrl-A', 'ctrl-1', 'CTRL-a', 'ab', 'a,,b', 'a, b', 'é', 'del', 'ctrl-p ctrl-q'])(
  'detach keys %j are refused',
  (text) => {
    expect(() => parseDetachKeys(text)).toThrow(/invalid detach keys .*unknown character/);
  },
);

test('a detach sequence has at most 16 keys', () => {
  expect(parseDetachKeys(Array(16).fill('a').join(','))).toHaveLength(16);
  expect(() => parseDetachKeys(Array(17).fill('a').join(','))).toThrow(/more than 16/);
});
