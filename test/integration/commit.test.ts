/** What a container has changed: `diff` lists it, `export` writes the whole, `commit` makes an image of it. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { computeState } from '../../src/container/state.ts';
import { environment, run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const changes = [
  'echo a > /a; ln /a /b; rm /bin/ls; rm -r /home; mkdir /home; touch /home/new',
  'echo x >> /etc/passwd; mkdir -p /n/e/w; mkfifo /n/pipe; ln -s nowhere /n/link; chmod 4711 /n/e',
  'chmod 700 /root; chown 1:2 /tmp; touch "/a name"; touch -d @1000000000 /n/old',
].join('; ');

let directory: string;
beforeAll(async () => {
  directory = mkdtempSync('/var/tmp/tsrun-commit.');
  await tsrunOk(['pull', '-q', 'busybox']);
  await tsrunOk(['run', '--network', 'none', '--name', 'changed', '-e', 'E=1', 'busybox', 'sh', '-c', changes]);
});
afterAll(async () => {
  await tsrun(['rm', '-f', 'changed']);
  await tsrun(['rmi', '-f', 'busybox']);
  rmSync(directory, { recursive: true });
});

const inImage = (image: string, script: string) =>
  tsrunOk(['run', '--rm', '--network', 'none', image, 'sh', '-c', script]);

async function commit(args: string[] = [], image = 'committed'): Promise<string> {
  return tsrunOk(['commit', ...args, 'changed', image]);
}

async function withImage(action: () => Promise<void>, image = 'committed'): Promise<void> {
  try {
    await action();
  } finally {
    await tsrun(['rmi', '-f', image]);
  }
}

const expectedChanges = [
  'A /a',
  'A /a name',
  'A /b',
  'C /bin',
  'D /bin/ls',
  'C /etc',
  'C /etc/passwd',
  'C /home',
  'A /home/new',
  'A /n',
  'A /n/e',
  'A /n/e/w',
  'A /n/link',
  'A /n/old',
  'A /n/pipe',
  'C /root',
  'C /tmp',
];

describe('diff', () => {
  test('lists what was added, changed and deleted, and not what tsrun made to mount on', async () => {
    expect((await tsrunOk(['diff', 'changed'])).split('\n')).toEqual(expectedChanges);
    expect(await tsrunOk(['container', 'diff', 'changed'])).toBe(await tsrunOk(['diff', 'changed']));
  });

  test('a running container too; one that did nothing has changed nothing', async () => {
    const id = await tsrunOk(['run', '-d', '--network', 'none', 'busybox', 'sleep', '100']);
    try {
      expect(await tsrunOk(['diff', id])).toBe('');
      const upper = await tsrunOk(['inspect', '-f', '{{.GraphDriver.Data.UpperDir}}', id]);
      expect(existsSync(upper)).toBe(true);
    } finally {
      await tsrunOk(['rm', '-f', id]);
    }
  });

  test('a container that is not there', async () => {
    expect(await tsrun(['diff', 'nope'])).toMatchObject({
      code: 1,
      stderr: 'Error: No such container: nope\n  tsrun ps -a lists all containers\n',
    });
  });
});

describe('commit', () => {
  test('an image of it has the same files, and shares the layers below', () =>
    withImage(async () => {
      const id = await commit();
      expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
      const script = [
        'cat /a /etc/passwd | tail -1; test -e /bin/ls || echo no ls; echo /home/*',
        'stat -c "%n %a %u:%g %h %F" /a /b /n/e /root /tmp /n/pipe /n/link "/a name"',
        'stat -c %Y /n/old; readlink /n/link; echo $E',
      ].join('; ');
      expect((await inImage('committed', script)).split('\n')).toEqual([
        'x',
        'no ls',
        '/home/new',
        '/a 644 0:0 2 regular file',
        '/b 644 0:0 2 regular file',
        '/n/e 4711 0:0 3 directory',
        '/root 700 0:0 1 directory',
        '/tmp 1777 1:2 1 directory',
        '/n/pipe 644 0:0 1 fifo',
        '/n/link 777 0:0 1 symbolic link',
        '/a name 644 0:0 1 regular empty file',
        '1000000000',
        'nowhere',
        '1',
      ]);
      const layers = (image: string) => tsrunOk(['inspect', '-f', '{{join .RootFS.Layers " "}}', image]);
      expect(await layers('committed')).toMatch(new RegExp(`^${await layers('busybox')} sha256:[0-9a-f]{64}$`));
    }));

  test('the config: that of the container, changed by instructions; author, message, history', () =>
    withImage(async () => {
      const instructions = [
        'CMD ["/bin/echo", "hi"]',
        'ENV A=$E B="2 3"',
        'ENV C c d',
        'EXPOSE 80 90/udp',
        'LABEL x=y "a b"=c',
        'USER 5',
        'VOLUME /v ["/w"]',
        'WORKDIR /work',
        'WORKDIR dir',
        'ONBUILD RUN x',
        'HEALTHCHECK --interval=2s --retries=4 CMD true',
        'ENTRYPOINT ["/bin/env"]',
      ];
      await commit(['-a', 'me', '-m', 'message', ...instructions.flatMap((text) => ['-c', text])]);
      const [document] = JSON.parse(await tsrunOk(['inspect', 'committed'])) as [Record<string, unknown>];
      expect(document).toMatchObject({
        Author: 'me',
        Comment: 'message',
        RepoTags: ['committed:latest'],
        Container: await tsrunOk(['inspect', '-f', '{{.Id}}', 'changed']),
        Parent: await tsrunOk(['inspect', '-f', '{{.Id}}', 'busybox']),
        Config: {
          User: '5',
          Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'E=1', 'A=1', 'B=2 3', 'C=c d'],
          Cmd: ['/bin/echo', 'hi'],
          Entrypoint: ['/bin/env'],
          ExposedPorts: { '80/tcp': {}, '90/udp': {} },
          Labels: { x: 'y', 'a b': 'c' },
          WorkingDir: '/work/dir',
          OnBuild: ['RUN x'],
          Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 2_000_000_000, Retries: 4 },
          Image: 'busybox',
        },
        ContainerConfig: { Cmd: ['sh', '-c', changes], User: '' },
      });
      const history = await tsrunOk([
        'history',
        '--no-trunc',
        '--format',
        '{{.ID}} {{.Comment}} {{.CreatedBy}}',
        'committed',
      ]);
      expect(history.split('\n')).toEqual([
        `${await tsrunOk(['inspect', '-f', '{{.Id}}', 'committed'])} message sh -c ${changes}`,
        expect.stringMatching(`^${await tsrunOk(['inspect', '-f', '{{.Id}}', 'busybox'])}`),
      ]);
    }));

  test('a container that changed nothing makes an image without a layer of its own', () =>
    withImage(async () => {
      await tsrunOk(['create', '--network', 'none', '--name', 'same', 'busybox', 'true']);
      await tsrunOk(['start', 'same']);
      await tsrunOk(['wait', 'same']);
      await tsrunOk(['commit', 'same', 'committed']);
      await tsrunOk(['rm', 'same']);
      const layers = (image: string) => tsrunOk(['inspect', '-f', '{{.RootFS.Layers}}', image]);
      expect(await layers('committed')).toBe(await layers('busybox'));
      expect((await tsrunOk(['history', '--format', '{{.Size}}', 'committed'])).split('\n')[0]).toBe('0B');
    }));

  test('without a name it has its id only; the event has docker’s attributes', () =>
    withImage(async () => {
      const id = await tsrunOk(['commit', '-m', 'why', 'changed']);
      expect(await tsrunOk(['images', '-q', '--no-trunc', '--filter', 'dangling=true'])).toBe(id);
      const events = readFileSync(join(inject('root'), 'events.jsonl'), 'utf8')
        .trimEnd()
        .split('\n');
      expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({
        Type: 'container',
        Action: 'commit',
        Actor: { Attributes: { comment: 'why', imageID: id, imageRef: '', name: 'changed', image: 'busybox' } },
      });
      await tsrunOk(['rmi', id]);
    }));

  test('what changed without changing a time: capabilities, and content of the same size', async () => {
    const { syscall } = await import('../../src/linux/ffi.ts');
    await tsrunOk([
      ...['run', '--network', 'none', '--name', 'sly', 'busybox', 'sh', '-c'],
      'cp -p /etc/passwd /tmp/p; sed -i s/root/toor/ /etc/passwd; touch -r /tmp/p /etc/passwd; rm /tmp/p; chmod 644 /etc/passwd; chmod 755 /bin/busybox',
    ]);
    try {
      const upper = await tsrunOk(['inspect', '-f', '{{.GraphDriver.Data.UpperDir}}', 'sly']);
      const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
      expect(syscall('lsetxattr', join(upper, 'etc/passwd'), 'security.capability', capability, 20, 0)).toBe(0);
      expect((await tsrunOk(['diff', 'sly'])).split('\n')).toEqual(expect.arrayContaining(['C /etc', 'C /etc/passwd']));
      expect(syscall('lremovexattr', join(upper, 'etc/passwd'), 'security.capability')).toBe(0);
      await withImage(async () => {
        await tsrunOk(['commit', 'sly', 'committed']);
        expect(await inImage('committed', 'head -c 4 /etc/passwd')).toBe('toor');
      });
    } finally {
      await tsrun(['rm', '-f', 'sly']);
    }
  });

  test('a running container is paused meanwhile and goes on afterwards', () =>
    withImage(async () => {
      const id = await tsrunOk(['run', '-d', '--network', 'none', 'busybox', 'sh', '-c', 'echo x > /x; sleep 100']);
      try {
        await expect.poll(async () => (await tsrun(['exec', id, 'cat', '/x'])).stdout, { timeout: 20_000 }).toBe('x\n');
        await tsrunOk(['commit', id, 'committed']);
        expect(await tsrunOk(['inspect', '-f', '{{.State.Status}}', id])).toBe('running');
        await tsrunOk(['commit', '--pause=false', id, 'committed']);
      } finally {
        await tsrunOk(['rm', '-f', id]);
      }
      expect(await inImage('committed', 'cat /x')).toBe('x');
    }));

  test.each([
    [['-c', 'RUN x'], 'run is not a valid change command'],
    [['-c', 'ENV'], 'ENV requires at least one argument'],
    [['-c', ''], 'file with no instructions'],
  ])('a wrong instruction is refused before anything is made: %j', async (args, message) => {
    const layers = readdirSync(join(inject('root'), 'layers'));
    const result = await tsrun(['commit', ...args, 'changed', 'committed']);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain(`tsrun: ${message}\n`);
    expect(readdirSync(join(inject('root'), 'layers'))).toEqual(layers);
  });

  test('a wrong name', async () => {
    const result = await tsrun(['commit', 'changed', 'Upper']);
    expect(result.stderr).toContain('invalid reference format: repository name must be lowercase');
    expect(result.code).toBe(1);
  });

  test('twice at the same time makes two images of one layer', async () => {
    await Promise.all([commit([], 'first'), commit([], 'second')]);
    const layers = (image: string) => tsrunOk(['inspect', '-f', '{{.RootFS.Layers}}', image]);
    expect(await layers('first')).toBe(await layers('second'));
    await tsrunOk(['rmi', 'first']);
    expect(await inImage('second', 'cat /a')).toBe('a');
    await tsrunOk(['rmi', 'second']);
    expect(readdirSync(join(inject('root'), 'layers')).filter((name) => name.startsWith('.tmp'))).toEqual([]);
  });
});

describe('export', () => {
  test('is the filesystem that the container sees, without what is mounted', async () => {
    writeFileSync(join(directory, 'mounted'), 'content of the host');
    await tsrunOk(['create', '--name', 'with-mount', '-v', `${directory}/mounted:/mounted`, 'busybox', 'true']);
    await tsrunOk(['rm', 'with-mount']);
    const path = join(directory, 'export.tar');
    await tsrunOk(['export', '-o', path, 'changed']);
    const names = execFileSync('tar', ['-tf', path], { encoding: 'utf8' }).trimEnd().split('\n');
    expect(names).toContain('a name');
    expect(names).toContain('bin/busybox');
    expect(names).toContain('n/e/w/');
    expect(names).not.toContain('bin/ls');
    expect(names.filter((name) => name.startsWith('home'))).toEqual(['home/', 'home/new']);
    expect(new Set(names).size).toBe(names.length);
    const hosts = execFileSync('tar', ['-xOf', path, 'etc/hosts'], { encoding: 'utf8' });
    expect(hosts).toBe('');
  });

  test('goes to stdout, and comes back by import', () =>
    withImage(async () => {
      const result = await run('sh', [
        '-c',
        `${tsrunPath} export changed | ${tsrunPath} import -c 'CMD ["/bin/cat", "/a"]' - committed`,
      ]);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      expect(await tsrunOk(['run', '--rm', '--network', 'none', 'committed'])).toBe('a');
      expect(await inImage('committed', 'stat -c "%a %u:%g %h" /n/e /tmp /a; test -p /n/pipe && echo pipe')).toBe(
        '4711 0:0 3\n1777 1:2 2\n644 0:0 2\npipe',
      );
    }));

  test('does not go to a terminal, nor into a directory that is not there', async () => {
    const terminal = await tsrun(['export', 'changed'], { tty: true });
    expect(terminal.code).toBe(1);
    expect(terminal.stdout).toContain('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    const result = await tsrun(['export', '-o', '/nonexistent/x', 'changed']);
    expect(result).toMatchObject({ code: 1 });
    expect(result.stderr).toContain(
      'failed to export container: invalid output path: directory "/nonexistent" does not exist',
    );
  });
});

// After a kill the container's monitor lets it go on, and the next command takes away what the layer had come to.
test.each([
  ['SIGINT', 130],
  ['SIGKILL', null],
] as const)('%s gives a commit up: the container goes on, and no image is there', async (signal, code) => {
  const big = 'dd if=/dev/zero of=/big bs=1M count=300 2>/dev/null; echo done; sleep 1000';
  const id = await tsrunOk(['run', '-d', '--network', 'none', '--name', 'busy', 'busybox', 'sh', '-c', big]);
  try {
    await expect.poll(() => tsrunOk(['logs', 'busy']), { timeout: 20_000 }).toBe('done');
    // Not by a command: the whole commit may take no longer than that.
    const status = (): string => computeState(join(inject('root'), 'containers', id)).status;
    const child = spawn(tsrunPath, ['commit', 'busy', 'given-up'], { env: environment(), stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    await expect.poll(status, { timeout: 10_000, interval: 5 }).toBe('paused');
    child.kill(signal);
    expect(await ended).toBe(code);
    await expect.poll(status, { timeout: 10_000, interval: 20 }).toBe('running');
    expect((await tsrun(['inspect', 'given-up'])).code).toBe(1);
  } finally {
    await tsrun(['rm', '-f', 'busy']);
  }
});
