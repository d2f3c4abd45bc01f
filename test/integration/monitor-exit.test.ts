/** How a monitor starts, waits, and ends: exit status, exit record, reaping, what it keeps open and what it lets go. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { messageKinds } from '../../src/container/monitor.ts';
import { errno } from '../../src/linux/errno.ts';
import { close } from '../../src/linux/fs.ts';
import { Fixture, isAlive, pipe, Reader, until } from './monitor-fixture.ts';

const nothing: [number, number, number] = [-1, -1, -1];

test.each([
  ['exit 0', 0, 0],
  ['exit 42', 42, 0],
  ['exit 255', 255, 0],
  ['kill -KILL $$', 137, 9],
  ['kill -TERM $$', 143, 15],
])('`%s` is told to the client as %i and recorded', async (script, status, signal) => {
  using fixture = await Fixture.start({ script, client: nothing });
  expect(await fixture.handle.onExit).toEqual({ status, oomKilled: false, restarts: false });
  const record = JSON.parse(fixture.file('exit.json'));
  expect(record).toEqual({ exitCode: status, signal, oomKilled: false, finishedAt: expect.any(String) });
  expect(record.finishedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  expect(Math.abs(Date.now() - Date.parse(record.finishedAt))).toBeLessThan(5000);
  expect(readdirSync(fixture.containerDirectory)).toEqual(['exit.json']);
  await fixture.handle.ended;
});

test('the command starts with no signal blocked and none ignored', async () => {
  const out = pipe();
  using fixture = await Fixture.start({ script: 'grep Sig /proc/self/status', client: [-1, out.write, -1] });
  close(out.write);
  const reader = new Reader(out.read);
  await fixture.handle.onExit;
  await reader.ended;
  for (const name of ['SigPnd', 'SigBlk', 'SigIgn']) {
    expect(reader.text).toContain(`${name}:\t0000000000000000\n`);
  }
});

test('a kill by the OOM killer since the start is told and recorded', async () => {
  const cgroup = mkdtempSync('/var/tmp/tsrun-monitor-cgroup.');
  const events = (kills: number): string => `low 0\nhigh 0\nmax 7\noom 3\noom_kill ${kills}\noom_group_kill 9\n`;
  const results: unknown[] = [];
  try {
    for (const kills of [12, 13]) {
      writeFileSync(join(cgroup, 'memory.events'), events(12));
      using fixture = await Fixture.start({ script: 'sleep 0.1', client: nothing, cgroupDirectory: cgroup });
      writeFileSync(join(cgroup, 'memory.events'), events(kills));
      results.push(await fixture.handle.onExit, JSON.parse(fixture.file('exit.json')).oomKilled);
    }
    expect(results).toEqual([
      { status: 0, oomKilled: false, restarts: false },
      false,
      { status: 0, oomKilled: true, restarts: false },
      true,
    ]);
  } finally {
    rmSync(cgroup, { recursive: true });
  }
});

test('while nothing happens a monitor takes less than 100 KiB of memory and no time', async () => {
  using fixture = await Fixture.start({ script: 'sleep 100', log: { maxSize: 0, maxFiles: 1 } });
  await delay(100);
  const proc = `/proc/${fixture.handle.pid}`;
  expect(Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`${proc}/smaps_rollup`, 'utf8'))?.[1])).toBeLessThan(100);
  const switches = (): RegExpMatchArray | null => readFileSync(`${proc}/status`, 'utf8').match(/^\w+_switches:.*$/gm);
  const before = switches();
  await delay(300);
  expect(before).toHaveLength(2);
  expect(switches()).toEqual(before);
});

test('a client that has cleaned up says so, and no other cleaning runs', async () => {
  using fixture = await Fixture.start({ script: 'exit 3', client: nothing, reap: () => 'exit 0' });
  expect(await fixture.handle.onExit).toEqual({ status: 3, oomKilled: false, restarts: false });
  expect(isAlive(fixture.handle.pid)).toBe(true);
  expect(fixture.locked).toBe(true);
  fixture.handle.reaped();
  await fixture.handle.ended;
  expect(fixture.locked).toBe(false);
});

test('without a client the monitor becomes the command that cleans up, with the lock and nothing else', async () => {
  using fixture = await Fixture.start({
    script: 'exit 3',
    reap: (directory) => `exec > ${directory}/reaped; cd /proc/self/cwd; pwd -P; id -u; echo $REAPED
      grep SigBlk /proc/self/status; find /proc/$$/fd -type l -printf "%f %l\\n" | sort -n; echo end; read x < ${directory}/none; sleep 0.3`,
  });
  const reaped = join(fixture.directory, 'reaped');
  await until(() => existsSync(reaped) && readFileSync(reaped, 'utf8').endsWith('end\n'));
  expect(fixture.locked).toBe(true);
  expect(readFileSync(reaped, 'utf8').split('\n')).toEqual([
    '/',
    '0',
    'yes',
    'SigBlk:\t0000000000000000',
    '0 /dev/null',
    expect.stringMatching(/^1 (pipe:|.*reaped$)/), // the script's own redirection
    '2 /dev/null',
    `7 ${fixture.lockPath}`,
    'end',
    '',
  ]);
  await fixture.handle.ended;
  expect(fixture.locked).toBe(false);
  expect(JSON.parse(fixture.file('exit.json'))).toMatchObject({ exitCode: 3 });
});

test('when the client is killed the container goes on, and is cleaned up after its end', async () => {
  const out = pipe();
  using fixture = await Fixture.start({
    script: 'echo started; sleep 0.3; echo more; exit 5',
    client: [-1, out.write, -1],
    reap: (directory) => `touch ${directory}/reaped`,
  });
  close(out.write);
  const reader = new Reader(out.read);
  await reader.waitFor('started');
  // All of the client's descriptors vanish at once, as by kill -9.
  fixture.handle.close();
  await reader.ended;
  expect(isAlive(fixture.pid)).toBe(true);
  await until(() => existsSync(join(fixture.directory, 'reaped')));
  expect(JSON.parse(fixture.file('exit.json'))).toMatchObject({ exitCode: 5 });
});

test('a client that dies between the exit and its cleaning leaves the cleaning to the monitor', async () => {
  using fixture = await Fixture.start({
    script: 'exit 6',
    client: nothing,
    reap: (directory) => `touch ${directory}/reaped`,
  });
  expect(await fixture.handle.onExit).toMatchObject({ status: 6 });
  fixture.handle.close();
  await until(() => existsSync(join(fixture.directory, 'reaped')));
});

test('the bare form for exec tells the status and ends', async () => {
  using fixture = await Fixture.start({ script: 'exit 7', client: nothing, bare: true });
  expect(await fixture.handle.onExit).toEqual({ status: 7, oomKilled: false, restarts: false });
  await fixture.handle.ended;
  expect(readdirSync(fixture.containerDirectory)).toEqual([]);
});

test('SIGTERM to the monitor goes to the command; hangups and Ctrl-C do nothing', async () => {
  const out = pipe();
  using fixture = await Fixture.start({
    script: 'trap "echo terminated; exit 8" TERM; echo ready; while :; do sleep 0.02; done',
    client: [-1, out.write, -1],
  });
  close(out.write);
  const reader = new Reader(out.read);
  await reader.waitFor('ready');
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGPIPE', 'SIGUSR1'] as const) {
    process.kill(fixture.handle.pid, signal);
  }
  await delay(50);
  expect(isAlive(fixture.pid)).toBe(true);
  process.kill(fixture.handle.pid, 'SIGTERM');
  expect(await fixture.handle.onExit).toMatchObject({ status: 8 });
  await reader.waitFor('terminated');
  reader.close();
});

test('a monitor is named, in a session of its own, not dumpable, and holds only what it was given', async () => {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const held = pipe();
  using fixture = await Fixture.start({ script: 'sleep 100', ports: [held.read, held.write] });
  const proc = `/proc/${fixture.handle.pid}`;
  expect(readFileSync(`${proc}/comm`, 'utf8')).toBe('tsrun-monitor\n');
  expect(readFileSync(`${proc}/cmdline`, 'utf8')).toMatch(/^tsrun-monitor\0/);
  expect(readFileSync(`${proc}/environ`, 'utf8')).toBe('');
  expect(readFileSync(`${proc}/stat`, 'utf8').split(' ')[5]).toBe(String(fixture.handle.pid));
  expect(readlinkSync(`${proc}/cwd`)).toBe('/');
  await until(() => readlinkSync(`${proc}/fd/4`) === '/dev/null');
  const descriptors = Object.fromEntries(
    readdirSync(`${proc}/fd`).map((fd) => [fd, readlinkSync(`${proc}/fd/${fd}`).replace(/:.*$/, '')]),
  );
  expect(descriptors).toEqual({
    '0': '/dev/null',
    '1': '/dev/null',
    '2': '/dev/null',
    '3': '/memfd', // the program
    '4': '/dev/null', // where the sync socket was: a restart has one there again
    '5': '/dev/null',
    '6': join(fixture.directory, 'container'),
    '7': fixture.lockPath,
    '8': '/dev/null',
    '9': '/dev/null',
    '10': 'socket',
    '11': '/dev/null', // no journal
    '12': '/dev/null', // no health check
    '13': 'pipe',
    '14': 'pipe',
    '15': 'anon_inode', // signalfd
    '16': 'pipe', // stdout and stderr of the container
    '18': 'pipe',
  });
  server.close();
  close(held.read);
  close(held.write);
});

test('a command that ends while others hold its pipes does not keep the monitor', async () => {
  const out = pipe();
  const started = Date.now();
  using fixture = await Fixture.start({
    script: '(sleep 3; echo late) & echo early; exit 9',
    client: [-1, out.write, -1],
  });
  close(out.write);
  const reader = new Reader(out.read);
  expect(await fixture.handle.onExit).toMatchObject({ status: 9 });
  expect(Date.now() - started).toBeLessThan(2000);
  await reader.ended;
  expect(reader.text).toBe('early\n');
});

test('what others write right after the end still comes', async () => {
  const out = pipe();
  using fixture = await Fixture.start({
    script: '(sleep 0.05; echo late) & echo early; exit 9',
    client: [-1, out.write, -1],
  });
  close(out.write);
  const reader = new Reader(out.read);
  expect(await fixture.handle.onExit).toMatchObject({ status: 9 });
  await reader.ended;
  expect(reader.text).toBe('early\nlate\n');
});

test('orphans of the command are reaped by the monitor', async () => {
  const out = pipe();
  using fixture = await Fixture.start({
    script: 'sh -c "sleep 0.05 & echo $!" ; sleep 0.3; exit 0',
    client: [-1, out.write, -1],
  });
  close(out.write);
  const reader = new Reader(out.read);
  await reader.waitFor('\n');
  await delay(150);
  const children = readFileSync(`/proc/${fixture.handle.pid}/task/${fixture.handle.pid}/children`, 'utf8').trim();
  expect(children).toBe(String(fixture.pid));
  reader.close();
  await fixture.handle.onExit;
});

test('a start that is given up at its barrier leaves no process, no record and runs no cleaning', async () => {
  using fixture = await Fixture.start({
    script: 'exit 0',
    client: nothing,
    reap: (directory) => `touch ${directory}/container/reaped`,
    upTo: 'ready',
  });
  expect(isAlive(fixture.pid)).toBe(true);
  fixture.handle.close();
  await fixture.handle.ended;
  await until(() => !isAlive(fixture.pid) && !fixture.locked);
  // Only the room that was kept for it.
  expect(readdirSync(fixture.containerDirectory)).toEqual(['exit.json.tmp']);
  expect(await fixture.handle.onExit).toBe('lost');
});

test('a monitor that is killed while the start program waits ends the start', async () => {
  using fixture = await Fixture.start({ script: 'exit 0', client: nothing, upTo: 'ready' });
  process.kill(fixture.handle.pid, 'SIGKILL');
  const rest = async (): Promise<void> => {
    // The one message that may still be on its way.
    while ((await fixture.handle.readSync(60_000)) !== 'exec');
  };
  await expect(rest()).rejects.toThrow('the monitor was killed before the command ran');
  fixture.handle.close();
  await until(() => fixture.pid === 0 || !isAlive(fixture.pid));
});

test('a command that cannot be executed is told with its errno and waits to be looked at', async () => {
  using fixture = await Fixture.start({ script: '', command: '/nonexistent', client: nothing, upTo: 'error' });
  expect(fixture.last).toMatchObject({ kind: messageKinds.error, words: [expect.any(Number), 5, errno.ENOENT] });
  await delay(50);
  expect(isAlive(fixture.pid)).toBe(true);
  expect(readlinkSync(`/proc/${fixture.pid}/root`)).toBe('/');
  fixture.handle.close();
  await until(() => !isAlive(fixture.pid) && !isAlive(fixture.handle.pid));
});

test('a program that is none is told as such', async () => {
  using fixture = await Fixture.start({ script: '', damage: true, client: nothing, upTo: 'error' });
  expect(fixture.last).toEqual({ kind: messageKinds.error, words: [-1, 0, errno.ENOEXEC] });
  await fixture.handle.ended;
});

test('a failure on the side of the monitor ends both', async () => {
  using fixture = await Fixture.start({ script: 'sleep 100', failInParent: true, client: nothing, upTo: 'error' });
  expect(fixture.last).toMatchObject({ kind: messageKinds.error, words: [expect.any(Number), 5, errno.EBADF] });
  await fixture.handle.ended;
  await until(() => !isAlive(fixture.pid));
});
