/** Attacks on the host's side: by local users, by records that were tampered with, by text that wants to drive the terminal. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Host } from './attack-fixture.ts';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const host = new Host();
beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));
afterAll(() => host.remove());

const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];

/** Every name below a directory, without what belongs to containers and images themselves. */
function below(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (!entry.isDirectory() || /\/(upper|work|fs|_data)$/.test(path)) return [path];
    return [path, ...below(path)];
  });
}

test('nothing of the state is readable by others, whatever umask the caller has', async () => {
  const root = join(host.directory, 'state-root');
  const state = join(host.directory, 'state-run');
  const env = { TSRUN_ROOT: root, TSRUN_STATE: state };
  chmodSync(host.directory, 0o755);
  const open = (words: string[]): ReturnType<typeof run> =>
    run('sh', ['-c', 'umask 0; exec "$@"', 'sh', tsrunPath, ...words], { env });
  for (const words of [
    ['pull', '-q', 'busybox'],
    ['run', '-d', '--name', 'mine', '-v', 'data:/data', '-e', 'PASSWORD=1', '-p', '0:80', 'busybox', 'sleep', '1000'],
    ['network', 'create', 'own'],
    ['exec', '-d', 'mine', 'sleep', '1000'],
  ]) {
    expect(await open(words)).toMatchObject({ code: 0 });
  }
  try {
    for (const top of [root, state]) expect([top, (statSync(top).mode & 0o777).toString(8)]).toEqual([top, '700']);
    const listed = spawnSync('setpriv', [...nobody, 'find', root, state], { encoding: 'utf8' });
    expect(listed.stdout.trim().split('\n')).toEqual([root, state]);
    const sockets = below(state).filter((path) => statSync(path).isSocket());
    expect(sockets.length).toBeGreaterThan(0);
    for (const path of sockets) expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
    const loose = [...below(root), ...below(state)].filter((path) => {
      const stats = statSync(path);
      return stats.isFile() && (stats.mode & 0o022) !== 0;
    });
    expect(loose).toEqual([]);
  } finally {
    await open(['rm', '-f', '-v', 'mine']);
    await open(['network', 'rm', 'own']);
  }
});

test('who is not root is no client of a monitor, even with the socket in hand', async () => {
  const id = await tsrunOk([
    'run',
    '-d',
    '-i',
    '--name',
    'talker',
    '--network=none',
    'busybox',
    'sh',
    '-c',
    'read x; echo got $x; sleep 1000',
  ]);
  try {
    const directory = join(inject('state'), 'containers', id);
    const socket =
      readdirSync(directory)
        .map((name) => join(directory, name))
        .find((path) => statSync(path).isSocket()) ?? '';
    const script = `import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(10)
try:
    os.chdir(os.path.dirname(sys.argv[1])); s.connect(os.path.basename(sys.argv[1])); print("connected"); print(repr(s.recv(100)))
except OSError as e: print(type(e).__name__)
`;
    // Its path and its mode would keep nobody out: the capability passes over both, so that the monitor alone is left.
    const passing = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
    const words = [...nobody.slice(0, -1), ...passing, '--', 'python3', '-c', script, socket];
    const { stdout } = spawnSync('setpriv', words, { encoding: 'utf8' });
    expect(stdout).toMatch(/^connected\n(b''|ConnectionResetError)\n$/);
    expect((await tsrun(['logs', 'talker'])).stdout).toBe('');
  } finally {
    await tsrunOk(['rm', '-f', 'talker']);
  }
});

describe('a record that was tampered with is named, and nothing that it says is followed', () => {
  const cases: readonly (readonly [file: string, content: (old: string) => string])[] = [
    ['container.json', () => '{'],
    ['container.json', () => '[]'],
    ['container.json', (old) => old.replace(/"id":"[0-9a-f]{4}/, '"id":"../../')],
    ['container.json', (old) => old.replace(/"layers":\["sha256:[0-9a-f]{64}/, '"layers":["sha256:../../../../etc')],
    ['container.json', (old) => old.replace(/"layers":\[[^\]]*\]/, '"layers":[7]')],
    ['container.json', (old) => old.replace(/"args":\[[^\]]*\]/, '"args":[7]')],
    ['container.json', (old) => old.replace(/"env":\[[^\]]*\]/, '"env":[{"a":1}]')],
    ['container.json', (old) => old.replace(/"mounts":\[\](?=[^"]*\}?$|,"healthcheck")/, '"mounts":[7]')],
    ['start.json', () => '{"pid":"x"}'],
    ['start.json', () => 'null'],
    [
      'start.json',
      () =>
        JSON.stringify({
          pid: 0,
          startTime: '',
          bootId: '',
          monitorPid: 0,
          monitorStartTime: '',
          network: { mode: 'none' },
          cgroup: '/etc',
        }),
    ],
  ];
  test.each(cases)('%s, case %#', async (file, change) => {
    const id = await tsrunOk(['create', '--name', 'tampered', '--network=none', 'busybox', 'true']);
    const path = join(inject('root'), 'containers', id, file);
    let old = '';
    try {
      old = readFileSync(path, 'utf8');
    } catch {
      // Made by the case.
    }
    const changed = change(old);
    expect(changed).not.toBe(old);
    writeFileSync(path, changed);
    const { code, stdout, stderr } = await tsrun(['start', '-a', 'tampered']);
    expect({ code: code !== 0, stdout }).toEqual({ code: true, stdout: '' });
    expect(stderr).toContain(file);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(await tsrun(['rm', '-f', id])).toMatchObject({ code: 0 });
  });

  test('images.json, layer.json, a network, a volume', async () => {
    const root = join(host.directory, 'tampered-root');
    const env = { TSRUN_ROOT: root };
    await tsrunOk(['pull', '-q', 'busybox'], { env });
    await tsrunOk(['volume', 'create', 'data'], { env });
    const images = join(root, 'images.json');
    const good = readFileSync(images, 'utf8');
    const elsewhere = 'sha256:../../../../../../etc/passwd';
    const digests = [/sha256:[0-9a-f]{64}/g, /(?<="manifest": ")sha256:[0-9a-f]{64}/];
    for (const bad of ['{', '[]', ...digests.map((digest) => good.replace(digest, elsewhere))]) {
      expect(bad).not.toBe(good);
      writeFileSync(images, bad);
      const { code, stderr } = await tsrun(['images'], { env });
      expect({ bad, code: code !== 0 }).toEqual({ bad, code: true });
      expect(stderr).toContain('images.json');
      expect(stderr).not.toMatch(/\n\s+at /);
    }
    writeFileSync(images, good);
    const volume = join(root, 'volumes/data/volume.json');
    writeFileSync(volume, '{"version":1,"name":"../../x"}');
    expect((await tsrun(['volume', 'inspect', 'data'], { env })).stderr).toContain('volume.json');
    mkdirSync(join(root, 'networks'), { recursive: true });
    writeFileSync(join(root, 'networks', `${'a'.repeat(64)}.json`), '{"bridge":"../x"}');
    expect((await tsrun(['network', 'ls'], { env })).stderr).toContain('networks/');
  });

  test('a link where a record was is not followed to another container’s', async () => {
    const one = await tsrunOk(['create', '--name', 'link-one', '--network=none', 'busybox', 'true']);
    const two = await tsrunOk(['create', '--name', 'link-two', '--network=none', 'busybox', 'true']);
    const containers = join(inject('root'), 'containers');
    const path = join(containers, one, 'container.json');
    spawnSync('rm', [path]);
    symlinkSync(join(containers, two, 'container.json'), path);
    expect((await tsrun(['start', one])).stderr).toContain('container.json" is no ordinary file');
    await tsrunOk(['rm', '-f', one, two]);
  });
});

test('text of images and containers drives no terminal in lists and messages', async () => {
  const esc = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e';
  const label = `x=${esc}`;
  await tsrunOk(['create', '--name', 'escapes', '--network=none', '-l', label, '-h', 'box', 'busybox', 'echo', esc]);
  try {
    const driving = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;
    for (const words of [
      ['ps', '-a', '--no-trunc'],
      ['ps', '-a', '--format', 'table {{.Command}}\t{{.Labels}}'],
      ['ps', '-a', '--format', 'json'],
      ['inspect', 'escapes'],
      ['history', '--no-trunc', 'busybox'],
      ['images', '--digests'],
      ['info'],
      ['explain', 'run', '--lang=en', '--network=none', '-l', label, 'busybox', 'echo', esc],
      ['rm', esc],
      ['pull', esc],
      ['run', '--rm', '--name', esc, 'busybox', 'true'],
      ['volume', 'inspect', esc],
      ['network', 'inspect', esc],
      ['system', 'df', '-v'],
      ['events', '--since', '1h', '--until', '0s'],
    ]) {
      // On a terminal: into a pipe templates and JSON are as docker prints them.
      const { stdout: shown, stderr } = await tsrun(words, { tty: true, env: { NO_COLOR: '1' } });
      const stdout = shown.replaceAll('\r\n', '\n');
      expect([words.slice(0, 3), driving.exec(stdout)?.index, driving.exec(stderr)?.index]).toEqual([
        words.slice(0, 3),
        undefined,
        undefined,
      ]);
    }
  } finally {
    await tsrunOk(['rm', '-f', 'escapes']);
  }
});

test('TIOCSTI: what a container pushes into its terminal is not typed on the host', async () => {
  const pusher = host.compile(
    'tiocsti',
    '#include <sys/ioctl.h>\n#include <unistd.h>\n#include <stdio.h>\nint main(void) { const char *p = "touch /tmp/typed\\n"; for (int f = 0; f < 3; f++) for (const char *c = p; *c; c++) ioctl(f, TIOCSTI, c); int t = open("/dev/tty", 2); for (const char *c = p; *c; c++) ioctl(t, TIOCSTI, c); return 0; }',
  );
  const words = [
    'run',
    '--rm',
    '-t',
    '--network=none',
    '--cap-add',
    'SYS_ADMIN',
    '-v',
    `${pusher}:/push:ro`,
    'busybox',
    '/push',
  ];
  const script = [tsrunPath, ...words].map((word) => `'${word}'`).join(' ');
  // The shell behind it reads what is typed on the terminal afterwards. The first look may find the end of script's own input.
  const typed = async (command: string): Promise<string> =>
    (
      await run('bash', ['-c', `${command}; for i in 1 2 3; do read -r -t 1 x && echo "TYPED $x"; done; true`], {
        tty: true,
      })
    ).stdout;
  expect(await typed(script)).not.toContain('TYPED');
  // The same without a container, where this kernel knows the call.
  if (await typed(`${pusher}; echo pushed`).then((text) => text.includes('TYPED'))) return;
  expect(readFileSync('/proc/sys/dev/tty/legacy_tiocsti', 'utf8')).toBe('0\n');
});
