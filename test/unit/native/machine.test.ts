/** What each part of an operation does, run by the real machine in its bare mode: `tsrun-monitor run`, program at fd 3. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { decodeSync, messageKinds } from '../../../src/container/monitor.ts';
import { artifact } from '../../../src/linux/artifacts.ts';
import { SOCK_SEQPACKET } from '../../../src/linux/constants.ts';
import { errno } from '../../../src/linux/errno.ts';
import { close, sealedMemfd } from '../../../src/linux/fs.ts';
import { receive, send, socketPair } from '../../../src/linux/unix-socket.ts';
import { encodeProgram, headerSize, operationSize, phases } from '../../../src/program/encode.ts';
import { type Argument, type OperationInfo, ProgramBuilder } from '../../../src/program/program.ts';

const errorFd = 4;
const exitWith = (b: ProgramBuilder, status: Argument): void =>
  b.call('exit_group', [status], { title: 'exit', expect: 'any' });

/** A message of kind `error`, in words. */
interface Failure {
  operation: number;
  phase: string | undefined;
  error: number;
}

interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  failures: Failure[];
}

function failureOf(message: Buffer): Failure {
  const { kind, words } = decodeSync(message);
  expect(kind).toBe(messageKinds.error);
  return { operation: words[0], phase: phases[words[1]], error: words[2] };
}

/** Runs bytes; `answers` are sent to the error socket beforehand, so that a failed child does not wait. */
function runBytes(bytes: Uint8Array, answer = true): Outcome {
  const program = sealedMemfd('tsrun-test', bytes);
  const [ours, theirs] = socketPair(SOCK_SEQPACKET);
  try {
    if (answer) send(ours, Uint8Array.of(1));
    const result = spawnSync(artifact('tsrun-monitor'), ['run'], {
      stdio: ['ignore', 'pipe', 'ignore', program, theirs],
      timeout: 10_000,
    });
    const failures: Failure[] = [];
    for (let message = receive(ours, 64); message !== undefined && message.length > 0; message = receive(ours, 64)) {
      failures.push(failureOf(message));
    }
    return { status: result.status, signal: result.signal, stdout: result.stdout.toString('latin1'), failures };
  } finally {
    for (const fd of [program, ours, theirs]) close(fd);
  }
}

function run(build: (b: ProgramBuilder) => void): Outcome {
  const b = new ProgramBuilder();
  build(b);
  return runBytes(encodeProgram(b.build({ errorFd })));
}

/** struct clone_args with nothing but exit_signal SIGCHLD. */
function clone(b: ProgramBuilder, info: Partial<OperationInfo>): void {
  const args = Buffer.alloc(88);
  args.writeBigUInt64LE(17n, 32);
  b.call('clone3', [b.bytes(args, 'clone_args'), 88], { title: 'clone', ...info });
}

test('immediates, addresses and loads of both widths reach the call', () => {
  const outcome = run((b) => {
    const slot = b.slot('length');
    b.at({ kind: 'place', offset: slot.offset, size: 4, label: '', isText: false }).writeInt32LE(3);
    const wide = b.reserve(8, 'wide length');
    b.at(wide).writeBigUInt64LE(4n);
    b.call('write', [1, b.text('abcdef'), 2], { title: 'immediate' });
    b.call('write', [1, b.text('abcdef'), slot], { title: 'load of 4 bytes' });
    b.call('write', [1, b.text('abcdef'), b.field(wide, 0, 8, 'wide')], { title: 'load of 8 bytes' });
    b.call('end', [], { title: 'end' });
  });
  expect(outcome).toEqual({ status: 0, signal: null, stdout: 'ababcabcd', failures: [] });
});

test('a load of 4 bytes keeps its sign: -1 is no descriptor', () => {
  const outcome = run((b) => {
    const fd = b.slot('never stored');
    b.enter('devices');
    b.call('fcntl', [fd, 1], { title: 'F_GETFD' });
    b.call('end', [], { title: 'end' });
  });
  expect(outcome.failures).toEqual([{ operation: 0, phase: 'devices', error: errno.EBADF }]);
  expect(outcome.status).toBe(125);
});

test('a failure names its operation, and nothing after it is done', () => {
  const outcome = run((b) => {
    b.call('getpid', [], { title: 'fine' });
    b.enter('mounts');
    b.call('openat', [-100, b.text('/nonexistent'), 0, 0], { title: 'fails' });
    b.call('write', [1, b.text('never'), 5], { title: 'never' });
    b.call('end', [], { title: 'end' });
  });
  expect(outcome).toEqual({
    status: 125,
    signal: null,
    stdout: '',
    failures: [{ operation: 1, phase: 'mounts', error: errno.ENOENT }],
  });
});

test('two errnos can be tolerated, a third cannot', () => {
  const outcome = run((b) => {
    const missing = b.text('/nonexistent/x');
    const info = { title: 'open', tolerate: ['ENOTDIR', 'ENOENT'] as ('ENOTDIR' | 'ENOENT')[] };
    b.call('openat', [-100, missing, 0, 0], info);
    b.call('openat', [-100, b.text('/dev/null/x'), 0, 0], info);
    b.call('write', [1, b.text('here'), 4], { title: 'reached' });
    b.call('close', [99], info);
    b.call('end', [], { title: 'end' });
  });
  expect(outcome.stdout).toBe('here');
  expect(outcome.failures).toMatchObject([{ operation: 3, error: errno.EBADF }]);
});

test('a result that is not the expected one is told with its sign turned', () => {
  const outcome = run((b) => {
    b.call('write', [1, b.text('abc'), 3], { title: 'three', expect: { equals: 3 } });
    b.call('write', [1, b.text('abc'), 3], { title: 'four?', expect: { equals: 4 } });
    b.call('end', [], { title: 'end' });
  });
  expect(outcome.failures).toMatchObject([{ operation: 1, error: -3 }]);
});

test('a read that must not see the end of a stream fails with 0', () => {
  const outcome = run((b) => {
    b.call('read', [0, b.reserve(8, 'byte'), 1], { title: 'read /dev/null', expect: { equals: 1 } });
    b.call('end', [], { title: 'end' });
  });
  expect(outcome.failures).toMatchObject([{ operation: 0, error: 0 }]);
});

test('an expectation of anything lets failures pass', () => {
  const outcome = run((b) => {
    b.call('close', [99], { title: 'fails', expect: 'any' });
    b.call('end', [], { title: 'end' });
  });
  expect(outcome).toMatchObject({ status: 0, failures: [] });
});

test('a store of 4 bytes leaves what lies behind it, one of 8 does not', () => {
  const outcome = run((b) => {
    const block = b.bytes(Buffer.from('........AAAAAAAA'), 'block');
    b.call('close', [99], { title: 'EBADF', expect: 'any', store: b.field(block, 0, 4, 'four') });
    b.call('close', [99], { title: 'EBADF', expect: 'any', store: b.field(block, 8, 8, 'eight') });
    b.call('write', [1, block, 16], { title: 'show' });
    b.call('end', [], { title: 'end' });
  });
  const bytes = Buffer.from(outcome.stdout, 'latin1');
  expect(bytes.readInt32LE(0)).toBe(-errno.EBADF);
  expect(bytes.subarray(4, 8).toString()).toBe('....');
  expect(bytes.readBigInt64LE(8)).toBe(BigInt(-errno.EBADF));
});

test('a tolerated failure stores nothing', () => {
  const outcome = run((b) => {
    const block = b.bytes(Buffer.from('kept'), 'block');
    b.call('close', [99], { title: 'fails', tolerate: ['EBADF'], store: b.field(block, 0, 4, 'slot') });
    b.call('write', [1, block, 4], { title: 'show' });
    b.call('end', [], { title: 'end' });
  });
  expect(outcome.stdout).toBe('kept');
});

test('a call is repeated on its errno as often as told, and not once more', () => {
  // A timer that is not due answers EAGAIN: one repetition comes too early, some thousand do not.
  const attempts = (times: number): Failure[] =>
    run((b) => {
      const fd = b.slot('timerfd');
      const timer = Buffer.alloc(32);
      timer.writeBigUInt64LE(2_000_000n, 24);
      b.call('timerfd_create', [1, 0o4000], { title: 'non-blocking timer', store: fd });
      b.call('timerfd_settime', [fd, 0, b.bytes(timer, 'itimerspec'), 0], { title: 'in 2 ms' });
      b.call('read', [fd, b.reserve(8, 'count'), 8], {
        title: 'read it',
        expect: { equals: 8 },
        retry: { errno: 'EAGAIN', times },
      });
      b.call('end', [], { title: 'end' });
    }).failures;
  expect(attempts(1)).toMatchObject([{ operation: 2, error: errno.EAGAIN }]);
  expect(attempts(65_535)).toEqual([]);
});

test('clone3 branches: both sides run, and the status of the child comes back', () => {
  const outcome = run((b) => {
    const child = b.label();
    const pid = b.slot('pid');
    const status = b.reserve(8, 'status');
    clone(b, { branch: child, store: pid });
    b.call('wait4', [pid, status, 0, 0], { title: 'wait' });
    b.call('write', [1, b.text('parent '), 7], { title: 'parent' });
    b.call('write', [1, status, 2], { title: 'status' });
    b.call('end', [], { title: 'end' });
    b.mark(child);
    b.call('write', [1, b.text('child '), 6], { title: 'child' });
    exitWith(b, 0x41);
  });
  expect(outcome.stdout).toBe('child parent \0A');
});

test('execve gets argv and envp through relocations', () => {
  const outcome = run((b) => {
    const child = b.label();
    clone(b, { branch: child });
    b.call('end', [], { title: 'end' });
    b.mark(child);
    const argv = b.pointers(
      [b.text('sh'), b.text('-c'), b.text('echo "$0 $1 $VALUE"; exit 7'), b.text('zero'), b.text('one')],
      'argv',
    );
    b.call('execve', [b.text('/bin/sh'), argv, b.pointers([b.text('VALUE=set')], 'envp')], { title: 'exec' });
    b.call('fail', [], { title: 'fail' });
  });
  expect(outcome).toEqual({ status: 7, signal: null, stdout: 'zero one set\n', failures: [] });
});

test('an exit by signal n becomes 128+n', () => {
  const outcome = run((b) => {
    const child = b.label();
    clone(b, { branch: child });
    b.call('end', [], { title: 'end' });
    b.mark(child);
    const pid = b.slot('own pid');
    b.call('getpid', [], { title: 'pid', store: pid });
    b.call('kill', [pid, 9], { title: 'kill' });
  });
  expect(outcome.status).toBe(137);
});

/** A child that tries to execute the paths in order. */
function search(paths: string[]): Outcome {
  return run((b) => {
    const child = b.label();
    clone(b, { branch: child });
    b.call('end', [], { title: 'end' });
    b.mark(child);
    b.enter('exec');
    const argv = b.pointers([b.text('true')], 'argv');
    for (const path of paths) {
      b.call('execve', [b.text(path), argv, b.pointers([], 'envp')], {
        title: `exec ${path}`,
        tolerate: ['ENOENT', 'ENOTDIR'],
        remember: true,
      });
    }
    b.call('fail', [], { title: 'fail' });
  });
}

test('along PATH the first that can be run is run, past what is missing or forbidden', () => {
  expect(search(['/nonexistent/true', '/etc', '/dev/null/true', '/bin/true'])).toMatchObject({
    status: 0,
    failures: [],
  });
});

test('behind the last execve a remembered EACCES wins over ENOENT', () => {
  expect(search(['/nonexistent/true'])).toMatchObject({
    status: 127,
    failures: [{ operation: 3, phase: 'exec', error: errno.ENOENT }],
  });
  expect(search(['/etc/passwd', '/nonexistent/true'])).toMatchObject({
    status: 126,
    failures: [{ operation: 4, error: errno.EACCES }],
  });
});

test('the child of a failure waits for an answer or the end of the socket, the parent does not', () => {
  const b = new ProgramBuilder();
  const child = b.label();
  const pid = b.slot('pid');
  clone(b, { branch: child, store: pid });
  // Non-blocking: while the child waits there is no status yet.
  b.call('nanosleep', [b.bytes(Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe1, 0xf5, 5]), '100 ms'), 0], {
    title: 'sleep',
  });
  b.call('wait4', [pid, b.reserve(8, 'status'), 1, 0], { title: 'still there', expect: { equals: 0 } });
  b.call('sendto', [5, b.text('x'), 1, 0, 0, 0], { title: 'answer' });
  b.call('end', [], { title: 'end' });
  b.mark(child);
  b.call('close', [99], { title: 'fails' });

  const program = sealedMemfd('tsrun-test', encodeProgram(b.build({ errorFd })));
  const [ours, theirs] = socketPair(SOCK_SEQPACKET);
  try {
    // Descriptor 5 of the machine is our end: the parent's side answers the child.
    const result = spawnSync(artifact('tsrun-monitor'), ['run'], {
      stdio: ['ignore', 'ignore', 'ignore', program, theirs, ours],
      timeout: 10_000,
    });
    expect(result.status).toBe(125);
    const message = receive(ours, 64);
    expect(message && failureOf(message)).toMatchObject({ operation: 5, error: errno.EBADF });
  } finally {
    for (const fd of [program, ours, theirs]) close(fd);
  }
});

/** Operations that do nothing, whatever their arguments are. */
function harmless(): Buffer {
  const b = new ProgramBuilder();
  const place = b.reserve(64, 'place');
  for (let i = 0; i < 6; i++) {
    b.call('getpid', [1, place, b.field(place, 8, 4, ''), b.field(place, 16, 8, ''), 5, 6], {
      title: 'nothing',
      store: b.field(place, 24, i % 2 === 0 ? 4 : 8, 'store'),
      tolerate: ['EEXIST'],
    });
  }
  b.pointers([place, place], 'pointers');
  b.call('end', [], { title: 'end' });
  return encodeProgram(b.build({ errorFd }));
}

test('a malformed program is refused with ENOEXEC or runs, but never crashes the machine', () => {
  const sound = harmless();
  expect(runBytes(sound)).toMatchObject({ status: 0, failures: [] });
  const count = sound.readUInt32LE(8);
  const tables = headerSize + count * operationSize + sound.readUInt32LE(12) * 8;
  // Every byte in front of the memory but the numbers of calls: those are the one thing that is meant to be anything.
  const positions = [...Array(tables).keys()].filter((at) => {
    const inOperation = (at - headerSize) % operationSize;
    const isOperation = at >= headerSize && at < headerSize + count * operationSize;
    return !(isOperation && inOperation < 4);
  });
  const outcomes = new Map<string, number>();
  let seed = 12345;
  for (let round = 0; round < 400; round++) {
    const mutated = Buffer.from(sound);
    for (let change = 0; change <= round % 3; change++) {
      seed = (seed * 1103515245 + 12345) % 0x80000000;
      const at = positions[seed % positions.length] ?? 0;
      mutated[at] = [0, 0xff, 0x7f, 1, seed >> 8][seed % 5] ?? 0;
    }
    const { status, signal } = runBytes(mutated);
    expect({ round, signal }).toEqual({ round, signal: null });
    outcomes.set(String(status), (outcomes.get(String(status)) ?? 0) + 1);
  }
  // Both happen: what is checked is refused, what says nothing wrong runs.
  expect(outcomes.get('0')).toBeGreaterThan(20);
  expect(outcomes.get('125')).toBeGreaterThan(20);
}, 60_000);

test('files that are too short or cut off are refused', () => {
  const sound = harmless();
  for (const size of [0, 1, headerSize - 1, headerSize, headerSize + 50, sound.length - 1]) {
    expect([size, runBytes(sound.subarray(0, size)).status]).toEqual([size, 125]);
  }
  const longer = Buffer.concat([sound, Buffer.alloc(1)]);
  expect(runBytes(longer).status).toBe(125);
});

test('offsets beyond the memory and branches backwards are refused one by one', () => {
  const change = (edit: (bytes: Buffer, operation: number) => void): number | null => {
    const bytes = harmless();
    edit(bytes, headerSize);
    return runBytes(bytes).status;
  };
  expect(change(() => {})).toBe(0);
  expect(change((bytes, op) => bytes.writeUInt32LE(0xfffffff0, op + 24))).toBe(125); // store
  expect(change((bytes, op) => bytes.writeBigUInt64LE(2n ** 63n, op + 48))).toBe(125); // address
  expect(change((bytes, op) => bytes.writeBigUInt64LE(2n ** 32n, op + 56))).toBe(125); // load
  expect(change((bytes, op) => bytes.writeUInt8(4, op + 4))).toBe(125); // kind
  expect(change((bytes, op) => bytes.writeUInt8(3, op + 10))).toBe(125); // expectation
  expect(change((bytes, op) => bytes.writeUInt8(5, op + 11))).toBe(125); // store width
  expect(change((bytes, op) => bytes.writeUInt32LE(0, op + 28))).toBe(125); // branch to itself
  expect(change((bytes, op) => bytes.writeUInt32LE(7, op + 28))).toBe(125); // branch behind the end
  expect(change((bytes, op) => bytes.writeUInt32LE(6, op + 28))).toBe(0);
  expect(change((bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(24) - 64, 24))).toBe(125); // memory over the tables
  expect(change((bytes) => bytes.writeUInt32LE(0x10000000, 8))).toBe(125); // number of operations
  expect(change((bytes) => bytes.writeUInt32LE(bytes.length, bytes.readUInt32LE(20)))).toBe(125); // relocation
});

test('a program that ends without saying so fails', () => {
  const outcome = run((b) => b.call('getpid', [], { title: 'only' }));
  expect(outcome).toMatchObject({ status: 125, failures: [{ operation: 1, error: errno.ENOEXEC }] });
});
