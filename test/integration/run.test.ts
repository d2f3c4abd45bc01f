import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

/** Runs a shell command in a busybox container without a network. */
function busybox(
  flags: readonly string[],
  script: string,
  options: Parameters<typeof tsrun>[1] = {},
): ReturnType<typeof tsrun> {
  return tsrun(['run', '--rm', '--network', 'none', ...flags, 'busybox', 'sh', '-c', script], options);
}

let directory: string;
beforeAll(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-run.');
  await tsrunOk(['pull', '-q', 'busybox']);
  await tsrunOk(['pull', '-q', 'debian']);
});
afterAll(() => rmSync(directory, { recursive: true }));

test('debian runs ash by its own name for it, and says so in one line', async () => {
  const result = await tsrun([
    'run',
    '--rm',
    '--network',
    'none',
    'debian',
    'ash',
    '-c',
    'readlink /proc/$$/exe; . /etc/os-release; echo $ID',
  ]);
  expect(result.stdout).toBe('/usr/bin/dash\ndebian\n');
  expect(result.stderr.split('\n')).toEqual([expect.stringMatching(/\/bin\/dash.*ash/), '']);
  expect(result.code).toBe(0);
});

test.each([0, 1, 42, 125, 126, 127, 128, 255])('exit status %i is passed on', async (status) => {
  expect((await busybox([], `exit ${status}`)).code).toBe(status);
});

test('a run that waits does without huge pages, and its command may have them', async () => {
  // `$$` is the outer shell, which becomes tsrun.
  const wait = 'for i in $(seq 100); do grep -q "^THP_enabled:.*0" /proc/$1/status && break; sleep 0.1; done';
  const script = `${wait}; grep THP_enabled /proc/$1/status /proc/self/status`;
  const command = `exec "$0" run --rm --pid host --network none busybox sh -c '${script}' sh $$`;
  const { stdout } = await run('sh', ['-c', command, tsrunPath]);
  expect(stdout).toMatch(/^\/proc\/\d+\/status:THP_enabled:\t0\n\/proc\/self\/status:THP_enabled:\t1\n$/);
});

test('a command that a signal ends exits with 128 and its number', async () => {
  expect((await busybox(['--init'], 'kill -KILL $$')).code).toBe(137);
  expect((await busybox(['--init'], 'kill -TERM $$')).code).toBe(143);
});

test('namespaces, hostname, capabilities, seccomp: the walls as docker builds them', async () => {
  const { stdout } = await busybox(
    ['--hostname', 'box'],
    'hostname; echo $$; ls /proc | grep -c "^[0-9]"; grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status; cat /proc/self/cgroup; ls /sys/class/net',
  );
  const [hostname, pid, processes, ...rest] = stdout.trim().split('\n');
  expect([hostname, pid]).toEqual(['box', '1']);
  expect(Number(processes)).toBeLessThan(5);
  expect(rest.join('\n')).toBe(
    [
      'CapInh:\t0000000000000000',
      'CapPrm:\t00000000a80425fb',
      'CapEff:\t00000000a80425fb',
      'CapBnd:\t00000000a80425fb',
      'CapAmb:\t0000000000000000',
      'NoNewPrivs:\t0',
      'Seccomp:\t2',
      ...rest.filter((line) => /^\d+:(?!:)/.test(line) && !line.startsWith('0::')),
      '0::/',
      'lo',
    ].join('\n'),
  );
});

test('nothing of the host leaks: no descriptor, no environment, no mount', async () => {
  const { stdout } = await busybox(
    [],
    'ls /proc/1/fd; env | cut -d= -f1 | sort | tr "\\n" " "; echo; cut -d" " -f2 /proc/mounts | sort | tr "\\n" " "',
    {
      env: { SECRET_OF_THE_HOST: '1' },
    },
  );
  const [zero, one, two, env, mounts] = stdout.split('\n');
  const fds = [zero, one, two];
  expect(fds).toEqual(['0', '1', '2']);
  expect(
    env
      ?.trim()
      .split(' ')
      .filter((name) => !['PWD', 'SHLVL'].includes(name)),
  ).toEqual(['HOME', 'HOSTNAME', 'PATH']);
  const known = /^\/$|^\/(proc|dev|sys)(\/|$)|^\/etc\/(hosts|hostname|resolv\.conf)$/;
  expect(
    mounts
      ?.trim()
      .split(' ')
      .filter((path) => !known.test(path)),
  ).toEqual([]);
});

test('what tells about the host is hidden, and its settings cannot be changed', async () => {
  const { stdout } = await busybox(
    [],
    'wc -c </proc/timer_list; ls /sys/firmware | wc -l; (echo 1 >/proc/sys/kernel/panic) 2>&1; (echo x >/proc/irq/default_smp_affinity) 2>&1; mkdir /sys/fs/cgroup/x 2>&1; mount -t tmpfs none /mnt 2>&1; true',
  );
  expect(stdout).toContain('0\n0\n');
  expect(stdout).toContain("can't create /proc/sys/kernel/panic: Read-only file system");
  expect(stdout).toContain("can't create /proc/irq/default_smp_affinity: Read-only file system");
  expect(stdout).toContain("can't create directory '/sys/fs/cgroup/x': Read-only file system");
  expect(stdout).toMatch(/mount: .*(Operation not permitted|permission denied)/);
});

test('users by name, number and group, with the groups of the image', async () => {
  expect((await tsrun(['run', '--rm', '--network', 'none', '-u', 'www-data', 'debian', 'id'])).stdout).toBe(
    'uid=33(www-data) gid=33(www-data) groups=33(www-data)\n',
  );
  expect(
    (
      await busybox(
        ['-u', '1234:5678', '--group-add', '99'],
        'id; cat /proc/self/status | grep CapEff; echo hi >/dev/stdout',
      )
    ).stdout,
  ).toBe('uid=1234 gid=5678 groups=99,5678\nCapEff:\t0000000000000000\nhi\n');
  const unknown = await busybox(['-u', 'nosuch'], 'true');
  expect(unknown.code).toBe(125);
  expect(unknown.stderr).toContain('unable to find user nosuch: no matching entries in passwd file');
});

test('capabilities are added, dropped, and all there with --privileged', async () => {
  const sets = async (flags: string[]): Promise<string> =>
    (await busybox(flags, 'grep CapBnd /proc/self/status')).stdout.trim().split('\t')[1] ?? '';
  expect(await sets(['--cap-drop', 'ALL'])).toBe('0000000000000000');
  expect(await sets(['--cap-drop', 'ALL', '--cap-add', 'net_bind_service'])).toBe('0000000000000400');
  expect(await sets(['--cap-add', 'SYS_PTRACE'])).toBe('00000000a80c25fb');
  const own = /CapBnd:\t(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  expect(await sets(['--privileged'])).toBe(own);
});

test('mounts: bind, read-only also below, tmpfs with options, a target that does not exist', async () => {
  const source = join(directory, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'file'), 'from the host\n');
  const shown = await busybox(
    ['-v', `${source}:/data`, '-v', `${source}/file:/made/up/file:ro`, '--tmpfs', '/t:size=1m,mode=700'],
    'cat /data/file /made/up/file; echo new >/data/new; (echo x >/made/up/file) 2>&1; stat -c %a /t; df -k /t | tail -1 | tr -s " " | cut -d" " -f2',
  );
  expect(shown.stdout).toBe(
    "from the host\nfrom the host\nsh: can't create /made/up/file: Read-only file system\n700\n1024\n",
  );
  expect(readFileSync(join(source, 'new'), 'utf8')).toBe('new\n');
  const readOnly = await busybox(['--mount', `type=bind,src=${source},dst=/data,readonly`], '(echo x >/data/y) 2>&1');
  expect(readOnly.stdout).toContain('Read-only file system');
  const missing = await busybox(['--mount', `type=bind,src=${source}/nosuch,dst=/data`], 'true');
  expect(missing).toMatchObject({ code: 125 });
  expect(missing.stderr).toContain('bind source path does not exist');
});

test('--read-only leaves tmpfs and volumes writable', async () => {
  const { stdout } = await busybox(
    ['--read-only', '--tmpfs', '/tmp'],
    '(echo x >/x) 2>&1; echo y >/tmp/y && cat /tmp/y; echo z >/dev/shm/z && cat /dev/shm/z',
  );
  expect(stdout).toBe("sh: can't create /x: Read-only file system\ny\nz\n");
});

test('limits, working directory, environment, sysctl, labels of a run', async () => {
  writeFileSync(join(directory, 'env'), '# comment\nFROM_FILE=1\nBOTH=file\n');
  const flags = [
    '--ulimit',
    'nofile=100:200',
    '-w',
    '/made/by/run',
    '--env-file',
    join(directory, 'env'),
    '-e',
    'BOTH=flag',
    '-e',
    'SPACE=a b',
    '--sysctl',
    'net.ipv4.ip_forward=1',
    '--shm-size',
    '1m',
    '--oom-score-adj',
    '500',
  ];
  const { stdout } = await busybox(
    flags,
    'ulimit -n; ulimit -Hn; pwd; echo $FROM_FILE $BOTH "$SPACE"; cat /proc/sys/net/ipv4/ip_forward; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; cat /proc/self/oom_score_adj',
  );
  expect(stdout).toBe('100\n200\n/made/by/run\n1 flag a b\n1\n1024\n500\n');
});

test('devices: the defaults work, others cannot be opened, --device opens one', async () => {
  const { stdout } = await busybox(
    [],
    'head -c 4 /dev/zero | wc -c; echo x >/dev/null; mknod /tmp/mem c 1 1 && (head -c1 /tmp/mem) 2>&1; ls /dev/pts; ls -l /dev/ptmx | cut -d">" -f2',
  );
  expect(stdout).toBe('4\nhead: /tmp/mem: Operation not permitted\nptmx\n pts/ptmx\n');
  expect(
    (await busybox(['--device', '/dev/full:/dev/other:r'], '(echo x >/dev/other) 2>&1; head -c1 /dev/other | wc -c'))
      .stdout,
  ).toContain('1');
});

test('--init reaps orphans, forwards signals and leaves nothing of the host behind', async () => {
  const { stdout, code } = await busybox(
    ['--init'],
    'echo $$; (sleep 0.1 & ) ; sleep 0.3; cat /proc/1/comm; grep -c Z /proc/[0-9]*/stat | grep -c ":1"; exit 3',
  );
  expect(stdout.split('\n')[0]).not.toBe('1');
  expect(stdout).toContain('tsrun-init');
  expect(code).toBe(3);
});

test('--cidfile holds the id and is never overwritten; names are taken and freed', async () => {
  const cidfile = join(directory, 'cid');
  const first = await tsrun([
    'run',
    '--rm',
    '--network',
    'none',
    '--cidfile',
    cidfile,
    '--name',
    'named',
    'busybox',
    'hostname',
  ]);
  expect(readFileSync(cidfile, 'utf8').startsWith(first.stdout.trim())).toBe(true);
  const again = await tsrun(['run', '--rm', '--network', 'none', '--cidfile', cidfile, 'busybox', 'true']);
  expect(again.code).toBe(125);
  expect((await tsrun(['run', '--rm', '--network', 'none', '--name', 'named', 'busybox', 'true'])).code).toBe(0);
});

test('--pid and --network of another container are shared', async () => {
  await tsrunOk(['run', '-d', '--name', 'first', '--network', 'none', 'busybox', 'sleep', '100']);
  try {
    const shared = await tsrun([
      'run',
      '--rm',
      '--network',
      'container:first',
      '--pid',
      'container:first',
      '--ipc',
      'container:first',
      'busybox',
      'sh',
      '-c',
      'cat /proc/1/cmdline | tr "\\0" " "; readlink /proc/self/ns/net /proc/1/ns/net',
    ]);
    const [command, own, other] = shared.stdout.split(/\n| (?=net)/);
    expect(command).toContain('sleep 100');
    expect(own).toBe(other);
  } finally {
    await tsrunOk(['rm', '-f', 'first']);
  }
});

test('detached: ps, logs, stop, rm tell one story', async () => {
  const id = await tsrunOk([
    'run',
    '-d',
    '--name',
    'story',
    '--network',
    'none',
    'busybox',
    'sh',
    '-c',
    'trap "echo bye; exit 5" TERM; echo out; echo err >&2; while :; do sleep 0.1; done',
  ]);
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  await expect.poll(async () => (await tsrun(['logs', 'story'])).stdout).toBe('out\n');
  expect((await tsrun(['logs', 'story'])).stderr).toBe('err\n');
  expect(await tsrunOk(['ps', '--format', '{{.Names}} {{.Image}} {{.State}}'])).toBe('story busybox running');
  expect((await tsrun(['rm', 'story'])).code).toBe(1);
  expect(await tsrunOk(['stop', 'story'])).toBe('story');
  expect(await tsrunOk(['ps', '-a', '--format', '{{.Names}} {{.Status}}'])).toMatch(/^story Exited \(5\) /);
  expect(await tsrunOk(['logs', '--tail', '1', 'story'])).toBe('bye');
  expect(await tsrunOk(['inspect', '--format', '{{.State.Status}} {{.State.ExitCode}} {{.Id}}', 'story'])).toBe(
    `exited 5 ${id}`,
  );
  expect(await tsrunOk(['rm', 'story'])).toBe('story');
});

test('a container that is started again keeps its files', async () => {
  await tsrunOk(['run', '--name', 'again', '--network', 'none', 'busybox', 'sh', '-c', 'echo line >>/kept; cat /kept']);
  try {
    expect(await tsrunOk(['start', '-a', 'again'])).toBe('line\nline');
    expect(await tsrunOk(['start', '-a', 'again'])).toBe('line\nline\nline');
  } finally {
    await tsrunOk(['rm', 'again']);
  }
});

test('what a run leaves when its command line is killed: nothing, once the container has ended', async () => {
  const { spawn } = await import('node:child_process');
  const { environment, tsrunPath } = await import('./tsrun.ts');
  const child = spawn(tsrunPath, ['run', '--rm', '--name', 'orphan', '--network', 'none', 'busybox', 'sleep', '2'], {
    env: environment(),
    stdio: 'ignore',
  });
  await expect
    .poll(async () => (await tsrun(['ps', '-q', '--filter', 'name=orphan'])).stdout.length, { timeout: 10_000 })
    .toBe(13);
  child.kill('SIGKILL');
  expect((await tsrun(['ps', '--format', '{{.Names}}'])).stdout).toBe('orphan\n');
  await expect.poll(async () => (await tsrun(['ps', '-aq'])).stdout, { timeout: 15_000 }).toBe('');
});

test('a monitor that is killed leaves a container that runs unsupervised, and rm -f clears it all', async () => {
  const id = await tsrunOk(['run', '-d', '--name', 'alone', 'busybox', 'sleep', '100']);
  const start: { monitorPid: number } = JSON.parse(
    readFileSync(join(inject('root'), 'containers', id, 'start.json'), 'utf8'),
  );
  process.kill(start.monitorPid, 'SIGKILL');
  expect(await tsrunOk(['ps', '--format', '{{.Names}} {{.State}}'])).toBe('alone running');
  await tsrunOk(['rm', '-f', 'alone']);
  expect(await tsrunOk(['ps', '-aq'])).toBe('');
});
