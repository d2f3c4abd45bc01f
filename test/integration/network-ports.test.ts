/** Published ports against other processes and other containers: the kernel arbitrates, the message names the owner. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TsrunError } from '../../src/error.ts';
import { close } from '../../src/linux/fs.ts';
import { withNetns } from '../../src/linux/namespaces.ts';
import { bindUdp, hostAddress, listenTcp, meet, receiveUdp, run, sendUdp, tryConnect, World } from './network-world.ts';

let world: World;

beforeEach(() => {
  world = new World();
});
afterEach(() => {
  world.destroy();
});

function failure(action: () => unknown): TsrunError {
  try {
    action();
  } catch (error) {
    if (error instanceof TsrunError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

test('a port that another process listens on is a conflict that names the process', async () => {
  const script = 'require("net").createServer().listen(8080,"127.0.0.1",()=>console.log("up"))';
  const server = withNetns(world.host, () =>
    spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  try {
    await once(server.stdout, 'data');
    for (const spec of ['8080:80', '127.0.0.1:8080:80']) {
      const error = failure(() => world.start([spec]));
      expect(error.code).toBe('CONFLICT');
      expect(error.message).toContain(`in use by process ${server.pid} (${process.execPath} -e `);
    }
    expect(world.cables()).toEqual([]);
    // Another address of the same port is free.
    expect(world.start(['127.0.0.2:8080:80']).attachment.ports).toHaveLength(1);
  } finally {
    server.kill('SIGKILL');
    await once(server, 'close');
  }
});

test('a port that another container has is a conflict that names the container', () => {
  world.start(['8080:80', '8081:81']);
  const asked: unknown[] = [];
  const portOwner = (port: unknown) => {
    asked.push(port);
    return 'web';
  };
  const error = failure(() => world.start(['9090:90', '127.0.0.1:8081:80'], { portOwner }));
  expect(error.code).toBe('CONFLICT');
  expect(error.message).toBe('cannot publish 127.0.0.1:8081/tcp: port is already allocated, in use by container "web"');
  expect(asked).toEqual([{ hostIp: '127.0.0.1', hostPort: 8081, containerPort: 80, protocol: 'tcp' }]);
  // What the failed start had taken is free again.
  expect(world.start(['9090:90']).attachment.ports[0]?.hostPort).toBe(9090);
});

test('UDP and TCP ports of one number do not exclude each other', () => {
  const { attachment } = world.start(['8080:80', '8080:80/udp']);
  expect(attachment.ports.map(({ protocol }) => protocol)).toEqual(['tcp', 'udp']);
  expect(failure(() => world.start(['8080:81/udp'])).code).toBe('CONFLICT');
});

test('no other process gets a published port while the container lives, and any gets it afterwards', () => {
  const container = world.start(['8080:80', '5353:53/udp']);
  expect(() => listenTcp(world.host, '127.0.0.1', 8080)).toThrow('EADDRINUSE');
  expect(() => bindUdp(world.host, '0.0.0.0', 5353)).toThrow('EADDRINUSE');
  world.stop(container);
  close(listenTcp(world.host, '127.0.0.1', 8080));
  close(bindUdp(world.host, '0.0.0.0', 5353));
});

test('port 0 takes ports of the ephemeral range, each another one', () => {
  const { attachment } = world.start(['80', '80', '127.0.0.1::81/udp']);
  const ports = attachment.ports.map(({ hostPort }) => hostPort);
  expect(new Set(ports).size).toBe(3);
  for (const port of ports) expect(port).toBeGreaterThanOrEqual(32_768);
  expect(attachment.ports[2]).toMatchObject({ hostIp: '127.0.0.1', containerPort: 81, protocol: 'udp' });
});

test('a range of host ports for one container port takes the first that is free', () => {
  const taken = listenTcp(world.host, '0.0.0.0', 8000);
  expect(world.start(['8000-8002:80']).attachment.ports[0]?.hostPort).toBe(8001);
  expect(world.start(['8000-8002:80']).attachment.ports[0]?.hostPort).toBe(8002);
  expect(failure(() => world.start(['8000-8002:80'])).message).toBe('every port of 0.0.0.0:8000-8002/tcp is in use');
  close(taken);
});

test('a wide range of ports is published in one go', () => {
  const { attachment, netns } = world.start(['20000-20999:3000-3999']);
  expect(attachment.ports).toHaveLength(1000);
  const listener = listenTcp(netns, '0.0.0.0', 3999);
  expect(meet(world.machine, hostAddress, 20_999, listener).result).toBe('connected');
  close(listener);
});

test('one port for two purposes is refused as what it is', () => {
  const error = failure(() => world.start(['8080:80', '127.0.0.1:8080:81']));
  expect(error.message).toContain('in use by this container itself: it is published twice');
});

test('the same port twice is one port', () => {
  expect(world.start(['8080:80', '8080:80']).attachment.ports).toHaveLength(1);
});

test('an address that the host has not is refused', () => {
  const error = failure(() => world.start(['203.0.113.9:8080:80']));
  expect(error.code).toBe('USAGE');
  expect(error.message).toContain('203.0.113.9 is not an address of this machine');
});

test('closed connections of a server that has ended do not keep its port', () => {
  const server = listenTcp(world.host, '127.0.0.1', 8080);
  // The server's side closes first, and so waits in TIME_WAIT.
  expect(meet(world.host, '127.0.0.1', 8080, server).received).toBe('hello from the container');
  close(server);
  const container = world.start(['8080:80']);
  const inside = listenTcp(container.netns, '0.0.0.0', 80);
  expect(meet(world.host, '127.0.0.1', 8080, inside).result).toBe('connected');
  expect(() => listenTcp(world.host, '127.0.0.1', 8080)).toThrow('EADDRINUSE');
  close(inside);
});

test('who has been sending to a UDP port before it was published, or to an earlier container, gets through', () => {
  const client = bindUdp(world.machine, '0.0.0.0', 4000, 200);
  for (let round = 0; round < 3; round++) {
    // Nothing answers between two containers; the connection is remembered as one to the host, or to the dead one.
    sendUdp(client, hostAddress, 5353, 'anyone?');
    const container = world.start(['5353:53/udp']);
    const inside = bindUdp(container.netns, '0.0.0.0', 53, 500);
    sendUdp(client, hostAddress, 5353, `round ${round}`);
    expect(receiveUdp(inside)?.text).toBe(`round ${round}`);
    close(inside);
    if (round === 0) world.stop(container);
    else world.forget(container);
  }
  close(client);
});

test('where the table was lost, a published port refuses connections', () => {
  const container = world.start(['8080:80']);
  const inside = listenTcp(container.netns, '0.0.0.0', 80);
  expect(meet(world.host, '127.0.0.1', 8080, inside).result).toBe('connected');
  run(world.host, 'nft delete table inet tsrun');
  expect(tryConnect(world.host, '127.0.0.1', 8080)).toBe('ECONNREFUSED');
  close(inside);
});
