/**
 * The smallest program that a monitor can supervise: pipes or a terminal, one process, no namespaces. It lets the tests
 * look at the monitor (native/monitor.c) without a container around it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  encodeMonitorConfig,
  type MonitorHandle,
  messageKinds,
  type SyncMessage,
  spawnMonitor,
} from '../../src/container/monitor.ts';
import {
  AT_FDCWD,
  F_SETFL,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
} from '../../src/linux/constants.ts';
import { errno } from '../../src/linux/errno.ts';
import { syscall } from '../../src/linux/ffi.ts';
import { check, close, flock, openat } from '../../src/linux/fs.ts';
import { listenSocket } from '../../src/linux/unix-socket.ts';
import { encodeProgram } from '../../src/program/encode.ts';
import { type Load, type Place, type Program, ProgramBuilder } from '../../src/program/program.ts';

const fdSync = 4;

export interface FixtureOptions {
  /** Run by /bin/sh -c. */
  script: string;
  tty?: boolean;
  stdin?: 'none' | 'open' | 'once';
  /** Descriptors of the foreground client, -1 for those that are not connected; without it nobody is attached. */
  client?: [number, number, number];
  log?: { maxSize: number; maxFiles: number };
  /** Shell script that the monitor executes when nobody else cleans up; gets the fixture's directory. */
  reap?: (directory: string) => string;
  /** Instead of a fresh directory: where exit.json and the log are written. */
  containerDirectory?: string;
  /** A directory that stands for the container's cgroup. */
  cgroupDirectory?: string;
  /** Neither record nor lock nor directory: as `exec` uses the monitor. */
  bare?: boolean;
  detachKeys?: Uint8Array;
  size?: { rows: number; columns: number };
  /** Bound sockets that stand for published ports. */
  ports?: number[];
  /** Instead of /bin/sh. */
  command?: string;
  /** Hand the fixture over at this message instead of after execve. */
  upTo?: 'ready' | 'error';
  /** The parent's side of the program fails. */
  failInParent?: boolean;
  /** The bytes of the program are no program. */
  damage?: boolean;
  onBroken?: (broken: { stream: 1 | 2; errno: number }) => void;
}

/** A pipe, both ends close-on-exec and blocking. */
export function pipe(): { read: number; write: number } {
  const ends = Buffer.alloc(8);
  check(syscall('pipe2', ends, O_CLOEXEC), 'pipe2');
  return { read: ends.readInt32LE(0), write: ends.readInt32LE(4) };
}

/** A terminal as a client has it: the descriptor it hands on, and the master that types and shows. */
export function terminal(): { master: number; slave: number } {
  const master = openat(AT_FDCWD, '/dev/ptmx', O_RDWR | O_NOCTTY);
  check(syscall('ioctl', master, TIOCSPTLCK, Buffer.alloc(8)), 'ioctl');
  return { master, slave: check(syscall('ioctl', master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), 'ioctl') };
}

/** Collects what comes out of a pipe, socket or terminal that the caller gives away. */
export class Reader {
  private readonly chunks: Buffer[] = [];
  private readonly timer: NodeJS.Timeout;
  private closed = false;
  private end: () => void = () => {};
  /** At the end of the stream, or of this reader. */
  readonly ended = new Promise<void>((resolve) => {
    this.end = resolve;
  });

  constructor(private readonly fd: number) {
    check(syscall('fcntl', fd, F_SETFL, O_NONBLOCK), 'fcntl');
    this.timer = setInterval(() => this.read(), 2);
  }

  private read(): void {
    for (;;) {
      const buffer = Buffer.alloc(64 * 1024);
      const size = syscall('read', this.fd, buffer, buffer.length);
      if (size === -errno.EAGAIN) return;
      // A terminal ends with EIO.
      if (size <= 0) {
        this.close();
        return;
      }
      this.chunks.push(buffer.subarray(0, size));
    }
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }

  async waitFor(pattern: string, timeout = 10_000): Promise<void> {
    await until(
      () => this.text.includes(pattern),
      timeout,
      () => `"${pattern}" never came; there is: ${this.text}`,
    );
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    close(this.fd);
    this.end();
  }
}

/** Waits until `done`; throws what `explain` says after `timeout` milliseconds. */
export async function until(
  done: () => boolean,
  timeout = 10_000,
  explain: () => string = () => `not within ${timeout} ms: ${done}`,
): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!done()) {
    if (Date.now() > deadline) throw new Error(explain());
    await delay(5);
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** A started monitor; `using` kills what is left of it. */
export class Fixture {
  readonly directory = mkdtempSync('/var/tmp/tsrun-monitor-test.');
  readonly socketPath = join(this.directory, 'attach.sock');
  readonly lockPath = join(this.directory, 'lock');
  readonly containerDirectory: string;
  readonly handle: MonitorHandle;
  pid = 0;
  /** The last message of the program. */
  last: SyncMessage | undefined;

  private constructor(options: FixtureOptions) {
    const { bare = false } = options;
    const program = encodeProgram(build(options, this.directory));
    if (options.damage) program.fill(0xff, 16, 32);
    this.containerDirectory = options.containerDirectory ?? join(this.directory, 'container');
    mkdirSync(this.containerDirectory, { recursive: true });
    const own: { directory?: number; lock?: number; listen?: number; cgroup?: number } = {};
    if (!bare) {
      own.directory = openat(AT_FDCWD, this.containerDirectory, O_RDONLY | O_DIRECTORY);
      own.lock = openat(AT_FDCWD, this.lockPath, O_RDWR | 0o100, 0o600);
      own.listen = listenSocket(this.socketPath);
    }
    if (options.cgroupDirectory !== undefined) {
      own.cgroup = openat(AT_FDCWD, options.cgroupDirectory, O_RDONLY | O_DIRECTORY);
    }
    if (own.lock !== undefined) flock(own.lock, 'exclusive', true);
    this.handle = spawnMonitor({
      stdio: options.client ?? [-1, -1, -1],
      ...own,
      ports: options.ports ?? [],
      foreground: options.client !== undefined,
      onBroken: options.onBroken,
    });
    this.handle.run(program);
    for (const fd of Object.values(own)) close(fd);
  }

  /** Starts and goes through the handshake until the script runs. */
  static async start(options: FixtureOptions): Promise<Fixture> {
    const fixture = new Fixture(options);
    try {
      for (;;) {
        const message = await fixture.handle.readSync(10_000);
        if (message === 'exec') return fixture;
        fixture.last = message;
        if (message.kind === messageKinds[options.upTo ?? 'created'] && options.upTo !== undefined) return fixture;
        if (message.kind === messageKinds.created) fixture.pid = message.words[0];
        else if (message.kind === messageKinds.ready) fixture.handle.proceed();
        else throw new Error(`the program failed: ${message.words}`);
      }
    } catch (error) {
      fixture[Symbol.dispose]();
      throw error;
    }
  }

  file(name: string): string {
    return readFileSync(join(this.containerDirectory, name), 'utf8');
  }

  /** Whether somebody still holds the lock. */
  get locked(): boolean {
    const fd = openat(AT_FDCWD, this.lockPath, O_RDWR);
    const free = flock(fd, 'exclusive', false);
    close(fd);
    return !free;
  }

  [Symbol.dispose](): void {
    // The command leads a session, and with it a process group that its children are in.
    for (const pid of [this.handle.pid, -this.pid]) {
      try {
        if (pid !== 0) process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    this.handle.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function message(b: ProgramBuilder, kind: number, label: string): Place {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(kind, 0);
  return b.bytes(bytes, label);
}

function build(options: FixtureOptions, directory: string): Program {
  const b = new ProgramBuilder();
  const pid = b.slot('pid');
  const stdio = options.tty ? openTerminal(b) : openPipes(b, (options.stdin ?? 'none') !== 'none');

  const child = b.label();
  const args = Buffer.alloc(88);
  args.writeBigUInt64LE(17n, 32);
  b.call('clone3', [b.bytes(args, 'clone_args'), 88], { title: 'clone', store: pid, branch: child });
  const created = message(b, messageKinds.created, 'created');
  const vector = b.reserve(48, 'iovec');
  [created, { ...created, offset: pid.offset }, { ...created, offset: created.offset + 8 }].forEach((place, index) => {
    b.relocate(vector.offset + index * 16, place);
    b.at(vector).writeBigUInt64LE(index === 2 ? 8n : 4n, index * 16 + 8);
  });
  b.call('writev', [fdSync, vector, 3], { title: 'tell the pid', expect: { equals: 16 } });
  for (const fd of stdio.childOnly) b.call('close', [fd], { title: `close ${fd.label}` });
  if (options.failInParent) b.call('close', [9999], { title: 'fails' });
  b.call('end', [], { title: 'end' });

  b.mark(child);
  b.call('setsid', [], { title: 'session' });
  stdio.ends.forEach((fd, index) => {
    b.call('dup3', [fd, index, 0], { title: `descriptor ${index}` });
  });
  if (options.tty) b.call('ioctl', [0, TIOCSCTTY, 0], { title: 'controlling terminal' });
  b.call('write', [fdSync, message(b, messageKinds.ready, 'ready'), 16], { title: 'ready' });
  b.call('read', [fdSync, b.reserve(8, 'answer'), 1], { title: 'wait', expect: { equals: 1 } });
  b.call('close', [3], { title: 'close the program' });
  b.call('close_range', [fdSync + 1, 0xffffffff, 0], { title: 'close the rest' });
  b.call('fcntl', [fdSync, 2, 1], { title: 'the sync socket ends with execve' });
  const argv = b.pointers(
    ['sh', '-c', options.script].map((word) => b.text(word)),
    'argv',
  );
  const envp = b.pointers([b.text('PATH=/usr/sbin:/usr/bin:/sbin:/bin'), b.text('TERM=dumb')], 'envp');
  b.call('execve', [b.text(options.command ?? '/bin/sh'), argv, envp], { title: 'exec' });
  b.call('fail', [], { title: 'fail' });

  const { client, bare = false } = options;
  const config = encodeMonitorConfig({
    tty: options.tty ?? false,
    stdin: options.stdin ?? 'none',
    foreground: client && { stdin: client[0] >= 0, stdout: client[1] >= 0, stderr: client[2] >= 0 },
    log: options.log,
    record: !bare,
    pid,
    stdinFd: stdio.stdin,
    stdoutFd: stdio.stdout,
    stderrFd: stdio.stderr,
    reap:
      options.reap === undefined
        ? undefined
        : {
            argv: b.pointers(
              ['/bin/sh', '-c', options.reap(directory)].map((word) => b.text(word)),
              'reap argv',
            ),
            envp: b.pointers([b.text('PATH=/usr/sbin:/usr/bin:/sbin:/bin'), b.text('REAPED=yes')], 'reap envp'),
          },
    portCount: options.ports?.length ?? 0,
    detachKeys: options.detachKeys && b.bytes(options.detachKeys, 'detach keys'),
    size: options.size,
  });
  return b.build({ errorFd: fdSync, config: b.bytes(config, 'config') });
}

interface Stdio {
  ends: Load[];
  childOnly: Load[];
  stdin: Load | undefined;
  stdout: Load;
  stderr: Load | undefined;
}

function openPipes(b: ProgramBuilder, withStdin: boolean): Stdio {
  const open = (name: string): [Load, Load] => {
    const ends = b.reserve(8, name);
    b.call('pipe2', [ends, O_CLOEXEC], { title: `pipe of ${name}` });
    return [b.field(ends, 0, 4, `read end of ${name}`), b.field(ends, 4, 4, `write end of ${name}`)];
  };
  const [stdin, stdinOurs] = withStdin ? open('stdin') : [b.slot('null device'), undefined];
  if (!withStdin) {
    b.call('openat', [AT_FDCWD, b.text('/dev/null'), O_RDONLY | O_CLOEXEC, 0], { title: 'no stdin', store: stdin });
  }
  const [stdoutOurs, stdout] = open('stdout');
  const [stderrOurs, stderr] = open('stderr');
  const ends = [stdin, stdout, stderr];
  return { ends, childOnly: ends, stdin: stdinOurs, stdout: stdoutOurs, stderr: stderrOurs };
}

function openTerminal(b: ProgramBuilder): Stdio {
  const master = b.slot('master');
  const slave = b.slot('slave');
  b.call('openat', [AT_FDCWD, b.text('/dev/ptmx'), O_RDWR | O_NOCTTY | O_CLOEXEC, 0], { title: 'ptmx', store: master });
  b.call('ioctl', [master, TIOCSPTLCK, b.reserve(8, 'unlock')], { title: 'unlock' });
  b.call('ioctl', [master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC], { title: 'slave', store: slave });
  return { ends: [slave, slave, slave], childOnly: [slave], stdin: master, stdout: master, stderr: undefined };
}
