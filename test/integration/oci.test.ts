/** tsrun-oci as its callers use it: the life of a container, its files, its errors, its hooks. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findCgroup2 } from '../../src/cgroup/index.ts';
import {
  type FullSpec,
  type OciWorld,
  ociPath,
  removeCgroupParent,
  useOciWorld,
  withDescriptors,
} from './oci-fixture.ts';
import { environment, run } from './tsrun.ts';

let world: OciWorld;
useOciWorld((made) => {
  world = made;
});

test('create leaves the first process waiting, start lets it go, delete takes everything away', async () => {
  const pidFile = join(world.directory, 'pid');
  await world.createOk('life', 'echo started; hostname; exec sleep 1000', undefined, ['--pid-file', pidFile]);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  expect(await world.state('life')).toMatchObject({
    ociVersion: '1.2.0',
    id: 'life',
    pid,
    status: 'created',
    bundle: join(world.directory, 'bundle-life'),
  });
  expect(world.read('life')).toBe('');
  expect(statSync(join(world.root, 'life')).mode & 0o777).toBe(0o700);
  expect(statSync(join(world.root, 'life/state.json')).mode & 0o777).toBe(0o600);

  await world.ok(['start', 'life']);
  await expect.poll(() => world.read('life'), { timeout: 10_000 }).toBe('started\nbox\n');
  expect((await world.state('life')).status).toBe('running');
  expect((await world.oci(['start', 'life'])).stderr).toMatch(/cannot start an already running container/);
  expect((await world.oci(['delete', 'life'])).stderr).toMatch(/not stopped: running/);
  expect(await world.ok(['list', '-q'])).toBe('life\n');

  await world.ok(['kill', 'life', 'KILL']);
  await world.waitFor('life', 'stopped');
  expect((await world.oci(['kill', 'life', 'KILL'])).stderr).toMatch(/container not running/);
  await world.ok(['delete', 'life']);
  expect(existsSync(join(world.root, 'life'))).toBe(false);
  const gone = await world.oci(['state', 'life']);
  expect([gone.code, gone.stderr]).toEqual([1, expect.stringMatching(/container does not exist/)]);
  expect((await world.oci(['delete', '--force', 'life'])).code).toBe(0);
});

test('a create that is killed when its cgroup has just been made is taken away by delete --force', async () => {
  const bundle = world.bundle('killed', 'echo never');
  const cgroup = join(findCgroup2()?.mountPoint ?? '', 'tsrun-oci-test/killed');
  for (let round = 0; round < 3; round++) {
    const child = spawn(ociPath, ['--root', world.root, 'create', '--bundle', bundle, 'killed'], {
      env: environment(),
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    // Without a pause: the moment is short.
    const deadline = performance.now() + 20_000;
    while (!existsSync(cgroup) && performance.now() < deadline);
    child.kill('SIGKILL');
    await ended;
    expect(existsSync(cgroup)).toBe(true);
    await world.ok(['delete', '--force', 'killed']);
    expect(existsSync(cgroup)).toBe(false);
    expect(existsSync(join(world.root, 'killed'))).toBe(false);
  }
});

test('a container that waits can be ended by TERM, and deleted', async () => {
  await world.createOk('waits', 'echo never');
  await world.ok(['kill', 'waits', 'TERM']);
  await world.waitFor('waits', 'stopped');
  await world.ok(['delete', 'waits']);
  await world.createOk('waits', 'echo never');
  await world.ok(['delete', 'waits']);
  expect(world.read('waits')).toBe('');
});

test('the parent of the first process is the subreaper above, and gets its exit status', async () => {
  const bundle = world.bundle('orphan', 'exit 7');
  const script = [
    'import ctypes, os, subprocess, sys',
    'ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)',
    'oci = sys.argv[1:2]',
    `subprocess.run(oci + ["--root", sys.argv[2], "create", "--bundle", sys.argv[3], "--pid-file", sys.argv[4], "orphan"], check=True)`,
    `subprocess.run(oci + ["--root", sys.argv[2], "start", "orphan"], check=True)`,
    'pid = int(open(sys.argv[4]).read())',
    'print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))',
    `subprocess.run(oci + ["--root", sys.argv[2], "delete", "orphan"], check=True)`,
  ].join('\n');
  const pidFile = join(world.directory, 'orphan.pid');
  const result = await run('python3', ['-c', script, ociPath, world.root, bundle, pidFile]);
  expect([result.stdout, result.stderr]).toEqual(['7\n', '']);
});

test('run passes output and exit status on, and leaves nothing', async () => {
  const result = await world.run('once', 'id -u; echo error >&2; cat /proc/1/comm; exit 42');
  expect(result).toMatchObject({ code: 42, stdout: '0\nsh\n', stderr: 'error\n' });
  expect(readdirSync(world.root).filter((name) => !name.startsWith('.'))).toEqual([]);
});

test('the walls: namespaces, capabilities, descriptors, masks, devices', async () => {
  const { stdout } = await world.run(
    'walls',
    [
      'for name in CapEff CapBnd NoNewPrivs; do grep "^$name" /proc/self/status; done',
      'for fd in /proc/$$/fd/*; do [ -e $fd ] && basename $fd; done | tr "\\n" " "; echo',
      'ls /sys/class/net',
      'tail -n1 /proc/self/cgroup',
      'wc -c </proc/interrupts',
      'ls /sys/firmware | wc -l',
      'echo 1 >/proc/sys/kernel/domainname || echo read-only',
      'mknod /dev/disk b 253 0 || echo no mknod',
      'head -c1 /dev/zero | wc -c',
    ].join('\n'),
  );
  expect(stdout.split('\n')).toEqual([
    'CapEff:\t00000000000004e1',
    'CapBnd:\t00000000000004e1',
    'NoNewPrivs:\t1',
    '0 1 2 ',
    'lo',
    '0::/',
    '0',
    '0',
    'read-only',
    'no mknod',
    '1',
    '',
  ]);
});

test('exec: exit status, user, environment, working directory, and a process from a file', async () => {
  await world.createOk('exec', 'exec sleep 1000', (spec) => spec.process.env?.push('B=old'));
  await world.ok(['start', 'exec']);
  const shell = (...flags: string[]) =>
    world.oci(['exec', ...flags, 'exec', 'sh', '-c', 'id -u; pwd; echo $A $B; exit 5']);
  expect(await shell('-u', '5:6', '--cwd', '/tmp', '-e', 'A=b', '-e', 'B=new')).toMatchObject({
    code: 5,
    stdout: '5\n/tmp\nb new\n',
  });
  const missing = await world.oci(['exec', 'exec', 'nope']);
  expect([missing.code, missing.stderr]).toEqual([255, expect.stringMatching(/executable file not found in \$PATH/)]);

  const file = join(world.directory, 'process.json');
  const output = join(world.directory, 'bundle-exec/rootfs/written');
  writeFileSync(
    file,
    JSON.stringify({
      user: { uid: 0, gid: 0, additionalGids: [7] },
      args: ['sh', '-c', 'id -G >/written; exec sleep 1000'],
      env: ['PATH=/bin'],
      cwd: '/',
    }),
  );
  const pidFile = join(world.directory, 'exec.pid');
  await world.detached(['exec', '--process', file, '--detach', '--pid-file', pidFile, 'exec']);
  await expect.poll(() => existsSync(output) && readFileSync(output, 'utf8'), { timeout: 10_000 }).toBe('0 7\n');
  const pids: number[] = JSON.parse(await world.ok(['ps', '--format', 'json', 'exec']));
  expect(pids).toContain(Number(readFileSync(pidFile, 'utf8')));
  expect(pids).toHaveLength(2);
  expect(await world.ok(['ps', 'exec'])).toMatch(/PID[\s\S]*sleep 1000/);
});

test('a terminal goes to the console socket, of create and of exec', async () => {
  const bundle = world.bundle('tty', 'tty; stty size', (spec) => {
    spec.process.terminal = true;
    spec.process.consoleSize = { height: 33, width: 77 };
  });
  const created = await world.withConsole(['create', '--bundle', bundle], ['tty']);
  expect([created.stdout, created.stderr]).toEqual(['/dev/pts/0\r\n33 77\r\n', '']);
  await world.delete('tty');

  await world.createOk('tty2', 'exec sleep 1000');
  await world.ok(['start', 'tty2']);
  const exec = await world.withConsole(['exec', '--detach', '--tty'], ['tty2', 'sh', '-c', 'tty']);
  expect(exec.stdout).toMatch(/^\/dev\/pts\/\d+\r\n$/);
  const refused = await world.create('tty3', 'true', undefined, ['--console-socket', join(world.directory, 'absent')]);
  expect(refused.stderr).toMatch(/cannot use console socket/);
});

test('the environment has each name once and HOME; exec has the personality of the container', async () => {
  const { stdout } = await world.run('env', 'env | grep -E "^(A|HOME)="; cat /hook', (spec) => {
    spec.process.env = ['A=1', 'PATH=/bin', 'HOME=', 'A=2'];
    spec.hooks = { startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'echo "hook $A $HOME" >/hook'] }] };
  });
  expect(stdout.trim().split('\n').sort()).toEqual(['A=2', 'HOME=/root', 'hook 2 /root']);
  await world.createOk('personality', 'exec sleep 1000', (spec) => {
    spec.linux.personality = { domain: 'LINUX32' };
  });
  await world.ok(['start', 'personality']);
  const machine = await world.ok(['exec', 'personality', 'uname', '-m']);
  expect(machine.trim()).toBe(process.arch === 'arm64' ? 'armv8l' : 'i686');
  const plain = await world.ok(['exec', '--tty', 'personality', 'sh', '-c', 'tty >/dev/null && echo terminal']);
  expect(plain).toBe('terminal\n');
});

test('a pidfd goes to the socket that asks for it', async () => {
  const script = [
    'import array, os, select, socket, subprocess, sys',
    'server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen(1); server.settimeout(60)',
    // The container keeps what it is given: not the pipe that this test reads to its end.
    'child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)',
    'connection, _ = server.accept()',
    'fd = array.array("i", connection.recvmsg(64, 64)[1][0][2])[0]',
    'assert child.wait() == 0',
    'print(open(f"/proc/self/fdinfo/{fd}").read().split("Pid:")[1].split()[0])',
  ].join('\n');
  const socket = join(world.directory, 'pidfd');
  const bundle = world.bundle('pidfd', 'true');
  const oci = [ociPath, '--root', world.root, 'create', '--bundle', bundle, '--pidfd-socket', socket, 'pidfd'];
  const received = await run('python3', ['-c', script, socket, ...oci]);
  expect(received.stdout, received.stderr).toBe(`${(await world.state('pidfd')).pid}\n`);
  await world.delete('pidfd');
});

test('descriptors are handed on by --preserve-fds and LISTEN_FDS', async () => {
  const command = 'cat <&3; cat <&4; ls /proc/self/fd | wc -l; echo "$LISTEN_FDS $LISTEN_PID"';
  const bundle = world.bundle('fds', command);
  const oci = [ociPath, '--root', world.root, 'run', '--bundle', bundle];
  const preserved = await withDescriptors(['three\n', 'four\n'], [...oci, '--preserve-fds', '2', 'fds']);
  expect(preserved.stdout).toBe('three\nfour\n6\n \n');
  const listening = await withDescriptors(['three\n', 'four\n'], ['env', 'LISTEN_FDS=2', ...oci, 'fds']);
  expect(listening.stdout).toBe('three\nfour\n6\n2 1\n');
  const missing = await withDescriptors(['three\n'], [...oci, '--preserve-fds', '2', 'fds']);
  expect(missing.stderr).toMatch(/descriptor 4: it is not open/);
});

test('errors go to the log as runc writes them, in the words that callers look for, and leave nothing', async () => {
  const log = join(world.directory, 'log');
  const attempt = async (script: string[], change = {}): Promise<string> => {
    const bundle = world.bundle('fails', '', (spec) => {
      spec.process.args = script;
      Object.assign(spec, change);
    });
    writeFileSync(log, '');
    const result = await world.oci(['--log', log, '--log-format', 'json', 'create', '--bundle', bundle, 'fails']);
    expect(result.code).toBe(1);
    const line = JSON.parse(readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '');
    expect(line).toMatchObject({ level: 'error', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+Z$/) });
    expect(result.stderr).toContain(line.msg);
    return line.msg;
  };
  expect(await attempt(['nope'])).toMatch(/exec: "nope": executable file not found in \$PATH/);
  expect(await attempt(['/nope'])).toMatch(/stat \/nope: no such file or directory/);
  expect(await attempt(['/etc/passwd'])).toMatch(/exec: "\/etc\/passwd": permission denied/);
  expect(await attempt(['true'], { ociVersion: '2.0.0' })).toMatch(/ociVersion "2.0.0" is not supported/);
  expect(await attempt(['true'], { root: { path: 'absent' } })).toMatch(/absent" does not exist/);
  expect(await attempt(['true'], { hostname: 1 })).toMatch(/hostname must be a string, and is 1/);
  expect(readdirSync(world.root).filter((name) => !name.startsWith('.'))).toEqual([]);
  expect((await world.oci(['create', '..'])).stderr).toMatch(/invalid container ID format/);
  expect((await world.oci(['checkpoint', 'x'])).stderr).toMatch(/checkpoint is not supported/);
  expect((await world.oci(['frob'])).stderr).toMatch(/No help topic for 'frob'/);
  expect((await world.oci(['--debug', 'list'])).stderr).toMatch(
    /^time="\S+" level=debug msg="tsrun-oci [\d.]+: --root /,
  );
  const nowhere = await world.oci(['--log', join(world.directory, 'absent/log'), 'list']);
  expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringMatching(/unable to open the log .*ENOENT/)]);
});

test('what execve refuses is told by start, with its errno', async () => {
  const bundle = join(world.directory, 'bundle-noexec');
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  world.unpack(join(bundle, 'rootfs'));
  writeFileSync(join(bundle, 'rootfs/text'), 'no program', { mode: 0o755 });
  await world.createOk('noexec', '', (spec) => {
    spec.process.args = ['/text'];
  });
  const started = await world.oci(['start', 'noexec']);
  expect([started.code, started.stderr]).toEqual([1, expect.stringMatching(/exec \/text: exec format error/)]);
  await world.waitFor('noexec', 'stopped');
});

test('pause, resume, events and update', async () => {
  await world.createOk('still', 'while :; do echo tick; sleep 0.05; done');
  await world.ok(['start', 'still']);
  await world.ok(['pause', 'still']);
  expect((await world.state('still')).status).toBe('paused');
  expect((await world.oci(['exec', 'still', 'true'])).stderr).toMatch(/paused container/);
  const before = world.read('still');
  await world.ok(['resume', 'still']);
  await expect.poll(() => world.read('still').length, { timeout: 10_000 }).toBeGreaterThan(before.length);
  expect((await world.oci(['resume', 'still'])).stderr).toMatch(/not paused/);
  expect(JSON.parse(await world.ok(['events', '--stats', 'still']))).toMatchObject({
    type: 'stats',
    id: 'still',
    data: { cpu: { usage: { total: expect.any(Number) } } },
  });
  const nothing = JSON.stringify({ memory: { limit: 0, swap: 0 }, cpu: { shares: 0, cpus: '' }, pids: null });
  await world.ok(['update', '--resources', '-', 'still'], { stdin: nothing });
});

test('hooks of all kinds run in order, where they belong, with the state on stdin', async () => {
  const log = join(world.directory, 'hooks');
  const hook = (kind: string) => ({
    path: '/bin/sh',
    args: ['sh', '-c', `printf '%s %s ' ${kind} "$(hostname)"; cat; echo`].map((word, index) =>
      index === 2 ? `{ ${word}; } >>${log}` : word,
    ),
    env: ['PATH=/usr/bin:/bin'],
  });
  await world.createOk('hooks', 'echo command; exec sleep 1000', (spec) => {
    const inside = {
      path: '/bin/sh',
      args: ['sh', '-c', 'printf "startContainer %s " $(hostname) >>/hooks; cat >>/hooks; echo >>/hooks'],
      env: ['PATH=/bin'],
    };
    spec.hooks = {
      prestart: [hook('prestart')],
      createRuntime: [hook('createRuntime')],
      createContainer: [hook('createContainer')],
      startContainer: [inside],
      poststart: [hook('poststart')],
      poststop: [hook('poststop')],
    };
    spec.annotations = { purpose: 'test' };
  });
  await world.ok(['start', 'hooks']);
  await world.delete('hooks');
  const parse = (text: string) =>
    text
      .trim()
      .split('\n')
      .map((line) => {
        const [, kind = '', host = '', json = ''] = /^(\S+) (\S+) (.*)$/.exec(line) ?? [];
        const state = JSON.parse(json);
        return [kind, host === 'box' ? 'inside' : 'outside', state.status, state.id, state.annotations?.purpose];
      });
  expect(parse(readFileSync(log, 'utf8'))).toEqual([
    ['prestart', 'outside', 'created', 'hooks', 'test'],
    ['createRuntime', 'outside', 'creating', 'hooks', 'test'],
    ['createContainer', 'inside', 'creating', 'hooks', 'test'],
    ['poststart', 'outside', 'running', 'hooks', 'test'],
    ['poststop', 'outside', 'stopped', 'hooks', 'test'],
  ]);
  const within = readFileSync(join(world.directory, 'bundle-hooks/rootfs/hooks'), 'utf8');
  expect(parse(within)).toEqual([['startContainer', 'inside', 'created', 'hooks', 'test']]);
});

test('relative paths of createContainer hooks lead into the root of the container, those of startContainer hooks to its directory', async () => {
  const mounted = join(world.directory, 'mounted');
  writeFileSync(mounted, 'from the host');
  const hook = (script: string) => [{ path: '/bin/sh', args: ['sh', '-c', script], env: ['PATH=/usr/bin:/bin'] }];
  const { stdout, stderr } = await world.run('relative', 'cat /etc/mounted /work/here', (spec) => {
    spec.process.cwd = '/work';
    spec.hooks = {
      createContainer: hook(`: >./etc/mounted; mount --bind ${mounted} ./etc/mounted`),
      startContainer: hook('pwd >here'),
    };
  });
  expect(stdout, stderr).toBe('from the host/work\n');
  expect(existsSync('/etc/mounted')).toBe(false);
});

test('a hook that fails or takes too long ends the creation, and says what it said', async () => {
  const withHook = (kind: string, script: string) =>
    world.create('hooked', 'true', (spec) => {
      spec.hooks = {
        [kind]: [{ path: '/bin/sh', args: ['sh', '-c', script], timeout: 1, env: ['PATH=/usr/bin:/bin'] }],
      };
    });
  const failed = await withHook('createRuntime', 'echo because; exit 3');
  expect(failed.stderr).toMatch(/createRuntime hook #0: \/bin\/sh: exit status 3, output: because/);
  const slow = await withHook('createContainer', 'exec sleep 60');
  expect(slow.stderr).toMatch(/createContainer hook #0: \/bin\/sh: hook ran past specified timeout of 1s/);
  const inside = await withHook('createContainer', 'echo inside; exit 4');
  expect(inside.stderr).toMatch(/createContainer hook #0: \/bin\/sh: exit status 4, output: inside/);
  expect(existsSync(join(world.root, 'hooked'))).toBe(false);
});

test('a startContainer or poststart hook that fails ends the container', async () => {
  const hook = [{ path: '/bin/sh', args: ['sh', '-c', 'echo because; exit 3'], env: ['PATH=/usr/bin:/bin'] }];
  for (const kind of ['startContainer', 'poststart']) {
    await world.createOk(kind, 'sleep 1000', (spec) => {
      spec.hooks = { [kind]: hook };
    });
    const { code, stderr } = await world.oci(['start', kind]);
    expect(stderr).toContain(`error running ${kind} hook #0: /bin/sh: exit status 3, output: because`);
    expect(code).toBe(1);
    await world.waitFor(kind, 'stopped');
  }
});

test('a startContainer hook, which may be a program of the image, has the walls of the command', async () => {
  const facts =
    'grep -E "^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):" /proc/self/status; cat /proc/self/cgroup; ulimit -n';
  const hook = (script: string) => ({
    startContainer: [{ path: '/bin/sh', args: ['sh', '-c', script], env: ['PATH=/usr/bin:/bin'] }],
  });
  const confined = (script: string, change: (spec: FullSpec) => void) =>
    world.run('confined', script, (spec) => {
      spec.process.user = { uid: 1000, gid: 1000, additionalGids: [7] };
      spec.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 333, hard: 333 }];
      spec.linux.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_KILL_PROCESS' }],
      };
      change(spec);
    });
  const { stdout, stderr } = await confined(`${facts}; echo --; cat /tmp/hook`, (spec) => {
    spec.hooks = hook(`{ ${facts}; } >/tmp/hook`);
  });
  const [command, before] = stdout.split('--\n');
  expect(command, stderr).toContain('Seccomp:\t2');
  expect(before).toBe(command);
  const { code, stderr: refused } = await confined('true', (spec) => {
    spec.hooks = hook('mkdir /tmp/made');
  });
  expect(refused).toMatch(/startContainer hook #0: .*exit status 159: bad system call/);
  expect(code).toBe(1);
});

test('spec, features and the version say what there is', async () => {
  const directory = join(world.directory, 'fresh');
  mkdirSync(directory);
  await world.ok(['spec', '--bundle', directory]);
  expect((await world.oci(['spec', '--bundle', directory])).stderr).toMatch(/exists. Remove it first/);
  world.unpack(join(directory, 'rootfs'));
  const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
  config.process.terminal = false;
  config.process.args = ['cat', '/proc/self/status'];
  config.linux.cgroupsPath = '/tsrun-oci-test/fresh';
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  expect(await world.ok(['run', '--bundle', directory, 'fresh'])).toMatch(/CapEff:\t0000000020000420/);
  expect(JSON.parse(await world.ok(['features'])).linux.namespaces).toContain('time');
  expect(await world.ok(['--version'])).toMatch(/^tsrun-oci version .*\nspec: 1\.2\.0\n/);
  expect(execFileSync(ociPath, ['--help'], { encoding: 'utf8' })).toMatch(/^ {2}create +Create a container$/m);
});

test('--systemd-cgroup, --no-pivot and --no-new-keyring', async () => {
  const bundle = world.bundle(
    'options',
    'cat /proc/self/cgroup; [ -e /proc/1/root/bin/sh ] && echo own root',
    (spec) => {
      spec.linux.cgroupsPath = 'tsrunoci.slice:tsrun:options';
      spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'cgroup');
    },
  );
  const flags = ['run', '--bundle', bundle, '--no-pivot', '--no-new-keyring', 'options'];
  const { stdout, stderr } = await world.oci(['--systemd-cgroup', ...flags]);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^0::\/.*tsrunoci\.slice\/tsrun-options\.scope$/m);
  expect(stdout).toMatch(/own root\n$/);
  removeCgroupParent('tsrunoci.slice');
  const path = await world.oci(['--systemd-cgroup', 'create', '--bundle', world.bundle('path', 'true'), 'path']);
  expect(path.stderr).toMatch(/expected cgroupsPath to be of format/);
  const manager = await world.oci(['--cgroup-manager', 'some', 'list']);
  expect(manager.stderr).toMatch(/invalid --cgroup-manager .*some/);
});

test.each([false, true])(
  '--no-pivot leaves no proc by which another could be mounted without masks (user namespace: %s)',
  async (mapped) => {
    const script = 'unshare -mrpf sh -c "mount -t proc none /proc && echo bare" 2>&1; ls /proc/self/status';
    const bundle = world.bundle('bare', script, (spec) => {
      const capabilities = ['CAP_SETFCAP', 'CAP_SYS_ADMIN', 'CAP_SETUID', 'CAP_SETGID'];
      spec.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
      spec.process.noNewPrivileges = false;
      if (!mapped) return;
      spec.linux.namespaces.push({ type: 'user' });
      spec.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1000 }];
      spec.linux.gidMappings = [{ containerID: 0, hostID: 0, size: 1000 }];
    });
    const { stdout, stderr } = await world.oci(['run', '--bundle', bundle, '--no-pivot', 'bare']);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^mount: permission denied.*\n\/proc\/self\/status\n$/);
  },
);
