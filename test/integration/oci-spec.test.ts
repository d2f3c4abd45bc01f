/** The parts of an OCI configuration that tsrun's own containers have not: each is looked at from inside the container. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type FullSpec, type OciWorld, ociPath, useOciWorld } from './oci-fixture.ts';
import { run } from './tsrun.ts';

let world: OciWorld;
useOciWorld((made) => {
  world = made;
});

const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

function mapUsers(spec: FullSpec): void {
  spec.linux.namespaces.push({ type: 'user' });
  spec.linux.uidMappings = mapping;
  spec.linux.gidMappings = mapping;
}

test("a user namespace with mappings: root inside is nobody outside, devices are the host's", async () => {
  world.unpack(join(world.directory, 'bundle-users/rootfs'));
  execFileSync('chown', ['-R', '100000:100000', join(world.directory, 'bundle-users/rootfs')]);
  await world.createOk(
    'users',
    'id -u; touch /made; grep CapEff /proc/self/status; echo x >/dev/null && head -c1 /dev/zero | wc -c; exec sleep 1000',
    mapUsers,
  );
  await world.ok(['start', 'users']);
  await expect.poll(() => world.read('users'), { timeout: 10_000 }).toBe('0\nCapEff:\t00000000000004e1\n1\n');
  const { pid } = await world.state('users');
  expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\t100000\t/m);
  expect(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)).toEqual(['0', '100000', '65536']);
  const exec = await world.oci(['exec', 'users', 'sh', '-c', 'id -u; cat /proc/self/uid_map | wc -l']);
  expect(exec.stdout).toBe('0\n1\n');

  // A second container joins its user and network namespaces by path.
  const joined = await world.run('joined', 'id -u; readlink /proc/self/ns/user; readlink /proc/self/ns/net', (spec) => {
    spec.linux.namespaces = spec.linux.namespaces
      .filter(({ type }) => type !== 'network')
      .concat({ type: 'user', path: `/proc/${pid}/ns/user` }, { type: 'network', path: `/proc/${pid}/ns/net` });
    spec.root = { path: join(world.directory, 'bundle-users/rootfs') };
  });
  expect(joined.stdout).toBe(`0\n${readlinkSync(`/proc/${pid}/ns/user`)}\n${readlinkSync(`/proc/${pid}/ns/net`)}\n`);
});

test('pid, ipc and uts namespaces are joined by path', async () => {
  await world.createOk('first', 'exec sleep 1000');
  await world.ok(['start', 'first']);
  const { pid } = await world.state('first');
  const second = await world.run(
    'second',
    'ps | grep -c "[s]leep 1000"; hostname; readlink /proc/self/ns/ipc',
    (spec) => {
      delete spec.hostname;
      const files: Record<string, string> = { pid: 'pid', ipc: 'ipc', uts: 'uts' };
      spec.linux.namespaces = spec.linux.namespaces.map((namespace) => {
        const file = files[namespace.type];
        return file === undefined ? namespace : { ...namespace, path: `/proc/${pid}/ns/${file}` };
      });
    },
  );
  expect(second.stdout).toBe(`1\nbox\n${readlinkSync(`/proc/${pid}/ns/ipc`)}\n`);
});

test('a time namespace has the clocks that were asked for', async () => {
  const { stdout } = await world.run('time', 'cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time', (spec) => {
    spec.linux.namespaces.push({ type: 'time' });
    spec.linux.timeOffsets = { boottime: { secs: 1_000_000 }, monotonic: { secs: 10 } };
  });
  const [uptime, namespace] = stdout.trim().split('\n');
  expect(Number(uptime)).toBeGreaterThanOrEqual(1_000_000);
  expect(namespace).not.toBe(readlinkSync('/proc/self/ns/time'));
});

test('idmapped mounts show other owners, and keep those on the disk', async () => {
  const source = join(world.directory, 'mapped');
  mkdirSync(source);
  writeFileSync(join(source, 'file'), '');
  chownSync(join(source, 'file'), 0, 0);
  const show = (id: string, options: string[], mappings = {}) =>
    world.run(id, 'ls -ln /mnt | tail -n1 | tr -s " " | cut -d" " -f3,4', (spec) => {
      spec.mounts.push({ destination: '/mnt', type: 'bind', source, options, ...mappings });
    });
  expect((await show('plain', ['rbind'])).stdout).toBe('0 0\n');
  const own = [{ containerID: 0, hostID: 5000, size: 1000 }];
  const mapped = await show('mapped', ['rbind', 'idmap'], { uidMappings: own, gidMappings: own });
  expect([mapped.stdout, mapped.stderr]).toEqual(['5000 5000\n', '']);
  expect((await show('unmapped', ['rbind', 'idmap'])).stderr).toMatch(/needs uidMappings and gidMappings/);
});

test('options of mounts: recursive ones, propagation, tmpcopyup, relative sources', async () => {
  const bundle = world.bundle('mounts', '');
  mkdirSync(join(bundle, 'source/below'), { recursive: true });
  mkdirSync(join(bundle, 'rootfs/filled/sub'), { recursive: true });
  writeFileSync(join(bundle, 'rootfs/filled/sub/file'), 'content\n', { mode: 0o640 });
  const { stdout, stderr } = await world.run(
    'mounts',
    [
      'grep " /ro" /proc/self/mountinfo | cut -d" " -f5,6',
      'grep " /shared " /proc/self/mountinfo | cut -d" " -f7 | cut -d: -f1',
      'touch /ro/x 2>/dev/null || echo read-only; touch /ro/below/x 2>/dev/null || echo below too',
      'cat /filled/sub/file; stat -c %a /filled/sub/file; touch /filled/new && echo writable',
      'grep " / / " /proc/self/mountinfo | wc -l',
    ].join('\n'),
    (spec) => {
      spec.mounts.push(
        { destination: '/ro', type: 'bind', source: 'source', options: ['rbind', 'rro', 'rnosuid', 'rnodev'] },
        { destination: '/ro/below', type: 'tmpfs', source: 'tmpfs', options: ['rro', 'nosuid'] },
        { destination: '/shared', type: 'bind', source: 'source', options: ['bind', 'rshared'] },
        { destination: '/filled', type: 'tmpfs', source: 'tmpfs', options: ['mode=755', 'tmpcopyup'] },
      );
      spec.linux.rootfsPropagation = 'slave';
    },
  );
  const lines = stdout.split('\n');
  expect(stderr).toBe('');
  expect(lines[0]).toMatch(/^\/ro ro,nosuid,nodev/);
  expect(lines[1]).toMatch(/^\/ro\/below ro,nosuid/);
  expect(lines.slice(2)).toEqual(['shared', 'read-only', 'below too', 'content', '640', 'writable', '0', '']);
});

/** A kernel without NUMA has no file for it. */
const hasNodes = existsSync('/proc/self/numa_maps');

test('scheduler, priority of disks, memory nodes, personality, domain name, limits, out-of-memory score', async () => {
  const { stdout, stderr } = await world.run(
    'process',
    [
      'cut -d" " -f41 /proc/self/stat', // policy
      'uname -m',
      'cat /proc/sys/kernel/domainname',
      'ulimit -n',
      'cat /proc/self/oom_score_adj',
      'cat /proc/sys/net/ipv4/ip_unprivileged_port_start',
      'umask',
      'ionice',
      'cut -d" " -f2 /proc/self/numa_maps | sort -u',
    ].join('\n'),
    (spec) => {
      spec.process.scheduler = { policy: 'SCHED_BATCH', nice: 5 };
      spec.process.ioPriority = { class: 'IOPRIO_CLASS_BE', priority: 6 };
      spec.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 64, hard: 128 }];
      spec.process.oomScoreAdj = 100;
      spec.process.user.umask = 0o027;
      spec.domainname = 'example';
      spec.linux.personality = { domain: 'LINUX32' };
      spec.linux.memoryPolicy = { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES'] };
      spec.linux.sysctl = { 'net.ipv4.ip_unprivileged_port_start': '7' };
    },
  );
  const machine = process.arch === 'arm64' ? 'armv8l' : 'i686';
  expect([stdout.split('\n'), stderr]).toEqual([
    [
      '3',
      machine,
      'example',
      '64',
      '100',
      '7',
      '0027',
      'best-effort: prio 6',
      ...(hasNodes ? ['bind=static:0'] : []),
      '',
    ],
    '',
  ]);
});

test('an interface of the host becomes that of the container, with its addresses and another name', async () => {
  const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
  ip('link', 'add', 'ts-given', 'type', 'veth', 'peer', 'name', 'ts-kept');
  try {
    for (const address of ['198.51.100.7/24', '2001:db8::7/64']) ip('address', 'add', address, 'dev', 'ts-given');
    const { stdout, stderr } = await world.run(
      'interface',
      'ip -o address show dev eth7; ip link show eth7',
      (spec) => {
        spec.linux.netDevices = { 'ts-given': { name: 'eth7' } };
      },
    );
    expect(stderr).toBe('');
    expect(stdout).toMatch(/inet 198\.51\.100\.7\/24/);
    expect(stdout).toMatch(/inet6 2001:db8::7\/64/);
    expect(stdout).toMatch(/eth7.*UP/);
    const missing = await world.run('no-interface', 'true', (spec) => {
      spec.linux.netDevices = { 'ts-absent': {} };
    });
    expect(missing.stderr).toMatch(/netDevices: the host has no interface .*ts-absent/);
  } finally {
    // The kernel takes the pair away with the container's namespace, a little later or not at all if it never moved.
    execFileSync('sh', ['-c', 'ip link delete ts-kept 2>/dev/null || true']);
  }
});

test('a tmpfs has the mode of the directory that it hides, unless it is told another', async () => {
  const bundle = world.bundle('modes', '');
  for (const name of ['hidden', 'told', 'shown']) {
    mkdirSync(join(bundle, 'rootfs', name), { recursive: true });
    chmodSync(join(bundle, 'rootfs', name), 0o1711);
  }
  const { stdout } = await world.run('modes', 'stat -c %a /hidden /told /fresh /shown/below', (spec) => {
    spec.mounts.push(
      { destination: '/hidden', type: 'tmpfs', source: 'tmpfs', options: ['nosuid'] },
      { destination: '/told', type: 'tmpfs', source: 'tmpfs', options: ['mode=0700'] },
      { destination: '/fresh', type: 'tmpfs', source: 'tmpfs' },
      { destination: '/shown', type: 'tmpfs', source: 'tmpfs' },
      { destination: '/shown/below', type: 'tmpfs', source: 'tmpfs' },
    );
  });
  expect(stdout).toBe('1711\n700\n1777\n1777\n');
});

test('capabilities: five sets, what cannot be raised is told, exec adds to those that are inherited', async () => {
  const show = 'grep ^Cap /proc/self/status | tr -d "\\t\\n"; echo';
  const sets = (spec: FullSpec): void => {
    spec.process.capabilities = {
      bounding: ['CAP_KILL', 'CAP_CHOWN', 'CAP_NET_RAW'],
      effective: ['CAP_KILL'],
      permitted: ['CAP_KILL', 'CAP_CHOWN'],
      inheritable: ['CAP_CHOWN', 'CAP_NET_RAW'],
      ambient: ['CAP_CHOWN', 'CAP_KILL'],
    };
  };
  await world.createOk('capabilities', `${show}; exec sleep 1000`, sets);
  await world.ok(['start', 'capabilities']);
  const expected = (permitted: string, ambient: string): string =>
    `CapInh:0000000000002001CapPrm:${permitted}CapEff:${permitted}CapBnd:0000000000002021CapAmb:${ambient}\n`;
  // Nobody has set effective capabilities aside from root's execve, which gives all that are permitted or bound.
  await expect
    .poll(() => world.read('capabilities'), { timeout: 10_000 })
    .toMatch(/can't raise ambient capability CAP_KILL: .*\n[^\n]*CapAmb:0000000000000001\n$/);
  const exec = await world.oci(['exec', '--cap', 'CAP_NET_RAW', 'capabilities', 'sh', '-c', show]);
  expect(exec.stdout).toBe(expected('0000000000002021', '0000000000002001'));
});

test('devices are opened by the rules that were given', async () => {
  const attempt = (id: string, rules: NonNullable<NonNullable<FullSpec['linux']['resources']>['devices']>) =>
    // Opening it for writing needs no capability, and nothing is written.
    world.run(id, '(: >/dev/kmsg) 2>&1; (: </dev/kmsg) 2>&1; echo x >/dev/null && echo null', (spec) => {
      spec.linux.devices = [{ path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o666 }];
      spec.linux.resources = { devices: [{ allow: false, access: 'rwm' }, ...rules] };
    });
  const denied = "sh: can't create /dev/kmsg: Operation not permitted\n";
  expect((await attempt('without', [])).stdout.startsWith(denied)).toBe(true);
  const { stdout } = await attempt('with', [{ allow: true, type: 'c', major: 1, minor: 11, access: 'w' }]);
  expect(stdout).toBe("sh: can't open /dev/kmsg: Operation not permitted\nnull\n");
});

test('a process that waits for start holds nothing of the host open', async () => {
  await world.createOk('holds', 'true');
  const { pid } = await world.state('holds');
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const output = world.output('holds');
  expect(open.filter((path) => path.startsWith('/') && path !== '/dev/null' && path !== output)).toEqual([]);
});

test('a container without a mount namespace has its root by chroot, and its mounts go with it', async () => {
  const { code, stdout, stderr } = await world.run('shares', 'ls -d /bin /proc/1; echo ran', (spec) => {
    spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type === 'pid');
    delete spec.hostname;
    delete spec.linux.maskedPaths;
    delete spec.linux.readonlyPaths;
    spec.mounts = spec.mounts.filter(({ destination }) => destination === '/proc');
  });
  expect([code, stdout, stderr]).toEqual([0, '/bin\n/proc/1\nran\n', '']);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain('bundle-shares');
  await world.createOk('shares', 'exec sleep 1000', (spec) => {
    spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'mount');
  });
  await world.ok(['start', 'shares']);
  expect((await world.oci(['exec', 'shares', 'true'])).stderr).toMatch(/exec needs a container with a mount namespace/);
});

test('mounts have the order of the configuration; targets behind links, read-only ones that carry others', async () => {
  const bundle = world.bundle('order', '');
  mkdirSync(join(bundle, 'shared'), { recursive: true });
  writeFileSync(join(bundle, 'file'), 'content\n');
  rmSync(join(bundle, 'rootfs/link'), { force: true });
  symlinkSync('../not/there', join(bundle, 'rootfs/link'));
  for (const name of ['one', 'two']) {
    mkdirSync(join(bundle, 'rootfs', name), { recursive: true });
    writeFileSync(join(bundle, 'rootfs', name, 'secret'), '');
  }
  const { stdout, stderr } = await world.run(
    'order',
    'cat /not/there; grep -cE " /(ro|ro/below|dev) ro" /proc/self/mountinfo; touch /ro/x /dev/x 2>&1 | grep -c Read-only; ls /dev/null; ls /one /two | wc -l; stat -c %d / /one /two | uniq | wc -l',
    (spec) => {
      spec.linux.maskedPaths = ['/one', '/two'];
      spec.mounts = spec.mounts.map((mount) =>
        mount.destination === '/dev' ? { ...mount, options: [...(mount.options ?? []), 'ro'] } : mount,
      );
      spec.mounts.push(
        { destination: '/link', type: 'bind', source: 'file', options: ['bind'] },
        { destination: '/ro', type: 'tmpfs', source: 'tmpfs', options: ['ro'] },
        { destination: '/ro/below', type: 'bind', source: 'shared', options: ['bind', 'ro'] },
      );
    },
  );
  expect([stdout, stderr]).toEqual(['content\n3\n2\n/dev/null\n3\n2\n', '']);
  symlinkSync('/tmp', join(bundle, 'rootfs/procfs'));
  const refused = await world.run('order', 'true', (spec) => {
    spec.mounts.push({ destination: '/procfs', type: 'proc', source: 'proc' });
  });
  expect(refused.stderr).toMatch(/proc at \/procfs must be mounted on ordinary directory/);
});

test('a new user namespace without mappings leaves everybody who he is', async () => {
  const { stdout } = await world.run('unmapped', 'cat /proc/self/uid_map; id -u', (spec) => {
    spec.linux.namespaces.push({ type: 'user' });
  });
  expect(stdout.trim().split(/\s+/)).toEqual(['0', '0', expect.stringMatching(/^\d{5,}$/), '0']);
});

test('without a pid namespace of its own a container is killed as a whole', async () => {
  await world.createOk('together', 'sleep 1000 & sleep 1000 & exec sleep 1000', (spec) => {
    spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'pid');
  });
  await world.ok(['start', 'together']);
  const pids = async (): Promise<number[]> => JSON.parse(await world.ok(['ps', '--format', 'json', 'together']));
  await expect.poll(pids, { timeout: 10_000 }).toHaveLength(3);
  const all = await pids();
  await world.ok(['kill', 'together', '0']);
  await world.ok(['kill', 'together', 'KILL']);
  await world.waitFor('together', 'stopped');
  await expect.poll(() => all.filter((pid) => existsSync(`/proc/${pid}/exe`)), { timeout: 10_000 }).toEqual([]);
});

test('a cgroup that has processes already is refused', async () => {
  await world.createOk('one', 'exec sleep 1000');
  const { stderr } = await world.create('two', 'true', (spec) => {
    spec.linux.cgroupsPath = '/tsrun-oci-test/one';
  });
  expect(stderr).toMatch(/container's cgroup is not empty/);
  expect((await world.state('one')).status).toBe('created');
});

test('a container has all processors, whatever its caller is bound to; exec those that were asked for', async () => {
  const look = ['grep', 'Cpus_allowed_list', '/proc/self/status'];
  const bound = (...words: string[]) => run('taskset', ['-c', '0', ociPath, '--root', world.root, ...words]);
  const { stdout: all } = await run('taskset', ['ffffffffffffffff', ...look]);
  const bundle = world.bundle('bound', look.join(' '));
  expect(await bound('run', '--bundle', bundle, 'bound')).toMatchObject({ stdout: all, stderr: '' });
  await world.createOk('cpus', 'exec sleep 1000');
  await world.ok(['start', 'cpus']);
  expect(await bound('exec', 'cpus', ...look)).toMatchObject({ stdout: all, stderr: '' });
  const file = join(world.directory, 'affinity.json');
  writeFileSync(
    file,
    // Without a user it is root.
    JSON.stringify({
      args: look,
      env: ['PATH=/bin'],
      cwd: '/',
      execCPUAffinity: { initial: '0', final: '0' },
    }),
  );
  expect(await world.ok(['exec', '--process', file, 'cpus'])).toBe('Cpus_allowed_list:\t0\n');
});

test('seccomp: actions with arguments, and a listener that answers', async () => {
  const socket = join(world.directory, 'listener');
  // Answers each notification with 77 as the result of the call (struct seccomp_notif and seccomp_notif_resp).
  const script = [
    'import array, fcntl, json, os, select, socket, struct, sys',
    'server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen(1)',
    'print("ready", flush=True)',
    'connection, _ = server.accept()',
    'text, ancillary, _, _ = connection.recvmsg(65536, 64)',
    'fd = array.array("i", ancillary[0][2])[0]',
    'state = json.loads(text); print(state["state"]["id"], state["metadata"], state["fds"], flush=True)',
    'poll = select.poll(); poll.register(fd, select.POLLIN)',
    'while True:',
    '  event = poll.poll()[0][1]',
    '  if event & select.POLLHUP: break',
    '  notification = bytearray(80); fcntl.ioctl(fd, 0xc0502100, notification)',
    '  answer = struct.pack("QqiI", struct.unpack_from("Q", notification)[0], 77, 0, 0)',
    '  fcntl.ioctl(fd, 0xc0182101, bytearray(answer))',
  ].join('\n');
  const answers = spawn('python3', ['-c', script, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  answers.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await expect.poll(() => printed, { timeout: 10_000 }).toBe('ready\n');
  const command = 'id -g; mkdir /refused 2>&1 | grep -c "denied"; chmod 700 /tmp && echo changed; chmod 711 /tmp 2>&1';
  const { stdout, stderr } = await world.run('notify', command, (spec) => {
    spec.linux.seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      listenerPath: socket,
      listenerMetadata: 'meta',
      syscalls: [
        { names: ['getegid', 'getgid'], action: 'SCMP_ACT_NOTIFY' },
        { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
        // By the value of an argument: the mode.
        ...(['chmod', 'fchmodat'] as const).map((name) => ({
          names: [name],
          action: 'SCMP_ACT_ERRNO' as const,
          errnoRet: 16,
          args: [{ index: name === 'chmod' ? 1 : 2, value: 0o711, op: 'SCMP_CMP_EQ' as const }],
        })),
      ],
    };
  });
  expect(stdout).toMatch(/^77\n1\nchanged\nchmod: \/tmp: .*[Rr]esource busy\n$/);
  expect(stderr).toBe('');
  await new Promise((resolve) => (answers.exitCode === null ? answers.once('exit', resolve) : resolve(0)));
  expect(printed).toBe("ready\nnotify meta ['seccompFd']\n");
});

test('what cannot be served is refused with its name', async () => {
  const refusal = async (change: (spec: FullSpec) => void): Promise<string> => {
    const bundle = world.bundle('refused', 'true', change);
    const { code, stderr } = await run(ociPath, ['--root', world.root, 'create', '--bundle', bundle, 'refused']);
    expect(code).toBe(1);
    return stderr;
  };
  expect(await refusal((spec) => Object.assign(spec.linux, { intelRdt: { closID: 'x' } }))).toMatch(/intelRdt/);
  expect(await refusal((spec) => spec.linux.namespaces.push({ type: 'pid' }))).toMatch(/duplicated namespace .*pid/);

  expect(await refusal((spec) => Object.assign(spec.linux, { sysctl: { 'vm.swappiness': '1' } }))).toMatch(
    /sysctl .*vm.swappiness.* is not in a separate kernel namespace/,
  );
  expect(await refusal((spec) => Object.assign(spec.process, { apparmorProfile: 'none-such' }))).toMatch(/apparmor/i);
  expect(await refusal((spec) => Object.assign(spec.linux, { memoryPolicy: { mode: 'MPOL_SOMEHOW' } }))).toMatch(
    /invalid memory policy mode .*MPOL_SOMEHOW/,
  );
});
