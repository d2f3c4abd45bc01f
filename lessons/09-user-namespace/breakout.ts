/**
 * Out of lesson 9: the network is still that of the host, with all services that only it should reach. This one listens on a
 * socket that has no file (man 7 unix, "abstract"); containerd once had such a door, and it led to root.
 */

import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from 'tsrun/linux/constants.ts';
import { syscall } from 'tsrun/linux/ffi.ts';
import { check } from 'tsrun/linux/fs.ts';

const secret = Buffer.from('what only the host should be told\n');
/** struct sockaddr_un: the family, and a name that begins with NUL. */
const address = Buffer.from('\u0001\0\0tsrun-lesson');

export default {
  prepare() {
    const server = check(syscall('socket', AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
    check(syscall('bind', server, address, address.length), 'bind');
    check(syscall('listen', server, 1), 'listen');
    const timer = setInterval(() => {
      const client = syscall('accept4', server, 0, 0, SOCK_CLOEXEC);
      if (client < 0) return;
      syscall('write', client, secret, secret.length);
      syscall('close', client);
    }, 5);
    return () => {
      clearInterval(timer);
      syscall('close', server);
    };
  },
  attack(b) {
    const socket = b.slot('socket');
    const answer = b.reserve(256, 'answer');
    b.call('socket', [AF_UNIX, SOCK_STREAM, 0], { title: 'make a socket', store: socket });
    const title = 'talk to a service of the host';
    b.call('connect', [socket, b.bytes(address, 'struct sockaddr_un'), address.length], { title });
    b.call('read', [socket, answer, 256], { title: 'read its answer', expect: { equals: secret.length } });
    b.call('write', [1, answer, secret.length], { title: 'print it' });
    execute(b, ['true']);
  },
} satisfies BreakOut;
