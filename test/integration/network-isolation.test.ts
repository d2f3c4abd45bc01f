/** Who does not reach whom: containers of different networks, of internal ones, and of those without icc. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { close } from '../../src/linux/fs.ts';
import { newNetns } from '../../src/linux/namespaces.ts';
import { inside, networksOf, removeAll, server, sleeper } from './network-people.ts';
import { run as runIn } from './network-world.ts';
import { run, tsrunOk } from './tsrun.ts';

const address: Record<string, string> = {};

beforeAll(async () => {
  await tsrunOk(['network', 'create', 'red']);
  await tsrunOk(['network', 'create', 'blue']);
  await tsrunOk(['network', 'create', '--internal', 'closed']);
  await tsrunOk(['network', 'create', '-o', 'com.docker.network.bridge.enable_icc=false', 'mute']);
  const starts: [string, string, string[]][] = [
    ['red1', 'red', ['-p', '18081:80', ...server]],
    ['red2', 'red', sleeper],
    ['blue1', 'blue', sleeper],
    ['closed1', 'closed', server],
    ['closed2', 'closed', sleeper],
    ['mute1', 'mute', server],
    ['mute2', 'mute', sleeper],
  ];
  await Promise.all(
    starts.map(([name, network, rest]) => tsrunOk(['run', '-d', '--name', name, '--network', network, ...rest])),
  );
  for (const [name, network] of starts) address[name] = String((await networksOf(name))[network]?.IPAddress);
});
afterAll(removeAll);

/** What a container reads from a TCP port, empty where it is not let through. */
async function reads(from: string, to: string, port = 80): Promise<string> {
  return (await inside(from, `nc -w 1 ${to} ${port} </dev/null`)).trim();
}

describe('containers of different networks', () => {
  test('do not reach each other, those of one do', async () => {
    expect(await reads('red2', address.red1 ?? '')).toBe('hello');
    expect(await reads('blue1', address.red1 ?? '')).toBe('');
  });

  test('reach what another publishes at the addresses of the host', async () => {
    const gateway = String((await networksOf('blue1')).blue?.Gateway);
    expect(await reads('blue1', gateway, 18_081)).toBe('hello');
  });
});

describe('an internal network', () => {
  test('has its members and the host, and no way out', async () => {
    expect(await reads('closed2', address.closed1 ?? '')).toBe('hello');
    expect((await run('bash', ['-c', `head -c5 < /dev/tcp/${address.closed1}/80`])).stdout).toBe('hello');
    expect(await inside('closed2', 'ip route show default', 'network')).toBe('');
    // With a route that a container with CAP_NET_ADMIN could set it gets nowhere either.
    const gateway = String((await networksOf('closed2')).closed?.Gateway);
    await inside('closed2', `ip route add default via ${gateway}`, 'network');
    expect(await reads('closed2', address.red1 ?? '')).toBe('');
  });

  test('is entered by nobody', async () => {
    expect(await reads('red2', address.closed1 ?? '')).toBe('');
  });

  test('sends nothing to another machine, whatever routes its members make', async () => {
    const machine = newNetns();
    const link = 'tsruntest1';
    try {
      runIn(machine, 'ip link set lo up');
      const far = `type veth peer name eth0 netns /proc/${process.pid}/fd/${machine}`;
      const near = `ip address add 203.0.113.1/24 dev ${link}; ip link set ${link} up`;
      expect((await run('sh', ['-ec', `ip link add ${link} ${far}; ${near}`])).stderr).toBe('');
      runIn(
        machine,
        'ip address add 203.0.113.2/24 dev eth0; ip link set eth0 up; ip route add default via 203.0.113.1',
      );
      // Nobody listens there: it counts what comes, and refuses it.
      const segments = (): string =>
        runIn(machine, 'sed -n "s/^Tcp: [0-9].*/&/p" /proc/thread-self/net/snmp').split(' ')[10] ?? '';
      const before = segments();
      await inside('red2', 'nc -w 1 203.0.113.2 80 </dev/null');
      expect(Number(segments())).toBeGreaterThan(Number(before));
      const gateway = String((await networksOf('closed2')).closed?.Gateway);
      await inside('closed2', `ip route replace default via ${gateway}`, 'network');
      const after = segments();
      await inside('closed2', 'nc -w 1 203.0.113.2 80 </dev/null');
      expect(segments()).toBe(after);
    } finally {
      await run('ip', ['link', 'del', link]);
      close(machine);
    }
  });
});

test('without icc the members of a network reach the host alone', async () => {
  // Where br_netfilter is on the table hears neighbours too; it is not what parts them.
  const filter = '/proc/sys/net/bridge/bridge-nf-call-iptables';
  const old = existsSync(filter) ? readFileSync(filter, 'utf8') : undefined;
  if (old !== undefined) writeFileSync(filter, '0');
  expect(await reads('mute2', address.mute1 ?? '')).toBe('');
  if (old !== undefined) writeFileSync(filter, old);
  expect(await reads('mute2', address.mute1 ?? '')).toBe('');
  expect((await run('bash', ['-c', `head -c5 < /dev/tcp/${address.mute1}/80`])).stdout).toBe('hello');
  // Not by way of the host either.
  const gateway = String((await networksOf('mute2')).mute?.Gateway);
  await inside('mute2', `ip route add ${address.mute1}/32 via ${gateway}`, 'network');
  expect(await reads('mute2', address.mute1 ?? '')).toBe('');
});

test('the table has grown by elements, not by rules', async () => {
  const rules = async () => (await run('nft', ['list', 'table', 'inet', 'tsrun'])).stdout.match(/ comment "/g)?.length;
  const before = await rules();
  await tsrunOk(['network', 'create', 'more']);
  expect(await rules()).toBe(before);
});
