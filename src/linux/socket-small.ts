/** A connected socket in the event loop of the small engine. */
import { MSG_DONTWAIT, MSG_NOSIGNAL, POLLIN, POLLOUT, SHUT_WR } from './constants.ts';
import { errno } from './errno.ts';
import { syscall } from './ffi.ts';
import type { SmallEngine, Watch } from './small-engine.ts';
import type { SocketStream, StreamEvents } from './socket-stream.ts';

const receiveSize = 4096;

export class SmallStream implements SocketStream {
  private readonly watch: Watch;
  private waiting: Buffer = Buffer.alloc(0);
  private ending = false;
  private closed = false;

  constructor(
    engine: SmallEngine,
    private readonly fd: number,
    private readonly events: StreamEvents,
  ) {
    this.watch = engine.watch(fd, POLLIN, (happened) => this.look(happened));
  }

  private look(happened: number): void {
    if ((happened & POLLOUT) !== 0) this.flush();
    if (this.closed || (happened & ~POLLOUT) === 0) return;
    const bytes = Buffer.alloc(receiveSize);
    const length = syscall('recvfrom', this.fd, bytes, bytes.length, MSG_DONTWAIT, 0, 0);
    if (length === -errno.EAGAIN || length === -errno.EINTR) return;
    if (length > 0) this.events.onData(bytes.subarray(0, length));
    else this.close();
  }

  private flush(): void {
    while (this.waiting.length > 0) {
      const sent = syscall('sendto', this.fd, this.waiting, this.waiting.length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
      if (sent === -errno.EINTR) continue;
      if (sent === -errno.EAGAIN) break;
      if (sent < 0) {
        this.close();
        return;
      }
      this.waiting = this.waiting.subarray(sent);
    }
    this.watch.events = this.waiting.length > 0 ? POLLIN | POLLOUT : POLLIN;
    // The peer sees the end and closes too, which is what closes this side.
    if (this.ending && this.waiting.length === 0) syscall('shutdown', this.fd, SHUT_WR);
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.watch.end();
    syscall('close', this.fd);
    this.events.onClose();
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.ending) return;
    this.waiting = Buffer.concat([this.waiting, bytes]);
    this.flush();
  }

  end(): void {
    if (this.closed || this.ending) return;
    this.ending = true;
    this.flush();
  }

  destroy(): void {
    this.close();
  }
}
