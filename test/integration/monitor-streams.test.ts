/** The bytes between a client's descriptors and the command: whole, in order, in constant memory, whatever the client does. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  createReadStream,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { attachClient } from '../../src/container/monitor.ts';
import { SOCK_STREAM } from '../../src/linux/constants.ts';
import { errno } from '../../src/linux/errno.ts';
import { close, writeAll } from '../../src/linux/fs.ts';
import { connectSocket, receive, send, socketPair, waitReadable } from '../../src/linux/unix-socket.ts';
import { Fixture, isAlive, pipe, Reader, until } from './monitor-fixture.ts';

/** Proportional memory of a process in KiB. */
function memoryOf(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
  } catch {
    return 0; // It has ended.
  }
}

/** A gigabyte that repeats nowhere, so that nothing can be lost or come twice unseen. */
const source = 'seq 1000000000 | head -c 1073741824';

async function sumOf(script: string): Promise<string> {
  const child = spawn('sh', ['-c', `${script} | sha256sum`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  return text.slice(0, 64);
}

let expected: Promise<string> | undefined;
const expectedSum = (): Promise<string> => {
  expected ??= sumOf(source);
  return expected;
};

test('stdout and stderr go their own ways, bytes as they are', async () => {
  const out = pipe();
  const err = pipe();
  using fixture = await Fixture.start({
    script: 'printf "out\\000\\377"; printf err >&2',
    client: [-1, out.write, err.write],
  });
  close(out.write);
  close(err.write);
  const readers = [new Reader(out.read), new Reader(err.read)];
  expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
  fixture.handle.close();
  await Promise.all(readers.map((reader) => reader.ended));
  expect(readers[0]?.bytes).toEqual(Buffer.from('out\0\xff', 'latin1'));
  expect(readers[1]?.text).toBe('err');
});

test('a gigabyte through stdout arrives whole, in constant memory', async () => {
  const sum = await expectedSum();
  const out = pipe();
  using fixture = await Fixture.start({ script: source, client: [-1, out.write, -1] });
  close(out.write);
  const hash = spawn('sha256sum', [], { stdio: [out.read, 'pipe', 'inherit'] });
  close(out.read);
  let text = '';
  hash.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(fixture.handle.pid));
  }, 50);
  expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
  clearInterval(watch);
  fixture.handle.close();
  await until(() => text.length > 64, 20_000);
  expect(text.slice(0, 64)).toBe(sum);
  expect(most).toBeLessThan(400);
}, 120_000);

test('a gigabyte from a pipe into stdin arrives whole, in constant memory, and its end passes through', async () => {
  const sum = await expectedSum();
  const input = pipe();
  const out = pipe();
  const feeder = spawn('sh', ['-c', source], { stdio: ['ignore', input.write, 'inherit'] });
  close(input.write);
  using fixture = await Fixture.start({ script: 'sha256sum', stdin: 'once', client: [input.read, out.write, -1] });
  close(input.read);
  close(out.write);
  const reader = new Reader(out.read);
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(fixture.handle.pid));
  }, 50);
  expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
  clearInterval(watch);
  fixture.handle.close();
  await reader.ended;
  expect(reader.text.slice(0, 64)).toBe(sum);
  expect(most).toBeLessThan(400);
  expect(feeder.exitCode ?? 0).toBe(0);
}, 120_000);

test('a client that sleeps holds the command back, loses nothing, and is waited for after the exit', async () => {
  const size = 300_000;
  const out = pipe();
  using fixture = await Fixture.start({
    script: `head -c ${size} /dev/zero | tr '\\0' x; echo done >&2; exit 4`,
    client: [-1, out.write, -1],
  });
  close(out.write);
  await delay(1500);
  // Two pipes and the monitor's buffer hold less than that: the command cannot have ended.
  expect(isAlive(fixture.pid)).toBe(true);
  const reader = new Reader(out.read);
  expect(await fixture.handle.onExit).toMatchObject({ status: 4 });
  fixture.handle.close();
  await reader.ended;
  expect(reader.bytes.length).toBe(size);
});

test('a client that sleeps over the exit gets the rest, and the record does not wait for it', async () => {
  const size = 150_000;
  const out = pipe();
  using fixture = await Fixture.start({
    script: `head -c ${size} /dev/zero | tr '\\0' x; exit 4`,
    client: [-1, out.write, -1],
  });
  close(out.write);
  await until(() => !isAlive(fixture.pid));
  await delay(1500);
  expect(JSON.parse(fixture.file('exit.json'))).toMatchObject({ exitCode: 4 });
  expect(await Promise.race([fixture.handle.onExit, delay(100)])).toBeUndefined();
  const reader = new Reader(out.read);
  expect(await fixture.handle.onExit).toMatchObject({ status: 4 });
  fixture.handle.close();
  await reader.ended;
  expect(reader.bytes.length).toBe(size);
});

test('when the reader of stdout has left, the command goes on', async () => {
  const out = pipe();
  const err = pipe();
  using fixture = await Fixture.start({
    script: 'echo one; sleep 0.2; for i in 1 2 3; do echo more; done; echo alive >&2; exit 6',
    client: [-1, out.write, err.write],
  });
  close(out.write);
  close(out.read);
  close(err.write);
  const reader = new Reader(err.read);
  expect(await fixture.handle.onExit).toMatchObject({ status: 6 });
  await reader.waitFor('alive');
  reader.close();
});

test('an output that cannot be written is told with its errno', async () => {
  const full = openSync('/dev/full', 'w');
  const broken: unknown[] = [];
  using fixture = await Fixture.start({
    script: 'echo text; sleep 0.1; exit 6',
    client: [-1, full, -1],
    onBroken: (what) => broken.push(what),
  });
  closeSync(full);
  expect(await fixture.handle.onExit).toMatchObject({ status: 6 });
  expect(broken).toEqual([{ stream: 1, errno: errno.ENOSPC }]);
});

test('a regular file is read from its offset and appended to', async () => {
  const directory = '/var/tmp';
  const inPath = join(directory, `tsrun-monitor-in.${process.pid}`);
  const outPath = join(directory, `tsrun-monitor-out.${process.pid}`);
  writeFileSync(inPath, 'skipped the rest');
  writeFileSync(outPath, 'before ');
  const [input, output] = [openSync(inPath, 'r'), openSync(outPath, 'a')];
  try {
    readSync(input, Buffer.alloc(8), 0, 8, null);
    using fixture = await Fixture.start({ script: 'cat', stdin: 'once', client: [input, output, output] });
    expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
    expect(readFileSync(outPath, 'utf8')).toBe('before the rest');
  } finally {
    for (const fd of [input, output]) closeSync(fd);
    for (const path of [inPath, outPath]) rmSync(path);
  }
});

test('sockets serve as stdin and stdout', async () => {
  const [input, inputTheirs] = socketPair(SOCK_STREAM);
  const [output, outputTheirs] = socketPair(SOCK_STREAM);
  using fixture = await Fixture.start({
    script: 'cat; head -c 500000 /dev/zero',
    stdin: 'once',
    client: [inputTheirs, outputTheirs, outputTheirs],
  });
  close(inputTheirs);
  close(outputTheirs);
  const writer = new Socket({ fd: input });
  writer.end('through sockets\n');
  const reader = new Reader(output);
  expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
  fixture.handle.close();
  await reader.ended;
  expect(reader.text.slice(0, 16)).toBe('through sockets\n');
  expect(reader.bytes.length).toBe(500_016);
  writer.destroy();
});

test('the flags of a shared file description are left alone', async () => {
  const out = pipe();
  using _fixture = await Fixture.start({ script: 'echo hello; sleep 100', client: [-1, out.write, -1] });
  const reader = new Reader(out.read);
  await reader.waitFor('hello');
  const flags = (fd: number): string =>
    /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
  expect(Number.parseInt(flags(out.write), 8) & 0o4000).toBe(0);
  close(out.write);
  reader.close();
});

test('stdin stays open over the end of a client where it is not its alone', async () => {
  const input = pipe();
  using fixture = await Fixture.start({ script: 'cat; echo ended >&2', stdin: 'open', client: [input.read, -1, -1] });
  close(input.read);
  close(input.write);
  await delay(200);
  expect(isAlive(fixture.pid)).toBe(true);
});

test('stdin that is kept while somebody feeds it ends with the last who does', async () => {
  const [first, second, out] = [pipe(), pipe(), pipe()];
  using fixture = await Fixture.start({ script: 'cat; exit 8', stdin: 'once', client: [first.read, out.write, -1] });
  const later = attachClient(fixture.socketPath, {
    stdin: second.read,
    stdout: -1,
    stderr: -1,
    detachKeys: new Uint8Array(0),
  });
  for (const fd of [first.read, second.read, out.write]) close(fd);
  const reader = new Reader(out.read);
  writeAll(second.write, Buffer.from('second '));
  await reader.waitFor('second ');
  close(first.write);
  await delay(50);
  writeAll(second.write, Buffer.from('still '));
  await reader.waitFor('second still ');
  close(second.write);
  expect(await fixture.handle.onExit).toMatchObject({ status: 8 });
  expect(await later.onExit).toMatchObject({ status: 8 });
  reader.close();
});

test('a command that closes its stdin is not fed any more, and the writer may go on', async () => {
  const input = pipe();
  const out = pipe();
  using fixture = await Fixture.start({
    script: 'exec <&-; echo closed; sleep 0.2; exit 3',
    stdin: 'once',
    client: [input.read, out.write, -1],
  });
  close(input.read);
  close(out.write);
  const reader = new Reader(out.read);
  await reader.waitFor('closed');
  const feeder = spawn('head', ['-c', '10000000', '/dev/zero'], { stdio: ['ignore', input.write, 'ignore'] });
  close(input.write);
  expect(await fixture.handle.onExit).toMatchObject({ status: 3 });
  fixture.handle.close();
  reader.close();
  await until(() => feeder.exitCode !== null || feeder.signalCode !== null);
  expect(feeder.signalCode).toBe('SIGPIPE');
});

test('while its stdin is held, a client keeps what it types', async () => {
  const input = pipe();
  const out = pipe();
  using fixture = await Fixture.start({ script: 'cat', stdin: 'once', client: [input.read, out.write, -1] });
  close(out.write);
  const reader = new Reader(out.read);
  const writer = new Socket({ fd: input.write, readable: false });
  writer.write('one');
  await reader.waitFor('one');
  fixture.handle.holdStdin(true);
  await delay(50);
  writer.write('two');
  await delay(100);
  expect(reader.text).toBe('one');
  fixture.handle.holdStdin(false);
  await reader.waitFor('onetwo');
  writer.destroy();
  close(input.read);
  await fixture.handle.onExit;
  reader.close();
});

test('a later client sees what comes from then on, and types', async () => {
  using fixture = await Fixture.start({
    script: 'echo before; while read line; do echo "got $line"; test "$line" = end && exit 2; done',
    stdin: 'open',
  });
  await delay(50);
  const input = pipe();
  const out = pipe();
  const client = attachClient(fixture.socketPath, {
    stdin: input.read,
    stdout: out.write,
    stderr: -1,
    detachKeys: new Uint8Array(0),
  });
  close(input.read);
  close(out.write);
  const reader = new Reader(out.read);
  const writer = new Socket({ fd: input.write, readable: false });
  writer.write('hello\n');
  await reader.waitFor('got hello\n');
  writer.write('end\n');
  expect(await client.onExit).toEqual({ status: 2, oomKilled: false, restarts: false });
  await reader.ended;
  expect(reader.text).toBe('got hello\ngot end\n');
  writer.destroy();
});

test('later clients come and go; nine are one too many', async () => {
  using fixture = await Fixture.start({ script: 'while :; do echo tick; sleep 0.02; done' });
  const attach = () => {
    const out = pipe();
    const client = attachClient(fixture.socketPath, {
      stdin: -1,
      stdout: out.write,
      stderr: -1,
      detachKeys: new Uint8Array(0),
    });
    close(out.write);
    return { client, reader: new Reader(out.read) };
  };
  const clients = Array.from({ length: 8 }, attach);
  for (const { reader } of clients) await reader.waitFor('tick');
  expect(await attach().client.onExit).toBe('lost');
  clients[3]?.client.close();
  await clients[3]?.reader.ended;
  const next = attach();
  await next.reader.waitFor('tick');
  for (const { client } of [...clients, next]) client.close();
  for (const { reader } of [...clients, next]) await reader.ended;
  expect(isAlive(fixture.pid)).toBe(true);
});

test('a later client that takes nothing is dropped, and the primary one gets everything', async () => {
  const size = 20_000_000;
  const out = pipe();
  using fixture = await Fixture.start({
    script: `sleep 0.2; head -c ${size} /dev/zero`,
    client: [-1, out.write, -1],
  });
  close(out.write);
  const stuck = pipe();
  const client = attachClient(fixture.socketPath, {
    stdin: -1,
    stdout: stuck.write,
    stderr: -1,
    detachKeys: new Uint8Array(0),
  });
  close(stuck.write);
  const hash = createHash('sha256');
  let received = 0;
  const stream = createReadStream('', { fd: out.read });
  stream.on('data', (chunk) => {
    received += chunk.length;
    hash.update(chunk);
  });
  expect(await client.onExit).toBe('lost');
  expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
  fixture.handle.close();
  await until(() => received === size);
  close(stuck.read);
});

test('a client that sends nonsense is dropped, and so is one that says what only the primary may', async () => {
  using fixture = await Fixture.start({ script: 'sleep 100' });
  const message = (kind: number, length = 0): Buffer => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(kind, 0);
    bytes.writeUInt32LE(length, 12);
    return bytes;
  };
  for (const bytes of [message(99), message(1, 0xffffffff), message(2), message(3), Buffer.alloc(16, 0xff)]) {
    const fd = connectSocket(fixture.socketPath);
    send(fd, bytes);
    expect(waitReadable(fd, 2000)).toBe(true);
    expect(receive(fd, 16)).toEqual(Buffer.alloc(0));
    close(fd);
  }
  expect(isAlive(fixture.handle.pid)).toBe(true);
  expect(isAlive(fixture.pid)).toBe(true);
});

test('another user is not let in, even where the socket is open to all', async () => {
  using fixture = await Fixture.start({ script: 'sleep 100' });
  chmodSync(fixture.directory, 0o755);
  expect(statSync(fixture.socketPath).mode & 0o777).toBe(0o600);
  chmodSync(fixture.socketPath, 0o666);
  const script = `require('node:net').connect(${JSON.stringify(fixture.socketPath)}).on('close', () => process.exit(3)).on('error', () => {});
    setTimeout(() => process.exit(4), 700)`;
  const outcome = async (uid: number): Promise<unknown> => {
    const child = spawn(process.execPath, ['-e', script], { uid, stdio: 'ignore', timeout: 10_000 });
    return new Promise((resolve) => child.once('exit', resolve));
  };
  expect(await outcome(65_534)).toBe(3);
  expect(await outcome(0)).toBe(4);
});

test('half a message waits for its other half', async () => {
  const out = pipe();
  using fixture = await Fixture.start({ script: 'sleep 100', client: [-1, out.write, -1] });
  const fd = connectSocket(fixture.socketPath);
  const resize = Buffer.alloc(16);
  resize.writeUInt32LE(1, 0);
  send(fd, resize.subarray(0, 7));
  await delay(30);
  send(fd, resize.subarray(7));
  await delay(30);
  expect(receive(fd, 16)).toBeUndefined();
  close(fd);
  close(out.write);
  close(out.read);
});
