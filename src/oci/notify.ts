/**
 * NOTIFY_SOCKET (man 3 sd_notify), as runc serves it: the container has a socket of its own, and of all that it says there one
 * thing is passed on, that it is ready. Whoever is listened to by systemd could do more to its service than a container may.
 */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../error.ts';
import { SOCK_DGRAM } from '../linux/constants.ts';
import { close } from '../linux/fs.ts';
import { unlinkIfThere } from '../linux/optional.ts';
import { openPidfd } from '../linux/process.ts';
import { bindSocket, connectSocket, receive, send, waitReadable } from '../linux/unix-socket.ts';
import type { Mount, Process } from '../runtime/spec.ts';
import type { Warn } from './bundle.ts';
import type { OciContainer } from './store.ts';

const destination = '/run/notify';
const socketName = 'notify.sock';
const interval = 100;

function isWanted(env: NodeJS.ProcessEnv): boolean {
  return (env.NOTIFY_SOCKET ?? '') !== '';
}

/** The mount that a container gets whose caller wants to be notified: a directory, since the socket is made at the start. */
export function notifyMounts(directory: string, env: NodeJS.ProcessEnv): Mount[] {
  if (!isWanted(env)) return [];
  const source = join(directory, 'notify');
  mkdirSync(source);
  chmodSync(source, 0o755);
  return [{ destination, type: 'bind', source, options: ['bind', 'ro', 'nosuid', 'nodev', 'noexec'] }];
}

/** The process with the name of that socket. */
export function withNotify(process: Process, env: NodeJS.ProcessEnv): Process {
  if (!isWanted(env)) return process;
  const others = (process.env ?? []).filter((entry) => !entry.startsWith('NOTIFY_SOCKET='));
  return { ...process, env: [...others, `NOTIFY_SOCKET=${destination}/${socketName}`] };
}

/** Listens for the readiness of a container; opened before the container can say it. */
export class Readiness {
  readonly #path: string;
  readonly #socket: number;
  readonly #pidfd: number | undefined;
  readonly #host: string;
  readonly #warn: Warn;
  #isOpen = true;

  private constructor(path: string, { record }: OciContainer, host: string, warn: Warn) {
    this.#path = path;
    this.#host = host;
    this.#warn = warn;
    unlinkIfThere(path);
    this.#socket = bindSocket(path, 0o600, SOCK_DGRAM);
    // Users of the container may say it too; for those of the host the directory above is closed.
    chmodSync(path, 0o666);
    this.#pidfd = openPidfd(record.pid, record.startTime);
  }

  /** Undefined where nobody wants to be notified. */
  static open(container: OciContainer, env: NodeJS.ProcessEnv, warn: Warn): Readiness | undefined {
    const directory = join(container.directory, 'notify');
    if (!isWanted(env) || !existsSync(directory)) return undefined;
    return new Readiness(join(directory, socketName), container, env.NOTIFY_SOCKET ?? '', warn);
  }

  /** Waits until the container is ready or has ended, and passes it on with `mainPid` as that of the service. */
  wait(mainPid: number): void {
    while (!this.#look(interval, mainPid));
  }

  /** The same beside other things, for a caller that stays the service's main process. Returns what ends it. */
  watch(): () => void {
    const timer = setInterval(() => {
      if (!this.#look(0, undefined)) return;
      clearInterval(timer);
      // Nobody reads any more: whoever says more is to get an error, and not to wait.
      this.close();
    }, interval);
    return () => {
      clearInterval(timer);
      // What came last may not have been looked at.
      if (this.#isOpen) this.#look(0, undefined);
      this.close();
    };
  }

  /** Whether there is nothing more to wait for. */
  #look(milliseconds: number, mainPid: number | undefined): boolean {
    if (!waitReadable(this.#socket, milliseconds)) return this.#pidfd === undefined || waitReadable(this.#pidfd, 0);
    const said = receive(this.#socket, 4096)?.toString('latin1') ?? '';
    if (!said.split('\n').includes('READY=1')) return false;
    this.#tell(mainPid === undefined ? 'READY=1' : `READY=1\nMAINPID=${mainPid}`);
    return true;
  }

  #tell(message: string): void {
    let fd = -1;
    try {
      // A name of the abstract namespace (man 7 unix).
      fd = connectSocket(this.#host.replace(/^@/, '\0'), SOCK_DGRAM);
      send(fd, Buffer.from(message));
    } catch (error) {
      this.#warn(`the container is ready, but NOTIFY_SOCKET "${this.#host}" cannot be told: ${messageOf(error)}`);
    } finally {
      close(fd);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    close(this.#socket);
    close(this.#pidfd ?? -1);
    unlinkIfThere(this.#path);
  }
}
