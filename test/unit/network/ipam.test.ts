import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Route } from '../../../src/linux/netlink-route.ts';
import {
  chooseSubnet,
  lastAddress,
  loadNetwork,
  macOf,
  networkOf,
  nextAddress,
  overlaps,
  parseSubnet,
  rememberAddress,
  saveNetwork,
} from '../../../src/network/ipam.ts';

function route(subnet: string, type = 1): Route {
  const [destination = '', prefix] = subnet.split('/');
  return { destination, prefix: Number(prefix), type, table: 254, interface: 2 };
}

describe('the subnet', () => {
  test('is the first that no route overlaps, from either side', () => {
    expect(chooseSubnet([], [])).toBe('172.30.0.0/16');
    expect(chooseSubnet([route('172.30.128.0/24')], [])).toBe('172.29.0.0/16');
    expect(chooseSubnet([route('172.16.0.0/12')], [])).toBe('10.230.0.0/16');
    expect(chooseSubnet([route('172.16.0.0/12'), route('10.0.0.0/8')], [])).toBe('192.168.240.0/20');
  });

  test('does not mind default routes, also in halves, nor blackholes', () => {
    const routes = [route('0.0.0.0/0'), route('0.0.0.0/1'), route('128.0.0.0/1'), route('172.16.0.0/12', 6)];
    expect(chooseSubnet(routes, [])).toBe('172.30.0.0/16');
  });

  test('holds none of the name servers', () => {
    expect(overlaps('172.30.0.0/16', [], ['172.30.0.53', 'fd00::1'])).toBe(true);
    expect(chooseSubnet([], ['172.30.0.53', '172.29.255.1'])).toBe('172.28.0.0/16');
  });

  test('that cannot be found is an error that says how to give one', () => {
    expect(() => chooseSubnet([route('172.16.0.0/12'), route('10.0.0.0/8'), route('192.168.0.0/16')], [])).toThrow(
      /every subnet that tsrun would take overlaps a route/,
    );
  });

  test.each(['172.30.0.0', '172.30.0.1/16', '172.30.0.0/7', '172.30.0.0/30', '172.30.0.0/x', '300.0.0.0/16', '::/64'])(
    '%s is none',
    (subnet) => {
      expect(parseSubnet(subnet)).toBeUndefined();
    },
  );
});

describe('addresses', () => {
  const small = networkOf('bridge', 'tsrun0', '10.9.8.0/29');

  test('begin behind the gateway and end before the broadcast address', () => {
    expect(small).toMatchObject({ gateway: '10.9.8.1', prefix: 29 });
    const seen: string[] = [];
    for (let last: string | undefined; seen.length < 6; seen.push(last)) last = nextAddress(small, last, new Set());
    expect(seen).toEqual(['10.9.8.2', '10.9.8.3', '10.9.8.4', '10.9.8.5', '10.9.8.6', '10.9.8.2']);
  });

  test('in use are passed over, and none left is an error', () => {
    expect(nextAddress(small, '10.9.8.3', new Set(['10.9.8.4', '10.9.8.5', '10.9.8.6', '10.9.8.2']))).toBe('10.9.8.3');
    const all = new Set(['10.9.8.2', '10.9.8.3', '10.9.8.4', '10.9.8.5', '10.9.8.6']);
    expect(() => nextAddress(small, undefined, all)).toThrow('all 5 addresses of 10.9.8.0/29 are in use');
  });

  test('a last address of another subnet, or no address, begins anew', () => {
    expect(nextAddress(small, '10.9.9.4', new Set())).toBe('10.9.8.2');
    expect(nextAddress(small, 'nonsense', new Set())).toBe('10.9.8.2');
  });

  test('have hardware addresses of their own', () => {
    expect(macOf('172.30.0.255')).toBe('02:42:ac:1e:00:ff');
  });
});

describe('on disk', () => {
  let directory: string;
  const before = { root: process.env.TSRUN_ROOT, state: process.env.TSRUN_STATE };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ipam-'));
    process.env.TSRUN_ROOT = directory;
    process.env.TSRUN_STATE = directory;
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
    if (before.root === undefined) delete process.env.TSRUN_ROOT;
    else process.env.TSRUN_ROOT = before.root;
    if (before.state === undefined) delete process.env.TSRUN_STATE;
    else process.env.TSRUN_STATE = before.state;
  });

  test('the network is what it was', () => {
    expect(loadNetwork('bridge')).toBeUndefined();
    const network = networkOf('bridge', 'tsrun0', '172.27.0.0/16');
    saveNetwork(network);
    expect(loadNetwork('bridge')).toEqual(network);
    expect(JSON.parse(readFileSync(join(directory, 'networks/bridge.json'), 'utf8'))).toEqual({
      version: 1,
      name: 'bridge',
      bridge: 'tsrun0',
      subnet: '172.27.0.0/16',
    });
  });

  test.each([
    '',
    '{',
    '[]',
    '{"name":"bridge","bridge":"tsrun0"}',
    '{"name":"bridge","bridge":"../x","subnet":"10.0.0.0/16"}',
    '{"name":"bridge","bridge":"tsrun0","subnet":"10.0.0.1/16"}',
  ])('a file that says %j is refused with its name', (content) => {
    saveNetwork(networkOf('bridge', 'tsrun0', '172.27.0.0/16'));
    writeFileSync(join(directory, 'networks/bridge.json'), content);
    expect(() => loadNetwork('bridge')).toThrow(`"${directory}/networks/bridge.json" does not describe a network`);
  });

  test('the last address is remembered', () => {
    const network = networkOf('bridge', 'tsrun0', '172.27.0.0/16');
    expect(lastAddress(network)).toBeUndefined();
    rememberAddress(network, '172.27.0.9');
    expect(lastAddress(network)).toBe('172.27.0.9');
  });
});
