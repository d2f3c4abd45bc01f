/** The busybox image: one static binary and its links, and the small images of the tests that stand on it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { defaultPath, dockerTypes, type Layer, type LayoutWriter } from './layout.ts';
import { type TarEntry, tarOf } from './tar.ts';

/** The root filesystem of busybox, from a statically linked binary. */
function busyboxEntries(binary: string): TarEntry[] {
  const applets = execFileSync(binary, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const directories = ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'tmp', 'usr', 'usr/bin', 'var'];
  return [
    ...directories.map((path): TarEntry => ({ path, type: 'directory', mode: path === 'tmp' ? 0o1777 : 0o755 })),
    { path: 'bin/busybox', data: readFileSync(binary), mode: 0o755 },
    ...applets
      .filter((applet) => applet !== 'busybox')
      .map((applet): TarEntry => ({ path: `bin/${applet}`, type: 'symlink', target: 'busybox' })),
    { path: 'usr/bin/env', type: 'symlink', target: '../../bin/env' },
    {
      path: 'etc/passwd',
      data: 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
    },
    { path: 'etc/group', data: 'root:x:0:\ndaemon:x:1:\nstaff:x:50:daemon\nnobody:x:65534:\n' },
  ];
}

/** `library/busybox:latest`. */
export function writeBusybox(layout: LayoutWriter, binary: string): void {
  const layer = layout.layer(tarOf(busyboxEntries(binary)));
  layout.tag('library/busybox:latest', layout.image([layer], { Cmd: ['sh'], Env: [defaultPath] }));
}

/**
 * What integration tests look at, all on top of busybox:
 * - `tsrun/layers`: whiteouts, an opaque directory, a file replaced by a directory;
 * - `tsrun/config`: every field of the image's config that `run` obeys;
 * - `tsrun/multi`: an index for three platforms, each with its name in /platform;
 * - `tsrun/docker`: Docker's own media types, manifest list included.
 */
export function writeTestImages(layout: LayoutWriter, binary: string): void {
  const base = layout.layer(tarOf(busyboxEntries(binary)));
  writeLayers(layout, base);
  writeConfig(layout, base);
  const on = (architecture: string, types = {}, variant?: string) => {
    const mark = layout.layer(tarOf([{ path: 'platform', data: `linux/${architecture}\n` }]));
    const platform = { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) };
    return layout.image([base, mark], { Cmd: ['cat', '/platform'], Env: [defaultPath] }, { platform, ...types });
  };
  layout.tag('tsrun/multi:latest', layout.index([on('arm', {}, 'v7'), on('arm64'), on('amd64')]));
  const docker = layout.layer(tarOf(busyboxEntries(binary)), dockerTypes);
  const images = ['amd64', 'arm64'].map((architecture) =>
    layout.image(
      [docker],
      { Cmd: ['sh'], Env: [defaultPath] },
      { platform: { os: 'linux', architecture }, types: dockerTypes },
    ),
  );
  layout.tag('tsrun/docker:latest', layout.index(images, dockerTypes));
}

function writeLayers(layout: LayoutWriter, base: Layer): void {
  const lower = layout.layer(
    tarOf([
      { path: 'data', type: 'directory' },
      { path: 'data/kept', data: 'lower\n' },
      { path: 'data/removed', data: 'lower\n' },
      { path: 'data/changed', data: 'lower\n' },
      { path: 'data/becomes-directory', data: 'lower\n' },
      { path: 'opaque', type: 'directory' },
      { path: 'opaque/hidden', data: 'lower\n' },
      { path: 'gone', type: 'directory' },
      { path: 'gone/file', data: 'lower\n' },
    ]),
  );
  const upper = layout.layer(
    tarOf([
      { path: 'data', type: 'directory', mode: 0o750 },
      { path: 'data/.wh.removed' },
      { path: 'data/changed', data: 'upper\n', uid: 1000, gid: 1000, mode: 0o600 },
      { path: 'data/becomes-directory', type: 'directory' },
      { path: 'data/becomes-directory/file', data: 'upper\n' },
      { path: 'opaque', type: 'directory' },
      { path: 'opaque/.wh..wh..opq' },
      { path: 'opaque/shown', data: 'upper\n' },
      { path: '.wh.gone' },
    ]),
  );
  layout.tag('tsrun/layers:latest', layout.image([base, lower, upper], { Cmd: ['sh'], Env: [defaultPath] }));
}

function writeConfig(layout: LayoutWriter, base: Layer): void {
  const files = layout.layer(
    tarOf([
      { path: 'etc/passwd', data: 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n' },
      { path: 'etc/group', data: 'root:x:0:\napp:x:1000:\naudio:x:29:app\nvideo:x:44:root,app\n' },
      { path: 'home/app', type: 'directory', uid: 1000, gid: 1000 },
      { path: 'srv', type: 'directory' },
      { path: 'srv/www', type: 'directory', uid: 1000, gid: 1000 },
      { path: 'srv/www/index.html', data: 'hello\n', uid: 1000, gid: 1000 },
      {
        path: 'bin/entrypoint',
        mode: 0o755,
        data: '#!/bin/sh\ntrap "echo got usr1; exit 7" USR1\necho "entrypoint: $*"\nif [ "$1" = wait ]; then while :; do sleep 0.1; done; fi\nexec "$@"\n',
      },
    ]),
  );
  const image = layout.image([base, files], {
    User: 'app',
    Env: [defaultPath, 'GREETING=hello world', 'EMPTY='],
    Entrypoint: ['/bin/entrypoint'],
    Cmd: ['id'],
    WorkingDir: '/srv/www',
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    Volumes: { '/srv/data': {} },
    Labels: { 'org.example.title': 'test image' },
    StopSignal: 'SIGUSR1',
  });
  layout.tag('tsrun/config:latest', image);
}
