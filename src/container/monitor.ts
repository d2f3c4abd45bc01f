/**
 * Starting a container's monitor (native/monitor.h, native/program.h): its configuration in the program's memory, its
 * descriptors, and the sync socket over which the start program tells how far it is.
 */
import { TsrunError } from '../error.ts';
import { AT_FDCWD, O_RDWR, SOCK_SEQPACKET, SOCK_STREAM } from '../linux/constants.ts';
import { syscall } from '../linux/ffi.ts';
import { close, fillAndSeal, openat, sealableMemfd, sealedMemfd } from '../linux/fs.ts';
import { monitorExecutable } from '../linux/monitor-executable.ts';
import { nextTurn } from '../linux/pause.ts';
import { signals } from '../linux/signals.ts';
import { type Spawned, spawnDetached } from '../linux/spawn.ts';
import { receive, send, socketPair, waitReadable } from '../linux/unix-socket.ts';
import { none } from '../program/encode.ts';
import type { Load, Place } from '../program/program.ts';
import { attachFlags, MonitorControl, type MonitorExit, type OutputEvents } from './monitor-control.ts';

/** Layout and numbers of struct monitor_config; a test reads them out of the header. */
export const monitorConfigSize = 80;
export const monitorVersion = 2;
/** The first of `SpawnOptions.ports`, FD_FIRST_PORT. */
export const fdFirstPort = 13;
/** FD_LOCK: the lock of its container. */
export const fdLock = 7;
/** FD_RESYNC, which only a restart needs. */
export const fdTrace = 11;
export const monitorFlags = { tty: 1, stdin: 2, stdinOnce: 4, foreground: 8, log: 16, record: 32 } as const;

/** The numbers of restart policies, RESTART_*. */
export const restartPolicies = { no: 0, 'on-failure': 1, always: 2, 'unless-stopped': 3 } as const;

export interface MonitorConfig {
  /** One pty master instead of pipes. */
  tty: boolean;
  /** The container's stdin is kept open and fed by clients; with `once` it ends with the first client's. */
  stdin: 'none' | 'open' | 'once';
  /** The descriptors given to `spawnMonitor` are a client, and which of them are connected. */
  foreground: { stdin: boolean; stdout: boolean; stderr: boolean } | undefined;
  /** container.log in the container's directory: bytes per file (0: no rotation) and number of files. */
  log: { maxSize: number; maxFiles: number } | undefined;
  /** Write exit.json into the container's directory. */
  record: boolean;
  /** Where the parent's side of the program stores the pid (clone3 with exit_signal SIGCHLD) and our ends. */
  pid: Load;
  /** Write end of stdin; with `tty` the same slot as `stdoutFd`. */
  stdinFd?: Load | undefined;
  stdoutFd?: Load | undefined;
  stderrFd?: Load | undefined;
  /** The command that cleans up: argv and envp, arrays of relocated pointers. argv[0] is the executable's path. */
  reap: { argv: Place; envp: Place } | undefined;
  /** How many port sockets `spawnMonitor` gets. */
  portCount: number;
  /** Of the foreground client; heeded with `tty` only. */
  detachKeys: Place | undefined;
  /** Initial window size in characters. */
  size?: { rows: number; columns: number } | undefined;
  /** When a container that has ended runs again; absent: never. */
  restart?: { name: keyof typeof restartPolicies; maximumRetryCount: number } | undefined;
  /** Where the monitor records events, and what stands in them (struct monitor_config in monitor.h). */
  journal?: { path: Place; event: Place } | undefined;
}

/** `struct monitor_config`, to be placed into the program's memory. */
export function encodeMonitorConfig(config: MonitorConfig): Buffer {
  const { foreground } = config;
  let flags = config.tty ? monitorFlags.tty : 0;
  if (config.stdin !== 'none') flags |= monitorFlags.stdin;
  if (config.stdin === 'once') flags |= monitorFlags.stdinOnce;
  if (config.log !== undefined) flags |= monitorFlags.log;
  if (config.record) flags |= monitorFlags.record;
  if (foreground !== undefined) {
    flags |= monitorFlags.foreground;
    if (foreground.stdin) flags |= attachFlags.stdin;
    if (foreground.stdout) flags |= attachFlags.stdout;
    if (foreground.stderr) flags |= attachFlags.stderr;
  }
  const out = Buffer.alloc(monitorConfigSize);
  out.writeUInt32LE(monitorVersion, 0);
  out.writeUInt32LE(flags, 4);
  out.writeUInt32LE(config.pid.offset, 8);
  out.writeUInt32LE(config.stdinFd?.offset ?? none, 12);
  out.writeUInt32LE(config.stdoutFd?.offset ?? none, 16);
  out.writeUInt32LE(config.stderrFd?.offset ?? none, 20);
  out.writeUInt32LE(config.reap?.argv.offset ?? none, 24);
  out.writeUInt32LE(config.reap?.envp.offset ?? none, 28);
  out.writeUInt32LE(config.portCount, 32);
  out.writeUInt32LE(config.log?.maxFiles ?? 0, 36);
  out.writeUInt32LE(config.detachKeys?.offset ?? none, 40);
  out.writeUInt32LE(config.detachKeys?.size ?? 0, 44);
  out.writeUInt16LE(config.size?.rows ?? 0, 48);
  out.writeUInt16LE(config.size?.columns ?? 0, 50);
  out.writeUInt32LE(restartPolicies[config.restart?.name ?? 'no'], 52);
  out.writeBigUInt64LE(BigInt(config.log?.maxSize ?? 0), 56);
  out.writeUInt32LE(config.restart?.maximumRetryCount ?? 0, 64);
  out.writeUInt32LE(config.journal?.path.offset ?? none, 68);
  out.writeUInt32LE(config.journal?.event.offset ?? none, 72);
  out.writeUInt32LE(config.journal?.event.size ?? 0, 76);
  return out;
}

/** What the start program says on the sync socket (native/program.h). */
export interface SyncMessage {
  /** One of `messageKinds`. */
  kind: number;
  /**
   * Signed. `created`: the pid. `error`: the operation (-1: the program itself is malformed), the number of its phase, and
   * an errno; one of 0 or below says that the call succeeded, but that its result -error was not the expected one.
   * `stop`: its number.
   */
  words: readonly [number, number, number];
}

export const messageKinds = { created: 1, ready: 2, mounted: 3, error: 4, stop: 6 } as const;
const knownKinds: ReadonlySet<number> = new Set(Object.values(messageKinds));
const syncMessageSize = 16;

/** Throws `CORRUPT` on what is no message of native/program.h. */
export function decodeSync(bytes: Buffer): SyncMessage {
  const kind = bytes.length === syncMessageSize ? bytes.readUInt32LE(0) : 0;
  if (!knownKinds.has(kind)) {
    throw new TsrunError('CORRUPT', `the start program said something unknown: ${bytes.toString('hex')}`);
  }
  return { kind, words: [bytes.readInt32LE(4), bytes.readInt32LE(8), bytes.readInt32LE(12)] };
}

export interface SpawnOptions extends OutputEvents {
  /** Descriptors of the foreground client. Here and below -1 or undefined stand for none, and all stay the caller's. */
  stdio: readonly [number, number, number];
  /** The container's directory, for exit.json and the log. */
  directory?: number | undefined;
  /** Held locked (flock) as long as the monitor, or the command that it becomes at the end, lives. */
  lock?: number | undefined;
  cgroup?: number | undefined;
  netns?: number | undefined;
  /** A listening unix socket for further clients. */
  listen?: number | undefined;
  /** The encoded program of the health check, with its configuration. */
  health?: Uint8Array | undefined;
  /** A memory file that the program is traced to. */
  trace?: number | undefined;
  /** Bound sockets of published ports, and whatever else is to live as long as the container. */
  ports: readonly number[];
  foreground: boolean;
  /** Shown by ps(1) behind `tsrun-monitor`: the container's id. */
  name?: string | undefined;
}

/** How long one wait for the sync socket may keep the event loop (and with it Ctrl-C) from running, in milliseconds. */
const slice = 5;
/** Milliseconds after which somebody may ask why nothing comes. */
const silence = 1000;

/** A monitor that runs, and the way to speak to it. */
export class MonitorHandle {
  private syncOpen = true;
  private executed = false;
  /** Of the container's first process while its start can still be given up. */
  private pidfd = -1;

  constructor(
    private readonly child: Spawned,
    private readonly control: MonitorControl | undefined,
    private readonly sync: number,
    /** The memfd of the program, until the monitor runs it. */
    private program: number,
  ) {}

  /**
   * Has the monitor run its program, encoded with the monitor's configuration. To be called once, before anything is read.
   * Throws `SYSCALL` where there is no memory for it. A monitor that is gone is told by `readSync`.
   */
  run(program: Uint8Array): void {
    fillAndSeal(this.program, program);
    this.forgetProgram();
    send(this.sync, Uint8Array.of(1));
  }

  private forgetProgram(): void {
    close(this.program);
    this.program = -1;
  }

  /** Process id of the monitor. */
  get pid(): number {
    return this.child.pid;
  }

  /**
   * The next message of the start program; `exec` at the end of the stream, when the command was executed (or all that
   * could speak is dead: then the monitor says so, or is gone). After an error the failed process waits for `close`, so
   * that /proc/PID/root can be looked at. Throws `INTERRUPTED` after `timeoutMs` milliseconds of silence, `PROGRAM` when the
   * monitor is gone and nothing more can come but from a process that waits for it, and whatever `onSilence` throws, which
   * is called after each second of silence.
   */
  async readSync(
    timeoutMs = Number.POSITIVE_INFINITY,
    onSilence: () => void = () => {},
  ): Promise<SyncMessage | 'exec'> {
    const deadline = Date.now() + timeoutMs;
    let since = Date.now();
    while (this.syncOpen) {
      const gone = this.child.ended;
      waitReadable(this.sync, slice);
      const bytes = receive(this.sync, 64);
      if (bytes?.length === 0) {
        this.executed = true;
        return 'exec';
      }
      if (bytes !== undefined) {
        const message = decodeSync(bytes);
        if (message.kind === messageKinds.created) {
          // A process that joins comes first, where it makes that of the command.
          close(this.pidfd);
          // The monitor is its parent and lives: the pid cannot be another's yet.
          this.pidfd = syscall('pidfd_open', message.words[0], 0);
        }
        return message;
      }
      if (gone) {
        throw new TsrunError('PROGRAM', 'the monitor was killed before the command ran', {
          hint: 'if nobody did it, dmesg on the host may say why: want of memory',
        });
      }
      if (Date.now() > deadline) {
        throw new TsrunError('INTERRUPTED', `the start program said nothing for ${timeoutMs} ms`);
      }
      if (Date.now() - since > silence) {
        onSilence();
        since = Date.now();
      }
      await nextTurn();
    }
    throw new TsrunError('INTERRUPTED', 'the start was given up');
  }

  /** Lets the start program go on behind the barrier that it told. False when nobody waits there any more. */
  proceed(): boolean {
    return this.syncOpen && send(this.sync, Uint8Array.of(1));
  }

  /**
   * How the foreground client's part ended; holds the process until then. Without a foreground it never settles.
   * After a status the client cleans up and says `reaped`; if it dies before, the monitor has it done.
   */
  get onExit(): Promise<MonitorExit> {
    return this.control?.onExit ?? new Promise(() => {});
  }

  /** The terminal of the client has a new size, in characters. */
  resize(rows: number, columns: number): void {
    this.control?.resize(rows, columns);
  }

  /** While this client is stopped (Ctrl-Z) its stdin belongs to the shell: the monitor leaves it alone. */
  holdStdin(hold: boolean): void {
    this.control?.holdStdin(hold);
  }

  /** After `onExit` with a status: this client has cleaned up, the monitor just ends. */
  reaped(): void {
    this.control?.reaped();
  }

  /** The monitor's process has ended. */
  get ended(): Promise<void> {
    this.child.ref();
    return this.child.end;
  }

  /** What was taken for the start's end was none: `close` ends the monitor too. */
  giveUp(): void {
    this.executed = false;
  }

  /**
   * Leaves. A container that runs goes on without this client; a start that was not seen to reach `exec` is given up: the
   * monitor is killed first, so that it neither records nor reaps what never was, then the container's first process.
   */
  close(): void {
    if (!this.executed) {
      this.child.kill('SIGKILL');
      if (this.pidfd >= 0) syscall('pidfd_send_signal', this.pidfd, signals.SIGKILL, 0, 0);
    }
    this.forgetProgram();
    close(this.pidfd);
    this.pidfd = -1;
    if (this.syncOpen) close(this.sync);
    this.syncOpen = false;
    this.control?.close();
  }
}

/**
 * Starts a monitor; it comes up meanwhile, and waits for its program (`MonitorHandle.run`).
 * Throws `SYSCALL` where it cannot be started.
 */
export function spawnMonitor(options: SpawnOptions): MonitorHandle {
  const own: number[] = [];
  const opened = (fd: number): number => {
    own.push(fd);
    return fd;
  };
  try {
    const unused = opened(openat(AT_FDCWD, '/dev/null', O_RDWR));
    const program = opened(sealableMemfd('tsrun-program'));
    const health = options.health === undefined ? unused : opened(sealedMemfd('tsrun-health', options.health));
    const [sync, syncOfMonitor] = socketPair(SOCK_SEQPACKET);
    opened(syncOfMonitor);
    opened(sync);
    const [control, controlOfMonitor] = options.foreground ? socketPair(SOCK_STREAM) : [unused, unused];
    if (options.foreground) {
      opened(controlOfMonitor);
      opened(control);
    }
    // The order is FD_STDIN … FD_FIRST_PORT of monitor.h.
    const stdio = [
      ...options.stdio,
      program,
      syncOfMonitor,
      controlOfMonitor,
      options.directory,
      options.lock,
      options.cgroup,
      options.netns,
      options.listen,
      options.trace,
      health,
      ...options.ports,
    ].map((fd) => (fd === undefined || fd < 0 ? unused : fd));
    // By the descriptor table of this process: in the child's the number may be one of those that are laid out.
    const file = `/proc/${process.pid}/fd/${monitorExecutable()}`;
    const child = spawnDetached(file, [options.name ?? ''], { argv0: 'tsrun-monitor', stdio });
    if (child === undefined) {
      throw new TsrunError('SYSCALL', 'cannot start the monitor', {
        hint: 'is a limit of processes (ulimit -u, pids.max) or descriptors (ulimit -n) reached?',
      });
    }
    own.splice(own.indexOf(sync), 1);
    own.splice(own.indexOf(program), 1);
    let client: MonitorControl | undefined;
    if (options.foreground) {
      own.splice(own.indexOf(control), 1);
      client = new MonitorControl(control, options);
    }
    return new MonitorHandle(child, client, sync, program);
  } finally {
    for (const fd of own) close(fd);
  }
}

export { listenSocket } from '../linux/unix-socket.ts';
export { attachClient, type BrokenOutput, MonitorControl, type MonitorExit } from './monitor-control.ts';
