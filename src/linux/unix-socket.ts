/**
 * Unix sockets as Node does not have them: pairs, SOCK_SEQPACKET, descriptors in messages (man 7 unix, man 3 cmsg).
 * Paths of more than 107 bytes go by a descriptor of their directory.
 */
import { basename, dirname } from 'node:path';
import {
  AF_UNIX,
  AT_FDCWD,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  O_DIRECTORY,
  O_PATH,
  POLLIN,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from './constants.ts';
import { errno } from './errno.ts';
import { addressOf, keepAlive, syscall } from './ffi.ts';
import { check, close, openat, uninterrupted } from './fs.ts';
import { poll } from './poll.ts';

const sunPathSize = 108;

/** man 2 socketpair, close-on-exec. */
export function socketPair(type: number): [number, number] {
  const pair = Buffer.alloc(8);
  check(syscall('socketpair', AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 'socketpair');
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/** Calls `use` with a struct sockaddr_un for `path`; one that begins with a zero byte is a name of the abstract namespace. */
function withAddress<T>(path: string, use: (address: Buffer) => T): T {
  const build = (short: string): Buffer => {
    // Of an abstract name every byte counts, also a last zero.
    const address = Buffer.alloc(2 + Buffer.byteLength(short) + (short.startsWith('\0') ? 0 : 1));
    address.writeUInt16LE(AF_UNIX, 0);
    address.write(short, 2);
    return address;
  };
  if (Buffer.byteLength(path) < sunPathSize) return use(build(path));
  const directory = openat(AT_FDCWD, dirname(path), O_PATH | O_DIRECTORY);
  try {
    return use(build(`/proc/self/fd/${directory}/${basename(path)}`));
  } finally {
    close(directory);
  }
}

/** A socket with the name `path` (which must not exist). `mode` is set before bind, so that the path never exists with a wider one. */
export function bindSocket(path: string, mode: number, type: number): number {
  const fd = check(syscall('socket', AF_UNIX, type | SOCK_CLOEXEC, 0), 'socket');
  try {
    check(syscall('fchmod', fd, mode), 'fchmod', path);
    withAddress(path, (address) => check(syscall('bind', fd, address, address.length), 'bind', path));
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** As `bindSocket`, for connections; accept on a stream never blocks, on a socket of messages it does. */
export function listenSocket(path: string, mode = 0o600, type: number = SOCK_STREAM | SOCK_NONBLOCK): number {
  const fd = bindSocket(path, mode, type);
  try {
    check(syscall('listen', fd, 16), 'listen', path);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** A stream, or what `type` says, connected to the socket at `path`. Throws `SyscallError` ECONNREFUSED where nobody listens any more. */
export function connectSocket(path: string, type: number = SOCK_STREAM): number {
  const fd = check(syscall('socket', AF_UNIX, type | SOCK_CLOEXEC, 0), 'socket');
  try {
    withAddress(path, (address) =>
      check(
        uninterrupted(() => syscall('connect', fd, address, address.length)),
        'connect',
        path,
      ),
    );
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** One sendmsg of `bytes` with `descriptors` in a control message (SCM_RIGHTS); false where the peer is gone. */
export function sendDescriptors(fd: number, bytes: Uint8Array, descriptors: readonly number[]): boolean {
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(addressOf(bytes), 0);
  vector.writeBigUInt64LE(BigInt(bytes.length), 8);
  // struct cmsghdr: u64 length, s32 level, s32 type; then the descriptors, padded to 8 bytes
  const control = Buffer.alloc(16 + Math.ceil((descriptors.length * 4) / 8) * 8);
  control.writeBigUInt64LE(BigInt(16 + descriptors.length * 4), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  descriptors.forEach((descriptor, index) => {
    control.writeInt32LE(descriptor, 16 + index * 4);
  });
  // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(addressOf(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(addressOf(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  const result = uninterrupted(() => syscall('sendmsg', fd, message, MSG_NOSIGNAL));
  keepAlive(bytes, vector, control);
  return delivered(result, 'sendmsg');
}

/** One recvmsg that waits for a byte with one descriptor in a control message; undefined where there was none. */
export function receiveDescriptor(fd: number, flags: number): number | undefined {
  const bytes = Buffer.alloc(4096);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(addressOf(bytes), 0);
  vector.writeBigUInt64LE(BigInt(bytes.length), 8);
  const control = Buffer.alloc(24);
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(addressOf(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(addressOf(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  const result = uninterrupted(() => syscall('recvmsg', fd, message, flags));
  keepAlive(bytes, vector, control);
  check(result, 'recvmsg');
  if (message.readBigUInt64LE(40) < 20n || control.readInt32LE(12) !== SCM_RIGHTS) return undefined;
  return control.readInt32LE(16);
}

function delivered(result: number, name: 'sendmsg' | 'sendto'): boolean {
  if (result === -errno.EPIPE || result === -errno.ECONNRESET) return false;
  check(result, name);
  return true;
}

/** man 2 send without SIGPIPE; false where the peer is gone. */
export function send(fd: number, bytes: Uint8Array): boolean {
  return delivered(
    uninterrupted(() => syscall('sendto', fd, bytes, bytes.length, MSG_NOSIGNAL, 0, 0)),
    'sendto',
  );
}

/** One message or piece that is there: its bytes, empty at the end of the stream; undefined when there is none yet. */
export function receive(fd: number, size: number): Buffer | undefined {
  const buffer = Buffer.alloc(size);
  const result = uninterrupted(() => syscall('recvfrom', fd, buffer, size, MSG_DONTWAIT, 0, 0));
  if (result === -errno.EAGAIN) return undefined;
  if (result === -errno.ECONNRESET) return buffer.subarray(0, 0);
  return buffer.subarray(0, check(result, 'recvfrom'));
}

/** Waits until `fd` can be read, blocking this thread for at most `milliseconds`. */
export function waitReadable(fd: number, milliseconds: number): boolean {
  const happened = poll([{ fd, events: POLLIN }], milliseconds);
  return typeof happened !== 'number' && happened[0] !== 0;
}
