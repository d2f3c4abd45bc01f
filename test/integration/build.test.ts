/** `tsrun build`: Dockerfiles and contexts into images, the cache, mounts, errors, and what must not get out of a context. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { Terminal } from './terminal.ts';
import { environment, type Result, type RunOptions, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

let top: string;
let context: string;
beforeAll(async () => {
  top = mkdtempSync('/var/tmp/tsrun-build.');
  await tsrunOk(['pull', '-q', 'busybox']);
});
afterAll(async () => {
  await tsrun(['rmi', '-f', 'busybox']);
  await tsrun(['image', 'prune', '-f']);
  rmSync(top, { recursive: true });
});
beforeEach(() => {
  context = mkdtempSync(join(top, 'context.'));
});
afterEach(async () => {
  await tsrun(['rmi', '-f', 'built']);
  expect(await tsrunOk(['ps', '-aq'])).toBe('');
});

/** Files of the context by their names. */
function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(context, name)), { recursive: true });
    writeFileSync(join(context, name), text);
  }
}

async function build(args: string[] = [], options: RunOptions = {}): Promise<Result> {
  return tsrun(['build', '--network', 'none', '-t', 'built', ...args, context], options);
}

async function buildOk(dockerfile: string, args: string[] = [], options: RunOptions = {}): Promise<string> {
  write({ Dockerfile: dockerfile });
  const result = await build(args, options);
  expect(result.code, result.stderr).toBe(0);
  return result.stderr;
}

const inBuilt = (script: string) => tsrunOk(['run', '--rm', '--network', 'none', 'built', 'sh', '-c', script]);
const idOf = (image: string) => tsrunOk(['inspect', '-f', '{{.Id}}', image]);
/** How often steps came from the cache. */
const cached = (stderr: string): number => stderr.split('\n').filter((line) => / CACHED$/.test(line)).length;

describe('an image', () => {
  test('has the files, the config and the history of its instructions', async () => {
    write({ 'file.txt': 'content\n', 'dir/sub/x': 'x\n' });
    chmodSync(join(context, 'file.txt'), 0o640);
    const stderr = await buildOk(
      [
        'FROM busybox',
        'ARG WHO=world',
        'ENV A=1 B="two words"',
        'RUN echo hello $WHO $B > /hello; id -u >> /hello; echo printed',
        'COPY file.txt dir /data/',
        'WORKDIR /work',
        'WORKDIR dir',
        'RUN pwd > here',
        'SHELL ["/bin/sh", "-ec"]',
        'LABEL a=b',
        'EXPOSE 80',
        'VOLUME /v',
        'STOPSIGNAL SIGINT',
        'HEALTHCHECK --interval=5s CMD true',
        'USER 5:6',
        'ENTRYPOINT ["/bin/echo"]',
        'CMD ["one", "two"]',
      ].join('\n'),
    );
    expect(stderr).toMatch(/^#\d+ \[2\/6\] RUN echo hello \$WHO \$B > \/hello/m);
    expect(stderr).toMatch(/^#\d+ \d\.\d{3} printed$/m);
    expect(stderr).toMatch(
      /^#\d+ naming to docker\.io\/library\/built:latest$|naming to docker\.io\/library\/built:latest/m,
    );
    expect(await tsrunOk(['run', '--rm', '--network', 'none', 'built'])).toBe('one two');
    const script =
      'cat /hello /work/dir/here; stat -c "%n %a %u:%g" /data/file.txt /data/sub /data/sub/x /work/dir; pwd; id -u; id -g';
    const run = ['run', '--rm', '--network', 'none', '--entrypoint', 'sh', 'built', '-c', script];
    expect((await tsrunOk(run)).split('\n')).toEqual([
      ...['hello world two words', '0', '/work/dir'],
      ...['/data/file.txt 640 0:0', '/data/sub 755 0:0', '/data/sub/x 644 0:0', '/work/dir 755 0:0'],
      ...['/work/dir', '5', '6'],
    ]);
    const [document] = JSON.parse(await tsrunOk(['inspect', 'built'])) as [{ Config: object }];
    expect(document.Config).toMatchObject({
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=1', 'B=two words'],
      User: '5:6',
      WorkingDir: '/work/dir',
      Entrypoint: ['/bin/echo'],
      Cmd: ['one', 'two'],
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '/v': {} },
      Labels: { a: 'b' },
      StopSignal: 'SIGINT',
      Shell: ['/bin/sh', '-ec'],
      Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5_000_000_000 },
    });
    const history = await tsrunOk(['history', '--no-trunc', '--format', '{{.CreatedBy}}', 'built']);
    expect(history.split('\n').slice(0, 3)).toEqual(['CMD ["one", "two"]', 'ENTRYPOINT ["/bin/echo"]', 'USER 5:6']);
    expect(history).toContain('RUN |1 WHO=world /bin/sh -c echo hello $WHO $B > /hello');
  });

  test('is the same, bit for bit, when it is built again without the cache, and in both forms of layers', async () => {
    write({ a: 'a', 'd/b': 'b' });
    for (const name of ['a', 'd/b', 'd']) utimesSync(join(context, name), 1_700_000_000, 1_700_000_000);
    const text =
      'FROM busybox\nCOPY . /c/\nRUN mkdir /m && date > /dev/null && touch /m/z /m/a && ln /m/a /m/l\nWORKDIR /w';
    await buildOk(text);
    const id = await idOf('built');
    // The newest input gives the time: no file is newer.
    expect(Number(await inBuilt('stat -c %Y /m/z'))).toBeLessThanOrEqual(Date.now() / 1000);
    for (const storage of ['unpacked', 'erofs']) {
      // An own store: in this one the layers are there.
      const root = mkdtempSync(join(top, 'root.'));
      const env = { TSRUN_ROOT: root, TSRUN_STATE: join(root, 'state'), TSRUN_STORAGE: storage };
      const result = await build(['-q'], { env });
      if (storage === 'erofs' && /erofs/.test(result.stderr) && result.code !== 0) continue;
      expect(result, storage).toMatchObject({ code: 0, stdout: `${id}\n` });
      const saved = await tsrun(['save', '-o', join(root, 'saved.tar'), 'built'], { env });
      expect(saved.code, saved.stderr).toBe(0);
      const ran = await tsrun(['run', '--rm', '--network', 'none', 'built', 'cat', '/c/d/b'], { env });
      expect(ran, storage).toMatchObject({ code: 0, stdout: 'b' });
      rmSync(root, { recursive: true });
    }
    expect((await build(['--no-cache', '-q'])).stdout).toBe(`${id}\n`);
  });

  test('on a terminal the text of a Dockerfile does not drive it, with a coloured mark before it either', async () => {
    const hostile = 'FROM busybox\nRUN echo "\x1b]2;driven\x07 \x1b[8mhidden" > /x';
    await buildOk(hostile);
    using terminal = Terminal.tsrun(['build', '--network', 'none', '-t', 'built', context], { columns: 120, rows: 24 });
    expect(await terminal.exit()).toBe(0);
    expect(terminal.screen()).toMatch(/CACHED .*RUN echo "\\x1b\]2;driven\\x07 \\x1b\[8mhidden"/);
    expect(terminal.screen()).toMatch(/ => => writing image sha256:[0-9a-f]{64}\n => => naming to \S+built:latest/);
    expect(terminal.screen()).toMatch(/^\[\+\] Building \d+\.\ds \(4\/4\) FINISHED$/m);
  });

  test('SOURCE_DATE_EPOCH is the time of everything', async () => {
    write({ a: 'a' });
    await buildOk('FROM busybox\nCOPY a /a\nRUN touch /b', [], { env: { SOURCE_DATE_EPOCH: '1000000000' } });
    expect(await inBuilt('stat -c %Y /a /b')).toBe('1000000000\n1000000000');
    expect(await tsrunOk(['inspect', '-f', '{{.Created}}', 'built'])).toBe('2001-09-09T01:46:40Z');
  });

  test('-q, --iidfile, --label, --build-arg, --target', async () => {
    write({ Dockerfile: 'ARG T\nFROM busybox AS one\nARG X\nRUN echo $X > /x\nFROM busybox\nRUN exit 1' });
    const path = join(top, 'iid');
    const result = await build(['-q', '--iidfile', path, '--label', 'l=1', '--build-arg', 'X=y', '--target', 'one']);
    expect(result, result.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(path, 'utf8')).toBe(result.stdout.trim());
    expect(await inBuilt('cat /x')).toBe('y');
    expect(await tsrunOk(['inspect', '-f', '{{.Config.Labels.l}}', 'built'])).toBe('1');
  });
});

describe('the cache', () => {
  const text = 'FROM busybox\nARG V\nCOPY a /a\nRUN cat /a > /b\nCOPY b /c\nRUN cat /c > /d';

  test('knows contents, not times; what follows a change is made again', async () => {
    write({ a: '1', b: '2' });
    expect(cached(await buildOk(text))).toBe(0);
    const id = await idOf('built');
    utimesSync(join(context, 'a'), 1, 1);
    expect(cached(await buildOk(text))).toBe(4);
    expect(await idOf('built')).toBe(id);
    write({ b: '3' });
    expect(cached(await buildOk(text))).toBe(2);
    chmodSync(join(context, 'a'), 0o755);
    expect(cached(await buildOk(text))).toBe(0);
    expect(cached(await buildOk(text, ['--no-cache']))).toBe(0);
    // An argument counts for commands, and not for files; what a command makes is the same, and so is what follows.
    expect(cached(await buildOk(text, ['--build-arg', 'V=1']))).toBe(2);
    expect(cached(await buildOk(text, ['--build-arg', 'HTTP_PROXY=http://proxy']))).toBe(4);
  });

  test('is a line of system df, and what builder prune takes, and not image prune', async () => {
    const size = async (): Promise<unknown> => {
      const rows = (await tsrunOk(['system', 'df', '--format', 'json'])).split('\n').map((line) => JSON.parse(line));
      return rows.find(({ Type }) => Type === 'Build Cache');
    };
    const prune = (...args: string[]) => tsrunOk(['builder', 'prune', '-f', ...args]);
    await prune('-a');
    const lines = [
      'FROM busybox AS made',
      'RUN --mount=type=cache,target=/c head -c 100000 /dev/zero >/c/kept && head -c 5000 /dev/zero >/big && touch /only',
      'FROM busybox',
      'COPY --from=made /big /big',
    ];
    await buildOk(lines.join('\n'));
    const whole = { TotalCount: '3', Active: '0', Size: '105kB', Reclaimable: '105kB' };
    expect(await size()).toMatchObject(whole);
    const details = JSON.parse(await tsrunOk(['system', 'df', '-v', '--format', '{{json .BuildCache}}']));
    const shown = details.map((row: Record<string, string>) => [row.CacheType, row.Size, row.Shared]);
    expect(shown.sort()).toEqual([
      ['exec.cachemount', '100kB', 'false'],
      ['regular', '5kB', 'false'],
      ['regular', '5kB', 'true'],
    ]);
    await tsrunOk(['image', 'prune', '-f']);
    expect(await prune('--filter', 'until=1h')).toBe('Total reclaimed space: 0B');
    // As long as somebody counts on layers, none goes.
    const holder = spawn('flock', ['-s', join(inject('root'), 'layers/.lock'), 'sh', '-c', 'echo held; read x'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect((await tsrun(['builder', 'prune', '-f'])).stderr).toContain('the build cache stays');
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    holder.stdin.end();
    await ended;
    expect(await size()).toMatchObject(whole);
    expect(cached((await build()).stderr)).toBe(2);

    const some = await prune();
    expect(some).toMatch(/^Deleted build cache objects:\n([0-9a-f]+\n){2}\nTotal reclaimed space: 105kB$/);
    expect(await size()).toMatchObject({ TotalCount: '1', Size: '0B' });
    expect(cached((await build()).stderr)).toBe(1);
    expect(await prune('-a', '--keep-storage', '1g')).toBe('Total reclaimed space: 0B');
    const system = await tsrunOk(['system', 'prune', '-f']);
    expect(system).toMatch(/Deleted build cache objects:\n([0-9a-f]+\n){2}\n/);
    expect(cached((await build()).stderr)).toBe(1);
    expect(await prune('-a')).toMatch(/^Deleted build cache objects:\n([0-9a-f]+\n){3}/);
    expect(cached((await build()).stderr)).toBe(0);
  });

  test('a layer that has been removed is made again', async () => {
    write({ a: String(Math.random()), b: '2' });
    await buildOk(text);
    await tsrunOk(['rmi', 'built']);
    const stderr = await buildOk(text);
    expect(cached(stderr)).toBe(0);
    expect(await inBuilt('cat /d')).toBe('2');
  });
});

describe('stages', () => {
  test('that do not depend on each other run at the same time; what nothing needs does not run', async () => {
    // Each waits for the other: one after the other they would wait for ever.
    const meet = (own: string, other: string) =>
      `FROM busybox AS ${own}\nRUN --mount=type=cache,id=meet-${context.slice(-6)},target=/m touch /m/${own}; i=0; while ! test -e /m/${other}; do i=$((i+1)); test $i -lt 600 || exit 1; sleep 0.1; done; echo ${own} > /${own}`;
    await buildOk(
      [
        meet('a', 'b'),
        meet('b', 'a'),
        'FROM busybox AS never',
        'RUN exit 1',
        'FROM busybox',
        'COPY --from=a /a /',
        'COPY --from=1 /b /',
      ].join('\n'),
      [],
      { timeout: 100_000 },
    );
    expect(await inBuilt('cat /a /b')).toBe('a\nb');
  });

  test('FROM a stage, scratch; files keep their owners; ONBUILD', async () => {
    await buildOk(
      [
        'FROM busybox AS base',
        'RUN mkdir -p /s/d && echo x > /s/d/f && chown 7:8 /s/d/f && ln -s f /s/d/l && ln /s/d/f /s/d/h',
        'ONBUILD RUN echo never',
        'FROM base AS second',
        'RUN rm -r /s/d/l; echo y > /s/y',
        'FROM scratch',
        'COPY --from=busybox /bin /bin',
        'COPY --from=base /s /s',
        'COPY --from=second --chown=1 /s/y /s/new/',
      ].join('\n'),
    );
    expect(await inBuilt('ls /s; stat -c "%n %u:%g %h" /s/d/f /s/d/h /s/new/y; readlink /s/d/l; echo $PATH')).toBe(
      [
        'd',
        'new',
        '/s/d/f 7:8 2',
        '/s/d/h 7:8 2',
        '/s/new/y 1:1 1',
        'f',
        '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ].join('\n'),
    );
  });
});

describe('RUN --mount', () => {
  test('caches persist, secrets and binds leave nothing in the image', async () => {
    write({ 'src/main': 'main\n', secret: 'the-secret' });
    const id = `c-${context.slice(-6)}`;
    const text = (n: number) =>
      [
        'FROM busybox',
        `RUN --mount=type=cache,id=${id},target=/cache echo ${n} >> /cache/log; cp /cache/log /log`,
        'RUN --mount=type=secret,id=key,uid=5,mode=0440 stat -c "%a %u" /run/secrets/key > /stat; wc -c < /run/secrets/key >> /stat',
        'RUN --mount=type=secret,id=key,env=KEY test "$KEY" = the-secret',
        'RUN --mount=type=bind,source=src,target=/mnt/deep/src cat /mnt/deep/src/main > /main; touch /mnt/deep/src/x || echo read-only >> /main',
        'RUN --mount=target=/ctx,rw echo changed > /ctx/src/main && cat /ctx/src/main >> /main',
        'RUN --mount=type=tmpfs,target=/t,size=1m grep -q " /t tmpfs" /proc/mounts && touch /t/x',
      ].join('\n');
    const args = ['--secret', `id=key,src=${join(context, 'secret')}`];
    await buildOk(text(1), args);
    await buildOk(text(2), args);
    expect(
      await inBuilt(
        'cat /log /stat /main; ls -d /cache /t /mnt /ctx /run/secrets 2>/dev/null; ls /run 2>/dev/null; true',
      ),
    ).toBe('1\n2\n440 5\n10\nmain\nread-only\nchanged');
    expect(readFileSync(join(context, 'src/main'), 'utf8')).toBe('main\n');
    // grep ends with 1 where it finds nothing.
    const search = () =>
      execFileSync('grep', ['-rq', 'the-secret', join(inject('root'), 'layers')], { stdio: 'ignore' });
    expect(search).toThrow(/Command failed/);
  });

  test('a secret that is required and missing', async () => {
    write({ Dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=key,required true' });
    const result = await build();
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('secret key: not found');
  });
});

describe('what is hostile', () => {
  const outside = '/var/tmp/tsrun-build-outside';
  beforeEach(() => {
    rmSync(outside, { recursive: true, force: true });
    mkdirSync(outside);
    writeFileSync(join(outside, 'victim'), 'of the host');
  });
  afterEach(() => {
    expect(readdirSync(outside)).toEqual(['victim']);
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('of the host');
    rmSync(outside, { recursive: true });
  });

  test.each([
    ['COPY link /x', () => symlinkSync(join(outside, 'victim'), join(context, 'link'))],
    ['COPY link/victim /x', () => symlinkSync(outside, join(context, 'link'))],
    ['COPY link/* /x/', () => symlinkSync(outside, join(context, 'link'))],
    ['COPY up/victim /x', () => symlinkSync(`../../../../../..${outside}`, join(context, 'up'))],
    [`COPY ../../../../../..${outside}/victim /x`, () => {}],
    ['RUN --mount=type=bind,source=link,target=/m cat /m/victim', () => symlinkSync(outside, join(context, 'link'))],
    ['ADD link /x/', () => symlinkSync(join(outside, 'victim'), join(context, 'link'))],
  ])('a link of the context leads nowhere outside: %s', async (line, prepare) => {
    prepare();
    write({ Dockerfile: `FROM busybox\n${line}` });
    const result = await build();
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/not found in the build context|no source files were specified/);
    expect(result.stderr).toMatch(/Dockerfile:2\n-+\n {3}1 \| {5}FROM busybox\n {3}2 \| >>> /);
  });

  test.each([
    ['COPY --from=evil /link/victim /x'],
    ['COPY --from=evil /link /x/'],
    ['RUN --mount=type=bind,from=evil,source=/link,target=/m,rw echo overwritten > /m/victim'],
    ['RUN --mount=type=bind,from=evil,source=/up,target=/m,rw echo overwritten > /m/victim'],
    ['RUN --mount=type=cache,id=evil,from=evil,source=/link,target=/m echo overwritten > /m/victim'],
  ])('a link of a stage leads nowhere outside: %s', async (line) => {
    const evil = `FROM busybox AS evil\nRUN ln -s ${outside} /link; ln -s ../../../../../..${outside} /up`;
    write({ Dockerfile: `${evil}\nFROM busybox\n${line}` });
    const result = await build();
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('not found in "evil"');
  });

  test('nor does one at a destination, a working directory or a mount', async () => {
    write({ victim: 'overwritten' });
    await buildOk(
      [
        'FROM busybox',
        `RUN ln -s ${outside} /link; ln -s ../../../../../..${outside} /up; ln -s ${outside}/victim /file`,
        'COPY victim /link/',
        'COPY victim /up/second',
        'COPY victim /file',
        'WORKDIR /up/work',
        'RUN touch here',
        'RUN --mount=type=tmpfs,target=/link/mounted touch /link/mounted/x',
      ].join('\n'),
    );
    expect(await inBuilt(`cat ${outside}/victim; ls ${outside} ${outside}/work`)).toBe(
      `overwritten${outside}:\nsecond\nvictim\nwork\n\n${outside}/work:\nhere`,
    );
  });

  test('the Dockerfile and the .dockerignore are of the context too', async () => {
    symlinkSync(join(outside, 'victim'), join(context, 'Dockerfile'));
    for (const args of [[], ['-f', join(context, 'Dockerfile')]]) {
      const result = await build(args);
      expect(result.code).toBe(1);
      expect(result.stderr).not.toContain('of the host');
      expect(result.stderr).toContain(`open ${join(context, 'Dockerfile')}: no such file or directory`);
      expect(result.stderr).toContain(`a link to "${outside}/victim", which is not in the context`);
    }
    // A link in the context is one, and a fifo is not waited for.
    rmSync(join(context, 'Dockerfile'));
    write({ 'd/file': 'FROM busybox\nCOPY . /c/' });
    symlinkSync('/d/file', join(context, 'Dockerfile'));
    execFileSync('mkfifo', [join(context, 'fifo')]);
    writeFileSync(join(outside, 'victim'), '*');
    symlinkSync(join(outside, 'victim'), join(context, '.dockerignore'));
    expect(await build()).toMatchObject({ code: 0 });
    writeFileSync(join(outside, 'victim'), 'of the host');
    expect(await inBuilt('cat /c/d/file')).toContain('FROM busybox');
    expect((await build(['-f', join(context, 'fifo')])).stderr).toContain('fifo: is no ordinary file');
  });

  test('the network of the host is given by whoever builds, not taken by a Dockerfile', async () => {
    write({ Dockerfile: 'FROM busybox\nRUN --network=host true' });
    const refused = await build();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('granting entitlement network.host is not allowed');
    expect(refused.stderr).toContain('--allow network.host');
    expect((await build(['--allow', 'network.host'])).code).toBe(0);
    write({ Dockerfile: 'FROM busybox\nRUN --security=insecure true' });
    expect((await build()).stderr).toContain('no --security=insecure');
  });

  test('a mount point that the command replaces by a link', async () => {
    const far = join(top, 'far');
    mkdirSync(join(far, 'b/victim'), { recursive: true });
    // The mount itself cannot be moved, what is above it can.
    await buildOk(`FROM busybox\nRUN --mount=type=tmpfs,target=/a/b/victim mkdir /c && mv /a /c/ && ln -s ${far} /a`);
    expect(await inBuilt('readlink /a; ls -d /c/a/b/victim')).toBe(`${far}\n/c/a/b/victim`);
    expect(readdirSync(join(far, 'b'))).toEqual(['victim']);
  });
});

describe('errors', () => {
  test('a command that fails: its output, its exit code, its line', async () => {
    write({ Dockerfile: 'FROM busybox\n\nRUN echo before; \\\n  exit 7\nCMD x\n' });
    const result = await build();
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^#\d+ \d\.\d{3} before$/m);
    expect(result.stderr).toContain(
      'process "/bin/sh -c echo before;   exit 7" did not complete successfully: exit code: 7\nDockerfile:3\n',
    );
    expect(result.stderr).toContain('   3 | >>> RUN echo before; \\\n   4 | >>>   exit 7\n   5 |     CMD x\n');
    expect(await tsrun(['inspect', 'built'])).toMatchObject({ code: 1 });
    expect(readdirSync(join(inject('root'), 'layers')).filter((name) => name.startsWith('.tmp'))).toEqual([]);
    expect(readdirSync(join(inject('root'), 'cache/build')).filter((name) => name.startsWith('.tmp'))).toEqual([]);
  });

  test.each([
    ['FROM busybox\nCOPY nope /x', '"/nope": not found in the build context'],
    ['FROM busybox\nRUNN x', 'unknown instruction: RUNN'],
    ['FROM busybox\nCOPY --from=3 a b', 'invalid from flag value 3: index out of bounds'],
    ['FROM busybox\nUSER nobody-here\nRUN true', 'unable to find user nobody-here'],
    ['FROM busybox\nRUN ["/nope"]', '/nope'],
    ['FROM busybox\nCOPY Dockerfile /bin/busybox/x', 'a part of it is no directory'],
    ['FROM scratch\nRUN x', 'nothing has been put into scratch yet'],
    ['FROM 127.0.0.1:1/nope', 'cannot reach 127.0.0.1:1'],
    ['FROM busybox\nCOPY --from=127.0.0.1:1/nope a b', 'cannot reach 127.0.0.1:1'],
    ['FROM --platform=a/b/c/d busybox', '"a/b/c/d" is not a platform'],
  ])('%j', async (text, message) => {
    write({ Dockerfile: text });
    const result = await build();
    expect(result.code).toBeGreaterThan(0);
    expect(result.stderr).toContain(message);
    expect(result.stderr).toMatch(/Dockerfile:\d\n-+\n/);
  });

  test('what can be seen without building is told before anything runs', async () => {
    write({ Dockerfile: 'FROM busybox\nRUN echo first\nFROM scratch AS other\nCOPY --frm=x a b\n' });
    const result = await build(['--target', '0']);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('unknown flag: --frm\nDockerfile:4\n');
    expect(result.stderr).not.toContain('] RUN echo first');
  });

  test.each([
    [['https://example.com/x.git'], 'fetches no remote context'],
    [['--iidfile', '/no/where/id', '.'], '--iidfile: directory "/no/where" does not exist'],
    [['-f', '/etc', '.'], 'read /etc: is a directory'],
    [['/does/not/exist'], 'path "/does/not/exist" not found'],
    [[], 'requires exactly 1 argument'],
  ])('tsrun build %j', async (args, message) => {
    const result = await tsrun(['build', ...args]);
    expect(result.code).toBeGreaterThan(0);
    expect(result.stderr).toContain(message);
  });

  test('Ctrl-C ends the command that runs; a build that was killed is cleaned up after by the next one', async () => {
    write({ Dockerfile: 'FROM busybox\nRUN echo started; sleep 1000' });
    let stderr = '';
    const start = async (): Promise<ReturnType<typeof spawn>> => {
      stderr = '';
      const child = spawn(tsrunPath, ['build', '--network', 'none', context], {
        env: environment(),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      await new Promise<void>((resolve, reject) => {
        child.stderr?.on('data', (chunk: Buffer) => {
          stderr += chunk;
          if (/ started$/m.test(stderr)) resolve();
        });
        child.once('exit', () => reject(new Error(stderr)));
      });
      return child;
    };
    const ended = (child: ReturnType<typeof spawn>): Promise<number | null> =>
      new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    const first = await start();
    const end = ended(first);
    first.kill('SIGINT');
    expect(await end).toBe(130);
    await expect.poll(() => stderr).toMatch(/^#3 CANCELED$/m);
    expect(await tsrunOk(['ps', '-aq'])).toBe('');
    const second = await start();
    const killed = ended(second);
    second.kill('SIGKILL');
    await killed;
    expect(await tsrunOk(['ps', '-aq'])).not.toBe('');
    await buildOk('FROM busybox\nCMD x');
    expect(await tsrunOk(['ps', '-aq'])).toBe('');
  });
});

describe('contexts', () => {
  const tar = (...args: string[]): Buffer => execFileSync('tar', ['-C', context, '-c', ...args]);

  test('an archive on stdin or as a file, compressed too; a Dockerfile on stdin', async () => {
    write({
      Dockerfile: 'FROM busybox\nCOPY . /c/\n',
      a: 'a',
      'd/b': 'b',
      '.dockerignore': 'a\n',
      'other.df': 'FROM busybox\nCOPY d/b /other',
    });
    const plain = tar('.');
    const packed = tar('-z', '.');
    const stdin = await tsrun(['build', '-t', 'built', '-'], { stdin: plain });
    expect(stdin.code, stdin.stderr).toBe(0);
    expect(await inBuilt('cd /c; find . -type f | sort')).toBe('./.dockerignore\n./Dockerfile\n./d/b\n./other.df');
    const path = join(top, 'context.tar.gz');
    writeFileSync(path, packed);
    await tsrunOk(['build', '-q', '-t', 'built', '-f', 'other.df', path]);
    expect(await inBuilt('cat /other')).toBe('b');
    await tsrunOk(['build', '-q', '-t', 'built', '-'], { stdin: 'FROM busybox\nENV X=stdin\n' });
    expect(await inBuilt('echo $X')).toBe('stdin');
    await tsrunOk(['build', '-q', '-t', 'built', '-f', '-', context], { stdin: 'FROM busybox\nCOPY d/b /b\n' });
    expect(await inBuilt('cat /b')).toBe('b');
  });

  test('.dockerignore, and that of a Dockerfile of another name', async () => {
    write({ '.dockerignore': '*\n!keep\n!d/*.txt\n', keep: '1', 'd/a.txt': '2', 'd/a.log': '3', 'e/f': '4' });
    await buildOk('FROM busybox\nCOPY . /c/\n');
    expect(await inBuilt('cd /c; find . | sort')).toBe('.\n./d\n./d/a.txt\n./keep');
    write({ 'x.df': 'FROM busybox\nCOPY . /c/\n', 'x.df.dockerignore': 'd\n*.df*\n.dockerignore\nDockerfile' });
    await tsrunOk(['build', '-q', '-t', 'built', '-f', join(context, 'x.df'), context]);
    expect(await inBuilt('cd /c; find . | sort')).toBe('.\n./e\n./e/f\n./keep');
  });
});

test('COPY and ADD: wildcards, --parents, --exclude, --chmod, archives, links at the destination', async () => {
  write({ 'a1.txt': '1', 'a2.txt': '2', 'a3.md': '3', 'd/e/f.txt': 'f', 'd/e/g.md': 'g' });
  execFileSync(
    'sh',
    [
      '-ec',
      'mkdir t; echo in > t/file; ln -s file t/link; chmod 700 t; tar -czf t.tar.gz t; echo plain | gzip > p.gz; rm -r t',
    ],
    { cwd: context },
  );
  await buildOk(
    [
      'FROM busybox',
      'RUN mkdir /real && ln -s real /linked && ln -s /nowhere/file /dangling',
      'COPY a?.txt /w/',
      'COPY --exclude=**/*.md --chmod=600 d /x/',
      'COPY --parents d/e/*.txt /p/',
      'COPY --parents d/./e/f.txt /q/',
      'COPY a1.txt /linked/',
      'COPY a2.txt /dangling',
      'ADD t.tar.gz p.gz /arch/',
      'COPY t.tar.gz /copied/',
    ].join('\n'),
  );
  const script =
    'for d in w x p q real nowhere arch copied; do find /$d | sort; done; stat -c %a /x/e/f.txt /arch/t; readlink /arch/t/link';
  expect((await inBuilt(script)).split('\n')).toEqual([
    ...['/w', '/w/a1.txt', '/w/a2.txt', '/x', '/x/e', '/x/e/f.txt', '/p', '/p/d', '/p/d/e', '/p/d/e/f.txt'],
    ...['/q', '/q/e', '/q/e/f.txt', '/real', '/real/a1.txt', '/nowhere', '/nowhere/file'],
    ...[
      '/arch',
      '/arch/p.gz',
      '/arch/t',
      '/arch/t/file',
      '/arch/t/link',
      '/copied',
      '/copied/t.tar.gz',
      '600',
      '700',
      'file',
    ],
  ]);
});

describe('ADD of a URL', () => {
  const archive = (): Buffer =>
    execFileSync('tar', ['-cz', '--owner=7', '--group=8', '--mode=640', '-C', context, 'inside'], {
      encoding: 'buffer',
    });
  const modified = 'Wed, 21 Oct 2015 07:28:00 GMT';
  let server: Server;
  let address: string;
  let requests: string[];
  let content: Buffer;
  beforeAll(async () => {
    server = createServer(({ url = '', headers }, response) => {
      requests.push(url);
      const allowed = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
      if (url === '/file/y' && headers.authorization !== allowed) return void response.writeHead(401).end();
      if (url.startsWith('/moved/')) return void response.writeHead(302, { location: `/file/${url.slice(7)}` }).end();
      if (url === '/tagged') {
        const etag = `"${createHash('sha256').update(content).digest('hex')}"`;
        if (headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
        return void response.writeHead(200, { etag, 'content-length': content.length }).end(content);
      }
      if (!url.startsWith('/file/')) return void response.writeHead(404).end();
      // One byte less than it says: the first time only.
      const broken = url.endsWith('broken') && requests.filter((each) => each === url).length === 1;
      response.writeHead(200, { 'last-modified': modified, 'content-length': content.length });
      if (!broken) return void response.end(content);
      response.write(content.subarray(1), () => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    address = `http://127.0.0.1:${port}`;
  });
  afterAll(() => server.close());
  beforeEach(() => {
    requests = [];
    write({ inside: 'in' });
    content = archive();
  });

  test('is fetched as a file: its name, mode, owner and time; with --unpack as what is in it', async () => {
    write({ other: 'o' });
    const sum = createHash('sha256').update(content).digest('hex');
    const lines = [
      'FROM busybox',
      'RUN echo five:x:5:5::/:/bin/sh >>/etc/passwd; echo five:x:5: >>/etc/group',
      `ARG AT=${address}`,
      'ADD $AT/moved/a%20b.tgz?q other /d/',
      'ADD --chown=five --chmod=u=rwX,g+r $AT/file/x /named',
      `ADD --checksum=sha256:${sum} $AT/file/broken /d/checked`,
      `ADD --unpack ${address.replace('//', '//me:p%40ss@')}/file/y /unpacked`,
    ];
    await buildOk(lines.join('\n'));
    const script = 'cd /d; stat -c "%n %a %u:%g %Y" * /named /unpacked/inside; sha256sum <checked';
    const [a, checked, other, named, inside, digest] = (await inBuilt(script)).split('\n');
    const time = Date.parse(modified) / 1000;
    expect([a, checked, named]).toEqual([
      `a b.tgz 600 0:0 ${time}`,
      `checked 600 0:0 ${time}`,
      `/named 640 5:5 ${time}`,
    ]);
    expect(other).toMatch(/^other 644 0:0 /);
    expect(inside).toMatch(/^\/unpacked\/inside 640 7:8 /);
    expect(digest).toBe(`${sum}  -`);
    expect(requests.filter((url) => url === '/file/broken')).toHaveLength(2);

    // What --checksum names is not even asked for again, what has changed is made anew.
    requests = [];
    const again = await build();
    expect([again.code, cached(again.stderr)]).toEqual([0, 5]);
    expect(requests).not.toContain('/file/broken');
    content = Buffer.from('changed');
    const changed = await build();
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain(
      `digest mismatch sha256:${createHash('sha256').update(content).digest('hex')}: sha256:${sum}`,
    );
    expect(changed.stderr).toContain('>>> ADD --checksum=');
  });

  test('what the server says is the same is not fetched again', async () => {
    const dockerfile = `FROM busybox\nADD ${address}/tagged /x\n`;
    const transfers = (stderr: string): string[] => stderr.match(/fetching \S+|is what it was/g) ?? [];
    await buildOk(dockerfile);
    const again = await build();
    expect([cached(again.stderr), transfers(again.stderr)]).toEqual([
      1,
      [`fetching ${address}/tagged`, 'is what it was'],
    ]);
    // The layer is gone: the content is needed.
    await tsrunOk(['rmi', 'built']);
    const made = await build();
    expect([made.code, cached(made.stderr)]).toEqual([0, 0]);
    content = Buffer.from('changed');
    const changed = await build();
    expect([cached(changed.stderr), transfers(changed.stderr)]).toEqual([0, [`fetching ${address}/tagged`]]);
    expect(await inBuilt('cat /x')).toBe('changed');
    await tsrunOk(['builder', 'prune', '-f']);
    expect(readdirSync(join(inject('root'), 'cache/build/remote'))).toEqual([]);
  });

  test.each([
    ['ADD AT/nowhere /x', 'Get "AT/nowhere": 404 Not Found'],
    ['ADD AT/file/ /d/', 'cannot determine filename for source AT/file/'],
  ])('%s', async (line, message) => {
    write({ Dockerfile: `FROM busybox\n${line.replace('AT', address)}\n` });
    const result = await build();
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(message.replace('AT', address));
    expect(result.stderr).toContain(`Dockerfile:2\n`);
  });
});

test('commands have the network of tsrun run', async () => {
  write({
    Dockerfile: 'FROM busybox\nRUN ls /sys/class/net | wc -l > /n\nRUN --network=none ls /sys/class/net | wc -l >> /n',
  });
  const result = await tsrun(['build', '-t', 'built', context]);
  expect(result.code, result.stderr).toBe(0);
  expect(await inBuilt('cat /n')).toBe('2\n1');
});
