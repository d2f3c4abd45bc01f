/**
 * The judges of `tsrun build`: docker's classic builder and buildah build the same Dockerfiles, and the images have the same
 * files, modes, owners, links and config. They are compared as skopeo copies and umoci unpacks them, which so judge too.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkout, layoutDirectory } from '../../scripts/images/paths.ts';
import { type Config, readTree, type TreeEntry } from './image-tree.ts';
import { isInstalled, PeerHome, removePeerCgroups, stopDaemon } from './peer-home.ts';
import { type Result, run, tsrun, tsrunOk } from './tsrun.ts';

/** All ten, and buildah too: minutes, which not every run has. */
const asked = process.env.TSRUN_TEST_BUILD_PEERS ?? '';
const isWhole = asked !== '';

interface Case {
  name: string;
  args?: string[];
  /** Which peers build Dockerfile.plain, since they know less. */
  plain?: ('docker' | 'buildah')[];
  base?: true;
  /** What docker's classic builder makes otherwise than BuildKit, buildah and tsrun. */
  classic?: Readonly<Record<string, TreeEntry>>;
}

/** A directory that WORKDIR makes belongs to USER, but with the classic builder, which leaves it the set-group-id bit of its parent. */
const workdir = { 'home/worker/work': { type: 'directory', mode: 0o2755, uid: 0, gid: 0 } };

const all: Case[] = [
  { name: 'node-service' },
  { name: 'python-venv', args: ['--build-arg', 'VERSION=1.2.3'] },
  { name: 'static-c' },
  { name: 'nginx-config' },
  { name: 'multi-stage', args: ['--build-arg', 'TOOL=busybox'] },
  { name: 'cache-mounts', plain: ['docker', 'buildah'] },
  { name: 'users', classic: workdir },
  { name: 'add-archives' },
  { name: 'heredocs', plain: ['docker', 'buildah'] },
  { name: 'onbuild', base: true },
];
const some = isWhole ? asked.split(',') : ['static-c', 'multi-stage'];
const dockerfiles = asked === '1' ? all : all.filter(({ name }) => some.includes(name));

const has = (image: string): boolean => dockerfiles.some(({ name }) => name === image);

/** Images that engines run, what they run, and what that prints. */
const runnable = [
  { name: 'static-c', command: ['there'], prints: /^static there\n$/ },
  { name: 'multi-stage', command: ['ls', '/opt/library'], prints: /^library\.a\nlibrary\.hard\n$/ },
  { name: 'users', command: ['id'], prints: /^uid=3001\b.* gid=0\b/ },
].filter(({ name }) => has(name));

/** crun refuses to start where cgroup v2 stands beside v1, also where it is to make no cgroup. */
const hide = '! mountpoint -q /sys/fs/cgroup/unified || umount -l /sys/fs/cgroup/unified; exec "$@"';
const withoutUnified = ['-m', 'sh', '-c', hide, 'sh'];

function expectRun({ prints }: (typeof runnable)[number], ran: Result): void {
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stdout).toMatch(prints);
}

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
      if (has('static-c')) expect(ours('static-c').tree.get('program')).toMatchObject({ type: 'file', mode: 0o755 });
      if (has('node-service')) expect(ours('node-service').tree.has('app/src/debug.log')).toBe(false);
      if (!has('cache-mounts')) return;
      expect(ours('cache-mounts').tree.get('opt/main')).toMatchObject({ type: 'file' });
      for (const absent of ['mnt/src', 'scratch', 'var/cache/build', 'root/.cache']) {
        expect([absent, ours('cache-mounts').tree.has(absent)]).toEqual([absent, false]);
      }
    });

    test.skipIf(!isInstalled('crun'))(
      'run by crun, from what umoci unpacks (skipped where it is not installed)',
      async () => {
        for (const each of runnable) {
          const bundle = join(directory, `bundle-${each.name}`);
          execFileSync('umoci', [
            '--log',
            'error',
            'unpack',
            '--image',
            `${join(directory, 'ours')}:${each.name}`,
            bundle,
          ]);
          const file = join(bundle, 'config.json');
          const config: { process: { terminal: boolean; args: string[] } } = JSON.parse(readFileSync(file, 'utf8'));
          config.process.terminal = false;
          const entrypoint = ours(each.name).config.Entrypoint as string[] | undefined;
          config.process.args = [...(entrypoint ?? []), ...each.command];
          writeFileSync(file, JSON.stringify(config));
          const crun = ['crun', '--root', join(directory, 'crun'), '--cgroup-manager', 'disabled'];
          expectRun(
            each,
            await run('unshare', [...withoutUnified, ...crun, 'run', '-b', bundle, `tsrun-${each.name}`]),
          );
          rmSync(bundle, { recursive: true });
        }
      },
    );

    test.skipIf(!isWhole || !isInstalled('podman') || !isInstalled('conmon') || !isInstalled('crun'))(
      'run under podman, by crun (skipped without TSRUN_TEST_BUILD_PEERS)',
      { timeout: 120_000 },
      async () => {
        const home = await PeerHome.start();
        try {
          const data = join(home.directory, 'podman');
          const places = ['--root', `${data}/root`, '--runroot', `${data}/run`, '--tmpdir', `${data}/tmp`];
          const flags = ['--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'];
          const podman = (...args: string[]) => home.run(['podman', ...places, ...flags, '--runtime', 'crun', ...args]);
          const own = join(home.directory, 'own.tar');
          if (!(await saveRunnable(own))) return;
          const loaded = await podman('load', '-q', '-i', own);
          expect(loaded.code, loaded.stderr).toBe(0);
          for (const each of runnable) {
            const how = ['--rm', '--network', 'none', '--cgroups', 'disabled'];
            expectRun(each, await podman('run', ...how, `localhost/peers/${each.name}`, ...each.command));
          }
        } finally {
          await home.stop();
        }
      },
    );

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
        const home = await PeerHome.start();
        try {
          const data = join(home.directory, 'docker');
          mkdirSync(data);
          const socket = `unix://${data}/socket`;
          const docker = (...args: string[]) => home.run(['env', 'DOCKER_BUILDKIT=0', 'docker', '-H', socket, ...args]);
          const must = async (...args: string[]): Promise<void> => {
            const result = await docker(...args);
            expect(result.code, `docker ${args.join(' ')}\n${result.stdout}${result.stderr}`).toBe(0);
          };
          const places = ['--data-root', `${data}/root`, '--exec-root', `${data}/exec`, '--pidfile', `${data}/pid`];
          const flags = ['-H', socket, '--storage-driver', 'overlay2', '--log-level', 'warn'];
          const daemon = await home.daemon(
            ['dockerd', ...places, ...flags, '--cgroup-parent', '/tsrun-build-docker'],
            ['docker', '-H', socket, 'info'],
          );
          const archive = join(home.directory, 'image.tar');
          const to = `docker-archive:${archive}:busybox:latest`;
          execFileSync('skopeo', ['copy', '-q', `oci:${layoutDirectory('busybox')}:library/busybox:latest`, to]);
          await must('load', '-q', '-i', archive);
          rmSync(archive);
          const build = (...args: string[]) => must('build', '-q', '--network', 'none', ...args);
          await build('-f', join(contexts, 'onbuild/Dockerfile.base'), '-t', 'onbuild-base', join(contexts, 'onbuild'));
          const layout = join(directory, 'of-docker');
          for (const { name, args = [], plain = [], classic = {} } of dockerfiles) {
            const file = join(contexts, name, plain.includes('docker') ? 'Dockerfile.plain' : 'Dockerfile');
            await build(...args, '-f', file, '-t', `peer-${name}`, join(contexts, name));
            await must('save', '-o', archive, `peer-${name}`);
            execFileSync('skopeo', ['copy', '-q', `docker-archive:${archive}`, `oci:${layout}:${name}`]);
            rmSync(archive);
            compare(name, readTree(layout, name, join(directory, 'unpacked')), classic);
          }
          // What was built here runs there, by runc.
          const own = join(home.directory, 'own.tar');
          if (await saveRunnable(own)) await must('load', '-q', '-i', own);
          for (const each of isWhole ? runnable : runnable.slice(0, 1)) {
            const image = `peers/${each.name}`;
            expectRun(each, await docker('run', '--rm', '--network', 'none', image, ...each.command));
          }
          await stopDaemon(daemon);
        } finally {
          await home.stop();
          await removePeerCgroups(['tsrun-build-docker']);
        }
      },
    );
  },
);

/** As an archive that docker and podman load; false where none of them was asked for. */
async function saveRunnable(path: string): Promise<boolean> {
  if (runnable.length === 0) return false;
  await tsrunOk(['save', '-o', path, ...runnable.map(({ name }) => `peers/${name}`)]);
  return true;
}

/** `other`: what a peer has otherwise, which is known. */
function compare(
  name: string,
  peer: { tree: Map<string, TreeEntry>; config: Config },
  other: Readonly<Record<string, TreeEntry>> = {},
): void {
  const own = ours(name);
  const differences: string[] = [];
  for (const path of new Set([...own.tree.keys(), ...peer.tree.keys()])) {
    const [here, there] = [other[path] ?? own.tree.get(path), peer.tree.get(path)].map((entry) =>
      JSON.stringify(entry),
    );
    if (here !== there) differences.push(`${path}\n  here:  ${here}\n  there: ${there}`);
  }
  expect.soft(differences.join('\n'), name).toBe('');
  expect.soft(own.config, name).toEqual(peer.config);
}
