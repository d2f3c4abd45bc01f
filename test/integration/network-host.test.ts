/** The same in the real network namespace of this machine, with ordinary programs on both ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { close } from '../../src/linux/fs.ts';
import { withNetns } from '../../src/linux/namespaces.ts';
import { hostAddress, listenTcp, machineAddress, meet, run, type TestContainer, World } from './network-world.ts';

const server = `
  require('http').createServer((request, response) => response.end('page for ' + request.socket.remoteAddress)).listen(80, '0.0.0.0');
  const udp = require('dgram').createSocket('udp4');
  udp.on('message', (text, from) => udp.send('echo ' + text, from.port, from.address));
  udp.bind(53, '0.0.0.0', () => console.log('up'));`;

let world: World;
let container: TestContainer;
let program: ChildProcess;
let tcpPort: number;
let udpPort: number;

beforeAll(async () => {
  world = new World({ real: true });
  container = world.start(['80', '53/udp']);
  [tcpPort, udpPort] = container.attachment.ports.map(({ hostPort }) => hostPort) as [number, number];
  const started = withNetns(container.netns, () =>
    spawn(process.execPath, ['-e', server], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  program = started;
  await once(started.stdout, 'data');
});

afterAll(async () => {
  program.kill('SIGKILL');
  await once(program, 'close');
  world.destroy();
});

test('this machine reaches the container at 127.0.0.1 and at each address of its own', async () => {
  const { gateway } = container.attachment;
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const addresses = own.filter(({ family }) => family === 'IPv4').map(({ address }) => address);
  expect(addresses).toContain('127.0.0.1');
  expect(addresses).toContain(hostAddress);
  for (const address of addresses) {
    const page = await fetch(`http://${address}:${tcpPort}/`, { headers: { connection: 'close' } });
    expect(await page.text()).toBe(`page for ${address === '127.0.0.1' ? gateway : address}`);
  }
  // Names with an IPv6 address too lead there as well.
  expect((await fetch(`http://localhost:${tcpPort}/`, { headers: { connection: 'close' } })).status).toBe(200);
});

test('another machine, a neighbour and the container itself reach it at the address of this machine', () => {
  const neighbour = world.start();
  const page = (netns: number) =>
    run(
      netns,
      `node -e 'fetch("http://${hostAddress}:${tcpPort}/").then((p) => p.text()).then((t) => process.stdout.write(t))'`,
    );
  expect(page(world.machine)).toBe(`page for ${machineAddress}`);
  expect(page(neighbour.netns)).toBe(`page for ${container.attachment.gateway}`);
  expect(page(container.netns)).toBe(`page for ${container.attachment.gateway}`);
  world.stop(neighbour);
});

test('UDP gets its answer from the address that was asked', async () => {
  for (const address of ['127.0.0.1', hostAddress]) {
    const socket = createSocket('udp4');
    socket.send('hello', udpPort, address);
    const [text, from] = await once(socket, 'message');
    expect([String(text), from.address, from.port]).toEqual(['echo hello', address, udpPort]);
    socket.close();
  }
});

test('the container reaches another machine under an address of this one', () => {
  const there = listenTcp(world.machine, machineAddress, 7000);
  expect(meet(container.netns, machineAddress, 7000, there)).toMatchObject({ result: 'connected', peer: hostAddress });
  close(there);
});
