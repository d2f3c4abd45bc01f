/** The bridge network as containers, the host and other machines see it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { close } from '../../src/linux/fs.ts';
import {
  bindUdp,
  hostAddress,
  listenTcp,
  machineAddress,
  meet,
  receiveUdp,
  run,
  sendUdp,
  type TestContainer,
  tryConnect,
  World,
} from './network-world.ts';

describe('a container with published ports', () => {
  let world: World;
  let server: TestContainer;
  let neighbour: TestContainer;
  let listener: number;

  beforeAll(() => {
    world = new World();
    server = world.start(['8080:80', '127.0.0.2:8081:80', '5353:53/udp']);
    neighbour = world.start();
    listener = listenTcp(server.netns, '0.0.0.0', 80);
  });

  afterAll(() => {
    close(listener);
    world.destroy();
  });

  test('is reached by the host at 127.0.0.1, and sees the bridge as its peer', () => {
    expect(meet(world.host, '127.0.0.1', 8080, listener)).toEqual({
      result: 'connected',
      peer: server.attachment.gateway,
      received: 'hello from the container',
    });
  });

  test('is reached by the host at the addresses of the host', () => {
    for (const address of [hostAddress, server.attachment.gateway]) {
      expect(meet(world.host, address, 8080, listener)).toMatchObject({ result: 'connected', peer: address });
    }
  });

  test('is reached by another machine, whose address it sees', () => {
    expect(meet(world.machine, hostAddress, 8080, listener)).toMatchObject({
      result: 'connected',
      peer: machineAddress,
      received: 'hello from the container',
    });
  });

  test('is reached by its neighbour, directly and at the address of the host', () => {
    const { address, gateway } = server.attachment;
    expect(meet(neighbour.netns, address, 80, listener).peer).toBe(neighbour.attachment.address);
    expect(meet(neighbour.netns, hostAddress, 8080, listener)).toMatchObject({ result: 'connected', peer: gateway });
    expect(meet(neighbour.netns, gateway, 8080, listener).result).toBe('connected');
  });

  test('reaches its own published port at the address of the host', () => {
    expect(meet(server.netns, hostAddress, 8080, listener).result).toBe('connected');
  });

  test('is reached at a single address only where it was published there', () => {
    expect(meet(world.host, '127.0.0.2', 8081, listener).result).toBe('connected');
    expect(tryConnect(world.host, '127.0.0.1', 8081)).toBe('ECONNREFUSED');
    expect(tryConnect(world.machine, hostAddress, 8081)).toBe('ECONNREFUSED');
  });

  test('is not reached by another machine at its own address', () => {
    run(world.machine, `ip route replace ${server.attachment.address} via ${hostAddress}`);
    expect(tryConnect(world.machine, server.attachment.address, 80, 300)).toBe('EINPROGRESS');
  });

  test('reaches another machine under the address of the host', () => {
    const there = listenTcp(world.machine, machineAddress, 7000);
    expect(meet(neighbour.netns, machineAddress, 7000, there)).toMatchObject({
      result: 'connected',
      peer: hostAddress,
    });
    close(there);
  });

  test('answers UDP on a published port, from the address that was asked', () => {
    const inside = bindUdp(server.netns, '0.0.0.0', 53);
    for (const [from, address] of [
      [world.host, '127.0.0.1'],
      [world.host, hostAddress],
      [world.machine, hostAddress],
      [neighbour.netns, hostAddress],
    ] as const) {
      const client = bindUdp(from, '0.0.0.0', 0);
      sendUdp(client, address, 5353, 'question');
      const question = receiveUdp(inside);
      expect(question?.text).toBe('question');
      sendUdp(inside, question?.address ?? '', question?.port ?? 0, 'answer');
      expect(receiveUdp(client)).toEqual({ text: 'answer', address, port: 5353 });
      close(client);
    }
    close(inside);
  });

  test('is reached from its first moment on', () => {
    for (let i = 0; i < 20; i++) {
      const fresh = world.start([`${8100 + i}:80`]);
      // A first packet that is lost comes again after a second.
      expect(tryConnect(neighbour.netns, fresh.attachment.address, 80, 300)).toBe('ECONNREFUSED');
      world.stop(fresh);
    }
  });

  test('refuses a connection where nobody listens inside', () => {
    const idle = world.start(['8090:90']);
    for (const [from, address] of [
      [world.host, '127.0.0.1'],
      [world.host, hostAddress],
      [world.machine, hostAddress],
      [neighbour.netns, hostAddress],
    ] as const) {
      expect(tryConnect(from, address, 8090)).toBe('ECONNREFUSED');
    }
    world.stop(idle);
    expect(tryConnect(world.machine, hostAddress, 8090)).toBe('ECONNREFUSED');
  });
});

test('the first container on a bridge is reached from its first moment on', () => {
  const world = new World();
  for (let i = 0; i < 10; i++) {
    const only = world.start(['8080:80']);
    expect(tryConnect(world.host, '127.0.0.1', 8080, 300)).toBe('ECONNREFUSED');
    world.stop(only);
  }
  world.destroy();
});
