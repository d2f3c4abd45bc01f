/** What a container, or another machine, must not reach: tried with packets that no honest program would send. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SOCK_CLOEXEC, SOCK_DGRAM } from '../../src/linux/constants.ts';
import { syscall } from '../../src/linux/ffi.ts';
import { close } from '../../src/linux/fs.ts';
import { withNetns } from '../../src/linux/namespaces.ts';
import {
  bindUdp,
  hostAddress,
  machineAddress,
  receiveUdp,
  run,
  type TestContainer,
  tryConnect,
  uplink,
  World,
} from './network-world.ts';

const AF_PACKET = 17;

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An IPv4 packet with a UDP datagram (without its checksum, which is optional). */
function udpPacket(source: string, destination: string, port: number, text: string): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(28 + text.length, 2);
  header.writeUInt8(64, 8);
  header.writeUInt8(17, 9);
  header.set(source.split('.').map(Number), 12);
  header.set(destination.split('.').map(Number), 16);
  header.writeUInt16BE(checksum(header), 10);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(4444, 0);
  udp.writeUInt16BE(port, 2);
  udp.writeUInt16BE(8 + text.length, 4);
  return Buffer.concat([header, udp, Buffer.from(text)]);
}

/** Puts a packet on the wire at eth0 of a namespace, addressed to a neighbour's hardware address. */
function inject(netns: number, mac: string, packet: Buffer): void {
  const index = Number(
    run(netns, 'cat /proc/net/dev_mcast 2>/dev/null; ip -o link show eth0').match(/(\d+): eth0/)?.[1],
  );
  const fd = withNetns(netns, () => syscall('socket', AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(0x0800, 2);
  address.writeInt32LE(index, 4);
  address.writeUInt8(6, 11);
  address.set(Buffer.from(mac.replaceAll(':', ''), 'hex'), 12);
  const sent = syscall('sendto', fd, packet, packet.length, 0, address, address.length);
  close(fd);
  expect(sent).toBe(packet.length);
}

function macOfInterface(netns: number, name: string): string {
  return run(netns, `ip -o link show ${name}`).match(/link\/ether (\S+)/)?.[1] ?? '';
}

describe('from inside a container', () => {
  let world: World;
  let container: TestContainer;
  let bridgeMac: string;

  beforeEach(() => {
    world = new World();
    container = world.start(['8080:80']); // a published port turns route_localnet on
    bridgeMac = macOfInterface(world.host, 'tsrun0');
  });
  afterEach(() => {
    world.destroy();
  });

  test('services of the host on 127.0.0.1 are out of reach', () => {
    const service = bindUdp(world.host, '127.0.0.1', 9999, 200);
    const packet = udpPacket(container.attachment.address, '127.0.0.1', 9999, 'let me in');
    inject(container.netns, bridgeMac, packet);
    expect(receiveUdp(service)).toBeUndefined();
    // And it is the guard that holds: without it the packet arrives.
    run(world.host, 'nft flush chain inet tsrun guard');
    inject(container.netns, bridgeMac, packet);
    expect(receiveUdp(service)?.text).toBe('let me in');
    close(service);
  });

  test('nobody passes for the host itself', () => {
    const service = bindUdp(world.host, '0.0.0.0', 9999, 200);
    const gateway = container.attachment.gateway;
    inject(container.netns, bridgeMac, udpPacket('127.0.0.1', gateway, 9999, 'it is me'));
    inject(container.netns, bridgeMac, udpPacket(gateway, gateway, 9999, 'it is me'));
    // The kernel knows these as its own. Others of the loopback network it would take, where it filters no sources.
    run(world.host, 'sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tsrun0.rp_filter=0');
    const other = udpPacket('127.0.0.5', gateway, 9999, 'it is me');
    inject(container.netns, bridgeMac, other);
    expect(receiveUdp(service)).toBeUndefined();
    inject(container.netns, bridgeMac, udpPacket(container.attachment.address, gateway, 9999, 'a container'));
    expect(receiveUdp(service)?.text).toBe('a container');
    run(world.host, 'nft flush chain inet tsrun guard');
    inject(container.netns, bridgeMac, other);
    expect(receiveUdp(service)?.text).toBe('it is me');
    close(service);
  });

  test('a router advertisement changes nothing: IPv6 is off on both ends', () => {
    const settings = (netns: number, name: string) =>
      ['accept_ra', 'disable_ipv6'].map((key) =>
        withNetns(netns, () => readFileSync(`/proc/sys/net/ipv6/conf/${name}/${key}`, 'utf8').trim()),
      );
    expect(settings(container.netns, 'eth0')).toEqual(['0', '1']);
    expect(settings(world.host, 'tsrun0')).toEqual(['0', '1']);
    expect(run(container.netns, 'ip -6 -o address show').match(/inet6 \S+/g)).toEqual(['inet6 ::1/128']);
    expect(run(world.host, 'ip -6 -o address show').match(/tsrun0|ts[0-9a-f]{11}/g)).toBeNull();
    expect(run(world.host, 'cat /proc/sys/net/ipv6/conf/all/forwarding').trim()).toBe('0');
  });
});

describe('from another machine', () => {
  let world: World;
  let container: TestContainer;
  let inside: number;

  beforeAll(() => {
    world = new World();
    container = world.start(['127.0.0.1:5454:53/udp', '5353:53/udp']);
    inside = bindUdp(container.netns, '0.0.0.0', 53, 200);
  });
  afterAll(() => {
    close(inside);
    world.destroy();
  });

  test('a port published on 127.0.0.1 is out of reach', () => {
    const mac = macOfInterface(world.host, uplink);
    inject(world.machine, mac, udpPacket(machineAddress, '127.0.0.1', 5454, 'martian'));
    inject(world.machine, mac, udpPacket(machineAddress, '127.0.0.1', 5353, 'martian'));
    expect(receiveUdp(inside)).toBeUndefined();
    inject(world.machine, mac, udpPacket(machineAddress, hostAddress, 5353, 'honest'));
    expect(receiveUdp(inside)?.text).toBe('honest');
  });

  test('a port of the container that was not published is out of reach', () => {
    run(world.machine, `ip route replace ${container.attachment.address} via ${hostAddress}`);
    const other = bindUdp(container.netns, '0.0.0.0', 54, 200);
    const mac = macOfInterface(world.host, uplink);
    inject(world.machine, mac, udpPacket(machineAddress, container.attachment.address, 54, 'direct'));
    expect(receiveUdp(other)).toBeUndefined();
    run(world.host, 'nft flush chain inet tsrun forward');
    inject(world.machine, mac, udpPacket(machineAddress, container.attachment.address, 54, 'direct'));
    expect(receiveUdp(other)?.text).toBe('direct');
    close(other);
  });
});

test('without published ports the bridge does not carry loopback addresses at all', () => {
  const world = new World();
  world.start();
  const localnet = () => run(world.host, 'cat /proc/sys/net/ipv4/conf/tsrun0/route_localnet').trim();
  expect(localnet()).toBe('0');
  world.start([`${hostAddress}:8080:80`]);
  expect(localnet()).toBe('0');
  world.start(['8081:80']);
  expect(localnet()).toBe('1');
  expect(run(world.host, 'cat /proc/sys/net/ipv4/conf/all/route_localnet').trim()).toBe('0');
  world.destroy();
});

test('bridged neighbours are heard where br_netfilter is on, strangers are not', () => {
  const world = new World();
  const [a, b] = [world.start(), world.start()];
  // ECONNREFUSED comes from inside: the packet got there.
  expect(tryConnect(a.netns, b.attachment.address, 80)).toBe('ECONNREFUSED');
  world.destroy();
});
