/** Attacks on a container's start: by its image, and by a neighbour that shares a volume with it. Known holes of other runtimes. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attack, Host } from './attack-fixture.ts';
import { type FullSpec, OciWorld, removeCgroupParent } from './oci-fixture.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

const host = new Host();
beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));
afterAll(() => host.remove());

test('CVE-2024-21626: a working directory in a descriptor leads nowhere, neither in run nor by a link of the image', async () => {
  const up = `../../../../../../../../..${host.secret}`;
  const links = Array.from({ length: 13 }, (_, index) => `ln -s /proc/self/fd/${index + 3} cwd${index + 3}`).join('; ');
  const image = await host.image('descriptors', links);
  const tries = Array.from({ length: 13 }, (_, index) => {
    const fd = index + 3;
    return attack(['-w', fd % 2 === 0 ? `/proc/self/fd/${fd}` : `/cwd${fd}`], `cat ${up}; pwd -P`, image);
  });
  for (const { stdout, stderr } of await Promise.all(tries)) {
    expect(stdout).not.toContain(host.secretText);
    expect(stderr).toMatch(
      /No such file or directory|working directory|does not exist|dangling|cannot|ELOOP|ENOENT|EEXIST/,
    );
  }
});

/** Exchanges two names all the time: every look at `x` finds a directory or a link, and never nothing (man 2 renameat2). */
const exchanger = `#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  if (chdir("/vol") || mkdir("x", 0755) || symlink("/tmp", "y") || mknod("ready", 0100644, 0)) return 1;
  for (;;) syscall(SYS_renameat2, -100, "x", -100, "y", 2);
}
`;

test('CVE-2021-30465: a neighbour exchanges the mount target for a link all the time, and the mount is in the container', async () => {
  const bound = join(host.directory, 'bound');
  mkdirSync(bound);
  writeFileSync(join(bound, 'marker'), 'bound');
  const program = host.compile('exchanger', exchanger);
  const neighbour = ['--name', 'exchanger', '--network=none', '-v', 'swapped:/vol', '-v', `${program}:/exchanger:ro`];
  await tsrunOk(['run', '-d', ...neighbour, 'busybox', '/exchanger']);
  try {
    await expect.poll(async () => (await tsrun(['exec', 'exchanger', 'ls', '/vol/ready'])).code).toBe(0);
    const before = readFileSync('/proc/self/mountinfo', 'utf8');
    // At the directory, or where the link leads in the container: what looked the name up twice would mount at the host's /tmp
    // in every second start.
    const script =
      'grep -c "/bound /" /proc/self/mountinfo; for i in $(seq 100); do cat /vol/x/marker /tmp/marker 2>/dev/null && break; done; exit 0';
    for (let round = 0; round < 10; round++) {
      const { stdout, stderr } = await attack(['-v', 'swapped:/vol', '-v', `${bound}:/vol/x`], script);
      expect({ stdout: stdout.replace(/(bound)+$/, 'bound'), stderr }).toEqual({ stdout: '1\nbound', stderr: '' });
    }
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
    expect(readFileSync(join(bound, 'marker'), 'utf8')).toBe('bound');
  } finally {
    await tsrunOk(['rm', '-f', 'exchanger']);
    await tsrunOk(['volume', 'rm', 'swapped']);
  }
});

test.each(['proc', 'sys'])(
  'CVE-2023-27561, CVE-2023-28642: an image whose /%s is a link does not start',
  async (name) => {
    const image = await host.image(`linked-${name}`, `rm -rf ${name}; mkdir -p vol/${name}; ln -s vol/${name} ${name}`);
    const { code, stdout, stderr } = await attack(['-v', 'link-vol:/vol'], 'echo started', image);
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr).toContain(`"/${name}" is a symlink in the image`);
    await tsrunOk(['volume', 'rm', 'link-vol']);
  },
);

test('CVE-2025-31133: masks come from the null device of the host, whatever lies at /dev/null of the container', async () => {
  const dev = join(host.directory, 'dev');
  mkdirSync(dev);
  symlinkSync('/proc/sys/kernel/core_pattern', join(dev, 'null'));
  mkdirSync(join(dev, 'pts'));
  mkdirSync(join(dev, 'shm'));
  const script =
    'wc -c </proc/timer_list; stat -c %t:%T /proc/timer_list; grep -c core_pattern /proc/self/mountinfo; (echo x >/proc/sys/kernel/core_pattern) 2>&1; (echo x >/dev/null) 2>&1; true';
  const { stdout } = await attack(['-v', `${dev}:/dev`], script);
  expect(stdout.split('\n').slice(0, 3)).toEqual(['0', '1:3', '0']);
  expect(stdout.match(/Read-only file system/g)).toHaveLength(2);
});

test('a neighbour lays a link into /proc/self/fd where /dev/null is: stdin is no descriptor of the host', async () => {
  const attacks = Array.from({ length: 16 }, async (_, index) => {
    const dev = join(host.directory, `null-dev-${index}`);
    mkdirSync(join(dev, 'pts'), { recursive: true });
    mkdirSync(join(dev, 'shm'));
    symlinkSync(`/proc/self/fd/${index + 3}`, join(dev, 'null'));
    return attack(
      ['-v', `${dev}:/dev`],
      `ls -d /proc/self/fd/0/ && cat /proc/self/fd/0/../../../../../../..${host.secret}`,
    );
  });
  for (const { code, stdout, stderr } of await Promise.all(attacks)) {
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr).toContain('/dev/null of the container is a link into /proc');
  }
});

/** A directory for /dev whose terminals are links into proc, where the known attack has sysrq-trigger; its multiplexer works, with a devpts at /dev/pts/pts. */
function hostileDev(name: string): string {
  const dev = join(host.directory, name);
  mkdirSync(join(dev, 'pts/pts'), { recursive: true });
  mkdirSync(join(dev, 'shm'));
  for (let number = 0; number < 8; number++) symlinkSync('/proc/uptime', join(dev, `pts/${number}`));
  execFileSync('mknod', [join(dev, 'pts/ptmx'), 'c', '5', '2']);
  symlinkSync('pts/ptmx', join(dev, 'ptmx'));
  return dev;
}

function useDev(spec: FullSpec, dev: string): void {
  spec.process.terminal = true;
  spec.mounts = spec.mounts.filter(({ destination }) => destination !== '/dev');
  for (const mount of spec.mounts) if (mount.type === 'devpts') mount.destination = '/dev/pts/pts';
  spec.mounts.unshift({ destination: '/dev', source: dev, type: 'bind', options: ['rbind', 'rw'] });
  spec.linux.readonlyPaths = ['/proc/sys', '/proc/uptime'];
}

/** What lies on /dev/console and on the files of proc, and the major number of the device. */
const lookAtConsole =
  'grep -oE " (/dev/console|/proc/uptime) .*" /proc/self/mountinfo | sed "s/ shared.*- / - /"; stat -c %t /dev/console';

test('CVE-2025-52565: /dev/console is the own terminal, whatever a bundle has where terminals have their names', async () => {
  const world = await OciWorld.make();
  const dev = hostileDev('console-dev');
  const bundle = world.bundle('console', lookAtConsole, (spec) => useDev(spec, dev));
  const start = async (id: string) => {
    const result = await world.withConsole(['create', '--bundle', bundle], [id]);
    await world.delete(id);
    return result;
  };
  try {
    const { stdout, stderr } = await start('names');
    expect(stderr).toBe('');
    const lines = stdout.split('\r\n');
    expect(lines, stdout).toHaveLength(4);
    expect(lines[0]).toMatch(/^ \/dev\/console rw\S* - devpts /);
    expect(lines[1]).toMatch(/^ \/proc\/uptime ro\S* - proc /);
    expect(lines[2]).toBe('88');

    // A link where the console belongs would lead the terminal over a file of proc.
    rmSync(join(dev, 'console'));
    symlinkSync('/proc/uptime', join(dev, 'console'));
    expect((await start('link')).stderr).toMatch(/\/dev\/console\W+ is a symlink in the image/);

    // And one that comes and goes.
    const swap = 'while :; do ln -s /proc/uptime l; mv -T l console; : >f; mv -T f console; done';
    const neighbour = spawn('sh', ['-c', swap], { cwd: dev, stdio: 'ignore' });
    try {
      for (let round = 0; round < 5; round++) {
        const raced = await start(`race${round}`);
        if (raced.code !== 0) expect(raced.stderr).toMatch(/\/dev\/console\W+ is a symlink/);
        const shown = raced.stdout.split('\r\n').filter((line) => line.startsWith(' /dev/console'));
        // The mount goes with its file when that is replaced on the host.
        for (const line of shown) expect(line).toMatch(/ devpts /);
        expect(raced.stdout).not.toMatch(/^ \/proc\/uptime \S+ - devpts/m);
      }
    } finally {
      neighbour.kill('SIGKILL');
    }
  } finally {
    await world.dispose();
    removeCgroupParent();
  }
});

test('CVE-2025-52881: settings are written into proc itself, not into what is mounted over it', async () => {
  const fake = join(host.directory, 'fake-sys');
  mkdirSync(join(fake, 'net/ipv4'), { recursive: true });
  for (const name of ['ip_unprivileged_port_start', 'ping_group_range', 'ip_forward']) {
    writeFileSync(join(fake, 'net/ipv4', name), 'untouched');
  }
  const { code, stderr } = await attack(['--sysctl', 'net.ipv4.ip_forward=1', '-v', `${fake}:/proc/sys`], 'true');
  expect(code).toBe(125);
  expect(stderr).toMatch(/EXDEV|cannot be mounted/);
  for (const name of ['ip_unprivileged_port_start', 'ping_group_range', 'ip_forward']) {
    expect(readFileSync(join(fake, 'net/ipv4', name), 'utf8')).toBe('untouched');
  }
});

test('CVE-2022-0811: a sysctl has one name and one value, and belongs to a namespace', async () => {
  const core = '/proc/sys/kernel/core_pattern';
  const before = readFileSync(core, 'utf8');
  for (const sysctl of [
    'kernel.core_pattern=|/bin/x',
    'kernel.shm_rmid_forced=1+kernel.core_pattern=x',
    'net/../kernel/core_pattern=x',
    'net.ipv4/../../kernel/core_pattern=x',
    'net.ipv4.ip_forward=1\nkernel.core_pattern=x',
  ]) {
    const { code, stdout } = await attack(['--sysctl', sysctl], 'echo started; cat /proc/sys/net/ipv4/ip_forward');
    if (code === 0) expect(stdout).toBe('started\n1\n');
    else expect({ sysctl, code, stdout }).toEqual({ sysctl, code: 125, stdout: '' });
  }
  expect(readFileSync(core, 'utf8')).toBe(before);
});

test('CVE-2022-0811: no setting of a namespace that is shared with the machine, and none by a detour', async () => {
  const path = '/proc/sys/net/ipv4/ip_default_ttl';
  const [ttl, core] = [readFileSync(path, 'utf8'), readFileSync('/proc/sys/kernel/core_pattern', 'utf8')];
  const shared: readonly (readonly [flags: string[], sysctl: string])[] = [
    [['--network=host'], 'net.ipv4.ip_default_ttl=7'],
    [['--ipc=host'], 'kernel.shm_rmid_forced=1'],
    [['--ipc=host'], 'fs.mqueue.queues_max=7'],
  ];
  for (const [flags, sysctl] of shared) {
    const words = ['run', '--rm', ...(flags.includes('--network=host') ? [] : ['--network=none']), ...flags];
    const { code, stdout, stderr } = await tsrun([...words, '--sysctl', sysctl, 'busybox', 'echo', 'started']);
    expect({ sysctl, code, stdout }).toEqual({ sysctl, code: 125, stdout: '' });
    expect(stderr).toMatch(/not allowed in (host network namespace|the hosts ipc namespace)/);
  }
  const world = await OciWorld.make();
  try {
    const detours: readonly (readonly [name: string, path: string | undefined])[] = [
      ['net/../kernel/core_pattern', undefined],
      ['net.ipv4/../../kernel/core_pattern', undefined],
      ['net/ipv4/ip_default_ttl', '/proc/self/ns/net'],
    ];
    for (const [name, joined] of detours) {
      const { code, stdout, stderr } = await world.run('detour', 'echo started', (spec) => {
        spec.linux.sysctl = { [name]: '7' };
        const network = spec.linux.namespaces.find(({ type }) => type === 'network');
        if (network !== undefined && joined !== undefined) network.path = joined;
      });
      expect({ name, code: code > 0, stdout }).toEqual({ name, code: true, stdout: '' });
      expect(stderr).toMatch(/separate kernel namespace|host network namespace/);
    }
  } finally {
    await world.dispose();
    removeCgroupParent();
  }
  expect([readFileSync(path, 'utf8'), readFileSync('/proc/sys/kernel/core_pattern', 'utf8')]).toEqual([ttl, core]);
});

test('links of an image on the way to mounts, files and the working directory stay inside', async () => {
  const victim = join(host.directory, 'victim');
  mkdirSync(victim);
  const up = '../../../../../../../../..';
  const image = await host.image(
    'links',
    `rm -rf etc; ln -s ${up}${victim} etc; ln -s ${up}${victim} data; ln -s ${victim} abs; ln -s ${up}${victim}/wd wd`,
  );
  const flags = ['-v', `${host.directory}:/data/inner`, '-v', `${host.secret}:/abs/file`, '-w', '/wd/deep'];
  await attack(flags, 'echo hi >/etc/x; true', image);
  expect(() => statSync(join(victim, 'hosts'))).toThrow('ENOENT');
  for (const name of ['inner', 'file', 'wd', 'x']) expect(() => statSync(join(victim, name))).toThrow('ENOENT');
});
