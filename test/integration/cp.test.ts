import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const script = `mkdir -p /d/sub; echo file >/d/f; chown 1000:1000 /d/f; chmod 4755 /d/f; ln /d/f /d/same
ln -s f /d/l; ln -s /etc /d/abs; ln -s sub /d/dirlink; ln -s nowhere /d/dangling; ln -s ../../../../../etc/passwd /d/esc
ln -s /proc/1/root /d/magic; mkfifo /d/fifo; echo v >/vol/v; echo t >/tmpfs/t; dd if=/dev/zero of=/d/sparse bs=1 count=1 seek=3G 2>/dev/null
echo ready; exec sleep 1000`;

let work: string;
const at = (name: string): string => join(work, name);
const cp = (...args: string[]): ReturnType<typeof tsrun> => tsrun(['cp', ...args], { cwd: work });
const ok = (...args: string[]): Promise<string> => tsrunOk(['cp', ...args], { cwd: work });
/** The container's files as tar sees them. */
async function listing(path: string): Promise<string> {
  return execFileSync(
    'sh',
    ['-c', `"$0" cp "$1" - | tar tvf - --numeric-owner | sed 's/20..-..-.. ..:..//'`, tsrunPath, path],
    {
      env: environment(),
      encoding: 'utf8',
    },
  );
}
let root: string;

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  work = mkdtempSync(join(inject('root'), 'cp-'));
  for (const name of ['dir', 'out', 'ro']) mkdirSync(at(name));
  writeFileSync(at('a'), 'hi\n');
  chmodSync(at('a'), 0o640);
  chownSync(at('a'), 1000, 1000);
  writeFileSync(at('dir/x'), 'x\n');
  symlinkSync('a', at('sl'));
  symlinkSync('dir', at('sd'));
  const mounts = ['-v', 'cp-vol:/vol', '-v', `${at('ro')}:/ro:ro`, '--tmpfs', '/tmpfs'];
  const id = await tsrunOk([
    'run',
    '-d',
    '--network',
    'none',
    '--name',
    'cp',
    ...mounts,
    'busybox',
    'sh',
    '-c',
    script,
  ]);
  for (let i = 0; i < 50 && !(await tsrunOk(['logs', 'cp'])).includes('ready'); i++);
  root = `/proc/${await tsrunOk(['inspect', '-f', '{{.State.Pid}}', id])}/root`;
});
afterAll(async () => {
  await tsrunOk(['rm', '-f', 'cp']);
  await tsrunOk(['volume', 'rm', 'cp-vol']);
  rmSync(work, { recursive: true, force: true });
});

test.each([
  [['a', 'b'], 'must specify at least one container source'],
  [['cp:/d', 'cp:/x'], 'copying between containers is not supported'],
  [['', 'cp:/x'], 'source can not be empty'],
  [['cp:/x', ''], 'destination can not be empty'],
  [['a', 'nosuch:/x'], 'Error: No such container:path: nosuch:/x'],
  [['cp:/nosuch', '.'], 'Error: No such container:path: cp:/nosuch'],
  [['cp:/no/such', '.'], 'Error: No such container:path: cp:/no/such'],
  [['nofile', 'cp:/'], /lstat .*\/nofile: no such file or directory/],
  [['a', 'cp:/newdir/'], 'no such directory'],
  [['a', 'cp:/no/such'], 'Error: No such container:path: cp:/no'],
  [['dir', 'cp:/d/f'], 'cannot copy directory'],
  [['a', 'cp:/d/f/'], 'no such directory'],
  [['a/', 'cp:/d'], 'not a directory'],
  [['a/.', 'cp:/d'], 'not a directory'],
  [['a', 'cp:/ro/'], 'mounted volume is marked read-only'],
  [['a', 'cp:/etc/hosts'], 'EBUSY'],
  [['a', 'cp:/d/fifo'], 'must be a directory or a regular file'],
  [['cp:/d/f', 'nodir/'], 'no such directory'],
  [['cp:/d/f', 'no/such'], /invalid output path: directory ".*\/no" does not exist/],
  [['cp:/d/f', 'a/'], /stat .*\/a\/: not a directory/],
  [['cp:/d', 'a'], 'cannot copy directory'],
  [['cp:/d/f/', 'x'], 'not a directory'],
  [['-', 'cp:/d/f'], 'destination "cp:/d/f" must be a directory'],
  [['-', 'cp:/nosuch'], 'destination "cp:/nosuch" must be a directory'],
])('cp %j is refused', async (args, message) => {
  const result = await cp(...args);
  expect(result.stderr).toMatch(message);
  expect(result).toMatchObject({ code: 1, stdout: '' });
});

test('into a running container', async () => {
  await ok('a', 'cp:/');
  expect(statSync(join(root, 'a'))).toMatchObject({ mode: 0o100640, uid: 1000, gid: 1000, size: 3 });
  await ok('dir', 'cp:/new');
  await ok('dir', 'cp:/new');
  await ok('dir/.', 'cp:/new2');
  await ok('dir', 'cp:/new3/');
  expect(readdirSync(join(root, 'new')).sort()).toEqual(['dir', 'x']);
  expect(readdirSync(join(root, 'new2'))).toEqual(['x']);
  expect(readdirSync(join(root, 'new3'))).toEqual(['x']);
  await ok('sl', 'cp:/t1');
  await ok('-L', 'sl', 'cp:/t2');
  await ok('sd/', 'cp:/t3');
  expect(readlinkSync(join(root, 't1'))).toBe('a');
  expect(readFileSync(join(root, 't2'), 'utf8')).toBe('hi\n');
  expect(readdirSync(join(root, 't3'))).toEqual(['x']);
  await ok('a', 'cp:/d/dirlink');
  await ok('a', 'cp:/d/dangling');
  expect(readdirSync(join(root, 'd/sub'))).toEqual(['a']);
  expect(readFileSync(join(root, 'd/nowhere'), 'utf8')).toBe('hi\n');
  await ok('a', 'cp:/vol');
  expect(readFileSync(join(inject('root'), 'volumes/cp-vol/_data/a'), 'utf8')).toBe('hi\n');
  await ok('a', 'cp:/tmpfs/inside');
  expect(existsSync(join(root, 'tmpfs/inside'))).toBe(true);
  const clash = await cp('dir', 'cp:/clash');
  expect(clash.code).toBe(0);
  writeFileSync(at('clash'), '');
  expect((await cp('clash', 'cp:/')).stderr).toContain('cannot overwrite directory "clash" with non-directory');
});

test("links of the container lead nowhere but into it, whether absolute, upwards or the kernel's", async () => {
  const host = readFileSync('/etc/passwd', 'utf8');
  await ok('-L', 'cp:/d/esc', 'e1');
  await ok('cp:/d/magic/etc/passwd', 'e2');
  await ok('cp:/proc/1/cwd/etc/passwd', 'e3');
  for (const name of ['e1', 'e2', 'e3']) {
    expect(readFileSync(at(name), 'utf8')).toMatch(/^root:/);
    expect(readFileSync(at(name), 'utf8')).toBe(readFileSync(join(root, 'etc/passwd'), 'utf8'));
  }
  await ok('dir', 'cp:/d/abs');
  expect(existsSync('/etc/dir')).toBe(false);
  await ok('a', 'cp:/d/esc');
  expect(readFileSync('/etc/passwd', 'utf8')).toBe(host);
  expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toBe('hi\n');
});

test('to the host', async () => {
  await ok('cp:/d/f', 'f1');
  expect(statSync(at('f1'))).toMatchObject({ mode: 0o104755, uid: 0, gid: 0 });
  await ok('-a', 'cp:/d/f', 'f2');
  expect(statSync(at('f2'))).toMatchObject({ mode: 0o104755, uid: 1000, gid: 1000 });
  await ok('cp:/d', 'tree');
  await ok('cp:/d', 'out');
  await ok('cp:/d/.', 'out');
  expect(readdirSync(at('out'))).toContain('d');
  expect(readdirSync(at('out'))).toContain('sparse');
  expect(statSync(at('tree/f')).ino).toBe(statSync(at('tree/same')).ino);
  expect(lstatSync(at('tree/fifo')).isFIFO()).toBe(true);
  expect(readlinkSync(at('tree/esc'))).toBe('../../../../../etc/passwd');
  expect(statSync(at('tree/sparse')).size).toBe(3 * 1024 ** 3 + 1);
  expect(statSync(at('tree/sparse')).blocks).toBeLessThan(100);
  await ok('cp:/d/l', 'l1');
  await ok('-L', 'cp:/d/l', 'l2');
  await ok('cp:/d/dirlink/', 'l3');
  expect(readlinkSync(at('l1'))).toBe('f');
  expect(readFileSync(at('l2'), 'utf8')).toBe('file\n');
  expect(lstatSync(at('l3')).isDirectory()).toBe(true);
  await ok('cp:/vol/v', 'v');
  await ok('cp:/tmpfs/t', 't');
  await ok('cp:/proc/version', 'version');
  expect(readFileSync(at('version'), 'utf8')).toMatch(/^Linux/);
});

test('archives out and in', async () => {
  expect(await listing('cp:/d/f')).toMatch(/^-rwsr-xr-x 1000\/1000 +5 +f\n$/);
  expect(await listing('cp:/d/dirlink/')).toMatch(/^drwxr-xr-x 0\/0 +0 +dirlink\//);
  expect(await listing('cp:/d/sub/.')).toMatch(/^drwxr-xr-x 0\/0 +0 +\.\/\n-rw-r----- 1000\/1000 +3 +\.\/a\n$/);
  expect(await listing('cp:/vol')).toContain(' vol/v\n');
  for (const flags of ['cf', 'czf']) {
    execFileSync('tar', [flags, at('t.tar'), '-C', work, 'a', 'dir']);
    const stdin = readFileSync(at('t.tar'));
    expect(await tsrun(['cp', '-', 'cp:/d/abs'], { stdin })).toMatchObject({ code: 0, stderr: '' });
  }
  expect(statSync(join(root, 'etc/a'))).toMatchObject({ uid: 1000, mode: 0o100640 });
  const broken = await tsrun(['cp', '-', 'cp:/d/sub'], { stdin: 'no archive at all\n'.repeat(100) });
  expect(broken).toMatchObject({ code: 1, stderr: expect.stringContaining('Error processing tar file: ') });
  expect(await tsrun(['cp', '-', 'cp:/d/sub'], { stdin: '' })).toMatchObject({ code: 0 });
});

test('hostile archives stay in the directory and in the container', async () => {
  const tar = (python: string): Buffer =>
    execFileSync('python3', [
      '-c',
      `import tarfile,sys,io
t=tarfile.open(fileobj=sys.stdout.buffer,mode='w|')
def add(name, type=tarfile.REGTYPE, link='', data=b''):
  i=tarfile.TarInfo(name); i.type=type; i.linkname=link; i.size=len(data); t.addfile(i, io.BytesIO(data))
${python}
t.close()`,
    ]);
  const up = await tsrun(['cp', '-', 'cp:/d/sub'], { stdin: tar(`add('../up', data=b'x')`) });
  expect(up.stderr).toContain('leaves its directory by ".."');
  await tsrunOk(['cp', '-', 'cp:/d/sub'], {
    stdin: tar(
      `add('link', tarfile.SYMTYPE, '/tmp/tsrun-cp-escape'); add('link2', tarfile.SYMTYPE, '/'); add('link2/through', data=b'y')`,
    ),
  });
  expect(existsSync('/through')).toBe(false);
  expect(readFileSync(join(root, 'through'), 'utf8')).toBe('y');
  const over = await tsrun(['cp', '-', 'cp:/'], { stdin: tar(`add('d', data=b'x')`) });
  expect(over.stderr).toContain('cannot overwrite directory "d" with non-directory');
  const hard = await tsrun(['cp', '-', 'cp:/d/sub'], { stdin: tar(`add('h', tarfile.LNKTYPE, '../../etc/shadow')`) });
  expect(hard.code).toBe(1);
});

test('a stopped container: its own files, its volumes, and nothing is mounted anywhere', async () => {
  const mounts = ['-v', 'cp-vol:/vol', '-v', `${at('ro')}:/bound:ro`];
  await tsrunOk(['create', '--name', 'cp-stopped', '--network', 'none', ...mounts, 'busybox', 'cat', '/new']);
  const before = readFileSync('/proc/self/mountinfo', 'utf8');
  await ok('a', 'cp-stopped:/new');
  await ok('dir', 'cp-stopped:/vol');
  expect(readdirSync(join(inject('root'), 'volumes/cp-vol/_data'))).toContain('dir');
  expect((await cp('a', 'cp-stopped:/bound')).stderr).toContain('mounted volume is marked read-only');
  expect(await listing('cp-stopped:/vol')).toContain(' vol/dir/x\n');
  expect((await listing('cp-stopped:/')).split('\n').some((line) => line.endsWith(' ./vol/v'))).toBe(true);
  await Promise.all([ok('cp-stopped:/etc/passwd', 'p1'), ok('a', 'cp-stopped:/other'), ok('cp-stopped:/bin/sh', 'p2')]);
  const child = spawn(tsrunPath, ['cp', '-', 'cp-stopped:/'], {
    env: environment(),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await new Promise((resolve) => setTimeout(resolve, 400));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('close', resolve));
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
  expect(await tsrunOk(['start', '-a', 'cp-stopped'])).toBe('hi');
  await tsrunOk(['rm', 'cp-stopped']);
});

describe('a read-only root', () => {
  test('takes nothing, its volumes do', async () => {
    const flags = ['--read-only', '-v', 'cp-vol:/vol', '-u', '1234:55'];
    await tsrunOk(['run', '-d', '--network', 'none', '--name', 'cp-ro', ...flags, 'busybox', 'sleep', '1000']);
    expect((await cp('a', 'cp-ro:/')).stderr).toContain('container rootfs is marked read-only');
    await ok('-a', 'a', 'cp-ro:/vol/owned');
    expect(statSync(join(inject('root'), 'volumes/cp-vol/_data/owned'))).toMatchObject({ uid: 1234, gid: 55 });
    await ok('cp-ro:/etc/passwd', 'p3');
    await tsrunOk(['rm', '-f', 'cp-ro']);
  });
});

test('with -a the container’s user is looked up in the passwd that the container sees', async () => {
  const inImage = await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'cat', '/etc/passwd']);
  expect(inImage).toContain('daemon:');
  writeFileSync(at('passwd'), 'daemon:x:4321:8765::/:/bin/sh\n');
  const flags = ['-u', 'daemon', '-v', `${at('passwd')}:/etc/passwd`, '-v', 'cp-vol:/vol'];
  await tsrunOk(['run', '-d', '--network', 'none', '--name', 'cp-user', ...flags, 'busybox', 'sleep', '1000']);
  try {
    await ok('-a', 'a', 'cp-user:/vol/by-name');
    expect(statSync(join(inject('root'), 'volumes/cp-vol/_data/by-name'))).toMatchObject({ uid: 4321, gid: 8765 });
  } finally {
    await tsrunOk(['rm', '-f', 'cp-user']);
  }
});

test('a container that swaps files and links all the time gains nothing', async () => {
  const swap = `mkdir -p /swap /swap2; while :; do ln -sfn /tmpfs /swap/x; rm -rf /swap/x; mkdir /swap/x; rm -rf /swap/x; mkfifo /swap/x; rm -f /swap/x; echo >/swap/x; rm -f /swap/x; done`;
  await tsrunOk(['run', '-d', '--network', 'none', '--name', 'cp-swap', 'busybox', 'sh', '-c', swap]);
  const secret = at('untouched');
  writeFileSync(secret, 'untouched', { mode: 0o600 });
  for (let i = 0; i < 6; i++) {
    // Either outcome will do; none may hang.
    const [into, out] = await Promise.all([cp('a', 'cp-swap:/swap/x'), cp('cp-swap:/swap', `swapped${i}`)]);
    expect([0, 1]).toContain(into.code);
    expect([0, 1]).toContain(out.code);
  }
  expect(statSync(secret).mode & 0o777).toBe(0o600);
  await tsrunOk(['rm', '-f', 'cp-swap']);
});

test('events tell of copies', () => {
  const actions = readFileSync(join(inject('root'), 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).Action);
  expect(actions).toContain('archive-path');
  expect(actions).toContain('extract-to-dir');
});
