/** What is made once, what is taken back, and what repairs itself: the bridge, the table, addresses, left-overs. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { close } from '../../src/linux/fs.ts';
import { newNetns, withNetns } from '../../src/linux/namespaces.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../../src/linux/netlink.ts';
import { createNetns, detachBridge, movePorts, networkInfo, removeStale } from '../../src/network/index.ts';
import { networkOf } from '../../src/network/ipam.ts';
import { rulesetText, rulesetVersion } from '../../src/network/ruleset.ts';
import { ensureTable } from '../../src/network/table.ts';
import { onTrace, type TraceEvent } from '../../src/trace.ts';
import { hostAddress, listenTcp, meet, run, type TestContainer, World } from './network-world.ts';

let world: World;

beforeEach(() => {
  world = new World();
});
afterEach(() => {
  world.destroy();
});

/** Elements of the two maps of published ports, sorted. */
function published(): string[] {
  return ['published', 'published_any']
    .flatMap((map) => {
      const text = run(world.host, `nft list map inet tsrun ${map}`).replace(/\s+/g, ' ');
      return /elements = \{ (.*?) \}/.exec(text)?.[1]?.split(', ') ?? [];
    })
    .sort();
}

function element(key: string, { id, attachment }: TestContainer, port: number): string {
  return `${key} comment "${id.slice(0, 12)}" : ${attachment.address} . ${port}`;
}

describe('the table', () => {
  test('is to nft(8) what its own text says', () => {
    const container = world.start(['127.0.0.1:8080:80', '5353:53/udp']);
    expect(published()).toEqual([
      element('127.0.0.1 . tcp . 8080', container, 80),
      element('udp . 5353', container, 53),
    ]);
    const listed = world.ruleset();
    expect(listed).toContain('elements = { "tsrun0" }');
    expect(listed).toContain('elements = { "tsrun0" . "tsrun0" }');
    expect(listed).toMatch(/elements = \{ 172\.\d+\.0\.0\/16 \}/);
    // Without its elements it is the script that `explain` prints, and nft makes the same rules of that script.
    const withoutElements = (text: string) => text.replace(/\t\telements = \{[^}]*\}\n/g, '');
    expect(withoutElements(listed)).toBe(rulesetText());
    const other = newNetns();
    run(other, `nft -f - <<'END'\n${rulesetText()}END`);
    const rules = (netns: number) => JSON.parse(run(netns, 'nft -j list table inet tsrun')).nftables;
    const comparable = (objects: Record<string, { elem?: unknown; handle?: number }>[]) =>
      objects.map((object) => {
        for (const value of Object.values(object)) {
          delete value.elem;
          delete value.handle;
        }
        return object;
      });
    expect(comparable(rules(world.host))).toEqual(comparable(rules(other)));
    close(other);
  });

  test('does not grow with containers', () => {
    const rules = () => world.ruleset().match(/ comment "/g)?.length;
    world.start();
    const before = rules();
    for (let i = 0; i < 5; i++) world.start();
    expect(rules()).toBe(before);
  });

  test('that an administrator flushed comes again with the next container, and so do the ports of the others', () => {
    const running = world.start(['8080:80', '127.0.0.1:5353:53/udp']);
    const before = published();
    run(world.host, 'nft flush ruleset');
    world.start();
    expect(published()).toEqual(before);
    const listener = listenTcp(running.netns, '0.0.0.0', 80);
    expect(meet(world.machine, hostAddress, 8080, listener).result).toBe('connected');
    close(listener);
  });

  test('of an older version is replaced at once, and running containers keep their ports', () => {
    const container = world.start(['8080:80', `${hostAddress}:8443:443`]);
    const before = published();
    const { subnet } = withNetns(world.host, networkInfo);
    withNetns(world.host, () => {
      const socket = NetlinkSocket.open(NETLINK_NETFILTER);
      ensureTable(socket, networkOf('bridge', 'tsrun0', subnet ?? ''), () => [], rulesetVersion + 1);
      socket.close();
    });
    expect(withNetns(world.host, networkInfo).ruleset).toEqual({ present: rulesetVersion + 1, wanted: rulesetVersion });
    expect(published()).toEqual(before);
    expect(world.ruleset()).toContain(`elements = { ${subnet} }`);
    const listener = listenTcp(container.netns, '0.0.0.0', 80);
    expect(meet(world.machine, hostAddress, 8080, listener).result).toBe('connected');
    close(listener);
    // A newer one is left alone.
    world.start();
    expect(withNetns(world.host, networkInfo).ruleset.present).toBe(rulesetVersion + 1);
  });

  test('of the same name that is not ours gives way', () => {
    run(world.host, 'nft add table inet tsrun; nft add chain inet tsrun prerouting');
    world.start(['8080:80']);
    expect(withNetns(world.host, networkInfo).ruleset.present).toBe(rulesetVersion);
    expect(published()).toHaveLength(1);
  });
});

describe('the bridge', () => {
  test('has the least that the way out takes, a fixed address, and hairpin ports', () => {
    run(world.host, 'ip route add default via 198.51.100.2');
    const { attachment, netns } = world.start();
    expect(run(world.host, 'ip -d link show tsrun0')).toMatch(/mtu 1400 .*bridge forward_delay/s);
    expect(run(netns, 'ip link show eth0')).toContain('mtu 1400');
    const bytes = attachment.gateway.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
    expect(run(world.host, 'ip link show tsrun0')).toContain(`link/ether 02:42:${bytes.join(':')}`);
    expect(run(world.host, `bridge -d link show dev ${attachment.hostInterface}`)).toContain('hairpin on');
    expect(run(world.host, 'ip -o address show tsrun0')).toContain(
      `inet ${attachment.gateway}/${attachment.prefix} brd `,
    );
  });

  test('gives the container eth0 with its address, hardware address and default route', () => {
    const { attachment, netns } = world.start();
    const bytes = attachment.address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
    expect(attachment.mac).toBe(`02:42:${bytes.join(':')}`);
    expect(run(netns, 'ip -o link show eth0')).toContain(`link/ether ${attachment.mac}`);
    expect(run(netns, 'ip -o link show lo')).toContain('LOOPBACK,UP');
    expect(run(netns, 'ip -o -4 address show eth0')).toContain(`inet ${attachment.address}/${attachment.prefix} brd `);
    expect(run(netns, 'ip route show default')).toContain(`default via ${attachment.gateway} dev eth0`);
    expect(world.start([], { mac: '02:aa:bb:cc:dd:ee' }).attachment.mac).toBe('02:aa:bb:cc:dd:ee');
  });

  test('that was set down, or lost its address, is repaired by the next container', () => {
    const first = world.start();
    run(world.host, 'ip link set tsrun0 down; ip address flush dev tsrun0');
    const second = world.start(['8080:80']);
    expect(second.attachment.gateway).toBe(first.attachment.gateway);
    const listener = listenTcp(second.netns, '0.0.0.0', 80);
    expect(meet(world.machine, hostAddress, 8080, listener).result).toBe('connected');
    close(listener);
  });

  test('of another kind in its place is a conflict, not a mess', () => {
    run(world.host, 'ip link add tsrun0 type veth peer name other');
    expect(() => world.start()).toThrow('the interface "tsrun0" is not a bridge');
  });

  test('lies where no route of the host and no name server is', () => {
    run(
      world.host,
      'ip route add 172.30.5.0/24 via 198.51.100.2; ip route add 172.29.0.0/17 via 198.51.100.2 table 52;' +
        'ip route add 0.0.0.0/1 via 198.51.100.2; ip route add blackhole 172.16.0.0/12',
    );
    expect(world.start().attachment.gateway).toBe('172.28.0.1');
  });

  test('chosen once stays, and moves only when a new route has taken its place', () => {
    const chosen = () => withNetns(world.host, networkInfo).subnet;
    const container = world.start();
    const first = chosen();
    world.stop(container);
    run(world.host, 'ip link delete tsrun0');
    world.stop(world.start());
    expect(chosen()).toBe(first);
    run(world.host, `ip link delete tsrun0; ip route add ${first} via 198.51.100.2`);
    world.start();
    expect(chosen()).not.toBe(first);
  });

  test('that another data root made is shared', () => {
    const first = world.start();
    const root = process.env.TSRUN_ROOT;
    process.env.TSRUN_ROOT = `${root}-other`;
    try {
      const second = world.start([], { inUse: () => [] });
      expect(second.attachment.gateway).toBe(first.attachment.gateway);
      expect(second.attachment.address).not.toBe(first.attachment.address);
      // Its sweep spares our containers, and ours spares its.
      expect(withNetns(world.host, () => removeStale(() => [second.id]))).toEqual([]);
      process.env.TSRUN_ROOT = root;
      expect(withNetns(world.host, () => removeStale(() => [first.id]))).toEqual([]);
      expect(world.cables()).toHaveLength(2);
    } finally {
      process.env.TSRUN_ROOT = root;
    }
  });
});

describe('addresses', () => {
  const last = (container: TestContainer) => Number(container.attachment.address.split('.')[3]);

  test('are handed out in turn: one that got free is not used at once', () => {
    const first = world.start();
    expect(last(first)).toBe(2);
    world.stop(first);
    expect(last(world.start())).toBe(3);
  });

  test('come round again, past those in use', () => {
    const living = world.start();
    const cursor = join(process.env.TSRUN_STATE ?? '', 'network-bridge.last');
    writeFileSync(cursor, `${living.attachment.address.replace(/\d+\.\d+$/, '255.253')}\n`);
    expect(world.start().attachment.address).toMatch(/255\.254$/);
    expect(last(world.start())).toBe(3);
    expect(readFileSync(cursor, 'utf8')).toMatch(/\.0\.3\n$/);
  });

  test('that a record does not tell of, but an interface has, are passed over', () => {
    const unknown = world.start();
    writeFileSync(join(process.env.TSRUN_STATE ?? '', 'network-bridge.last'), 'nonsense\n');
    const next = world.start([], { inUse: () => [] });
    expect(next.attachment.address).not.toBe(unknown.attachment.address);
    expect(world.cables()).toHaveLength(2);
  });
});

describe('the end of a container', () => {
  test('takes its cable and ports, and may come twice', () => {
    const container = world.start(['8080:80', '127.0.0.1:5353:53/udp']);
    const other = world.start(['8081:80']);
    world.stop(container);
    expect(world.cables()).toEqual([other.attachment.hostInterface]);
    expect(published()).toEqual([element('tcp . 8081', other, 80)]);
    withNetns(world.host, () => detachBridge({ attachment: container.attachment, containerId: container.id }));
    run(world.host, 'nft delete table inet tsrun; ip link delete tsrun0');
    world.stop(other);
  });

  test('that comes late spares the next owner of its port', () => {
    const first = world.start(['8080:80']);
    world.forget(first); // its socket is gone, its element still there
    const second = world.start(['8080:81']);
    expect(published()).toEqual([element('tcp . 8080', second, 81)]);
    withNetns(world.host, () => detachBridge({ attachment: first.attachment, containerId: first.id }));
    expect(published()).toEqual([element('tcp . 8080', second, 81)]);
  });

  test('takes ports that were moved to another of its addresses, which nobody came to write down', () => {
    const container = world.start(['8080:80']);
    const { attachment, id } = container;
    withNetns(world.host, () => movePorts(attachment, { ...attachment, address: '172.31.255.9' }, id));
    expect(published()).toEqual([`tcp . 8080 comment "${id.slice(0, 12)}" : 172.31.255.9 . 80`]);
    world.stop(container);
    expect(published()).toEqual([]);
  });

  test('may leave the cable to the kernel, and its address is free at once', async () => {
    const container = world.start(['8080:80']);
    world.stop(container, 'leave');
    expect(published()).toEqual([]);
    expect(run(world.host, 'ip link show')).not.toContain(`tsrun-${container.attachment.address}`);
    await expect.poll(() => world.cables(), { timeout: 5000 }).toEqual([]);
  });

  test('and a new start at once: the cable that is just dying gives way', () => {
    const first = world.start(['8080:80']);
    world.stop(first, 'leave');
    const again = world.start(['8080:80'], { containerId: first.id });
    expect(again.attachment.hostInterface).toBe(first.attachment.hostInterface);
    const listener = listenTcp(again.netns, '0.0.0.0', 80);
    expect(meet(world.host, '127.0.0.1', 8080, listener).result).toBe('connected');
    close(listener);
  });

  test('tolerates that somebody else deleted elements and the cable', () => {
    const container = world.start(['8080:80', '8081:80', '8082:80']);
    run(
      world.host,
      `nft delete element inet tsrun published_any '{ tcp . 8081 }'; ip link delete ${container.attachment.hostInterface}`,
    );
    world.stop(container);
    expect(published()).toEqual([]);
  });
});

test('the sweep removes what killed containers left, and nothing of the living', async () => {
  const alive = world.start(['8080:80']);
  const dead = world.start(['8081:80', '127.0.0.1:8082:80']);
  const half = world.start();
  // A container's namespace that something holds keeps its cable.
  world.containers.splice(world.containers.indexOf(dead), 1);
  world.containers.splice(world.containers.indexOf(half), 1);
  const removed = withNetns(world.host, () => removeStale(() => [alive.id]));
  const short = dead.id.slice(0, 12);
  expect(removed.sort()).toEqual(
    [
      `published port of container ${short}`,
      `published port of container ${short}`,
      `veth pair ${dead.attachment.hostInterface} of container ${short}`,
      `veth pair ${half.attachment.hostInterface} of container ${half.id.slice(0, 12)}`,
    ].sort(),
  );
  expect(world.cables()).toEqual([alive.attachment.hostInterface]);
  expect(published()).toEqual([element('tcp . 8080', alive, 80)]);
  for (const { netns, portFds } of [dead, half]) [netns, ...portFds].forEach(close);
  expect(withNetns(world.host, () => removeStale(() => [alive.id]))).toEqual([]);
});

test('a start that fails half-way leaves nothing', () => {
  const netns = createNetns();
  run(netns, 'ip link add eth0 type veth peer name in-the-way');
  const id = randomBytes(32).toString('hex');
  expect(() => world.start(['8080:80'], { containerId: id, netns })).toThrow(/EEXIST/);
  close(netns);
  expect(world.cables()).toEqual([]);
  expect(published()).toEqual([]);
  close(listenTcp(world.host, '0.0.0.0', 8080));
});

test('forwarding is turned on where it is off, and said', () => {
  const other = new World({ forward: false });
  expect(withNetns(other.host, networkInfo)).toMatchObject({
    present: false,
    ipForward: false,
    ipForwardSince: undefined,
  });
  other.start();
  const info = withNetns(other.host, networkInfo);
  expect(info).toMatchObject({ present: true, bridge: 'tsrun0', ipForward: true, routeLocalnet: false, firewalls: [] });
  expect(info.ipForwardSince).toMatch(/^\d{4}-\d\d-\d\dT/);
  expect(info.gateway).toBe(info.subnet?.replace(/0\/16$/, '1'));
  other.destroy();
});

test('every step says its title, its reason and the command that would do it', () => {
  const events: TraceEvent[] = [];
  onTrace((event) => events.push(event));
  try {
    world.stop(world.start(['8080:80']));
  } finally {
    onTrace(undefined);
  }
  expect(events.map(({ title }) => title.replace(/ts[0-9a-f]{11}|\d+\.\d+\.\d+\.\d+/g, '…'))).toEqual([
    'create a network namespace',
    'take the port …:8080/tcp',
    'create the nf_tables table "tsrun"',
    'create the bridge tsrun0',
    'no IPv6 and no router advertisements on tsrun0',
    'give tsrun0 the address …/16 and set it up',
    'create the veth pair … <-> eth0 and plug it into tsrun0',
    'no IPv6 and no router advertisements on eth0',
    'give eth0 the address …/16 and the default route by …',
    'let tsrun0 carry packets from …',
    'publish …:8080/tcp at …',
    'withdraw the published ports of …',
    'delete the veth pair …',
  ]);
  expect(events.filter(({ why }) => why === undefined)).toEqual([]);
});
