/** `--userns`: root in the container is nobody outside, and everything else goes on as without. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { rangeAt } from '../../src/container/userns.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

const first = rangeAt(0)?.uid ?? 0;
const directory = mkdtempSync('/var/tmp/tsrun-userns.');
beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));
afterAll(() => rmSync(directory, { recursive: true }));

const sh = (flags: readonly string[], script: string): ReturnType<typeof tsrun> =>
  tsrun(['run', '--rm', '--network=none', '--userns=auto', ...flags, 'busybox', 'sh', '-c', script]);

test('root in the container is nobody outside, and its files are its own inside', async () => {
  const { stdout, stderr, code } = await sh(
    [],
    'id -u; cat /proc/self/uid_map | tr -s " "; stat -c "%u:%g %n" / /bin/busybox /etc/hosts /dev /dev/null /dev/pts /tmp /dev/shm; touch /new && stat -c %u /new; chown 1000:1000 /new && stat -c %u:%g /new; echo x >/dev/stdout; echo y >>/etc/hosts && tail -1 /etc/hosts',
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    '0',
    ` 0 ${first} 65536`,
    ...['0:0 /', '0:0 /bin/busybox', '0:0 /etc/hosts', '0:0 /dev', '0:0 /dev/null'],
    expect.stringMatching(/^\d+:\d+ \/dev\/pts$/),
    ...['0:0 /tmp', '0:0 /dev/shm', '0', '1000:1000', 'x', 'y', ''],
  ]);
});

test('the walls are those of a container without, and more', async () => {
  const script =
    'grep -E "^(CapEff|Seccomp):" /proc/self/status; echo 1 >/proc/sys/kernel/panic; mknod /tmp/null c 1 3; cat /proc/timer_list | wc -c; ls /proc/1/fd >/tmp/fds & wait; tr "\\n" " " </tmp/fds; hostname; kill -0 1 && echo own; cat /proc/sys/net/ipv4/ping_group_range';
  const { stdout, stderr } = await sh(['-h', 'box'], script);
  expect(stdout.split('\n').slice(0, 6)).toEqual([
    'CapEff:\t00000000a80425fb',
    'Seccomp:\t2',
    '0',
    '0 1 2 box',
    'own',
    '0\t65535',
  ]);
  expect(stderr).toContain('Read-only file system');
  expect(stderr).toContain('mknod: /tmp/null: Operation not permitted');
});

test('with all capabilities it rules its own namespaces, and nothing of the machine', async () => {
  const { stdout, stderr } = await sh(
    ['--cap-add', 'ALL'],
    'mkdir -p /mnt; mount -t tmpfs none /mnt && echo mounted; hostname other && hostname; umount /proc/timer_list || echo locked; mount -o remount,rw,bind /proc/sys 2>&1 | grep -o "permission denied\\|Operation not permitted"; (echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo not of the machine; ip link set lo down && echo own network',
  );
  expect(stdout.split('\n').filter(Boolean)).toEqual(
    expect.arrayContaining(['mounted', 'other', 'locked', 'not of the machine']),
  );
  expect(stderr).not.toContain('panic');
});

test('what it writes is on the disk as it is inside: commit, diff, export and another start see no difference', async () => {
  await tsrunOk([
    'run',
    '--name',
    'mapped',
    '--network=none',
    '--userns=auto',
    'busybox',
    'sh',
    '-c',
    'echo a >/a; chown 7:8 /a; rm -f /etc/group',
  ]);
  const id = await tsrunOk(['inspect', '--format', '{{.Id}} {{.HostConfig.UsernsMode}}', 'mapped']);
  expect(id).toMatch(/ auto$/);
  const upper = join(inject('root'), 'containers', id.split(' ')[0] ?? '', 'upper');
  expect([statSync(upper).uid, statSync(join(upper, 'a')).uid, statSync(join(upper, 'a')).gid]).toEqual([0, 7, 8]);
  expect((await tsrunOk(['diff', 'mapped'])).split('\n').sort()).toEqual(['A /a', 'C /etc', 'D /etc/group']);
  await tsrunOk(['commit', 'mapped', 'mapped-image']);
  expect((await tsrun(['run', '--rm', '--network=none', 'mapped-image', 'stat', '-c', '%u:%g', '/a'])).stdout).toBe(
    '7:8\n',
  );
  expect((await tsrun(['start', '-a', 'mapped'])).code).toBe(0);
  await tsrunOk(['rm', 'mapped']);
  await tsrunOk(['rmi', 'mapped-image']);
});

test('a running one: exec, cp both ways, logs, top, stats, health, restart, a network', async () => {
  const flags = ['--health-cmd', 'test "$(id -u)" = 0 && test -e /up', '--health-interval=200ms', '-p', '0:80'];
  const script =
    'trap "exit 0" TERM; touch /up; mkdir /www; echo hello >/www/index.html; httpd -h /www; echo started; while :; do sleep 0.1; done';
  await tsrunOk(['run', '-d', '--name', 'up', '--userns=auto', ...flags, 'busybox', 'sh', '-c', script]);
  try {
    await expect.poll(async () => (await tsrun(['logs', 'up'])).stdout).toBe('started\n');
    const exec = await tsrun([
      'exec',
      '-u',
      '1000:1000',
      'up',
      'sh',
      '-c',
      'id -u; tail -n +2 /proc/self/uid_map | wc -l; grep CapEff /proc/self/status; echo >/dev/stdout',
    ]);
    expect(exec).toMatchObject({ stdout: '1000\n0\nCapEff:\t0000000000000000\n\n', stderr: '', code: 0 });
    expect((await tsrun(['exec', '-t', 'up', 'stat', '-c', '%u:%g', '/dev/console', '/up'])).stdout).toContain('0:0');
    const port = (await tsrunOk(['port', 'up', '80/tcp'])).split('\n')[0]?.split(':').at(-1);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hello\n');

    writeFileSync(join(directory, 'in'), 'in\n');
    await tsrunOk(['cp', join(directory, 'in'), 'up:/in']);
    await tsrunOk(['exec', 'up', 'chown', '5:6', '/up']);
    expect((await tsrun(['exec', 'up', 'stat', '-c', '%u:%g', '/in'])).stdout).toBe('0:0\n');
    await tsrunOk(['cp', '-a', 'up:/up', join(directory, 'out')]);
    const out = statSync(join(directory, 'out'));
    expect([out.uid, out.gid]).toEqual([5, 6]);
    execFileSync('sh', ['-c', `mkdir d && chown 3:4 d && tar cf d.tar d`], { cwd: directory });
    await tsrunOk(['cp', '-', 'up:/'], { stdin: readFileSync(join(directory, 'd.tar')) });
    expect((await tsrun(['exec', 'up', 'stat', '-c', '%u:%g', '/d'])).stdout).toBe('3:4\n');
    const listed = (await tsrun(['cp', 'up:/d', '-'])).stdout;
    expect(listed.slice(108, 115)).toBe('0000003');

    expect((await tsrunOk(['top', 'up'])).split('\n')[1]).toMatch(/^\S/);
    expect(await tsrunOk(['stats', '--no-stream', '--format', '{{.PIDs}}', 'up'])).toMatch(/^\d+$/);
    await expect
      .poll(async () => tsrunOk(['inspect', '--format', '{{.State.Health.Status}}', 'up']), { timeout: 20_000 })
      .toBe('healthy');
    await tsrunOk(['restart', '-t', '5', 'up']);
    expect((await tsrun(['exec', 'up', 'stat', '-c', '%u:%g', '/up'])).stdout).toBe('5:6\n');
  } finally {
    await tsrunOk(['rm', '-f', 'up']);
  }
});

test('the monitor starts it again in the same namespace; each container has a range of its own', async () => {
  const show =
    'head -1 /proc/self/uid_map | tr -s " " | cut -d" " -f3; sleep 0.2; [ $(grep -c x /n 2>/dev/null || echo 0) -lt 2 ] || exec sleep 1000; echo x >>/n; exit 1';
  for (const name of ['one', 'two']) {
    await tsrunOk([
      'run',
      '-d',
      '--name',
      name,
      '--network=none',
      '--userns=auto',
      '--restart=on-failure',
      'busybox',
      'sh',
      '-c',
      show,
    ]);
  }
  const bases = async (name: string): Promise<string[]> => (await tsrun(['logs', name])).stdout.trim().split('\n');
  await expect.poll(async () => (await bases('one')).length, { timeout: 20_000 }).toBe(3);
  await expect.poll(async () => (await bases('two')).length, { timeout: 20_000 }).toBe(3);
  const [one, two] = [new Set(await bases('one')), new Set(await bases('two'))];
  expect([one.size, two.size]).toEqual([1, 1]);
  expect([...one][0]).not.toBe([...two][0]);
  await tsrunOk(['rm', '-f', 'one', 'two']);
});

test('volumes are mapped: owners stay; a directory of the host is not, and belongs to nobody', async () => {
  const bound = join(directory, 'bound');
  execFileSync('mkdir', ['-p', bound]);
  writeFileSync(join(bound, 'of-root'), 'x', { mode: 0o600 });
  const script = 'touch /vol/f && chown 9:9 /vol/f; stat -c %u /vol /bound; cat /bound/of-root; touch /bound/new';
  const { stdout, stderr } = await sh(['-v', 'mapped-vol:/vol', '-v', `${bound}:/bound`], script);
  expect(stdout).toBe('0\n65534\n');
  expect(stderr).toContain("can't open '/bound/of-root': Permission denied");
  expect(readdirSync(bound)).toEqual(['of-root']);
  expect(
    (
      await tsrun([
        'run',
        '--rm',
        '--network=none',
        '-v',
        'mapped-vol:/vol',
        'busybox',
        'stat',
        '-c',
        '%u:%g',
        '/vol/f',
      ])
    ).stdout,
  ).toBe('9:9\n');
  await tsrunOk(['volume', 'rm', 'mapped-vol']);
});

test('keep-id: one user is the same on both sides', async () => {
  const bound = join(directory, 'home');
  execFileSync('sh', ['-c', `mkdir ${bound} && chown 1234:1235 ${bound}`]);
  const flags = ['--network=none', '--userns=keep-id', '-v', `${bound}:/home`];
  const env = { SUDO_UID: '1234', SUDO_GID: '1235' };
  const { stdout, stderr } = await tsrun(
    ['run', '--rm', ...flags, 'busybox', 'sh', '-c', 'id -u; id -g; touch /home/mine; stat -c %u /bin'],
    { env },
  );
  expect([stderr, stdout]).toEqual(['', '1234\n1235\n0\n']);
  expect(statSync(join(bound, 'mine')).uid).toBe(1234);
});

test('debian: users, file capabilities and package files are as they were', async () => {
  // An emulated processor takes its time for 160 MB.
  await tsrunOk(['pull', '-q', 'debian'], { timeout: 280_000 });
  const run = await tsrun([
    'run',
    '--rm',
    '--network=none',
    '--userns=auto',
    '-u',
    'www-data',
    'debian',
    'sh',
    '-c',
    'id; ls -ld /root /var/mail | cut -c1-30; cat /etc/shadow',
  ]);
  expect(run.stdout).toContain('uid=33(www-data) gid=33(www-data) groups=33(www-data)');
  expect(run.stderr).toContain('Permission denied');
  const plain = (flags: string[]): ReturnType<typeof tsrun> =>
    tsrun([
      'run',
      '--rm',
      '--network=none',
      ...flags,
      'debian',
      'sh',
      '-c',
      'find / -xdev -printf "%p %U:%G %m %s\\n" | grep -v "^/etc/host\\|^/ \\|^/etc \\|^/proc \\|^/sys " | sort',
    ]);
  const [mapped, host] = [await plain(['--userns=auto']), await plain([])];
  expect(mapped.stdout.length).toBeGreaterThan(1000);
  expect(mapped.stdout).toBe(host.stdout);
});

test('on a terminal it has one of its own', async () => {
  const { stdout } = await tsrun(
    [
      'run',
      '--rm',
      '-t',
      '--network=none',
      '--userns=auto',
      'busybox',
      'sh',
      '-c',
      'tty; stat -c %u:%g /dev/pts/0; echo x >/dev/console',
    ],
    { tty: true },
  );
  expect(stdout.replaceAll('\r', '')).toBe('/dev/pts/0\n0:5\nx\n');
});

test('what cannot be is refused', async () => {
  const refused = await tsrun(['run', '--rm', '--userns=auto', '--privileged', 'busybox', 'true']);
  expect(refused).toMatchObject({ code: 125 });
  expect(refused.stderr).toContain('privileged mode is incompatible with user namespaces');
  const user = await tsrun(['run', '--rm', '--network=none', '--userns=auto', '-u', '70000', 'busybox', 'true']);
  expect(user.code).toBe(125);
  expect(user.stderr).toContain('id 70000 is not in the user namespace of the container');
  expect(existsSync(join(inject('state'), 'userns.lock'))).toBe(true);
});

test('explain tells of it', async () => {
  const text = await tsrunOk(['explain', 'run', '--lang=en', '--userns=auto', 'busybox', 'true']);
  expect(text).toContain('make a user namespace, and a network namespace in it');
  expect(text).toContain('enter the user namespace');
  expect(await tsrunOk(['explain', 'run', '--lang=ru', '--userns=auto', 'busybox', 'true'])).toContain(
    'войти в пространство имён пользователей',
  );
});
