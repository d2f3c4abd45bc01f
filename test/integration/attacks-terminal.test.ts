/**
 * Text that wants to drive the terminal (escape sequences, C1 controls, turned directions of writing), from everywhere that
 * text comes from: an image's config and history, labels, a container's processes, files and output names, a Dockerfile, an
 * archive, a registry. Each command that shows it is run on a terminal.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Host } from './attack-fixture.ts';
import { type RunOptions, tsrun, tsrunOk } from './tsrun.ts';

const host = new Host();
const hostile = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e';
const driving = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** What a command shows on a terminal, and whether the text was in it at all. */
async function shown(words: readonly string[], options: RunOptions = {}): Promise<string> {
  const { stdout } = await tsrun(words, {
    ...options,
    tty: true,
    env: { NO_COLOR: '1', COLUMNS: '400', ...options.env },
  });
  const text = stdout.replaceAll('\r\n', '\n');
  const at = driving.exec(text)?.index;
  const around = at === undefined ? undefined : JSON.stringify(text.slice(Math.max(0, at - 30), at + 30));
  expect([words.slice(0, 4), around]).toEqual([words.slice(0, 4), undefined]);
  return text;
}

const shownAtHome = (words: readonly string[]): Promise<string> => shown(words, { env: { HOME: host.directory } });

/** What does not depend on each other, at the same time. */
function together<T, R>(all: Iterable<T>, use: (each: T) => Promise<R>): Promise<R[]> {
  return Promise.all(Array.from(all, (each) => use(each)));
}

/** A `docker save` archive of an image whose config says `hostile` wherever text may stand. */
function hostileArchive(): string {
  const directory = join(host.directory, 'saved');
  mkdirSync(join(directory, 'empty'), { recursive: true });
  execFileSync('tar', ['cf', 'layer.tar', '-C', 'empty', '.'], { cwd: directory });
  execFileSync('sh', ['-c', 'printf x >"$1"; tar rf layer.tar "$1"', 'sh', hostile.replaceAll('/', '')], {
    cwd: directory,
  });
  const diffId = createHash('sha256')
    .update(execFileSync('cat', ['layer.tar'], { cwd: directory }))
    .digest('hex');
  const said = (name: string): string => `${name}${hostile}`;
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    author: said('author'),
    created: '2026-01-01T00:00:00Z',
    config: {
      Cmd: [said('cmd')],
      Entrypoint: [said('/entry')],
      Env: [`A=${hostile}`],
      User: said('user'),
      WorkingDir: said('/work'),
      Labels: { [said('label')]: said('value') },
      StopSignal: said('signal'),
      ExposedPorts: { '80/tcp': {} },
      Volumes: { [said('/vol')]: {} },
      Healthcheck: { Test: ['CMD', said('health')] },
      Shell: [said('shell')],
      OnBuild: [said('RUN ')],
    },
    history: [{ created: '2026-01-01T00:00:00Z', created_by: said('by'), comment: said('comment'), author: said('x') }],
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
  };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: ['hostile-text:latest'], Layers: ['layer.tar'] }];
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest));
  execFileSync('tar', ['cf', '../saved.tar', 'manifest.json', 'config.json', 'layer.tar'], { cwd: directory });
  return join(host.directory, 'saved.tar');
}

beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));
afterAll(() => host.remove());

test('of an image: its config, its history, its files', async () => {
  await tsrunOk(['load', '-q', '-i', hostileArchive()]);
  const name = 'hostile-text';
  try {
    const looks = [
      ['images'],
      ['history', '--no-trunc', name],
      ['history', '--format', '{{.CreatedBy}} {{.Comment}}', name],
      ['image', 'inspect', name],
      ['image', 'inspect', '--format', '{{.Author}} {{json .Config}} {{.Config.Labels}}', name],
      ['xray', name],
      ['explain', 'run', '--lang=en', '--network=none', name],
      ['run', '--rm', '--network=none', name],
      ['run', '--rm', '--network=none', '-u', '0', '-w', '/', name],
    ];
    await together(looks, (words) => shown(words));
    await shown([
      'create',
      '--name',
      'hostile-one',
      '--network=none',
      '-u',
      '0',
      '-w',
      '/',
      '--stop-signal',
      'TERM',
      name,
    ]);
    const looksAtOne = [
      ['ps', '-a', '--no-trunc'],
      ['inspect', 'hostile-one'],
      ['volume', 'ls'],
      ['system', 'df', '-v'],
      ['why', 'exit', 'hostile-one'],
      ['why', 'limit', 'hostile-one'],
    ];
    await together(looksAtOne, (words) => shown(words));
    await shown(['rm', '-f', '-v', 'hostile-one']);
    expect(await shown(['image', 'inspect', '--format', '{{.Author}}', name])).toContain('author\\x1b]0;owned\\x07');
  } finally {
    await tsrun(['rm', '-f', '-v', 'hostile-one']);
    await tsrunOk(['rmi', '-f', name]);
  }
});

test('of a container: labels, environment, processes, files, mounts', async () => {
  const label = `x=${hostile}`;
  const script =
    'cd /tmp; : >"$1"; mkdir "/d$1"; ln -s /tmp "/l$1"; cp /bin/busybox "/b$1"; echo ready; exec sleep 1000';
  const flags = ['-l', label, '-e', label, '--log-opt', 'labels=x', '--log-opt', 'env=x', '--tmpfs', '/t'];
  await tsrunOk([
    ...['run', '-d', '--name', 'speaks', '--network=none', ...flags, 'busybox', 'sh', '-c', script, 'sh', hostile],
  ]);
  try {
    await expect.poll(async () => (await tsrun(['logs', 'speaks'])).stdout).toBe('ready\n');
    await tsrunOk(['exec', '-d', 'speaks', 'sh', '-c', 'sleep 1000; exit 1', hostile]);
    const looks = [
      ['ps', '-a', '--no-trunc', '--format', '{{.Labels}} {{.Command}} {{.Mounts}}'],
      ['ps', '-a', '--filter', `label=${label}`, '--format', 'json'],
      ['top', 'speaks'],
      ['diff', 'speaks'],
      ['logs', '--details', 'speaks'],
      ['events', '--since', '1h', '--until', '0s'],
      ['events', '--since', '1h', '--until', '0s', '--format', 'json'],
      ['inspect', '--format', '{{json .}} {{.Config.Labels}}', 'speaks'],
      ['why', 'path', 'speaks', `/d${hostile}`],
      ['why', 'path', 'speaks', `/l${hostile}/x`],
      ['why', 'path', 'speaks', `/none${hostile}`],
      ['why', 'port', 'speaks', '80'],
      ['cp', `speaks:/none${hostile}`, host.directory],
      ['cp', `speaks:/b${hostile}/x`, host.directory],
      ['cp', host.secret, `speaks:/none${hostile}/x`],
      ['exec', '-w', `/none${hostile}`, 'speaks', 'true'],
      ['exec', 'speaks', `/none${hostile}`],
      ['exec', '-u', hostile, 'speaks', 'true'],
      ['stats', '--no-stream'],
      ['port', 'speaks', hostile],
    ];
    await together(looks, (words) => shown(words));
    await shown(['container', 'prune', '-f', '--filter', `label=${label}`]);
    expect(await shown(['diff', 'speaks'])).toContain('A /d\\x1b]0;owned');
    // ps itself has put question marks for most.
    expect(await shown(['top', 'speaks'])).toContain('\\u202e');
  } finally {
    await tsrunOk(['rm', '-f', 'speaks']);
  }
});

test('of a Dockerfile, of archives and of flags', async () => {
  const dockerfiles = [
    `FROM busybox AS a${hostile}\n`,
    `FROM busybox\nNOTHING${hostile} x\n`,
    `FROM busybox\nCOPY missing${hostile} /x\n`,
    `FROM busybox\nCOPY --from=none${hostile} /x /y\n`,
    `FROM busybox\nENV ${hostile}\n`,
    `FROM busybox\nARG A=${hostile}\nRUN --mount=type=${hostile} true\n`,
    `FROM busybox\nHEALTHCHECK --interval=${hostile} CMD x\n`,
    `# escape=${hostile}\nFROM busybox\n`,
    `# syntax=${hostile}\nFROM scratch${hostile}\n`,
  ];
  await together(dockerfiles.entries(), async ([index, text]) => {
    const context = join(host.directory, `context-${index}`);
    mkdirSync(context);
    writeFileSync(join(context, 'Dockerfile'), text);
    const words = ['build', '--progress=plain', '--network=none', '-t', 'never', context];
    expect(await shown(words)).toMatch(/^(tsrun|ERROR): /m);
  });
  const bad = join(host.directory, 'bad.tar');
  writeFileSync(
    join(host.directory, 'manifest.json'),
    `[{"Config":"${JSON.stringify(hostile).slice(1, -1)}","Layers":[]}]`,
  );
  execFileSync('tar', ['cf', bad, '-C', host.directory, 'manifest.json']);
  const refused = [
    ['load', '-i', bad],
    ['import', `/none${hostile}`],
    ['run', '--rm', '-v', `${hostile}:/x`, 'busybox'],
    ['run', '--rm', '--network', hostile, 'busybox'],
    ['run', '--rm', '--env-file', `/none${hostile}`, 'busybox'],
    ['run', '--rm', '--security-opt', hostile, 'busybox'],
    ['volume', 'create', '-o', `type=${hostile}`, 'x'],
    [hostile],
    ['tag', 'busybox', hostile],
  ];
  await together(refused, (words) => shown(words));
  // Networks may have any name, as docker's.
  for (const words of [
    ['network', 'create', hostile],
    ['network', 'ls'],
    ['network', 'inspect', hostile],
    ['network', 'rm', hostile],
  ]) {
    await shown(words);
  }
});

/** A registry that answers every request with these bytes. */
async function registry(answer: (port: number) => string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.from(answer((server.address() as AddressInfo).port), 'latin1')));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return server;
}

test('of a registry: errors, challenges, redirects, types, reasons', async () => {
  const raw = Buffer.from(hostile).toString('latin1');
  const json = JSON.stringify({ errors: [{ code: `DENIED${hostile}`, message: `no${hostile}`, detail: hostile }] });
  const body = Buffer.from(json).toString('latin1');
  const reply = (status: string, headers: string, content = body): string =>
    `HTTP/1.1 ${status}\r\nConnection: close\r\n${headers}Content-Length: ${content.length}\r\n\r\n${content}`;
  const manifest = (type: string): string =>
    JSON.stringify({ schemaVersion: 2, mediaType: type, layers: [{ digest: type }] });
  const answers: ((port: number) => string)[] = [
    () => reply('404 Not Found', 'Content-Type: application/json\r\n'),
    () => reply(`500 ${raw}`, '', raw),
    () => reply('401 Unauthorized', `WWW-Authenticate: Bearer realm="http://127.0.0.1:1/${raw}",service="${raw}"\r\n`),
    () => reply('401 Unauthorized', `WWW-Authenticate: ${raw}\r\n`),
    () => reply('307 Temporary Redirect', `Location: http://host${raw}/x\r\n`),
    () => reply('200 OK', `Content-Type: ${raw}\r\n`, Buffer.from(manifest(hostile)).toString('latin1')),
    () => reply('200 OK', 'Content-Type: application/vnd.oci.image.manifest.v1+json\r\n', manifest(`sha256:${raw}`)),
    () => `${raw}\r\n\r\n`,
  ];
  // Most of the time is spent between one attempt and the next.
  await together(answers, async (answer) => {
    const server = await registry(answer);
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const login = ['login', '-u', 'u', '-p', 'p', address];
    try {
      for (const text of await together([['pull', '-q', `${address}/x`], login], shownAtHome))
        expect(text).not.toBe('');
    } finally {
      server.close();
    }
  });
});
