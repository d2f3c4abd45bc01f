/** Networks with IPv6: addresses that are usable at once, NAT on the way out, published ports on [::]. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inside, networksOf, removeAll, server, sleeper } from './network-people.ts';
import { run, tsrun, tsrunOk } from './tsrun.ts';

beforeAll(async () => {
  await tsrunOk(['network', 'create', '--ipv6', 'six']);
  await tsrunOk(['run', '-d', '--name', 'server', '--network', 'six', '-p', '18086:80', ...server]);
  await tsrunOk(['run', '-d', '--name', 'client', '--network', 'six', ...sleeper]);
});
afterAll(removeAll);

/** What the host reads from a TCP port. */
async function hostReads(address: string, port: number): Promise<string> {
  return (await run('bash', ['-c', `timeout 2 head -c5 < /dev/tcp/${address}/${port}`], { timeout: 3000 })).stdout;
}

test('without a subnet a network gets a unique local one, and containers addresses of it, ready for use', async () => {
  const [config] = JSON.parse(await tsrunOk(['network', 'inspect', '-f', '{{json .IPAM.Config}}', 'six'])).slice(1);
  expect(config.Subnet).toMatch(/^fd[0-9a-f]{2}:.*::\/64$/);
  expect((await networksOf('server')).six).toMatchObject({
    GlobalIPv6Address: config.Gateway.replace(/1$/, '2'),
    GlobalIPv6PrefixLen: 64,
    IPv6Gateway: config.Gateway,
  });
  const addresses = await tsrunOk(['run', '--rm', '--network', 'six', 'busybox', 'ip', '-6', 'addr', 'show', 'eth0']);
  expect(addresses).not.toContain('tentative');
  expect(addresses).toContain('inet6 fe80:');
  expect(await inside('client', 'cat /proc/sys/net/ipv6/conf/eth0/accept_ra')).toBe('0\n');
  expect(await inside('client', 'ip -6 route show default')).toContain(`via ${config.Gateway}`);
});

test('neighbours reach each other by name over IPv6, and the host reaches them', async () => {
  expect(await inside('client', 'ping -6 -c 1 -w 3 server')).toContain('1 packets received');
  const address = String((await networksOf('server')).six?.GlobalIPv6Address);
  expect(await hostReads(address, 80)).toBe('hello');
});

test('a published port is on [::] too, and shown so', async () => {
  expect(await hostReads('127.0.0.1', 18_086)).toBe('hello');
  const gateway = String((await networksOf('server')).six?.IPv6Gateway);
  expect(await hostReads(gateway, 18_086)).toBe('hello');
  // Not by the loopback address: refused at once, so that programs go on with 127.0.0.1.
  const refused = await run('bash', ['-c', 'exec 3<>/dev/tcp/::1/18086'], { timeout: 3000 });
  expect(refused.stderr).toContain('Connection refused');
  expect(await inside('client', `nc -w 2 ${gateway} 18086 </dev/null`)).toBe('hello\n');
  expect(await tsrunOk(['ps', '--filter', 'name=server', '--format', '{{.Ports}}'])).toBe(
    '0.0.0.0:18086->80/tcp, :::18086->80/tcp',
  );
  const elements = (await run('nft', ['list', 'map', 'inet', 'tsrun', 'published6_any'])).stdout;
  expect(elements).toContain('tcp . 18086');
});

test('what leaves has an address of the host, and what comes in goes to published ports alone', async () => {
  const pid = await tsrunOk(['inspect', '-f', '{{.State.Pid}}', 'client']);
  const address = String((await networksOf('server')).six?.GlobalIPv6Address);
  // Another machine on an uplink: a namespace. It has no route to the network when it is pinged.
  const script = `
    unshare -n sleep 20 & machine=$!
    trap 'kill $machine' EXIT
    for i in $(seq 100); do [ "$(readlink /proc/$machine/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.02; done
    ip link add tsrt6 type veth peer name eth0 netns $machine
    ip -6 address add 2001:db8:99::1/64 dev tsrt6 nodad
    ip link set tsrt6 up
    there() { nsenter -t $machine -n "$@"; }
    there ip -6 address add 2001:db8:99::2/64 dev eth0 nodad
    there ip link set eth0 up
    sleep 0.5
    nsenter -t ${pid} -n -m ping -6 -c 1 -w 3 2001:db8:99::2 | grep -o '1 packets received'
    there ip -6 route add default via 2001:db8:99::1
    there timeout 2 bash -c 'head -c5 < /dev/tcp/2001:db8:99::1/18086'
    there timeout 1 bash -c 'head -c5 < /dev/tcp/${address}/80' || echo ' and no more'`;
  const result = await run('bash', ['-c', script]);
  expect(result.stdout).toBe('1 packets received\nhello and no more\n');
  expect(readFileSync('/proc/sys/net/ipv6/conf/all/forwarding', 'utf8')).toBe('1\n');
});

test('an address of one’s own choice, and a port of one IPv6 address', async () => {
  await tsrunOk(['network', 'create', '--ipv6', '--subnet', 'fd00:7e57:1::/64', '--subnet', '10.76.0.0/24', 'own']);
  const ask = ['--network', 'own', '--ip6', 'fd00:7e57:1::77', '-p', '[fd00:7e57:1::1]:18087:80'];
  await tsrunOk(['run', '-d', '--name', 'own1', ...ask, ...server]);
  expect((await networksOf('own1')).own?.GlobalIPv6Address).toBe('fd00:7e57:1::77');
  expect(await hostReads('fd00:7e57:1::1', 18_087)).toBe('hello');
  await tsrunOk(['rm', '-f', 'own1']);
  const none = await tsrun(['run', '--rm', '-p', '[fd00::9]:18088:80', ...sleeper]);
  expect([none.code, none.stderr]).toEqual([125, expect.stringContaining('the container has none')]);
});
