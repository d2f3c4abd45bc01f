/** What the check runs in the learner's container: a server on port 80 that greets its one client. */
import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { AF_INET, SOCK_STREAM } from 'tsrun/linux/constants.ts';

const greeting = 'hello from the container\n';

export default {
  attack(b) {
    const server = b.slot('server');
    const client = b.slot('client');
    // struct sockaddr_in: the family, the port in network byte order, any address.
    const address = b.bytes(Buffer.from([AF_INET, 0, 0, 80, ...Array(12).fill(0)]), 'struct sockaddr_in');
    b.call('socket', [AF_INET, SOCK_STREAM, 0], { title: 'make a socket', store: server });
    b.call('bind', [server, address, 16], { title: 'take port 80' });
    b.call('listen', [server, 1], { title: 'listen' });
    b.call('write', [1, b.text('listening\n'), 10], { title: 'say so' });
    b.call('accept4', [server, 0, 0, 0], { title: 'wait for a client', store: client });
    b.call('write', [client, b.text(greeting), greeting.length], { title: 'greet it' });
    execute(b, ['true']);
  },
} satisfies BreakOut;
