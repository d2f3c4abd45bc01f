/** A container's terminal through the monitor: typing, size, job control, detaching, and a client's terminal that goes away. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { attachClient } from '../../src/container/monitor.ts';
import { syscall } from '../../src/linux/ffi.ts';
import { close, writeAll } from '../../src/linux/fs.ts';
import { makeRaw, parseDetachKeys } from '../../src/linux/tty.ts';
import { Fixture, type FixtureOptions, isAlive, pipe, Reader, terminal, until } from './monitor-fixture.ts';

const keys = parseDetachKeys('ctrl-p,ctrl-q');

/** A person at a terminal: types on the master, sees what the monitor writes to the slave. */
class Person {
  readonly reader: Reader;
  readonly slave: number;
  private readonly master: number;
  private readonly restore: () => void;

  constructor() {
    const { master, slave } = terminal();
    this.master = master;
    this.slave = slave;
    this.restore = makeRaw(slave);
    this.reader = new Reader(master);
  }

  type(text: string): void {
    writeAll(this.master, Buffer.from(text, 'latin1'));
  }

  /** The terminal's window is closed. */
  hangUp(): void {
    this.reader.close();
  }

  [Symbol.dispose](): void {
    this.restore();
    close(this.slave);
    this.reader.close();
  }
}

function interactive(person: Person, options: FixtureOptions): Promise<Fixture> {
  const { slave } = person;
  return Fixture.start({ tty: true, stdin: 'once', client: [slave, slave, slave], ...options });
}

test('what is typed is echoed by the terminal of the container, read and answered', async () => {
  using person = new Person();
  using fixture = await interactive(person, { script: 'read x; echo "got <$x>"; tty -s && echo terminal; exit 11' });
  person.type('hello\r');
  await person.reader.waitFor('terminal\r\n');
  expect(await fixture.handle.onExit).toEqual({ status: 11, oomKilled: false, restarts: false });
  expect(person.reader.text).toBe('hello\r\ngot <hello>\r\nterminal\r\n');
});

test('the first window size is there before the command asks, later ones arrive with SIGWINCH', async () => {
  using person = new Person();
  using fixture = await interactive(person, {
    script: 'stty size; trap "stty size" WINCH; echo ready; while :; do sleep 0.02; done',
    size: { rows: 31, columns: 97 },
  });
  await person.reader.waitFor('ready');
  expect(person.reader.text).toBe('31 97\r\nready\r\n');
  fixture.handle.resize(50, 200);
  await person.reader.waitFor('50 200\r\n');
});

test('Ctrl-C ends the foreground job of the container', async () => {
  using person = new Person();
  using fixture = await interactive(person, {
    script: 'trap "echo caught; exit 12" INT; echo ready; while :; do sleep 0.02; done',
  });
  await person.reader.waitFor('ready');
  person.type('\x03');
  expect(await fixture.handle.onExit).toMatchObject({ status: 12 });
  await person.reader.waitFor('caught');
});

test('Ctrl-D is an end of file for the command, not for the terminal', async () => {
  using person = new Person();
  using fixture = await interactive(person, { script: 'cat; echo between; cat; exit 13' });
  person.type('one\r\x04');
  await person.reader.waitFor('between');
  person.type('two\r\x04');
  expect(await fixture.handle.onExit).toMatchObject({ status: 13 });
  await person.reader.waitFor('one\r\none\r\nbetween\r\ntwo\r\ntwo\r\n');
});

test('much output through a terminal arrives whole', async () => {
  using person = new Person();
  using fixture = await interactive(person, { script: 'seq 40000' });
  expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
  const expected = Array.from({ length: 40000 }, (_, i) => `${i + 1}\r\n`).join('');
  await until(() => person.reader.bytes.length >= expected.length);
  expect(person.reader.text === expected).toBe(true);
});

test('the detach keys leave the container running and the terminal to the caller', async () => {
  using person = new Person();
  using fixture = await interactive(person, { script: 'while read x; do echo "got <$x>"; done', detachKeys: keys });
  person.type('a\r\x10\x11');
  expect(await fixture.handle.onExit).toBe('detached');
  expect(isAlive(fixture.pid)).toBe(true);
  // The terminal belongs to its owner again: nothing of it is read any more.
  person.type('kept');
  await delay(50);
  const read = Buffer.alloc(16);
  expect(read.subarray(0, syscall('read', person.slave, read, 16)).toString()).toBe('kept');
});

test('a half typed detach sequence is passed on when something else follows', async () => {
  using person = new Person();
  const script = 'stty raw -echo; echo ready; dd bs=1 count=8 2>/dev/null | od -An -tx1; exit 14';
  using fixture = await interactive(person, { script, detachKeys: keys });
  await person.reader.waitFor('ready');
  for (const key of ['\x10', 'x', '\x10', '\x10', 'y', '\x11', '\x10', 'z']) {
    person.type(key);
    await delay(10);
  }
  expect(await fixture.handle.onExit).toMatchObject({ status: 14 });
  await person.reader.waitFor('10 78 10 10 79 11 10 7a');
});

test('the first key of the sequence is held back until the next one comes', async () => {
  using person = new Person();
  const script = 'stty raw -echo; echo ready; dd bs=1 count=2 2>/dev/null | od -An -tx1';
  using _fixture = await interactive(person, { script, detachKeys: keys });
  await person.reader.waitFor('ready');
  person.type('a\x10');
  await delay(100);
  expect(person.reader.text).not.toContain('61 10');
  person.type('b');
  await person.reader.waitFor('61 10');
});

test('without a terminal the bytes of the sequence are data', async () => {
  const input = pipe();
  const out = pipe();
  using fixture = await Fixture.start({
    script: 'od -An -tx1',
    stdin: 'once',
    client: [input.read, out.write, -1],
    detachKeys: keys,
  });
  close(input.read);
  close(out.write);
  writeAll(input.write, Buffer.from('\x10\x11z'));
  close(input.write);
  const reader = new Reader(out.read);
  expect(await fixture.handle.onExit).toMatchObject({ status: 0 });
  await reader.waitFor('10 11 7a');
  reader.close();
});

test('a later client attaches to the terminal, resizes it and detaches with its own keys', async () => {
  using fixture = await Fixture.start({
    script: 'while read x; do echo "got <$x> $(stty size)"; done',
    tty: true,
    stdin: 'open',
  });
  for (const sequence of ['ctrl-a', 'b,c,d']) {
    using person = new Person();
    const { slave } = person;
    const client = attachClient(fixture.socketPath, {
      stdin: slave,
      stdout: slave,
      stderr: slave,
      detachKeys: parseDetachKeys(sequence),
    });
    client.resize(20, 60);
    person.type('hello\r');
    await person.reader.waitFor('got <hello> 20 60');
    person.type(sequence === 'ctrl-a' ? '\x01' : 'bcd');
    expect(await client.onExit).toBe('detached');
  }
  expect(isAlive(fixture.pid)).toBe(true);
});

test('when the terminal of the client goes away, the container stays', async () => {
  using person = new Person();
  using fixture = await interactive(person, { script: 'echo ready; sleep 0.3; echo more; exit 15' });
  await person.reader.waitFor('ready');
  person.hangUp();
  await delay(100);
  expect(isAlive(fixture.pid)).toBe(true);
  expect(await fixture.handle.onExit).toMatchObject({ status: 15 });
});

test('the monitor gets no controlling terminal from those it opens', async () => {
  using person = new Person();
  using fixture = await interactive(person, { script: 'echo ready; sleep 100' });
  await person.reader.waitFor('ready');
  expect(readFileSync(`/proc/${fixture.handle.pid}/stat`, 'utf8').split(' ')[6]).toBe('0');
  expect(readFileSync(`/proc/${fixture.pid}/stat`, 'utf8').split(' ')[6]).not.toBe('0');
});
