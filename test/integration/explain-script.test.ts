/** The script of `explain run --format sh` is run, and what its container sees is compared with what tsrun makes. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { offeredControllers, requireCgroup2 } from '../../src/cgroup/mount.ts';
import { environment, run, tsrun, tsrunOk } from './tsrun.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsrun-script.'));
beforeAll(async () => void (await tsrunOk(['pull', '-q', 'busybox'])));
afterAll(() => rmSync(directory, { recursive: true }));

/** Everything that a container can see of its walls, a section for each. */
const probe = `
for n in mnt net pid ipc uts cgroup user; do readlink /proc/self/ns/$n; done
echo ==mounts; cat /proc/self/mountinfo
echo ==status; grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status
echo ==limits; cat /proc/self/limits
echo ==hostname; hostname; cat /etc/hostname
echo ==hosts; cat /etc/hosts /etc/resolv.conf
echo ==address; ip -o addr show | grep -v 'scope link'; ip route
echo ==environment; env | sort
echo ==place; pwd; umask; cat /proc/self/oom_score_adj /proc/self/cgroup
echo ==devices; ls -l /dev | sed 's/ [A-Z][a-z][a-z] .* / /'
echo ==processes; ls /proc | grep -E '^[0-9]+$' | sort -n | head -1
`;

interface Seen {
  namespaces: string[];
  sections: Record<string, string>;
}

function sections(output: string): Seen {
  const [first = '', ...rest] = output.split(/^==(?=\w)/m);
  const named = rest.map((text): [string, string] => {
    const end = text.indexOf('\n');
    return [text.slice(0, end), text.slice(end + 1)];
  });
  return { namespaces: first.trim().split('\n'), sections: Object.fromEntries(named) };
}

/** What differs from one container to the next: ids, addresses, places on the host. */
function general(text: string): string {
  return text
    .replace(/[0-9a-f]{64}|\b[0-9a-f]{12}\b/g, 'ID')
    .replace(/02:42(:[0-9a-f]{2}){4}/g, 'MAC')
    .replace(/(\d+\.\d+)\.\d+\.\d+(?=[/\s]|$)/gm, '$1.x.x')
    .replace(/@if\d+|^\d+: /gm, '');
}

/**
 * Mount point, options, type and options of the filesystem, without the paths of the host; and without whether the filesystem
 * itself is read-only, which mount(8) makes it together with the mount.
 */
function mounts(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const fields = before.split(' ');
      const [type = '', source = '', options = ''] = after.split(' ');
      const inode = type === 'proc' || type === 'sysfs' ? fields[3] : '';
      return [
        fields[4],
        inode,
        fields[5],
        type,
        source,
        options.replace(/^r[ow],?/, '').replace(/(lower|upper|work)dir\+?=[^,]*,?/g, ''),
      ].join(' ');
    })
    .sort();
}

async function scriptOf(args: readonly string[]): Promise<string> {
  const path = join(directory, 'script');
  writeFileSync(path, await tsrunOk(['explain', 'run', '--format', 'sh', ...args]));
  return path;
}

function hostNamespaces(): string[] {
  return ['mnt', 'net', 'pid', 'ipc', 'uts', 'cgroup', 'user'].map((name) =>
    execFileSync('readlink', [`/proc/self/ns/${name}`], { encoding: 'utf8' }).trim(),
  );
}

/** Devices of layers of this store. */
function loopDevices(): string[] {
  return execFileSync('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file.startsWith(`${inject('root')}/layers/`));
}

const limited = offeredControllers(requireCgroup2().mountPoint).includes('pids') ? ['--pids-limit', '100'] : [];

async function compare(flags: readonly string[]): Promise<void> {
  const args = [...limited, ...flags, 'busybox', 'sh', '-c', probe];
  const real = sections(await tsrunOk(['run', '--rm', ...args]));
  const result = await run('sh', [await scriptOf(args)]);
  expect(result.stderr).toBe('');
  expect(result.code).toBe(0);
  const scripted = sections(result.stdout);

  const host = hostNamespaces();
  const own = ({ namespaces }: Seen): boolean[] => namespaces.map((name, index) => name !== host[index]);
  expect(own(scripted)).toEqual(own(real));
  expect(mounts(scripted.sections.mounts ?? '')).toEqual(mounts(real.sections.mounts ?? ''));
  for (const name of [
    'status',
    'limits',
    'hostname',
    'hosts',
    'address',
    'environment',
    'place',
    'devices',
    'processes',
  ]) {
    expect(general(scripted.sections[name] ?? '').trim(), name).toBe(general(real.sections[name] ?? '').trim());
    expect(scripted.sections[name], name).not.toBe('');
  }
}

test.each([
  ['as it comes', []],
  [
    'a user, mounts, settings',
    ['-u', '1000:1001', '-w', '/work', '-v', '/tmp:/mnt:ro', '--tmpfs', '/x:size=1m', '-e', "A=it's"],
  ],
  [
    'read-only, a name, other capabilities',
    ['--read-only', '-h', 'box', '--cap-drop=ALL', '--cap-add=SYS_CHROOT', '--cap-add=NET_ADMIN'],
  ],
  [
    'no network, no new privileges',
    ['--network=none', '--security-opt=no-new-privileges', '--oom-score-adj=50', '--ulimit=nofile=64:64'],
  ],
  ['the network of the host', ['--network=host', '--cgroupns=host']],
] as [string, string[]][])('the container of the script is that of tsrun: %s', (_, flags) => compare(flags));

test('so it is with layers that are directories', async () => {
  await tsrunOk(['rmi', '-f', 'busybox']);
  try {
    await tsrunOk(['--storage', 'unpacked', 'pull', '-q', 'busybox']);
    await compare([]);
  } finally {
    await tsrunOk(['rmi', '-f', 'busybox']);
    await tsrunOk(['pull', '-q', 'busybox']);
  }
});

test('the status of the command is that of the script, stdin reaches it, and nothing is left', async () => {
  const before = readdirSync(inject('root')).sort();
  const path = await scriptOf(['-i', '-p', '127.0.0.1:18181:80', 'busybox', 'sh', '-c', 'cat; exit 7']);
  const result = await run('sh', [path], { stdin: 'through\n' });
  expect(result).toMatchObject({ code: 7, stdout: 'through\n', stderr: '' });
  expect(readdirSync(inject('root')).sort()).toEqual(before);
  expect(existsSync('/run/netns') ? readdirSync('/run/netns') : []).toEqual([]);
  expect(loopDevices()).toEqual([]);
});

test('a script that is stopped takes everything away too', async () => {
  const path = await scriptOf(['busybox', 'sh', '-c', 'echo up; sleep 1000']);
  const child = spawn('sh', [path], { env: environment(), stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  // The shell takes its signal when the command in the foreground has ended: as a terminal does it, all get one.
  const children = (pid: number): number[] =>
    execFileSync('cat', [`/proc/${pid}/task/${pid}/children`], { encoding: 'utf8' })
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  const unshare = children(child.pid ?? 0).at(-1) ?? 0;
  child.kill('SIGTERM');
  process.kill(unshare, 'SIGKILL');
  await Promise.race([exited, delay(20_000).then(() => Promise.reject(new Error('the script does not end')))]);
  expect(readdirSync(inject('root')).filter((name) => name.startsWith('script.'))).toEqual([]);
});

test('what no command can do is refused, with what stands in the way', async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const result = await tsrun(['explain', 'run', '--format=sh', ...args]);
    expect(result.code).not.toBe(0);
    expect(result.stdout).toBe('');
    return result.stderr;
  };
  expect(await refused('--cap-drop=ALL', 'busybox', 'true')).toContain('the container gives up CAP_SYS_CHROOT');
  expect(await refused('--init', 'busybox', 'true')).toContain('--init');
  expect(await refused('no/such:image', 'true')).toContain('the image "no/such:image" is not here');
});
