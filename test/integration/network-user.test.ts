/** Networks that users make: create, list, inspect, connect, disconnect, remove, as people type it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { inside, networksOf, removeAll, sleeper } from './network-people.ts';
import { run, tsrun, tsrunOk } from './tsrun.ts';

afterEach(removeAll);

describe('network create', () => {
  test('makes a bridge with the first address of a subnet that nobody has, and rm takes it away', async () => {
    const id = await tsrunOk(['network', 'create', '--label', 'a=b', 'one']);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const bridge = `br-${id.slice(0, 12)}`;
    const [one] = JSON.parse(await tsrunOk(['network', 'inspect', 'one']));
    expect(one).toMatchObject({ Name: 'one', Id: id, Driver: 'bridge', Labels: { a: 'b' }, Containers: {} });
    expect((await run('ip', ['-o', '-4', 'address', 'show', bridge])).stdout).toContain(
      `inet ${one.IPAM.Config[0].Gateway}/16`,
    );
    expect((await run('nft', ['list', 'set', 'inet', 'tsrun', 'subnets'])).stdout).toContain(one.IPAM.Config[0].Subnet);
    expect(await tsrunOk(['network', 'rm', 'one'])).toBe('one');
    expect((await run('ip', ['link', 'show', bridge])).code).toBe(1);
    expect((await run('nft', ['list', 'set', 'inet', 'tsrun', 'subnets'])).stdout).not.toContain(
      one.IPAM.Config[0].Subnet,
    );
  });

  test('takes subnet, gateway, range, reserved addresses, MTU and the name of the bridge', async () => {
    const flags = ['--subnet', '10.77.0.0/24', '--gateway', '10.77.0.254', '--ip-range', '10.77.0.128/30'];
    const aux = ['--aux-address', 'printer=10.77.0.129', '-o', 'com.docker.network.driver.mtu=1400'];
    await tsrunOk(['network', 'create', ...flags, ...aux, '-o', 'com.docker.network.bridge.name=tsrtest9', 'two']);
    const output = await tsrunOk(['run', '--rm', '--network', 'two', 'busybox', 'ip', 'addr', 'show', 'eth0']);
    expect(output).toContain('mtu 1400');
    expect(output).toContain('inet 10.77.0.128/24');
    const route = await tsrunOk(['run', '--rm', '--network', 'two', 'busybox', 'ip', 'route']);
    const printer = await tsrun(['run', '--rm', '--network', 'two', '--ip', '10.77.0.129', 'busybox', 'true']);
    expect([printer.code, printer.stderr]).toEqual([125, expect.stringContaining('Address already in use')]);
    expect(route).toContain('default via 10.77.0.254');
    expect((await run('ip', ['-br', 'link', 'show', 'tsrtest9'])).code).toBe(0);
    expect(JSON.parse(await tsrunOk(['network', 'inspect', '-f', '{{json .IPAM.Config}}', 'two']))).toEqual([
      {
        Subnet: '10.77.0.0/24',
        IPRange: '10.77.0.128/30',
        Gateway: '10.77.0.254',
        AuxiliaryAddresses: { printer: '10.77.0.129' },
      },
    ]);
  });

  test('refuses what docker refuses, and routes of the host', async () => {
    await run('ip', ['link', 'add', 'tsrtestr', 'type', 'bridge']);
    await run('ip', ['address', 'add', '192.0.2.77/24', 'dev', 'tsrtestr']);
    await run('ip', ['link', 'set', 'tsrtestr', 'up']);
    const refusals: [string[], string][] = [
      [['bridge'], 'operation is not permitted on predefined bridge network'],
      [['-d', 'host', 'x'], 'only one instance of "host" network is allowed'],
      [['-d', 'foo', 'x'], 'plugin "foo" not found'],
      [['--subnet', '10.98.0.0/24', '--gateway', '10.4.4.4', 'x'], 'no matching subnet for gateway 10.4.4.4'],
      [['--subnet', '192.0.2.0/25', 'x'], 'Pool overlaps with other one on this address space'],
      [['-o', 'com.docker.network.bridge.name=tsrtestr', 'x'], 'the interface "tsrtestr" is there already'],
    ];
    const results = await Promise.all(refusals.map(([args]) => tsrun(['network', 'create', ...args])));
    await run('ip', ['link', 'delete', 'tsrtestr']);
    expect(results.map(({ code, stderr }) => [code, stderr.split('\n')[0]])).toEqual(
      refusals.map(([, message]) => [1, `tsrun: ${message}`]),
    );
    expect(await tsrunOk(['network', 'ls', '-q', '--filter', 'type=custom'])).toBe('');
  });

  test('refuses the name and the subnet of another one', async () => {
    await tsrunOk(['network', 'create', '--subnet', '10.78.0.0/24', 'three']);
    expect((await tsrun(['network', 'create', 'three'])).stderr).toContain('network with name three already exists');
    expect((await tsrun(['network', 'create', '--subnet', '10.78.0.128/25', 'four'])).stderr).toContain(
      'Pool overlaps',
    );
  });
});

test('networks are listed, filtered and found by name, id and its beginning', async () => {
  const id = await tsrunOk(['network', 'create', '--label', 'stage=test', 'listed']);
  expect(await tsrunOk(['network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}}'])).toBe(
    'bridge bridge local\nhost host local\nlisted bridge local\nnone null local',
  );
  for (const filter of ['type=custom', 'label=stage', 'name=iste', `id=${id.slice(0, 5)}`, 'dangling=true']) {
    expect(await tsrunOk(['network', 'ls', '-q', '--no-trunc', '--filter', filter])).toBe(id);
  }
  for (const text of [id, id.slice(0, 9), 'listed']) {
    expect(await tsrunOk(['network', 'inspect', '-f', '{{.Name}}', text])).toBe('listed');
  }
  expect(await tsrunOk(['inspect', '-f', '{{.Driver}}', 'listed'])).toBe('bridge');
  expect(await tsrun(['network', 'rm', '-f', 'nosuch'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
  const missing = await tsrun(['network', 'rm', 'nosuch', 'bridge']);
  expect(missing.stderr).toContain('Error: No such network: nosuch');
  expect(missing.stderr).toContain('tsrun: bridge is a pre-defined network and cannot be removed');
});

describe('a running container', () => {
  test('gets and loses interfaces; its way out and its ports follow docker’s rule', async () => {
    await tsrunOk(['network', 'create', 'bbb']);
    await tsrunOk(['network', 'create', 'aaa']);
    await tsrunOk(['network', 'create', '--internal', 'closed']);
    const server = ['busybox', 'sh', '-c', 'while :; do echo hello | nc -l -p 80; done'];
    await tsrunOk(['run', '-d', '--name', 'cc', '--network', 'bbb', '-p', '127.0.0.1:18080:80', ...server]);
    const reached = async () => (await run('bash', ['-c', 'exec 3<>/dev/tcp/127.0.0.1/18080; head -c5 <&3'])).stdout;
    const gateway = async (name: string) => (await networksOf('cc'))[name]?.Gateway;

    await tsrunOk(['network', 'connect', 'aaa', 'cc']);
    await tsrunOk(['network', 'connect', 'closed', 'cc']);
    expect(await inside('cc', 'ip route show default', 'network')).toContain(`via ${await gateway('aaa')} dev eth1`);
    expect(await inside('cc', 'ip -o -4 address', 'network')).toContain('eth2');
    expect(await reached()).toBe('hello');
    const again = await tsrun(['network', 'connect', 'aaa', 'cc']);
    expect(again.stderr).toContain('endpoint with name cc already exists in network aaa');
    expect((await tsrun(['network', 'rm', 'aaa'])).stderr).toContain('has active endpoints');

    await tsrunOk(['network', 'disconnect', 'aaa', 'cc']);
    expect(await inside('cc', 'ip route show default', 'network')).toContain(`via ${await gateway('bbb')} dev eth0`);
    expect(await reached()).toBe('hello');
    await tsrunOk(['network', 'disconnect', 'bbb', 'cc']);
    expect(await inside('cc', 'ip route show default', 'network')).toBe('');
    expect(await tsrunOk(['ps', '--format', '{{.Networks}} {{.Ports}}'])).toBe('closed ');
    expect(await tsrunOk(['port', 'cc'])).toBe('');
    const neither = await tsrun(['network', 'disconnect', 'nope', 'nobody']);
    expect(neither).toMatchObject({ code: 1, stderr: expect.stringContaining('No such container: nobody') });
    const gone = await tsrun(['network', 'disconnect', 'bbb', 'cc']);
    expect(gone.stderr).toMatch(/container [0-9a-f]{64} is not connected to network bbb/);
    await tsrunOk(['network', 'connect', 'bbb', 'cc']);
    expect(await reached()).toBe('hello');
    await tsrunOk(['network', 'connect', '--gw-priority', '-1', 'aaa', 'cc']);
    expect(await inside('cc', 'ip route show default', 'network')).toContain(`via ${await gateway('bbb')} dev`);
    expect(await reached()).toBe('hello');
  });

  test('that shares or has no network cannot be connected', async () => {
    await tsrunOk(['network', 'create', 'n']);
    await tsrunOk(['run', '-d', '--name', 'hh', '--network', 'host', ...sleeper]);
    await tsrunOk(['run', '-d', '--name', 'xx', '--network', 'none', ...sleeper]);
    expect((await tsrun(['network', 'connect', 'n', 'hh'])).stderr).toContain(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
    expect((await tsrun(['network', 'connect', 'n', 'xx'])).stderr).toContain(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
    await tsrunOk(['network', 'disconnect', 'none', 'xx']);
    await tsrunOk(['network', 'connect', 'n', 'xx']);
    expect(await inside('xx', 'ip -o -4 address', 'network')).toContain('eth0');
  });
});

test('a container has the addresses, names and interfaces that it asks for, also after a restart', async () => {
  await tsrunOk(['network', 'create', '--subnet', '10.79.0.0/24', 'p']);
  await tsrunOk(['network', 'create', 'q']);
  const asks = [
    '--network',
    'name=p,ip=10.79.0.77,alias=seven',
    '--network',
    'q',
    '--mac-address',
    '02:aa:00:00:00:01',
  ];
  await tsrunOk(['run', '-d', '--name', 'cc', ...asks, ...sleeper]);
  expect((await networksOf('cc')).p).toMatchObject({
    IPAddress: '10.79.0.77',
    MacAddress: '02:aa:00:00:00:01',
    IPAMConfig: { IPv4Address: '10.79.0.77' },
  });
  expect(Object.keys(await networksOf('cc'))).toEqual(['p', 'q']);
  const taken = await tsrun(['run', '--rm', '--network', 'p', '--ip', '10.79.0.77', ...sleeper]);
  expect([taken.code, taken.stderr]).toEqual([125, expect.stringContaining('Address already in use')]);
  const foreign = await tsrun(['run', '--rm', '--network', 'p', '--ip', '10.1.1.1', ...sleeper]);
  expect(foreign.stderr).toContain("Invalid address 10.1.1.1: It does not belong to any of this network's subnets");
  const chosen = await tsrun(['run', '--rm', '--network', 'q', '--ip', '10.1.1.1', ...sleeper]);
  expect(chosen.stderr).toContain('only when connecting to networks with user configured subnets');

  await tsrunOk(['stop', '-t', '0', 'cc']);
  await tsrunOk(['network', 'disconnect', 'q', 'cc']);
  await tsrunOk(['network', 'connect', 'bridge', 'cc']);
  await tsrunOk(['start', 'cc']);
  expect(Object.keys(await networksOf('cc'))).toEqual(['bridge', 'p']);
  expect((await networksOf('cc')).p?.IPAddress).toBe('10.79.0.77');
  expect(await tsrunOk(['ps', '-q', '--filter', 'network=p'])).not.toBe('');
});

test('a network whose bridge a reboot has lost comes again with its next container', async () => {
  const id = await tsrunOk(['network', 'create', 'r']);
  await run('ip', ['link', 'delete', `br-${id.slice(0, 12)}`]);
  await run('nft', ['delete', 'table', 'inet', 'tsrun']);
  expect(await tsrunOk(['run', '--rm', '--network', 'r', 'busybox', 'ip', 'route'])).toContain('default via');
  expect((await run('nft', ['list', 'set', 'inet', 'tsrun', 'bridges'])).stdout).toContain(`br-${id.slice(0, 12)}`);
});

test('a network that does not exist keeps a container from starting, and is told', async () => {
  const result = await tsrun(['run', '--name', 'cc', '--network', 'nosuch', ...sleeper]);
  expect([result.code, result.stderr]).toEqual([125, expect.stringContaining('network nosuch not found')]);
  expect(await tsrunOk(['ps', '-a', '--format', '{{.Names}} {{.Networks}}'])).toBe('cc nosuch');
});

test('twenty at once end in one order or another, and leave nothing', async () => {
  await tsrunOk(['network', 'create', 'busy']);
  await tsrunOk(['network', 'create', 'other']);
  const names = Array.from({ length: 7 }, (_, i) => `w${i}`);
  await Promise.all(names.map((name) => tsrunOk(['create', '--name', name, '--network', 'busy', ...sleeper])));
  const results = await Promise.all(
    names.flatMap((name) => [
      tsrun(['start', name]),
      tsrun(['network', 'connect', 'other', name]),
      tsrun(['network', 'disconnect', 'busy', name]),
    ]),
  );
  for (const { code, stderr } of results) expect([code, stderr]).toEqual([0, '']);
  for (const name of names) {
    const networks = await networksOf(name);
    expect(Object.keys(networks)).toEqual(['other']);
    expect(await inside(name, 'ip -o -4 address', 'network')).toContain(`inet ${networks.other?.IPAddress}/`);
  }
  const members = JSON.parse(await tsrunOk(['network', 'inspect', '-f', '{{json .Containers}}', 'other']));
  const addresses = Object.values(members as Record<string, { IPv4Address: string }>).map((each) => each.IPv4Address);
  expect(new Set(addresses).size).toBe(7);
  expect(await tsrunOk(['network', 'inspect', '-f', '{{len .Containers}}', 'busy'])).toBe('0');
});

test('the journal tells of networks and who was on them', async () => {
  const id = await tsrunOk(['network', 'create', 'told']);
  const container = await tsrunOk(['run', '-d', '--network', 'told', ...sleeper]);
  await tsrunOk(['rm', '-f', container]);
  await tsrunOk(['network', 'rm', 'told']);
  const lines = readFileSync(join(inject('root'), 'events.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const events = lines.map((line) => JSON.parse(line)).filter((event) => event.Actor.ID === id);
  expect(events.map(({ Action, Actor }) => [Action, Actor.Attributes])).toEqual([
    ['create', { name: 'told', type: 'bridge' }],
    ['connect', { container, name: 'told', type: 'bridge' }],
    ['disconnect', { container, name: 'told', type: 'bridge' }],
    ['destroy', { name: 'told', type: 'bridge' }],
  ]);
});
