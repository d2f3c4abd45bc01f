/**
 * The judges of an OCI runtime: dockerd, containerd and podman run ordinary workloads on tsrun-oci. Each lives in namespaces
 * of its own, with its data in a directory that is thrown away.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { layoutDirectory } from '../../scripts/images/paths.ts';
import { boundControllers, findHierarchies } from '../../src/cgroup/index.ts';
import { ociPath } from './oci-fixture.ts';
import { isInstalled, PeerHome, removePeerCgroups, stopDaemon } from './peer-home.ts';
import type { Result } from './tsrun.ts';

/**
 * Names its terminal. It does not end at once: at the end of a session's leader the kernel hangs up the terminal and drops what its
 * other side has not taken (drivers/tty/pty.c, `pty_flush_buffer`), whichever runtime has started it.
 */
const onTerminal = 'tty; sleep 0.3; exit 5';

/** Here dockerd sends limits only where cgroup v1 has the controllers: cgroup v2 has none. */
const hybrid = ['memory', 'cpu', 'pids'].every((name) => boundControllers(findHierarchies()).has(name));

/** Where podman's network plugins are in Debian. */
const plugins = '/usr/lib/cni';
const hasPlugins = ['bridge', 'portmap', 'firewall', 'tuning', 'host-local'].every((name) =>
  existsSync(join(plugins, name)),
);

let home: PeerHome;
let directory: string;
beforeAll(async () => {
  home = await PeerHome.start();
  directory = home.directory;
  const layout = layoutDirectory('busybox');
  execFileSync('tar', ['-C', layout, '-cf', join(directory, 'busybox.tar'), '.']);
});
afterAll(() => home.stop());

afterEach(() => removePeerCgroups(['tsrun-docker', 'tsrun-containerd', 'tsrun-podman']));

const peer = (command: readonly string[], tty = false): Promise<Result> => home.run(command, tty);
const daemon = (command: readonly string[], ready: readonly string[]) => home.daemon(command, ready);
const stop = stopDaemon;

const sleep = 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done';

test.skipIf(!isInstalled('containerd') || !isInstalled('ctr'))(
  'containerd: run, exec, terminal, volumes, out of memory, metrics, pause, kill (skipped where containerd is not installed)',
  { timeout: 300_000 },
  async () => {
    const data = join(directory, 'containerd');
    mkdirSync(data);
    const address = join(data, 'socket');
    writeFileSync(
      join(data, 'config.toml'),
      `version = 2\nroot = "${data}/root"\nstate = "${data}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${address}"\n`,
    );
    const ctr = (...args: string[]) => ['ctr', '-a', address, '-n', 'tsrun-containerd', ...args];
    const child = await daemon(['containerd', '-c', join(data, 'config.toml')], ctr('version'));
    const image = 'docker.io/library/busybox:latest';
    const imported = await peer(ctr('images', 'import', '--index-name', image, join(directory, 'busybox.tar')));
    expect(imported.code, imported.stderr).toBe(0);
    const runs = (...args: string[]) => ctr('run', '--runc-binary', ociPath, ...args);

    const once = await peer(runs('--rm', image, 'once', 'sh', '-c', 'echo hello; id -u; exit 4'));
    expect(once).toMatchObject({ code: 4, stdout: 'hello\n0\n' });
    const terminal = await peer(runs('--rm', '-t', image, 'terminal', 'sh', '-c', onTerminal), true);
    expect([terminal.code, terminal.stdout]).toEqual([5, expect.stringContaining('/dev/pts/0')]);
    const missing = await peer(runs('--rm', image, 'missing', 'nope'));
    expect(missing.stderr).toMatch(/exec: "nope": executable file not found in \$PATH/);

    const mounted = join(data, 'mounted');
    mkdirSync(mounted);
    const mount = `type=bind,src=${mounted},dst=/v,options=rbind:rw`;
    expect((await peer(runs('--rm', '--mount', mount, image, 'volume', 'touch', '/v/file'))).code).toBe(0);
    expect(existsSync(join(mounted, 'file'))).toBe(true);
    if (hybrid) {
      const full = await peer(runs('--rm', '--memory-limit', '16777216', image, 'full', 'tail', '/dev/zero'));
      expect(full.code, full.stderr).toBe(137);
    }

    const started = await peer(runs('-d', image, 'stays', 'sleep', '1000'));
    expect(started.code, started.stderr).toBe(0);
    const tasks = async (): Promise<string> => (await peer(ctr('task', 'ls'))).stdout;
    expect(await tasks()).toMatch(/stays +\d+ +RUNNING/);
    if (hybrid) expect((await peer(ctr('task', 'metrics', 'stays'))).stdout).toMatch(/memory\.usage_in_bytes +[1-9]/);
    const exec = await peer(ctr('task', 'exec', '--exec-id', 'one', 'stays', 'sh', '-c', 'echo inside; exit 6'));
    expect(exec).toMatchObject({ code: 6, stdout: 'inside\n' });
    expect((await peer(ctr('task', 'pause', 'stays'))).code).toBe(0);
    expect(await tasks()).toMatch(/stays +\d+ +PAUSED/);
    expect((await peer(ctr('task', 'resume', 'stays'))).code).toBe(0);
    expect((await peer(ctr('task', 'ps', 'stays'))).stdout).toMatch(/\d+/);
    expect((await peer(ctr('task', 'kill', '-s', 'KILL', 'stays'))).code).toBe(0);
    await expect.poll(tasks, { timeout: 15_000 }).toMatch(/STOPPED/);
    await peer(ctr('task', 'rm', 'stays'));
    expect((await peer(ctr('container', 'rm', 'stays'))).code).toBe(0);
    await stop(child);
  },
);

test.skipIf(!isInstalled('dockerd'))(
  'dockerd: run, logs, exec, terminal, volumes, ports, stats, restart, kill, health, out of memory, a service of Swarm (skipped where dockerd is not installed)',
  { timeout: 300_000 },
  async () => {
    const data = join(directory, 'docker');
    mkdirSync(data);
    const socket = `unix://${data}/socket`;
    const docker = (...args: string[]) => ['docker', '-H', socket, ...args];
    const child = await daemon(
      [
        ...['dockerd', '--data-root', `${data}/root`, '--exec-root', `${data}/exec`, '--pidfile', `${data}/pid`],
        ...['-H', socket, '--storage-driver', 'overlay2', '--cgroup-parent', '/tsrun-docker'],
        ...['--add-runtime', `tsrun=${ociPath}`, '--default-runtime', 'tsrun', '--log-level', 'warn'],
        ...['--registry-mirror', `http://${inject('registry')}`],
      ],
      docker('info'),
    );
    const rootfs = join(data, 'rootfs.tar');
    const layer = layerOf(layoutDirectory('busybox'));
    execFileSync('sh', ['-c', `gunzip -c '${layer}' >'${rootfs}'`]);
    const env = 'ENV PATH=/bin:/usr/bin';
    expect((await peer(docker('import', '-c', env, '-c', 'CMD ["sh"]', rootfs, 'box'))).code).toBe(0);

    const once = await peer(docker('run', '--rm', 'box', 'sh', '-c', 'echo hello; id -u; exit 4'));
    expect(once, once.stderr).toMatchObject({ code: 4, stdout: 'hello\n0\n' });
    expect((await peer(docker('run', '--rm', 'box', 'nope'))).code).toBe(127);
    expect((await peer(docker('run', '--rm', 'box', '/etc/passwd'))).code).toBe(126);
    const terminal = await peer(docker('run', '--rm', '-it', 'box', 'sh', '-c', onTerminal), true);
    expect([terminal.code, terminal.stdout]).toEqual([5, expect.stringContaining('/dev/pts/0')]);
    const limited = await peer(
      docker(
        ...[
          'run',
          '--rm',
          '--read-only',
          '--tmpfs',
          '/tmp',
          '--cap-drop',
          'ALL',
          '--security-opt',
          'no-new-privileges',
        ],
        ...[
          '--ulimit',
          'nofile=100',
          '--user',
          '5:6',
          '--sysctl',
          'net.ipv4.ip_forward=1',
          '--init',
          'box',
          'sh',
          '-c',
        ],
        'touch /x 2>/dev/null || echo read-only; touch /tmp/x && ulimit -n; id -u; cat /proc/sys/net/ipv4/ip_forward; grep -E "CapEff|NoNew|Seccomp:" /proc/self/status',
      ),
    );
    expect(limited.stdout).toBe('read-only\n100\n5\n1\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n');

    const volume = join(data, 'volume');
    const script = 'echo started; mkdir /www; echo web >/www/index.html; touch /v/file; exec httpd -f -p 80 -h /www';
    const limits = hybrid ? ['--memory', '64m', '--cpus', '0.5', '--pids-limit', '50'] : [];
    const flags = ['-d', '--name', 'web', '-v', `${volume}:/v`, '-p', '127.0.0.1:8123:80', ...limits];
    const health = ['--health-cmd', 'test -e /www', '--health-interval', '1s'];
    const started = await peer(docker('run', ...flags, ...health, 'box', 'sh', '-c', script));
    expect(started.code, started.stderr).toBe(0);
    const logs = async (): Promise<string> => (await peer(docker('logs', 'web'))).stdout;
    await expect.poll(logs, { timeout: 15_000 }).toBe('started\n');
    expect(existsSync(join(volume, 'file'))).toBe(true);
    const fetch = async (): Promise<string> =>
      (await peer(['curl', '-s', '--max-time', '5', 'http://127.0.0.1:8123/'])).stdout;
    await expect.poll(fetch, { timeout: 15_000 }).toBe('web\n');
    if (hybrid) {
      const held = await peer(
        docker('exec', 'web', 'sh', '-c', 'cd /sys/fs/cgroup && cat memory/memory.limit_in_bytes pids/pids.max'),
      );
      expect(held.stdout, held.stderr).toBe('67108864\n50\n');
      const usage = await peer(docker('stats', '--no-stream', '--format', '{{.MemUsage}} {{.PIDs}}', 'web'));
      expect(usage.stdout).toMatch(/^[\d.]+[KM]iB \/ 64MiB [1-9]/);
    }
    const exec = await peer(
      docker('exec', '-u', '1:1', '-w', '/tmp', '-e', 'A=b', 'web', 'sh', '-c', 'id -u; pwd; echo $A; exit 6'),
    );
    expect(exec).toMatchObject({ code: 6, stdout: '1\n/tmp\nb\n' });
    expect((await peer(docker('exec', '-it', 'web', 'tty'), true)).stdout).toMatch(/\/dev\/pts\/\d/);
    const status = async (): Promise<string> => (await peer(docker('ps', '-a', '--format', '{{.Status}}'))).stdout;
    await expect.poll(status, { timeout: 30_000 }).toMatch(/healthy/);
    expect((await peer(docker('pause', 'web'))).code).toBe(0);
    expect(await status()).toMatch(/Paused/);
    expect((await peer(docker('unpause', 'web'))).code).toBe(0);
    expect((await peer(docker('top', 'web'))).stdout).toMatch(/httpd -f -p 80/);
    expect((await peer(docker('restart', '-t', '0', 'web'))).code).toBe(0);
    await expect.poll(fetch, { timeout: 15_000 }).toBe('web\n');
    expect((await peer(docker('kill', 'web'))).code).toBe(0);
    await expect.poll(status, { timeout: 15_000 }).toMatch(/Exited \(137\)/);
    expect((await peer(docker('rm', '-f', 'web'))).code).toBe(0);

    if (hybrid) {
      const full = ['--name', 'full', '--memory', '16m', '--memory-swap', '16m', 'box', 'tail', '/dev/zero'];
      expect((await peer(docker('run', ...full))).code).toBe(137);
      const killed = async () => (await peer(docker('inspect', '-f', '{{.State.OOMKilled}}', 'full'))).stdout;
      await expect.poll(killed, { timeout: 15_000 }).toBe('true\n');
    }
    expect((await peer(docker('run', '-d', '--name', 'again', '--restart', 'on-failure:2', 'box', 'false'))).code).toBe(
      0,
    );
    const again = async () =>
      (await peer(docker('inspect', '-f', '{{.RestartCount}} {{.State.Status}}', 'again'))).stdout;
    await expect.poll(again, { timeout: 30_000 }).toBe('2 exited\n');

    expect((await peer(docker('run', '-d', '--name', 'trap', 'box', 'sh', '-c', sleep))).code).toBe(0);
    await expect.poll(async () => (await peer(docker('logs', 'trap'))).stdout, { timeout: 15_000 }).toBe('started\n');
    expect((await peer(docker('stop', '-t', '20', 'trap'))).code).toBe(0);
    expect(await status()).toMatch(/Exited \(3\)/);
    expect((await peer(docker('rm', 'trap'))).code).toBe(0);

    // A service of Swarm on one node. Its replicas use the network of the host: overlay networks and the routing mesh need
    // modules (vxlan, ip_vs) that machines for tests may lack.
    const swarm = await peer(
      docker('swarm', 'init', '--advertise-addr', '127.0.0.1', '--listen-addr', '127.0.0.1:2377'),
    );
    expect(swarm.code, swarm.stderr).toBe(0);
    const replicas = ['--replicas', '2', '--network', 'host', '--endpoint-mode', 'dnsrr', '--no-resolve-image'];
    const policy = ['--detach', '--restart-delay', '100ms', '--stop-grace-period', '20s'];
    const created = await peer(
      docker('service', 'create', '--name', 'pair', ...replicas, ...policy, 'box', 'sh', '-c', sleep),
    );
    expect(created.code, created.stderr).toBe(0);
    const running = async (): Promise<string[]> => {
      const filters = ['-f', 'label=com.docker.swarm.service.name=pair', '-f', 'status=running'];
      return (await peer(docker('ps', '-q', ...filters))).stdout.trim().split('\n').filter(Boolean).sort();
    };
    await expect.poll(running, { timeout: 60_000, interval: 500 }).toHaveLength(2);
    const [first = '', second = ''] = await running();
    const runtime = await peer(docker('inspect', '--format', '{{.HostConfig.Runtime}}', first));
    expect(runtime.stdout).toBe('tsrun\n');
    // One that is killed is replaced, and the other stays.
    expect((await peer(docker('kill', first))).code).toBe(0);
    const others = async (): Promise<string[]> => (await running()).filter((id) => id !== first);
    await expect.poll(others, { timeout: 60_000, interval: 500 }).toHaveLength(2);
    expect(await others()).toContain(second);
    expect((await peer(docker('service', 'scale', '--detach', 'pair=1'))).code).toBe(0);
    await expect.poll(running, { timeout: 60_000, interval: 500 }).toHaveLength(1);
    expect((await peer(docker('service', 'rm', 'pair'))).code).toBe(0);
    await expect.poll(running, { timeout: 60_000, interval: 500 }).toEqual([]);
    expect((await peer(docker('swarm', 'leave', '--force'))).code).toBe(0);
    await stop(child);
  },
);

/** The one layer of an image with one manifest. */
function layerOf(layout: string): string {
  const blob = (digest: string): string => join(layout, 'blobs/sha256', digest.slice('sha256:'.length));
  const read = (path: string): Record<string, { digest: string }[]> => JSON.parse(readFileSync(path, 'utf8'));
  const manifest = read(blob(read(join(layout, 'index.json')).manifests?.[0]?.digest ?? ''));
  return blob(manifest.layers?.[0]?.digest ?? '');
}

test.skipIf(!isInstalled('podman') || !isInstalled('conmon'))(
  'podman: run, logs, exec, terminal, volumes, ports, user namespaces, health, stats, out of memory, restart, kill (skipped where podman is not installed)',
  { timeout: 300_000 },
  async () => {
    const data = join(directory, 'podman');
    mkdirSync(data);
    writeFileSync(
      join(data, 'containers.conf'),
      `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime_supports_nocgroup = ["tsrun-oci"]\nruntime_supports_json = ["tsrun-oci"]\n[engine.runtimes]\ntsrun-oci = ["${ociPath}"]\n` +
        `[network]\nnetwork_backend = "cni"\ncni_plugin_dirs = ["${plugins}"]\nnetwork_config_dir = "${data}/networks"\n`,
    );
    const podman = (...args: string[]) => [
      ...[
        'env',
        `CONTAINERS_CONF=${data}/containers.conf`,
        'podman',
        '--root',
        `${data}/root`,
        '--runroot',
        `${data}/run`,
      ],
      ...['--tmpdir', `${data}/tmp`, '--runtime', 'tsrun-oci', '--storage-driver', 'overlay', ...args],
    ];
    const layer = layerOf(layoutDirectory('busybox'));
    const env = 'ENV PATH=/bin:/usr/bin';
    const imported = await peer(podman('import', '-q', '-c', env, '-c', 'CMD ["sh"]', layer, 'box'));
    expect(imported.code, imported.stderr).toBe(0);
    const none = ['--network', 'none', '--cgroups', 'disabled'];

    const once = await peer(podman('run', '--rm', ...none, 'box', 'sh', '-c', 'echo hello; id -u; exit 4'));
    expect(once, once.stderr).toMatchObject({ code: 4, stdout: 'hello\n0\n' });
    expect((await peer(podman('run', '--rm', ...none, 'box', 'nope'))).code).toBe(127);
    expect((await peer(podman('run', '--rm', ...none, 'box', '/etc/passwd'))).code).toBe(126);
    const terminal = await peer(podman('run', '--rm', ...none, '-it', 'box', 'sh', '-c', onTerminal), true);
    expect([terminal.code, terminal.stdout]).toEqual([5, expect.stringContaining('/dev/pts/0')]);
    const mapped = await peer(
      podman(
        'run',
        '--rm',
        ...none,
        '--uidmap',
        '0:100000:65536',
        'box',
        'sh',
        '-c',
        'id -u; cat /proc/self/uid_map; touch /x && ls -ln /x',
      ),
    );
    expect(mapped.stdout, mapped.stderr).toMatch(/^0\n +0 +100000 +65536\n-rw-r--r-- +1 0 +0 /);

    if (hybrid) {
      const show = 'cd /sys/fs/cgroup && cat memory/memory.limit_in_bytes pids/pids.max';
      const held = await peer(
        podman(
          ...['run', '--rm', '--network', 'none', '--cgroup-parent', '/tsrun-podman'],
          ...['-m', '64m', '--pids-limit', '50', 'box', 'sh', '-c', show],
        ),
      );
      expect(held.stdout, held.stderr).toBe('67108864\n50\n');
    }

    const volume = join(data, 'volume');
    mkdirSync(volume);
    const script = `touch /v/file; mkdir /www; echo web >/www/index.html; httpd -p 80 -h /www; ${sleep}`;
    // Ports by the plugins of CNI, where they are: this podman's other way is not in Debian 12 without more packages.
    const ports = hasPlugins ? ['--network', 'podman', '-p', '127.0.0.1:8124:80'] : ['--network', 'none'];
    const cgroups = hybrid ? ['--cgroup-parent', '/tsrun-podman', '-m', '64m'] : ['--cgroups', 'disabled'];
    const health = ['--health-cmd', 'test -e /www', '--health-interval', 'disable'];
    const flags = ['-d', '--name', 'stays', ...ports, ...cgroups, ...health, '-v', `${volume}:/v`];
    const started = await peer(podman('run', ...flags, 'box', 'sh', '-c', script));
    expect(started.code, started.stderr).toBe(0);
    await expect.poll(async () => (await peer(podman('logs', 'stays'))).stdout, { timeout: 15_000 }).toBe('started\n');
    expect(existsSync(join(volume, 'file'))).toBe(true);
    if (hasPlugins) {
      const fetch = async () => (await peer(['curl', '-s', '--max-time', '5', 'http://127.0.0.1:8124/'])).stdout;
      await expect.poll(fetch, { timeout: 15_000 }).toBe('web\n');
    }
    expect((await peer(podman('healthcheck', 'run', 'stays'))).code).toBe(0);
    if (hybrid) {
      const usage = await peer(podman('stats', '--no-stream', '--format', '{{.MemUsage}} {{.PIDs}}', 'stays'));
      expect(usage.stdout, usage.stderr).toMatch(/^[\d.]+[kM]B \/ 67\.11MB [1-9]/);
      const full = [
        '--rm',
        '--network',
        'none',
        '--cgroup-parent',
        '/tsrun-podman',
        '-m',
        '16m',
        '--memory-swap',
        '16m',
      ];
      expect((await peer(podman('run', ...full, 'box', 'tail', '/dev/zero'))).code).toBe(137);
    }
    const exec = await peer(
      podman('exec', '-u', '1:1', '-w', '/tmp', '-e', 'A=b', 'stays', 'sh', '-c', 'id -u; pwd; echo $A; exit 6'),
    );
    expect(exec).toMatchObject({ code: 6, stdout: '1\n/tmp\nb\n' });
    expect((await peer(podman('exec', '-it', 'stays', 'tty'), true)).stdout).toMatch(/\/dev\/pts\/\d/);
    const status = async (): Promise<string> => (await peer(podman('ps', '-a', '--format', '{{.Status}}'))).stdout;
    expect((await peer(podman('restart', '-t', '20', 'stays'))).code).toBe(0);
    expect(await status()).toMatch(/^Up/);
    expect((await peer(podman('kill', 'stays'))).code).toBe(0);
    await expect.poll(status, { timeout: 15_000 }).toMatch(/Exited \(137\)/);
    expect((await peer(podman('rm', '-f', 'stays'))).code).toBe(0);
  },
);
