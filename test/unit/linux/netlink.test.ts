/** Against the kernel, with questions that need no root. */
import { expect, test } from 'vitest';
import { errno } from '../../../src/linux/errno.ts';
import { NETLINK_ROUTE, NetlinkError, NetlinkSocket } from '../../../src/linux/netlink.ts';
import { dumpLinks, getLink, IFF_UP, parseLink } from '../../../src/linux/netlink-link.ts';
import { attribute, u8 } from '../../../src/linux/netlink-message.ts';
import { dumpAddresses, dumpRoutes, parseAddress, parseRoute } from '../../../src/linux/netlink-route.ts';

function withSocket<T>(use: (socket: NetlinkSocket) => T): T {
  const socket = NetlinkSocket.open(NETLINK_ROUTE);
  try {
    return use(socket);
  } finally {
    socket.close();
  }
}

function errorOf(action: () => unknown): NetlinkError {
  try {
    action();
  } catch (error) {
    if (error instanceof NetlinkError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

test('the loopback interface describes itself', () => {
  withSocket((socket) => {
    const [message] = socket.run([getLink('lo')])[0]?.messages ?? [];
    expect(message && parseLink(message)).toMatchObject({ index: 1, name: 'lo', flags: expect.any(Number), master: 0 });
    const all = socket.dump(dumpLinks()).map(parseLink);
    expect(all.find(({ name }) => name === 'lo')?.flags).toBeGreaterThanOrEqual(IFF_UP);
  });
});

test('addresses and routes are those of the loopback interface', () => {
  withSocket((socket) => {
    expect(socket.dump(dumpAddresses()).map(parseAddress)).toContainEqual({
      index: 1,
      address: '127.0.0.1',
      prefix: 8,
    });
    const routes = socket.dump(dumpRoutes()).map(parseRoute);
    expect(routes).toContainEqual({ destination: '127.0.0.0', prefix: 8, type: 2, table: 255, interface: 1 });
  });
});

test('each request of a datagram has its own answer, in order, and errors that are tolerated do not stop the others', () => {
  withSocket((socket) => {
    const answers = socket.run([getLink('lo'), getLink('no-such-link'), getLink(1)]);
    expect(answers.map(({ messages, error }) => [messages.length, error?.errno])).toEqual([
      [1, undefined],
      [0, errno.ENODEV],
      [1, undefined],
    ]);
  });
});

test('more requests than fit one datagram are answered all the same', () => {
  withSocket((socket) => {
    const answers = socket.run(Array.from({ length: 200 }, () => getLink('lo')));
    expect(answers.filter(({ messages }) => messages.length === 1)).toHaveLength(200);
  });
});

test('an error says what was tried, which request it was, and what the kernel said of it', () => {
  withSocket((socket) => {
    const error = errorOf(() => socket.run([getLink('lo'), { ...getLink('no-such-link'), tolerate: [] }]));
    expect(error.message).toBe('cannot look at interface "no-such-link": ENODEV');
    expect([error.errno, error.index, error.detail]).toEqual([errno.ENODEV, 1, undefined]);
    // RTM_GETROUTE for a protocol that has no routes of its own: the kernel adds a sentence.
    const header = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const body = Buffer.concat([header, attribute(27, u8(200))]);
    const spoken = errorOf(() => socket.run([{ type: 26, flags: 0, body, action: 'find a route' }]));
    expect(spoken.detail).toMatch(/proto/i);
    expect(spoken.message).toBe(`cannot find a route: EOPNOTSUPP (${spoken.detail})`);
  });
});

test('after an error the socket is as good as before', () => {
  withSocket((socket) => {
    errorOf(() => socket.run([{ ...getLink('no-such-link'), tolerate: [] }]));
    expect(socket.run([getLink('lo')])[0]?.messages).toHaveLength(1);
  });
});

test('a request beyond what the kernel takes at once is an error', () => {
  withSocket((socket) => {
    const body = Buffer.alloc(4 * 1024 * 1024);
    expect(() => socket.run([{ type: 18, flags: 0, body, action: 'say too much' }])).toThrow(
      'sendto "AF_NETLINK": EMSGSIZE',
    );
  });
});
