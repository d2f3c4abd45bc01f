/**
 * The judges of `tsrun build`: docker's classic builder and buildah build the same Dockerfiles, and the images have the same
 * files, modes, owners, links and config. They are compared as skopeo copies and umoci unpacks them, which so judge too.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkout, layoutDirectory } from '../../scripts/images/paths.ts';
import { type Config, readTree, type TreeEntry } from './image-tree.ts';
import { type Result, run, tsrun, tsrunOk } from './tsrun.ts';

function isInstalled(command: string): boolean {
  return ['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some((directory) => existsSync(join(directory, command)));
}

/** All ten, and buildah too: minutes, which not every run has. */
const asked = process.env.TSRUN_TEST_BUILD_PEERS ?? '';
const isWhole = asked !== '';

/** `plain`: which peers build Dockerfile.plain, since they know less. */
const all: { name: string; args?: string[]; plain?: ('docker' | 'buildah')[]; base?: true }[] = [
  { name: 'node-service' },
  { name: 'python-venv', args: ['--build-arg', 'VERSION=1.2.3'] },
  { name: 'static-c' },
  { name: 'nginx-config' },
  { name: 'multi-stage', args: ['--build-arg', 'TOOL=busybox'] },
  { name: 'cache-mounts', plain: ['docker', 'buildah'] },
  { name: 'users' },
  { name: 'add-archives' },
  { name: 'heredocs', plain: ['docker', 'buildah'] },
  { name: 'onbuild', base: true },
];
const some = isWhole ? asked.split(',') : ['static-c', 'multi-stage'];
const dockerfiles = asked === '1' ? all : all.filter(({ name }) => some.includes(name));

let directory: string;
let contexts: string;
beforeAll(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-build-peers.');
  contexts = join(directory, 'contexts');
  cpSync(join(checkout, 'test/fixtures/dockerfiles'), contexts, { recursive: true });
  completeContexts(contexts);
  await tsrunOk(['pull', '-q', 'busybox']);
});
afterAll(async () => {
  for (const { name } of dockerfiles) await tsrun(['rmi', '-f', `peers/${name}`]);
  await tsrun(['rmi', '-f', 'onbuild-base', 'busybox']);
  await tsrun(['image', 'prune', '-f']);
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      rmSync(directory, { recursive: true, force: true });
      return;
    } catch {
      // A namespace that is going away still holds its mounts.
      await delay(100);
    }
  }
});

/** What a repository does not hold: archives, binaries, and files that git leaves out. */
function completeContexts(root: string): void {
  const shell = (script: string, cwd: string): void => {
    execFileSync('sh', ['-ec', script], { cwd: join(root, cwd), stdio: ['ignore', 'ignore', 'inherit'] });
  };
  shell('chmod -R u=rwX,go=rX . && chmod 755 users/bin/tool', '.');
  shell('echo ignored > src/debug.log; echo kept > src/keep.log', 'node-service');
  shell('cc -static -O1 -o program program.c && chmod 755 program', 'static-c');
  const tree =
    'mkdir -p t/bin t/deep/er; echo a > t/bin/a; chmod 4711 t/bin/a; ln t/bin/a t/bin/b; ln -s ../bin/a t/deep/link';
  const owned = 'echo o > t/deep/er/owned; chmod 600 t/deep/er/owned; chown 12:34 t/deep/er/owned t/deep/er';
  const packed = 'tar -C t -cf tree.tar . && gzip -kn tree.tar && bzip2 -k tree.tar && xz -k tree.tar && rm -r t';
  shell(`${tree}; ${owned}; ${packed}; echo text | gzip -n > text.gz; chmod 644 *`, 'add-archives');
}

/** The image of tsrun as an OCI layout that skopeo has written. */
async function buildHere(name: string, args: readonly string[]): Promise<void> {
  const context = join(contexts, name);
  await tsrunOk(['build', '-q', '--network', 'none', '-t', `peers/${name}`, ...args, context], { timeout: 100_000 });
  const archive = join(directory, `${name}.tar`);
  await tsrunOk(['save', '-o', archive, `peers/${name}`]);
  execFileSync('skopeo', ['copy', '-q', `docker-archive:${archive}`, `oci:${join(directory, 'ours')}:${name}`]);
  rmSync(archive);
}

const built = new Map<string, { tree: Map<string, TreeEntry>; config: Config }>();

function ours(name: string): { tree: Map<string, TreeEntry>; config: Config } {
  const known = built.get(name);
  if (known !== undefined) return known;
  const read = readTree(join(directory, 'ours'), name, join(directory, `ours-${name}`));
  built.set(name, read);
  return read;
}

const hasTools = isInstalled('skopeo') && isInstalled('umoci') && isInstalled('cc');

describe.skipIf(!hasTools)(
  'the images of these Dockerfiles (skipped where skopeo, umoci or cc are not installed)',
  () => {
    test('are built here, skopeo copies them, and umoci unpacks them', { timeout: 600_000 }, async () => {
      const base = join(contexts, 'onbuild', 'Dockerfile.base');
      await tsrunOk(['build', '-q', '-f', base, '-t', 'onbuild-base', join(contexts, 'onbuild')]);
      for (const { name, args = [] } of dockerfiles) await buildHere(name, args);
      const has = (image: string): boolean => dockerfiles.some(({ name }) => name === image);
      if (has('static-c')) expect(ours('static-c').tree.get('program')).toMatchObject({ type: 'file', mode: 0o755 });
      if (has('node-service')) expect(ours('node-service').tree.has('app/src/debug.log')).toBe(false);
      if (!has('cache-mounts')) return;
      expect(ours('cache-mounts').tree.get('opt/main')).toMatchObject({ type: 'file' });
      for (const absent of ['mnt/src', 'scratch', 'var/cache/build', 'root/.cache']) {
        expect([absent, ours('cache-mounts').tree.has(absent)]).toEqual([absent, false]);
      }
    });

    test.skipIf(!isInstalled('buildah'))(
      'are the same as those of buildah (skipped where it is not installed)',
      { timeout: 600_000 },
      async () => {
        const buildah = (...args: string[]) => [
          ...['--root', join(directory, 'buildah'), '--runroot', join(directory, 'buildah-run')],
          ...['--storage-driver', 'overlay', ...args],
        ];
        const must = async (args: string[]): Promise<string> => {
          const result = await run('buildah', args, { env: { BUILDAH_ISOLATION: 'chroot' }, timeout: 120_000 });
          expect(result.code, `${args.join(' ')}\n${result.stderr}`).toBe(0);
          return result.stdout;
        };
        for (const image of ['busybox']) {
          const id = (
            await must(buildah('pull', '-q', `oci:${layoutDirectory(image)}:library/${image}:latest`))
          ).trim();
          await must(buildah('tag', id, `localhost/${image}:latest`));
        }
        const bud = (...args: string[]) => buildah('bud', '-q', '--isolation', 'chroot', '--pull-never', ...args);
        await must(
          bud(
            '--format',
            'docker',
            '-f',
            join(contexts, 'onbuild/Dockerfile.base'),
            '-t',
            'onbuild-base',
            join(contexts, 'onbuild'),
          ),
        );
        const layout = join(directory, 'of-buildah');
        for (const { name, args = [], plain = [] } of dockerfiles) {
          const file = join(contexts, name, plain.includes('buildah') ? 'Dockerfile.plain' : 'Dockerfile');
          await must(bud('--format', 'docker', ...args, '-f', file, '-t', `peer-${name}`, join(contexts, name)));
          const archive = join(directory, 'buildah.tar');
          await must(buildah('push', '-q', `peer-${name}`, `docker-archive:${archive}`));
          execFileSync('skopeo', ['copy', '-q', `docker-archive:${archive}`, `oci:${layout}:${name}`]);
          rmSync(archive);
          compare(name, readTree(layout, name, join(directory, 'unpacked')));
        }
      },
    );

    test.skipIf(!isInstalled('dockerd'))(
      "are the same as those of docker's classic builder (skipped where docker is not installed)",
      { timeout: 600_000 },
      async () => {
        const home = await namespaces();
        try {
          const peer = (command: readonly string[]): Promise<Result> =>
            run('nsenter', [...inside(home), ...command], { env: { DOCKER_BUILDKIT: '0' }, timeout: 120_000 });
          const data = join(directory, 'docker');
          mkdirSync(data);
          const docker = (...args: string[]) => ['/usr/bin/docker', '-H', `unix://${data}/socket`, ...args];
          const must = async (command: string[]): Promise<void> => {
            const result = await peer(command);
            expect(result.code, `${command.join(' ')}\n${result.stdout}${result.stderr}`).toBe(0);
          };
          const daemon = await startDockerd(home, data, () => peer(docker('info')));
          for (const image of ['busybox']) {
            const archive = join(directory, 'image.tar');
            const to = `docker-archive:${archive}:${image}:latest`;
            execFileSync('skopeo', ['copy', '-q', `oci:${layoutDirectory(image)}:library/${image}:latest`, to]);
            await must(docker('load', '-q', '-i', archive));
            rmSync(archive);
          }
          const build = (...args: string[]) => docker('build', '-q', '--network', 'none', ...args);
          await must(
            build('-f', join(contexts, 'onbuild/Dockerfile.base'), '-t', 'onbuild-base', join(contexts, 'onbuild')),
          );
          const layout = join(directory, 'of-docker');
          for (const { name, args = [], plain = [] } of dockerfiles) {
            const file = join(contexts, name, plain.includes('docker') ? 'Dockerfile.plain' : 'Dockerfile');
            await must(build(...args, '-f', file, '-t', `peer-${name}`, join(contexts, name)));
            const archive = join(directory, 'docker.tar');
            await must(docker('save', '-o', archive, `peer-${name}`));
            execFileSync('skopeo', ['copy', '-q', `docker-archive:${archive}`, `oci:${layout}:${name}`]);
            rmSync(archive);
            compare(name, readTree(layout, name, join(directory, 'unpacked')));
          }
          // What was built here runs there.
          if (asked === '1') {
            await tsrunOk(['save', '-o', join(directory, 'own.tar'), 'peers/static-c', 'peers/multi-stage']);
            await must(docker('load', '-q', '-i', join(directory, 'own.tar')));
            const ran = await peer(docker('run', '--rm', '--network', 'none', 'peers/static-c', 'there'));
            expect(ran).toMatchObject({ code: 0, stdout: 'static there\n' });
            const library = await peer(
              docker('run', '--rm', '--network', 'none', 'peers/multi-stage', 'ls', '/opt/library'),
            );
            expect(library.stdout).toBe('library.a\nlibrary.hard\n');
          }
          const ended = new Promise((resolve) => daemon.once('exit', resolve));
          daemon.kill('SIGTERM');
          await ended;
        } finally {
          const ended = new Promise((resolve) => home.once('exit', resolve));
          home.kill('SIGKILL');
          await ended;
          await removeCgroups();
        }
      },
    );
  },
);

function compare(name: string, peer: { tree: Map<string, TreeEntry>; config: Config }): void {
  const own = ours(name);
  const differences: string[] = [];
  for (const path of new Set([...own.tree.keys(), ...peer.tree.keys()])) {
    const [here, there] = [own.tree.get(path), peer.tree.get(path)].map((entry) => JSON.stringify(entry));
    if (here !== there) differences.push(`${path}\n  here:  ${here}\n  there: ${there}`);
  }
  expect.soft(differences.join('\n'), name).toBe('');
  expect.soft(own.config, name).toEqual(peer.config);
}

/** Namespaces of their own for dockerd: its bridge, mounts and processes end with their first process. */
async function namespaces(): Promise<ChildProcess> {
  const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
  const script = 'mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && exec sleep infinity';
  const home = spawn('unshare', [...flags, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    home.stdout?.once('data', () => resolve());
    home.once('exit', () => reject(new Error('no namespaces for the peers')));
  });
  return home;
}

/** dockerd leaves its parent cgroup. */
async function removeCgroups(): Promise<void> {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    if (!/ - cgroup2? /.test(line)) continue;
    const path = join(line.split(' ')[4] ?? '', 'tsrun-docker');
    for (let attempt = 0; attempt < 50 && existsSync(path); attempt++) {
      try {
        execFileSync('find', [path, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+'], { stdio: 'ignore' });
      } catch {
        await delay(100);
      }
    }
  }
}

function inside(home: ChildProcess): string[] {
  const pid = readFileSync(`/proc/${home.pid}/task/${home.pid}/children`, 'latin1').trim();
  return ['-t', pid, '--net', '--mount', '--pid'];
}

async function startDockerd(home: ChildProcess, data: string, info: () => Promise<Result>): Promise<ChildProcess> {
  const log = join(data, 'log');
  writeFileSync(log, '');
  const command = `exec dockerd --data-root ${data}/root --exec-root ${data}/exec --pidfile ${data}/pid -H unix://${data}/socket --storage-driver overlay2 --cgroup-parent /tsrun-docker --log-level warn >>${log} 2>&1`;
  const child = spawn('nsenter', [...inside(home), 'sh', '-c', command], { stdio: 'ignore' });
  const look = async (): Promise<string> => {
    if (child.exitCode !== null) throw new Error(`dockerd has ended:\n${readFileSync(log, 'utf8').slice(-2000)}`);
    return (await info()).code === 0 ? 'ready' : readFileSync(log, 'utf8').slice(-500);
  };
  await expect.poll(look, { timeout: 60_000, interval: 300 }).toBe('ready');
  return child;
}
