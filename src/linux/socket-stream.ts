/** Sockets of our own in the event loop. Apart from unix-socket.ts, since node:net takes milliseconds to load. */
import { Socket } from 'node:net';
import { isExecutable } from './artifacts.ts';

/** A connected stream as one of Node's, which owns `fd` from now on and keeps the event loop alive until it is closed. */
export function streamOf(fd: number): Socket {
  if (!isExecutable) return new Socket({ fd, readable: true, writable: true });
  // Bun's constructor does not look at `fd`; its connect does.
  return new Socket().connect({ fd } as unknown as { path: string });
}
