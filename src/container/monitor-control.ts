/**
 * The control socket between a client and a container's monitor (native/monitor.h): a foreground start has one from its
 * birth, `attach` connects one. The bytes of stdin, stdout and stderr never come here: the monitor has the client's
 * descriptors and reads and writes them itself.
 */
import { errno, SyscallError } from '../linux/errno.ts';
import { close } from '../linux/fs.ts';
import { type SocketStream, streamOf } from '../linux/socket-stream.ts';
import { connectSocket, receive, send, sendDescriptors, waitReadable } from '../linux/unix-socket.ts';

/** Layout and numbers of native/monitor.h; a test reads them out of the header. */
export const controlMessageSize = 16;
export const controlKinds = {
  resize: 1,
  reaped: 2,
  attach: 3,
  holdStdin: 4,
  policy: 5,
  freeze: 6,
  claim: 7,
  stop: 8,
  exited: 16,
  detached: 17,
  broken: 18,
  done: 19,
} as const;
/** What CONTROL_STOP tells. */
export const stopFlags = { manual: 1, final: 2 } as const;
export const exitedFlags = { oom: 1, restarts: 2 } as const;
export const attachFlags = { stdin: 64, stdout: 128, stderr: 256 } as const;

/**
 * How a client's connection ended. `status`: 0-255, 128+n where signal n ended the container; with `restarts` its policy
 * starts it again, and there is nothing to clean up. `detached`: the detach keys were typed. `unread`: the reader of this
 * client's stdout has left, where that is to end it. `lost`: the monitor is gone, or it dropped this client because it
 * took nothing for a second.
 */
export type MonitorExit = { status: number; oomKilled: boolean; restarts: boolean } | 'detached' | 'unread' | 'lost';

/** What a client hears of its outputs. */
export interface OutputEvents {
  /** One failed for another reason than a reader that left. */
  onBroken?: ((broken: BrokenOutput) => void) | undefined;
  /** Nobody reads stdout any more: the client ends with `unread`. */
  endUnread?: boolean | undefined;
}

/** An output of the client that could not be written any more: 1 or 2, and the errno. */
export type BrokenOutput = { stream: 1 | 2; errno: number };

function encodeControl(kind: number, a = 0, b = 0, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const message = Buffer.alloc(controlMessageSize + payload.length);
  message.writeUInt32LE(kind, 0);
  message.writeInt32LE(a, 4);
  message.writeInt32LE(b, 8);
  message.writeUInt32LE(payload.length, 12);
  message.set(payload, controlMessageSize);
  return message;
}

/** One client's side of the conversation. Keeps the event loop alive until it has ended. */
export class MonitorControl {
  /** Resolves once, never rejects. */
  readonly onExit: Promise<MonitorExit>;
  private readonly socket: SocketStream;
  private received = Buffer.alloc(0);
  private finish: (exit: MonitorExit) => void = () => {};

  /** Takes ownership of `fd`. */
  constructor(
    fd: number,
    private readonly events: OutputEvents = {},
  ) {
    this.onExit = new Promise((resolve) => {
      this.finish = resolve;
    });
    this.socket = streamOf(fd, { onData: (bytes) => this.take(bytes), onClose: () => this.finish('lost') });
  }

  private take(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes]);
    while (this.received.length >= controlMessageSize) {
      const kind = this.received.readUInt32LE(0);
      const a = this.received.readInt32LE(4);
      const b = this.received.readInt32LE(8);
      this.received = this.received.subarray(controlMessageSize);
      if (kind === controlKinds.exited) {
        this.finish({
          status: a,
          oomKilled: (b & exitedFlags.oom) !== 0,
          restarts: (b & exitedFlags.restarts) !== 0,
        });
      } else if (kind === controlKinds.detached) this.finish('detached');
      else if (kind === controlKinds.broken) this.broken({ stream: a === 2 ? 2 : 1, errno: b });
    }
  }

  private broken(output: BrokenOutput): void {
    if (output.errno !== errno.EPIPE) this.events.onBroken?.(output);
    else if (output.stream === 1 && this.events.endUnread === true) this.finish('unread');
  }

  private send(kind: number, a = 0, b = 0): void {
    this.socket.write(encodeControl(kind, a, b));
  }

  /** The terminal of the client has a new size, in characters. */
  resize(rows: number, columns: number): void {
    this.send(controlKinds.resize, rows, columns);
  }

  /** While this client is stopped (Ctrl-Z) its stdin belongs to the shell: the monitor leaves it alone. */
  holdStdin(hold: boolean): void {
    this.send(controlKinds.holdStdin, hold ? 1 : 0);
  }

  /** After `onExit`: this client has cleaned up, so that the monitor just ends. */
  reaped(): void {
    this.send(controlKinds.reaped);
    this.socket.end();
  }

  /** Leaves; the monitor drops the descriptors of this client. */
  close(): void {
    this.socket.destroy();
  }
}

/** Milliseconds that a monitor may take for an answer. */
const answerTimeout = 5000;

/** Says something to a monitor. Returns the first word of its answer, undefined where none comes. */
function ask(fd: number, kind: number, a = 0, b = 0): number | undefined {
  if (!send(fd, encodeControl(kind, a, b)) || !waitReadable(fd, answerTimeout)) return undefined;
  const answer = receive(fd, controlMessageSize);
  if (answer?.length !== controlMessageSize || answer.readUInt32LE(0) !== controlKinds.done) return undefined;
  return answer.readInt32LE(4);
}

/**
 * Connects to a monitor and says something. Undefined where nobody listens or answers: the container has ended, its monitor
 * was killed, or it has all its clients. The caller closes `fd`.
 */
function askMonitor(socketPath: string, kind: number, a = 0, b = 0): { fd: number; word: number } | undefined {
  let fd: number;
  try {
    fd = connectSocket(socketPath);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
  const word = ask(fd, kind, a, b);
  if (word !== undefined) return { fd, word };
  close(fd);
  return undefined;
}

function tell(socketPath: string, kind: number, a: number, b = 0): boolean {
  const answer = askMonitor(socketPath, kind, a, b);
  if (answer !== undefined) close(answer.fd);
  return answer !== undefined;
}

/** Tells a monitor another restart policy (RESTART_* and a number of restarts). Returns whether it has taken it over. */
export function changePolicy(socketPath: string, policy: number, maximumRetryCount: number): boolean {
  return tell(socketPath, controlKinds.policy, policy, maximumRetryCount);
}

/** Tells a monitor what a stop mark that cannot be written would. Returns whether it has heard it. */
export function tellStopped(socketPath: string, { manual, final }: { manual: boolean; final: boolean }): boolean {
  return tell(socketPath, controlKinds.stop, (manual ? stopFlags.manual : 0) | (final ? stopFlags.final : 0));
}

/**
 * Has a monitor freeze its container until the returned function is called or this process has ended, however it ends.
 * Undefined where no monitor answers.
 */
export function holdFrozen(socketPath: string): (() => void) | undefined {
  const answer = askMonitor(socketPath, controlKinds.freeze, 1);
  if (answer === undefined) return undefined;
  const { fd } = answer;
  return () => {
    ask(fd, controlKinds.freeze, 0);
    close(fd);
  };
}

/**
 * A further client of a monitor, which hears of the end and cleans up instead of the monitor, as a foreground client does
 * (`reaped`). Undefined where somebody else cleans up, or no monitor answers.
 */
export function claimReaping(socketPath: string): MonitorControl | undefined {
  const answer = askMonitor(socketPath, controlKinds.claim);
  if (answer?.word === 1) return new MonitorControl(answer.fd);
  if (answer !== undefined) close(answer.fd);
  return undefined;
}

/**
 * Attaches to a running container: its monitor gets the descriptors of this client that are given (-1 for none) and
 * moves the bytes. The caller must not read `stdin` itself. Throws `SyscallError` ENOENT or ECONNREFUSED where no monitor
 * listens.
 */
export function attachClient(
  socketPath: string,
  options: {
    stdin: number;
    stdout: number;
    stderr: number;
    /** Of a terminal; empty for none. */
    detachKeys: Uint8Array;
  } & OutputEvents,
): MonitorControl {
  const { stdin, stdout, stderr } = options;
  const flags =
    (stdin < 0 ? 0 : attachFlags.stdin) | (stdout < 0 ? 0 : attachFlags.stdout) | (stderr < 0 ? 0 : attachFlags.stderr);
  const fd = connectSocket(socketPath);
  // Three descriptors always: what is not connected is closed at once, the socket itself stands in for it.
  const descriptors = [stdin, stdout, stderr].map((descriptor) => (descriptor < 0 ? fd : descriptor));
  // A monitor that has no place for one more client closes the connection: then this is `lost`.
  sendDescriptors(fd, encodeControl(controlKinds.attach, flags, 0, options.detachKeys), descriptors);
  return new MonitorControl(fd, options);
}
