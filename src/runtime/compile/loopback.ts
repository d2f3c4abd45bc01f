/** The loopback device of a new network namespace (man 7 netdevice). */
import { AF_INET, SIOCSIFFLAGS, SOCK_CLOEXEC, SOCK_DGRAM } from '../../linux/constants.ts';
import type { Context } from './context.ts';

/** struct ifreq: char name[16], short flags (man 7 netdevice). */
export function loopbackUp(c: Context): void {
  const { b } = c;
  b.enter('network');
  const request = Buffer.alloc(40);
  request.write('lo', 0);
  request.writeInt16LE(0x1 | 0x40, 16);
  const socket = b.slot('socket');
  b.call('socket', [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0], {
    title: 'a socket, to speak to network devices',
    store: socket,
  });
  b.call('ioctl', [socket, SIOCSIFFLAGS, b.bytes(request, 'struct ifreq')], {
    title: 'loopback up',
    why: 'a new network namespace has only a loopback device, and it is down',
    shell: 'ip link set lo up',
  });
  b.call('close', [socket], { title: 'close the socket' });
  b.enter('namespaces');
}
