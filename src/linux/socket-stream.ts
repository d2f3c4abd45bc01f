/**
 * A connected socket of ours in the event loop. Apart from unix-socket.ts, since node:net takes milliseconds to load; the
 * executable does without it, by what its engine has below node:net.
 */
import type { Socket } from 'node:net';
import { smallEngine } from './small-engine.ts';
import { SmallStream } from './socket-small.ts';

/** A stream of bytes in both directions, which keeps the event loop alive until it is closed. */
export interface SocketStream {
  /** Sends, now or when the peer has room. Nothing happens on a stream that is closed. */
  write(bytes: Uint8Array): void;
  /** Closes after what was written has been sent. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export interface StreamEvents {
  onData(bytes: Buffer): void;
  /** Either side has closed it, or it failed. Called once. */
  onClose(): void;
}

/** A socket of Bun.connect (https://bun.sh/docs/api/tcp), which takes a descriptor as node:net's does. */
interface BunSocket {
  write(bytes: Uint8Array): number;
  end(): void;
  terminate(): void;
}

interface BunSockets {
  connect(options: { fd: number; socket: object }): Promise<BunSocket>;
}

declare const Bun: BunSockets | undefined;

/** Takes ownership of `fd`. */
export function streamOf(fd: number, events: StreamEvents): SocketStream {
  if (smallEngine !== undefined) return new SmallStream(smallEngine, fd, events);
  return typeof Bun === 'undefined' ? nodeStream(fd, events) : new BunStream(Bun, fd, events);
}

function nodeStream(fd: number, events: StreamEvents): SocketStream {
  const { Socket: NodeSocket } = process.getBuiltinModule('node:net');
  const socket: Socket = new NodeSocket({ fd, readable: true, writable: true });
  socket.on('data', (bytes: Buffer) => events.onData(bytes));
  socket.on('error', () => {}); // `close` follows
  socket.on('close', () => events.onClose());
  return {
    write: (bytes) => {
      if (!socket.destroyed) socket.write(bytes);
    },
    end: () => socket.end(),
    destroy: () => socket.destroy(),
  };
}

class BunStream implements SocketStream {
  private socket: BunSocket | undefined;
  private waiting: Buffer = Buffer.alloc(0);
  private ending = false;
  private closed = false;

  constructor(
    bun: BunSockets,
    fd: number,
    private readonly events: StreamEvents,
  ) {
    const flush = (socket: BunSocket): void => this.flush(socket);
    const close = (): void => this.close();
    bun
      .connect({
        fd,
        socket: {
          open: flush,
          drain: flush,
          // The memory is the engine's, and used again after this call.
          data: (_: BunSocket, bytes: Uint8Array) => events.onData(Buffer.from(bytes)),
          end: (socket: BunSocket) => socket.end(),
          close,
          error: close,
        },
      })
      .catch(close);
  }

  private flush(socket: BunSocket): void {
    this.socket = socket;
    if (this.closed) {
      socket.terminate();
      return;
    }
    if (this.waiting.length > 0) {
      const sent = socket.write(this.waiting);
      this.waiting = this.waiting.subarray(Math.max(0, sent));
    }
    if (this.ending && this.waiting.length === 0) socket.end();
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.events.onClose();
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.ending) return;
    this.waiting = Buffer.concat([this.waiting, bytes]);
    if (this.socket !== undefined) this.flush(this.socket);
  }

  end(): void {
    this.ending = true;
    if (this.socket !== undefined && !this.closed) this.flush(this.socket);
  }

  destroy(): void {
    this.socket?.terminate();
    this.close();
  }
}
