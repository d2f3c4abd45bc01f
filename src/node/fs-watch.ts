/** Changes of a directory, of `node:fs` (man 7 inotify). */
import { O_CLOEXEC, O_NONBLOCK } from '../linux/constants.ts';
import { engine } from './engine.ts';
import { call, failure, nr, onlyOptions, pathAddress, scratch } from './file-calls.ts';
import { closeSync } from './fs-file.ts';

/** As libuv: MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF. */
const events = 0xfc6;
/** IN_MODIFY | IN_ATTRIB: a change; all others are of names. */
const changes = 0x6;

type Listener = (event: 'rename' | 'change', name: string | null) => void;

/** Calls what it is given whenever a descriptor can be read, until what it returns is called. */
export type WhenReadable = (fd: number, call: () => void) => () => void;

let whenReadable: WhenReadable | undefined;

/** By the event loop, once: until then there is no watch. */
export function watchBy(loop: WhenReadable): void {
  whenReadable = loop;
}

export class FSWatcher {
  #fd: number;
  #stop: () => void;
  #onError: ((error: Error) => void) | undefined;

  constructor(path: string, loop: WhenReadable, listener: Listener | undefined) {
    const fd = call(nr.inotify_init1, O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) throw failure(fd, 'watch', path);
    const added = call(nr.inotify_add_watch, fd, pathAddress(path), events);
    if (added < 0) {
      closeSync(fd);
      throw Object.assign(failure(added, 'watch', path), { filename: path });
    }
    this.#fd = fd;
    this.#stop = loop(fd, () => this.#read(path, listener));
  }

  /** struct inotify_event: watch, mask, cookie, length of the name (32 bits each), the name with NULs behind it. */
  #read(path: string, listener: Listener | undefined): void {
    const bytes = scratch();
    const length = call(nr.read, this.#fd, engine.address(bytes), bytes.length);
    if (length === -11) return;
    if (length < 0) {
      const error = failure(length, 'watch', path);
      this.close();
      if (this.#onError === undefined) throw error;
      this.#onError(error);
      return;
    }
    const found: ['rename' | 'change', string | null][] = [];
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset);
    const own = path.slice(path.lastIndexOf('/') + 1);
    for (let at = 0; at < length; at += 16 + (words[at / 4 + 3] as number)) {
      const mask = words[at / 4 + 1] as number;
      const size = words[at / 4 + 3] as number;
      const name = size === 0 ? own : engine.decodeUtf8(bytes, at + 16, bytes.indexOf(0, at + 16));
      found.push([(mask & ~changes) === 0 ? 'change' : 'rename', name]);
    }
    for (const [event, name] of found) if (this.#fd >= 0) listener?.(event, name);
  }

  /** Only `error` is there. */
  on(event: string, listener: (error: Error) => void): this {
    if (event !== 'error') onlyOptions('watch', { [event]: listener }, '');
    this.#onError = listener;
    return this;
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#stop();
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Throws ENOSYS where there is no event loop: callers take a timer then. */
export function watch(path: string, listener?: Listener): FSWatcher {
  if (whenReadable === undefined) throw failure(-38, 'watch', path);
  return new FSWatcher(path, whenReadable, listener);
}
