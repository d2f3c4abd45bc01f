/** container.log: every byte, in records that other tools read, never more than was asked for, and never in the way. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Fixture, until } from './monitor-fixture.ts';

const unlimited = { maxSize: 0, maxFiles: 1 };
const nobody: [number, number, number] = [-1, -1, -1];

interface LogRecord {
  time: string;
  stream: string;
  whole: boolean;
  text: string;
}

/** Reads records one by one and fails on anything else. */
function parse(log: string): LogRecord[] {
  expect(log === '' || log.endsWith('\n')).toBe(true);
  return log
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr|tsrun) ([FP]) ([^\n]*)$/.exec(line);
      if (match === null) throw new Error(`no record: ${JSON.stringify(line.slice(0, 200))}`);
      const [, time = '', stream = '', tag, text = ''] = match;
      return { time, stream, whole: tag === 'F', text };
    });
}

/** What the command wrote, put together again. */
function written(records: readonly LogRecord[], stream: string): string {
  return records
    .filter((record) => record.stream === stream)
    .map(({ text, whole }) => (whole ? `${text}\n` : text))
    .join('');
}

test('lines of both streams are records with the time of day', async () => {
  using fixture = await Fixture.start({
    script: 'echo first; sleep 0.05; echo wrong >&2; sleep 0.05; echo; echo "  third  "',
    client: nobody,
    log: unlimited,
  });
  await fixture.handle.onExit;
  const records = parse(fixture.file('container.log'));
  expect(records.map(({ stream, whole, text }) => [stream, whole, text])).toEqual([
    ['stdout', true, 'first'],
    ['stderr', true, 'wrong'],
    ['stdout', true, ''],
    ['stdout', true, '  third  '],
  ]);
  const times = records.map((record) => record.time);
  expect([...times].sort()).toEqual(times);
  expect(Math.abs(Date.now() - Date.parse(times[0] ?? ''))).toBeLessThan(5000);
  expect(statSync(join(fixture.containerDirectory, 'container.log')).mode & 0o777).toBe(0o600);
});

test('a prompt without an end of line is there at once, and what follows continues it', async () => {
  using fixture = await Fixture.start({
    script: 'printf "name: "; sleep 0.2; echo given',
    client: nobody,
    log: unlimited,
  });
  await until(() => fixture.file('container.log').endsWith(' stdout P name: \n'));
  await fixture.handle.onExit;
  const records = parse(fixture.file('container.log'));
  expect(records.map(({ whole, text }) => [whole, text])).toEqual([
    [false, 'name: '],
    [true, 'given'],
  ]);
});

test('long lines are split so that no record reaches 4 KiB, and the bytes stay the same', async () => {
  using fixture = await Fixture.start({
    script: `for n in 3583 3584 3585 7168 100000; do head -c $n /dev/zero | tr '\\0' "$(echo $n | head -c 1)"; echo; done; printf unfinished`,
    client: nobody,
    log: unlimited,
  });
  await fixture.handle.onExit;
  const log = fixture.file('container.log');
  for (const line of log.split('\n')) expect(line.length).toBeLessThan(4096);
  const expected = [3583, 3584, 3585, 7168, 100_000].map((n) => `${String(n)[0]?.repeat(n)}\n`).join('');
  expect(written(parse(log), 'stdout') === `${expected}unfinished`).toBe(true);
});

test('bytes that are no text pass unchanged', async () => {
  using fixture = await Fixture.start({ script: 'printf "\\000\\377\\r\\033[1m\\n"', client: nobody, log: unlimited });
  await fixture.handle.onExit;
  const bytes = readFileSync(join(fixture.containerDirectory, 'container.log'));
  expect(bytes.subarray(31)).toEqual(Buffer.from('stdout F \0\xff\r\x1b[1m\n', 'latin1'));
});

test('a terminal is logged as stdout', async () => {
  using fixture = await Fixture.start({ script: 'echo one; echo two >&2', tty: true, client: nobody, log: unlimited });
  await fixture.handle.onExit;
  expect(written(parse(fixture.file('container.log')), 'stdout')).toBe('one\r\ntwo\r\n');
});

test('the log goes on where that of an earlier start ended', async () => {
  const directory = mkdtempSync('/var/tmp/tsrun-monitor-log.');
  try {
    for (const word of ['once', 'again']) {
      using fixture = await Fixture.start({
        script: `echo ${word}`,
        client: nobody,
        log: unlimited,
        containerDirectory: directory,
      });
      await fixture.handle.onExit;
    }
    expect(written(parse(readFileSync(join(directory, 'container.log'), 'utf8')), 'stdout')).toBe('once\nagain\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('files rotate at their size, the oldest goes, and nothing is lost in between', async () => {
  const maxSize = 20_000;
  using fixture = await Fixture.start({ script: 'seq 5000', client: nobody, log: { maxSize, maxFiles: 4 } });
  await fixture.handle.onExit;
  const names = readdirSync(fixture.containerDirectory).filter((name) => name.startsWith('container.log'));
  expect(names.sort()).toEqual(['container.log', 'container.log.1', 'container.log.2', 'container.log.3']);
  const logs = ['container.log.3', 'container.log.2', 'container.log.1', 'container.log'].map((name) =>
    fixture.file(name),
  );
  for (const log of logs) {
    expect(log.length).toBeLessThanOrEqual(maxSize);
    parse(log);
  }
  for (const log of logs.slice(0, 3)) expect(log.length).toBeGreaterThan(maxSize - 100);
  const text = written(parse(logs.join('')), 'stdout');
  const first = Number(text.slice(0, text.indexOf('\n')));
  expect(first).toBeGreaterThan(3000);
  expect(text).toBe(Array.from({ length: 5001 - first }, (_, i) => `${first + i}\n`).join(''));
});

test('with one file it begins anew when it is full', async () => {
  using fixture = await Fixture.start({ script: 'seq 1000', client: nobody, log: { maxSize: 10_000, maxFiles: 1 } });
  await fixture.handle.onExit;
  expect(readdirSync(fixture.containerDirectory).sort()).toEqual(['container.log', 'exit.json']);
  const records = parse(fixture.file('container.log'));
  expect(fixture.file('container.log').length).toBeLessThanOrEqual(10_000);
  expect(records.at(-1)?.text).toBe('1000');
});

test('a size below one record still leaves whole records', async () => {
  using fixture = await Fixture.start({ script: 'seq 5', client: nobody, log: { maxSize: 1, maxFiles: 2 } });
  await fixture.handle.onExit;
  expect(parse(fixture.file('container.log')).map(({ text }) => text)).toEqual(['5']);
  expect(parse(fixture.file('container.log.1')).map(({ text }) => text)).toEqual(['4']);
});

test('a full disk costs log records, never the container; the gap is told', async () => {
  const directory = mkdtempSync('/var/tmp/tsrun-monitor-full.');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tsrun-test', directory]);
  try {
    writeFileSync(join(directory, 'ballast'), Buffer.alloc(128 * 1024));
    const flag = join(directory, 'room');
    using fixture = await Fixture.start({
      script: `seq 4000; touch ${flag}; while [ -e ${flag} ]; do sleep 0.02; done; echo after; exit 5`,
      client: nobody,
      log: unlimited,
      containerDirectory: directory,
    });
    await until(() => existsSync(flag));
    // The flag says that the command has written everything, not that the monitor has read it.
    await delay(300);
    rmSync(join(directory, 'ballast'));
    rmSync(flag);
    expect(await fixture.handle.onExit).toMatchObject({ status: 5 });
    const records = parse(readFileSync(join(directory, 'container.log'), 'utf8'));
    // One or more, as the pieces came: a small one may still have fitted in after a larger one had not.
    const told = records.filter((record) => record.stream === 'tsrun');
    expect(told.length).toBeGreaterThan(0);
    for (const { text } of told) expect(text).toMatch(/^\d+ bytes could not be logged$/);
    expect(records.at(-1)).toMatchObject({ stream: 'stdout', text: 'after' });
    expect(records.filter(({ stream }) => stream === 'stdout').length).toBeLessThan(4000);
    expect(records[0]?.text).toBe('1');
    expect(JSON.parse(readFileSync(join(directory, 'exit.json'), 'utf8'))).toMatchObject({ exitCode: 5 });
  } finally {
    execFileSync('umount', [directory]);
    rmSync(directory, { recursive: true });
  }
});
