import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Terminal } from './terminal.ts';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));

const quiet = ['--network', 'none'];

describe('lists and inspect agree about two containers', () => {
  let web: string;
  beforeAll(async () => {
    const flags = ['-p', '127.0.0.1:0:80', '--expose', '443', '-l', 'tier=front', '-l', 'esc=\x1b[31m', '-e', 'A=b'];
    web = await tsrunOk(['run', '-d', '--name', 'web', ...flags, 'busybox', 'sh', '-c', 'echo ready; exec sleep 1000']);
    await tsrun(['run', '--name', 'job', ...quiet, 'busybox', 'sh', '-c', 'exit 3']);
  });
  afterAll(() => tsrunOk(['rm', '-f', 'web', 'job']));

  test('ps', async () => {
    const lines = (await tsrunOk(['ps', '-a'])).split('\n');
    expect(lines[0]).toMatch(/^CONTAINER ID {3}IMAGE {5}COMMAND {2,}CREATED {2,}STATUS {2,}PORTS {2,}NAMES$/);
    expect(lines[1]).toMatch(/^[0-9a-f]{12} {3}busybox {3}"sh -c 'exit 3'" .* Exited \(3\) .* ago .* job$/);
    expect(lines[2]).toMatch(
      /^[0-9a-f]{12} {3}busybox {3}"sh -c 'echo ready; …" .* Up .* 443\/tcp, 127\.0\.0\.1:\d+->80\/tcp +web$/,
    );
    expect(lines).toHaveLength(3);
    expect(await tsrunOk(['ps', '-q', '--no-trunc'])).toBe(web);
    expect(await tsrunOk(['container', 'ls', '-aq'])).toMatch(/^[0-9a-f]{12}\n[0-9a-f]{12}$/);
    expect(await tsrunOk(['ps', '-l', '--format', '{{.Names}} {{.State}} {{.Networks}}'])).toBe('job exited none');
    expect(await tsrunOk(['ps', '-a', '--format', 'table {{.Names}}\\t{{.Status}}'])).toMatch(
      /^NAMES {5}STATUS\njob {7}Exited \(3\) .*\nweb {7}Up /,
    );
    expect(await tsrunOk(['ps', '-n', '1', '-q'])).toMatch(/^[0-9a-f]{12}$/);
    const both = await tsrun(['ps', '-n', '1', '-q', '--format', '{{.Names}}']);
    expect(both.stdout).toMatch(/^[0-9a-f]{12}\n$/);
    expect(both.stderr).toContain('WARNING: Ignoring custom format');
    const json = JSON.parse(await tsrunOk(['ps', '--format', 'json']));
    expect(json).toMatchObject({ Names: 'web', State: 'running', Image: 'busybox', LocalVolumes: '0' });
    expect((await tsrunOk(['ps', '-as'])).split('\n')[2]).toMatch(/ 0B \(virtual [\d.]+MB\)$/);
  });

  test.each([
    ['name=^we', 'web'],
    ['status=exited', 'job'],
    ['label=tier=front', 'web'],
    ['ancestor=busybox', 'job\nweb'],
    ['exited=3', 'job'],
    ['network=bridge', 'web'],
    ['expose=443', 'web'],
    ['before=job', 'web'],
    ['name=nope', ''],
  ])('ps -a --filter %s', async (filter, names) => {
    expect(await tsrunOk(['ps', '-a', '--filter', filter, '--format', '{{.Names}}'])).toBe(names);
  });

  test('labels of a container do not drive the terminal', async () => {
    expect(await tsrunOk(['ps', '--format', 'table {{.Labels}}'])).toBe('LABELS\nesc=\\x1b[31m,tier=front');
    // The shell waits: tmux may lose the last words of what ends at once.
    using terminal = new Terminal(['sh', '-c', `"$0" ps --format '{{.Label "esc"}}|'; read x`, tsrunPath]);
    await terminal.waitFor('\\x1b[31m|');
  });

  test('inspect has what scripts read', async () => {
    const [document] = JSON.parse(await tsrunOk(['inspect', 'web']));
    expect(document).toMatchObject({
      Id: web,
      Name: '/web',
      Path: 'sh',
      Args: ['-c', 'echo ready; exec sleep 1000'],
      State: { Status: 'running', Running: true, ExitCode: 0, Error: '', FinishedAt: '0001-01-01T00:00:00Z' },
      Config: { Image: 'busybox', Cmd: ['sh', '-c', 'echo ready; exec sleep 1000'], Entrypoint: null },
      HostConfig: { NetworkMode: 'default', AutoRemove: false },
    });
    expect(readFileSync(`/proc/${document.State.Pid}/cmdline`, 'utf8')).toBe('sleep\x001000\x00');
    expect(document.Config.Env).toContain('A=b');
    const { NetworkSettings } = document;
    expect(NetworkSettings.Ports).toMatchObject({ '443/tcp': null, '80/tcp': [{ HostIp: '127.0.0.1' }] });
    expect(NetworkSettings.Networks.bridge.IPAddress).toBe(NetworkSettings.IPAddress);
    const { stdout } = await tsrun(['inspect', 'web', '--format', '{{.State.Status}} {{.Config.Labels.tier}}']);
    expect(stdout).toBe('running front\n');
    const address = await tsrunOk([
      'inspect',
      '-f',
      '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
      web.slice(0, 6),
    ]);
    expect(address).toBe(NetworkSettings.IPAddress);
  });

  test('inspect of several things, some of which are none', async () => {
    const { stdout, stderr, code } = await tsrun(['inspect', '-f', '{{.Id}}', 'web', 'nope', 'busybox']);
    expect(stdout.split('\n')).toEqual([web, expect.stringMatching(/^sha256:/), '']);
    expect({ stderr, code }).toEqual({ stderr: 'Error: No such object: nope\n', code: 1 });
    expect(JSON.parse((await tsrun(['inspect', '--type', 'container', 'busybox', 'web'])).stdout)).toHaveLength(1);
    expect(JSON.parse(await tsrunOk(['inspect', '--format', 'json', 'job']))[0].State.ExitCode).toBe(3);
  });

  test('an image in use stays; without a tag ps shows its id', async () => {
    const id = await tsrunOk(['images', '-q', 'busybox']);
    const refused = await tsrun(['rmi', id]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('image is being used by running container');
    const untagged = await tsrun(['rmi', '-f', 'busybox']);
    expect(untagged.stdout).toContain('Untagged: busybox:latest\n');
    expect(untagged.stdout).not.toContain('Deleted');
    expect(await tsrunOk(['ps', '--format', '{{.Image}}'])).toBe(id);
    await tsrunOk(['pull', '-q', 'busybox']);
    expect(await tsrunOk(['ps', '--format', '{{.Image}}'])).toBe('busybox');
  });
});

test('images', async () => {
  const lines = (await tsrunOk(['images', 'busybox'])).split('\n');
  expect(lines[0]).toMatch(/^REPOSITORY {3}TAG {7}IMAGE ID {7}CREATED {2,}SIZE$/);
  expect(lines[1]).toMatch(/^busybox {6}latest {4}[0-9a-f]{12} {3}.* ago {3}[\d.]+MB$/);
  const id = await tsrunOk(['image', 'ls', '-q', '--no-trunc', 'busybox']);
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await tsrunOk(['images', '--format', '{{.Repository}}:{{.Tag}}', '--filter', 'reference=busy*'])).toBe(
    'busybox:latest',
  );
  expect((await tsrunOk(['images', '--digests', 'busybox'])).split('\n')[1]).toMatch(/ sha256:[0-9a-f]{64} /);
  const [document] = JSON.parse(await tsrunOk(['image', 'inspect', 'busybox']));
  expect(document).toMatchObject({ Id: id, RepoTags: ['busybox:latest'], Os: 'linux', RootFS: { Type: 'layers' } });
});

test('logs: both streams, tail, times, since and until', async () => {
  const script = 'for i in 1 2 3; do echo out$i; echo err$i >&2; sleep 0.05; done; printf end';
  await tsrun(['run', '--name', 'logged', ...quiet, 'busybox', 'sh', '-c', script]);
  try {
    const all = await tsrun(['logs', 'logged']);
    expect(all).toMatchObject({ code: 0, stdout: 'out1\nout2\nout3\nend', stderr: 'err1\nerr2\nerr3\n' });
    expect((await tsrun(['logs', '--tail', '1', 'logged'])).stdout).toBe('end');
    expect(await tsrun(['logs', '-n', '3', 'logged'])).toMatchObject({ stdout: 'out3\nend', stderr: 'err3\n' });
    expect(await tsrun(['logs', '--tail', '0', 'logged'])).toMatchObject({ stdout: '', stderr: '' });
    const timed = (await tsrun(['logs', '-t', 'logged'])).stdout.split('\n');
    expect(timed[1]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z out2$/);
    const second = timed[1]?.split(' ')[0] ?? '';
    expect((await tsrun(['logs', '--since', second, 'logged'])).stdout).toBe('out2\nout3\nend');
    expect((await tsrun(['logs', '--until', second, 'logged'])).stdout).toBe('out1\nout2\n');
    expect((await tsrun(['logs', '--since', '1h', '--until', '30m', 'logged'])).stdout).toBe('');
    expect((await tsrun(['logs', '--since', 'x', 'logged'])).stderr).toContain('invalid value for "since"');
  } finally {
    await tsrunOk(['rm', 'logged']);
  }
});

test('logs -f goes on until the container ends', async () => {
  const script = 'echo one; sleep 0.4; echo two; sleep 0.4; echo three';
  await tsrunOk(['run', '-d', '--name', 'followed', ...quiet, 'busybox', 'sh', '-c', script]);
  try {
    const before = Date.now();
    expect(await tsrun(['logs', '-f', 'followed'])).toMatchObject({ code: 0, stdout: 'one\ntwo\nthree\n' });
    expect(Date.now() - before).toBeGreaterThan(300);
    expect((await tsrun(['logs', '-f', '--tail', '1', 'followed'])).stdout).toBe('three\n');
  } finally {
    await tsrunOk(['rm', '-f', 'followed']);
  }
});

test('what was not kept cannot be shown', async () => {
  await tsrun(['run', '--name', 'silent', ...quiet, '--log-driver', 'none', 'busybox', 'echo', 'x']);
  const { code, stderr } = await tsrun(['logs', 'silent']);
  expect(code).toBe(1);
  expect(stderr).toContain('configured logging driver does not support reading');
  await tsrunOk(['rm', 'silent']);
});

test('stop, kill, wait and rm of several containers, with one that is none', async () => {
  for (const name of ['a1', 'b1', 'c1']) {
    await tsrunOk(['run', '-d', '--name', name, ...quiet, '--init', 'busybox', 'sleep', '1000']);
  }
  const waiting = tsrun(['wait', 'a1', 'b1']);
  await delay(300);
  expect(await tsrun(['stop', '-t', '5', 'a1', 'nope'])).toMatchObject({
    code: 1,
    stdout: 'a1\n',
    stderr: expect.stringContaining('No such container: nope'),
  });
  expect(await tsrun(['kill', 'b1'])).toMatchObject({ code: 0, stdout: 'b1\n' });
  expect(await waiting).toMatchObject({ code: 0, stdout: '143\n137\n' });
  expect(await tsrun(['wait', 'a1'])).toMatchObject({ stdout: '143\n' });
  expect((await tsrun(['kill', 'a1'])).stderr).toMatch(
    /Cannot kill container: a1: Container [0-9a-f]{64} is not running/,
  );
  expect((await tsrun(['kill', '-s', 'FOO', 'c1'])).stderr).toContain('Invalid signal: FOO');
  expect((await tsrun(['rm', 'c1'])).stderr).toContain('You cannot remove a running container');
  expect(await tsrun(['rm', '-f', 'a1', 'b1', 'c1', 'nope'])).toMatchObject({ code: 0, stdout: 'a1\nb1\nc1\n' });
  expect(await tsrunOk(['ps', '-aq'])).toBe('');
});

test('create and start, in the background and attached', async () => {
  const id = await tsrunOk(['create', '--name', 'later', ...quiet, '-i', 'busybox', 'sh', '-c', 'cat; exit 4']);
  expect(await tsrunOk(['ps', '-a', '--no-trunc', '--format', '{{.ID}} {{.Status}}'])).toBe(`${id} Created`);
  const attached = await tsrun(['start', '-ai', 'later'], { stdin: 'typed\n' });
  expect(attached).toMatchObject({ code: 4, stdout: 'typed\n' });
  expect(await tsrun(['start', 'later', 'nope'])).toMatchObject({
    code: 1,
    stdout: 'later\n',
    stderr: expect.stringContaining('Error: failed to start containers: nope'),
  });
  expect(await tsrun(['start', 'later'])).toMatchObject({ code: 0, stdout: 'later\n' });
  await tsrunOk(['rm', '-f', 'later']);
});

test('the id of a container that could not be started in the background is printed all the same', async () => {
  const { code, stdout } = await tsrun(['run', '-d', '--name', 'broken', ...quiet, 'busybox', 'no-such-command']);
  expect(code).toBe(127);
  expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
  expect(await tsrunOk(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'broken'])).toBe('created 127');
  await tsrunOk(['rm', 'broken']);
});

test('on a terminal a shell is interactive without -it', async () => {
  using terminal = Terminal.tsrun(['run', '--rm', ...quiet, 'busybox', 'sh']);
  await terminal.waitFor('/ #');
  terminal.type('tty; exit 7');
  terminal.press('Enter');
  await terminal.waitFor('/dev/pts/0');
  expect(await terminal.exit()).toBe(7);
});

test('Ctrl-C while the image is pulled ends the command with 130', async () => {
  await tsrunOk(['rmi', '-f', 'debian']).catch(() => {});
  using terminal = Terminal.tsrun(['pull', 'debian']);
  await terminal.waitFor(/Downloading|Extracting|Pulling fs layer/);
  terminal.press('C-c');
  expect(await terminal.exit()).toBe(130);
  expect(terminal.screen()).not.toContain('fault of tsrun');
});

test('signals go to the container as often as they come, also while it is being started', async () => {
  const script = 'trap "echo int" INT; trap "echo term; exit 9" TERM; echo ready; while :; do sleep 0.05; done';
  const child = spawn(tsrunPath, ['run', '--rm', ...quiet, 'busybox', 'sh', '-c', script], { env: environment() });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await expect.poll(() => output, { timeout: 10_000 }).toContain('ready');
  for (let count = 1; count <= 3; count++) {
    child.kill('SIGINT');
    await expect.poll(() => output.split('int').length - 1, { timeout: 10_000 }).toBe(count);
  }
  child.kill('SIGTERM');
  expect(await ended).toBe(9);
  expect(output).toBe('ready\nint\nint\nint\nterm\n');
});
