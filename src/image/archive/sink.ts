/** Where the bytes of an archive go. */

import { errno } from '../../linux/errno.ts';
import { syscall } from '../../linux/ffi.ts';
import { check } from '../../linux/fs.ts';
import { pause } from '../../linux/pause.ts';

/** Takes bytes in their order; returns when it has them, so that a slow reader slows the writer down. */
export interface ByteSink {
  /** `bytes` are valid only during the call. */
  write(bytes: Uint8Array): void;
}

/** Milliseconds that a descriptor which somebody made non-blocking is given before it is asked again. */
const pauseMs = 1;

/**
 * Writes to a descriptor, which stays the caller's. Throws `SyscallError`, with EPIPE where the reader of a pipe has left:
 * Node ignores SIGPIPE.
 */
export class DescriptorSink implements ByteSink {
  constructor(private readonly fd: number) {}

  write(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; ) {
      const part = offset === 0 ? bytes : bytes.subarray(offset);
      const result = syscall('write', this.fd, part, part.length);
      if (result === -errno.EINTR) continue;
      // A pipe is shared with all its users, and one of them made it non-blocking.
      if (result === -errno.EAGAIN) pause(pauseMs);
      else offset += check(result, 'write');
    }
  }
}
