/** Beside other firewalls: each is the real one where it is installed, in a network namespace that plays the host. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { close } from '../../src/linux/fs.ts';
import { withNetns } from '../../src/linux/namespaces.ts';
import { networkInfo } from '../../src/network/index.ts';
import { hostAddress, listenTcp, machineAddress, meet, run, type TestContainer, World } from './network-world.ts';

let world: World;

beforeEach(() => {
  world = new World();
});
afterEach(() => {
  world.destroy();
});

const usable = (command: string): boolean => spawnSync('sh', ['-c', command], { stdio: 'ignore' }).status === 0;
const installed = (program: string): boolean => usable(`PATH=$PATH:/usr/sbin:/sbin command -v ${program}`);

/**
 * Whether a container reaches another machine, and that machine its published port 8080. `patience` in milliseconds:
 * short only where silence is expected.
 */
function traffic(container: TestContainer, patience = 5000): { out: boolean; in: boolean } {
  const there = listenTcp(world.machine, machineAddress, 7000);
  const inside = listenTcp(container.netns, '0.0.0.0', 80);
  const out = meet(container.netns, machineAddress, 7000, there, patience).result === 'connected';
  const into = meet(world.machine, hostAddress, 8080, inside, patience).result === 'connected';
  close(inside);
  close(there);
  return { out, in: into };
}

/** Docker's filter table as dockerd leaves it, by its own tool. */
const docker = (iptables: string) => `
  ${iptables} -P FORWARD DROP
  ${iptables} -N DOCKER; ${iptables} -N DOCKER-ISOLATION-STAGE-1; ${iptables} -N DOCKER-USER
  ${iptables} -A FORWARD -j DOCKER-USER
  ${iptables} -A FORWARD -j DOCKER-ISOLATION-STAGE-1
  ${iptables} -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  ${iptables} -A FORWARD -o docker0 -j DOCKER
  ${iptables} -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
  ${iptables} -A FORWARD -i docker0 -o docker0 -j ACCEPT
  ${iptables} -A DOCKER-ISOLATION-STAGE-1 -j RETURN; ${iptables} -A DOCKER-USER -j RETURN`;

/** Warns, then cooperates, then goes: how each firewall is to be met. */
function goesThrough(expected: { tool: string; chain: string; commands: string[]; rules: () => string }): void {
  const { rules, tool, chain, commands } = expected;
  const before = rules();
  expect(withNetns(world.host, networkInfo).firewalls).toMatchObject([{ tool, chain }]);
  const warned = world.start(['8080:80']);
  expect(world.warnings).toHaveLength(1);
  expect(world.warnings[0]).toContain(commands.join(' && '));
  expect(world.warnings[0]).toContain('--firewall=cooperate');
  expect(traffic(warned, 300).out).toBe(false);
  expect(rules()).toBe(before);
  world.stop(warned);

  world.warnings.length = 0;
  const first = world.start(['8080:80'], { firewall: 'cooperate' });
  expect(world.warnings).toEqual([]);
  expect(traffic(first)).toEqual({ out: true, in: true });
  expect(withNetns(world.host, networkInfo)).toMatchObject({ firewalls: [], cooperating: true });
  const second = world.start([], { firewall: 'cooperate' });
  world.stop(first);
  expect(rules()).toContain('tsrun0');
  world.stop(second);
  expect(rules()).toBe(before);
  expect(withNetns(world.host, networkInfo).cooperating).toBe(false);
}

describe.runIf(installed('iptables-nft'))('iptables', () => {
  const rules = () => run(world.host, 'iptables -S');
  const allow = (chain: string) => ['-i', '-o'].map((way) => `iptables -I ${chain} ${way} tsrun0 -j ACCEPT`);

  test('with rules of docker: DOCKER-USER is where others may put theirs', () => {
    run(world.host, docker('iptables'));
    goesThrough({ tool: 'docker', chain: 'FORWARD', commands: allow('DOCKER-USER'), rules });
  });

  test('with a forward policy of drop', () => {
    run(world.host, 'iptables -P FORWARD DROP');
    goesThrough({ tool: 'iptables', chain: 'FORWARD', commands: allow('FORWARD'), rules });
  });

  test('with a last rule that rejects', () => {
    run(world.host, 'iptables -A FORWARD -i docker0 -j ACCEPT; iptables -A FORWARD -j REJECT');
    goesThrough({ tool: 'iptables', chain: 'FORWARD', commands: allow('FORWARD'), rules });
  });

  test('that lets everything through, or our bridge, is no reason to warn', () => {
    run(world.host, 'iptables -A FORWARD -i eth9 -j DROP');
    world.start();
    run(
      world.host,
      'iptables -P FORWARD DROP; iptables -A FORWARD -i tsrun+ -j ACCEPT; iptables -A FORWARD -o tsrun+ -j ACCEPT',
    );
    world.start();
    expect(world.warnings).toEqual([]);
  });

  test('is left alone where nothing can be written down', () => {
    run(world.host, 'iptables -P FORWARD DROP');
    const before = rules();
    mkdirSync(join(process.env.TSRUN_STATE ?? '', 'firewall.json'), { recursive: true });
    expect(() => world.start([], { firewall: 'cooperate' })).toThrow(/firewall.json/);
    expect(rules()).toBe(before);
  });

  test('whose rule is gone before we take it out', () => {
    run(world.host, 'iptables -P FORWARD DROP');
    const container = world.start([], { firewall: 'cooperate' });
    run(world.host, 'iptables -F FORWARD');
    world.stop(container);
    expect(rules()).not.toContain('tsrun0');
  });
});

describe.runIf(usable('unshare -n iptables-legacy -P FORWARD DROP'))('the older iptables', () => {
  const rules = () => run(world.host, 'iptables-legacy -S');
  const allow = (chain: string) => ['-i', '-o'].map((way) => `iptables-legacy -I ${chain} ${way} tsrun0 -j ACCEPT`);

  test('with a forward policy of drop', () => {
    run(world.host, 'iptables-legacy -P FORWARD DROP');
    goesThrough({ tool: 'iptables-legacy', chain: 'FORWARD', commands: allow('FORWARD'), rules });
  });

  test('with rules of docker', () => {
    run(world.host, docker('iptables-legacy'));
    goesThrough({ tool: 'docker', chain: 'FORWARD', commands: allow('DOCKER-USER'), rules });
  });

  test('is not brought to life by looking at it', () => {
    world.start();
    expect(run(world.host, 'cat /proc/net/ip_tables_names')).toBe('');
  });
});

describe('a table of nft', () => {
  const drops = (rule: string) =>
    run(
      world.host,
      `nft -f - <<'END'
       table inet mine {
         set ours { type ifname; elements = { "tsrun0", "lan0" } }
         chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; ${rule}; }
       }\nEND`,
    );

  test('that drops is told of, and left alone even in cooperation', () => {
    drops('iifname "lan0" accept');
    for (const firewall of ['warn', 'cooperate'] as const) {
      world.warnings.length = 0;
      world.start([], { firewall });
      expect(world.warnings).toHaveLength(1);
      expect(world.warnings[0]).toContain(
        'nft insert rule inet mine forward iifname tsrun0 accept && nft insert rule inet mine forward oifname tsrun0 accept',
      );
    }
    expect(run(world.host, 'nft list table inet mine')).not.toContain('oifname');
  });

  test.each([
    'iifname "tsrun0" accept; oifname "tsrun0" accept',
    'iifname @ours accept; oifname @ours accept',
    'iifname { "tsrun0", "x" } accept; oifname { "tsrun0", "y" } accept',
  ])('that names the bridge is no reason to warn: %s', (rule) => {
    drops(rule);
    expect(traffic(world.start(['8080:80']))).toEqual({ out: true, in: true });
    expect(world.warnings).toEqual([]);
  });

  test('the command of the warning helps', () => {
    drops('iifname "lan0" accept');
    const container = world.start(['8080:80']);
    expect(traffic(container, 300)).toEqual({ out: false, in: false });
    run(world.host, /allow them: (.*)$/.exec(world.warnings[0] ?? '')?.[1] ?? 'false');
    expect(traffic(container)).toEqual({ out: true, in: true });
  });
});

describe.runIf(installed('ufw'))('ufw', () => {
  beforeEach(() => {
    // Its settings are files: a copy takes their place meanwhile.
    execFileSync('sh', [
      '-ec',
      'cp -a /etc/ufw /run/ufw.copy; mount -t tmpfs tsrun-test /etc/ufw; cp -a /run/ufw.copy/. /etc/ufw/; rm -r /run/ufw.copy',
    ]);
  });
  afterEach(() => {
    execFileSync('umount', ['/etc/ufw']);
  });

  test('gets route rules', () => {
    run(world.host, 'ufw --force enable');
    goesThrough({
      tool: 'ufw',
      chain: 'FORWARD',
      commands: ['ufw route allow in on tsrun0', 'ufw route allow out on tsrun0'],
      rules: () => run(world.host, "iptables -S; sed '/^# *$/d' /etc/ufw/user.rules"),
    });
  });
});

describe.runIf(installed('firewalld') && installed('dbus-daemon'))('firewalld', () => {
  let directory: string;
  const daemons: ChildProcess[] = [];

  beforeEach(async () => {
    directory = mkdtempSync('/run/tsrun-test-dbus.');
    const bus = join(directory, 'bus');
    const any = ['user="*"', 'own="*"', 'send_type="method_call"', 'send_destination="*"', 'receive_sender="*"'];
    writeFileSync(
      join(directory, 'bus.conf'),
      `<busconfig><type>system</type><listen>unix:path=${bus}</listen><auth>EXTERNAL</auth>
       <policy context="default">${any.map((what) => `<allow ${what}/>`).join('')}</policy></busconfig>`,
    );
    process.env.DBUS_SYSTEM_BUS_ADDRESS = `unix:path=${bus}`;
    daemons.push(
      spawn('dbus-daemon', [`--config-file=${directory}/bus.conf`, '--nofork', '--nopidfile'], { stdio: 'ignore' }),
    );
    await expect.poll(() => existsSync(bus), { timeout: 5000 }).toBe(true);
    daemons.push(
      withNetns(world.host, () => spawn('/usr/sbin/firewalld', ['--nofork', '--nopid'], { stdio: 'ignore' })),
    );
    await expect.poll(() => usable('firewall-cmd --state'), { timeout: 30_000, interval: 200 }).toBe(true);
  });
  afterEach(async () => {
    for (const daemon of daemons.reverse()) {
      daemon.kill();
      while (daemon.exitCode === null && daemon.signalCode === null) await delay(20);
    }
    daemons.length = 0;
    delete process.env.DBUS_SYSTEM_BUS_ADDRESS;
    rmSync(directory, { recursive: true });
  });

  test('gets the bridge in its trusted zone', () => {
    goesThrough({
      tool: 'firewalld',
      chain: 'filter_FORWARD',
      commands: ['firewall-cmd --zone=trusted --add-interface=tsrun0'],
      // It keeps the chains of a zone once it has made them.
      rules: () =>
        run(
          world.host,
          'nft list table inet firewalld | grep tsrun0 || true; firewall-cmd --zone=trusted --list-interfaces',
        ),
    });
  });
});
