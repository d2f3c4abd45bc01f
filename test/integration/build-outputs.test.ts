/** `tsrun build --output`, `--push`, `--metadata-file`, `--annotation`, and the flags that its commands have in common with `run`. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { type Result, type RunOptions, tsrun, tsrunOk } from './tsrun.ts';

let top: string;
let context: string;
let registry: string;
beforeAll(async () => {
  top = mkdtempSync('/var/tmp/tsrun-build-outputs.');
  registry = inject('registry');
  await tsrunOk(['pull', '-q', 'busybox']);
});
afterAll(async () => {
  await tsrun(['rmi', '-f', 'busybox', 'built']);
  await tsrun(['image', 'prune', '-f']);
  rmSync(top, { recursive: true });
});
beforeEach(() => {
  context = mkdtempSync(join(top, 'context.'));
});
afterEach(async () => {
  expect(await tsrunOk(['ps', '-aq'])).toBe('');
});

/** Builds a Dockerfile with the files that are in the context. */
function build(dockerfile: string, args: string[], options: RunOptions = {}): Promise<Result> {
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  return tsrun(['build', '--network', 'none', ...args, context], options);
}

async function buildOk(dockerfile: string, args: string[], options: RunOptions = {}): Promise<Result> {
  const result = await build(dockerfile, args, options);
  expect(result.code, result.stderr).toBe(0);
  return result;
}

describe('--output', () => {
  const stage = 'FROM busybox AS build\nRUN echo made >/made\nFROM scratch\nCOPY --from=build /made /\nCOPY tree /\n';

  beforeEach(() => {
    const tree = join(context, 'tree');
    mkdirSync(join(tree, 'd/inner'), { recursive: true });
    mkdirSync(join(tree, 'link'));
    writeFileSync(join(tree, 'd/file'), 'new');
    writeFileSync(join(tree, 'link/x'), 'x');
    writeFileSync(join(tree, 'was-directory'), 'now a file');
    chmodSync(join(tree, 'd/file'), 0o750);
    symlinkSync('../made', join(tree, 'd/to'));
    linkSync(join(tree, 'd/file'), join(tree, 'd/inner/same'));
  });

  test('a directory gets the files of the stage, beside what is there; no image is made', async () => {
    const before = await tsrunOk(['images', '-aq', '--no-trunc']);
    const out = join(context, 'out');
    const elsewhere = join(context, 'elsewhere');
    mkdirSync(join(out, 'd'), { recursive: true });
    mkdirSync(join(out, 'was-directory/full'), { recursive: true });
    mkdirSync(elsewhere);
    writeFileSync(join(out, 'd/file'), 'old');
    writeFileSync(join(out, 'd/kept'), 'kept');
    symlinkSync(elsewhere, join(out, 'link'));
    const { stderr } = await buildOk(stage, ['-o', out]);
    expect(stderr).toMatch(/^#\d+ exporting to client directory$/m);
    expect(readdirSync(out, { recursive: true }).sort()).toEqual(
      ['d', 'd/file', 'd/inner', 'd/inner/same', 'd/kept', 'd/to', 'link', 'link/x', 'made', 'was-directory'].sort(),
    );
    expect(readFileSync(join(out, 'd/to'), 'utf8')).toBe('made\n');
    expect(readFileSync(join(out, 'd/file'), 'utf8')).toBe('new');
    const file = lstatSync(join(out, 'd/file'));
    expect([file.mode & 0o7777, file.uid, file.ino]).toEqual([0o750, 0, lstatSync(join(out, 'd/inner/same')).ino]);
    expect(readdirSync(elsewhere)).toEqual([]);
    expect(await tsrunOk(['images', '-aq', '--no-trunc'])).toBe(before);

    const missing = join(context, 'a/b');
    await buildOk('FROM scratch\n', ['-q', '--output', `type=local,dest=${missing}`]);
    expect(readdirSync(missing)).toEqual([]);
  });

  test('an archive of the files, in a file or on stdout', async () => {
    const archive = join(context, 'out.tar');
    await buildOk(stage, ['-o', `type=tar,dest=${archive}`]);
    const { stdout } = await buildOk(stage, ['-q', '-o', '-'], { timeout: 50_000 });
    expect(Buffer.byteLength(stdout)).toBe(lstatSync(archive).size);
    const names = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }).trim().split('\n');
    expect(names).toContain('d/inner/same');
    expect(execFileSync('tar', ['-xOf', archive, 'made'], { encoding: 'utf8' })).toBe('made\n');
  });

  test.each(['oci', 'docker'])(
    'an image of type %s is what the store would have, and is not in the store',
    async (type) => {
      const archive = join(context, 'image.tar');
      const args = ['-q', '--annotation', 'org.example=yes'];
      const { stdout } = await buildOk(stage, [...args, '-t', 'built:archive', '-o', `type=${type},dest=${archive}`]);
      expect((await tsrun(['inspect', 'built:archive'])).code).toBe(1);
      await buildOk(stage, ['-q', '-t', 'built']);
      expect(await tsrunOk(['inspect', '-f', '{{.Id}}', 'built'])).toBe(stdout.trim());
      await tsrunOk(['load', '-q', '-i', archive]);
      expect(await tsrunOk(['inspect', '-f', '{{.Id}}', 'built:archive'])).toBe(stdout.trim());
      await tsrunOk(['rmi', 'built:archive']);
      if (type === 'docker') return;
      const read = (name: string) => JSON.parse(execFileSync('tar', ['-xOf', archive, name], { encoding: 'utf8' }));
      const { manifests } = read('index.json');
      expect(read(`blobs/sha256/${manifests[0].digest.slice(7)}`).annotations).toEqual({ 'org.example': 'yes' });
    },
  );

  test.each([
    ['FROM scratch\n', ['-o', '/dev/null'], 'destination directory /dev/null is a file'],
    ['FROM scratch\n', ['-o', 'type=tar,dest=/no/where'], 'directory "/no" does not exist'],
  ])('%j %j', async (dockerfile, args, message) => {
    const result = await build(dockerfile, args);
    expect(result.code).toBeGreaterThan(0);
    expect(result.stderr).toContain(message);
  });
});

test('--push, --metadata-file and annotations: the registry has what the file says', async () => {
  const name = `${registry}/outputs/pushed`;
  const metadata = join(context, 'metadata.json');
  const iid = join(context, 'iid');
  const files = ['--metadata-file', metadata, '--iidfile', iid];
  const { stdout } = await buildOk('FROM busybox\nCMD x\n', [
    ...['-q', '--push', '-t', `${name}:1`, '-t', `${name}:2`, '--annotation', 'manifest:a=b=c', ...files],
  ]);
  const document = JSON.parse(readFileSync(metadata, 'utf8'));
  expect(document).toMatchObject({
    'containerimage.config.digest': stdout.trim(),
    'image.name': `${name}:1,${name}:2`,
  });
  expect(readFileSync(iid, 'utf8')).toBe(stdout.trim());
  for (const tag of ['1', '2']) {
    const answer = await fetch(`http://${registry}/v2/outputs/pushed/manifests/${tag}`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    });
    expect(answer.headers.get('docker-content-digest')).toBe(document['containerimage.digest']);
    expect(await answer.json()).toMatchObject({ annotations: { a: 'b=c' } });
  }
  await tsrunOk(['rmi', `${name}:1`, `${name}:2`]);

  const unreachable = await build('FROM busybox\n', ['-q', '--push', '-t', '127.0.0.1:1/x']);
  expect(unreachable.code).toBe(1);
  expect(unreachable.stderr).toContain('cannot reach 127.0.0.1:1');
  await tsrunOk(['rmi', '127.0.0.1:1/x']);
});

test('hosts, limits of a process and /dev/shm are those that were asked for, and a part of the cache', async () => {
  const dockerfile =
    'FROM busybox\nRUN grep -c "^192.0.2.7.*there" /etc/hosts >/h; ulimit -n >/n; df -k /dev/shm | tail -n 1 >/s; true\n';
  const read = () => tsrunOk(['run', '--rm', '--network', 'none', 'built', 'sh', '-c', 'cat /h /n; cat /s']);
  const args = ['--add-host', 'there:192.0.2.7', '--ulimit', 'nofile=321:400', '--shm-size', '1m', '-t', 'built'];
  await buildOk(dockerfile, args);
  expect((await read()).replace(/\s+/g, ' ')).toMatch(/^1 321 \S+ 1024 /);
  expect((await buildOk(dockerfile, args)).stderr).toMatch(/ CACHED$/m);
  expect((await buildOk(dockerfile, ['-t', 'built'])).stderr).not.toMatch(/ CACHED$/m);
  expect(await read()).toMatch(/^0\n/);
});

test('--build-context names directories and images', async () => {
  const other = join(context, 'other');
  mkdirSync(join(other, 'd'), { recursive: true });
  writeFileSync(join(other, 'd/file'), 'of other');
  writeFileSync(join(other, 'd/ignored'), '');
  writeFileSync(join(other, '.dockerignore'), 'd/ignored\n');
  symlinkSync('/etc', join(other, 'd/etc'));
  const dockerfile =
    'FROM Base\nCOPY --from=other d /d/\nRUN --mount=from=other,source=d,target=/m cat /m/file >/seen\nCOPY --from=base /bin/sh /sh\n';
  const contexts = ['--build-context', `Other=${other}`, '--build-context', 'base=docker-image://busybox'];
  await buildOk(dockerfile, [...contexts, '-t', 'built']);
  const script = 'cat /seen; ls /d; stat -c "%u %F" /d/file /d/etc';
  expect(await tsrunOk(['run', '--rm', '--network', 'none', 'built', 'sh', '-c', script])).toBe(
    'of otheretc\nfile\n0 regular file\n0 symbolic link',
  );
  const again = await buildOk(dockerfile, contexts);
  expect(again.stderr.match(/ CACHED$/gm)).toHaveLength(3);
  writeFileSync(join(other, 'd/file'), 'changed');
  expect((await buildOk(dockerfile, contexts)).stderr).not.toMatch(/ CACHED$/m);

  const refused = await build('FROM other\n', contexts);
  expect(refused.stderr).toContain('the build context "other" is a directory, which no stage can begin with');
  expect((await build('FROM scratch\n', ['--build-context', 'x=/no/where'])).stderr).toContain(
    '/no/where is no directory',
  );
});

test('--no-cache-filter builds those stages again', async () => {
  const dockerfile = 'FROM busybox AS one\nRUN echo 1\nFROM busybox\nRUN echo 2\nCOPY --from=one /bin/sh /x\n';
  await buildOk(dockerfile, ['-q']);
  const steps = async (...args: string[]): Promise<string[]> =>
    (await buildOk(dockerfile, args)).stderr.match(/(?<=\n#\d+ )(\[\S+ \d\/\d\] RUN .*)(?=\n#\d+ CACHED)/g) ?? [];
  expect((await steps()).sort()).toEqual(['[one 2/2] RUN echo 1', '[stage-1 2/3] RUN echo 2']);
  expect(await steps('--no-cache-filter', 'one')).toEqual(['[stage-1 2/3] RUN echo 2']);
});

test('flags that change nothing are taken; where that may surprise, a line says so', async () => {
  const quiet = ['--rm', '--force-rm', '--compress', '--load', '--provenance=false', '--sbom=false', '--squash=false'];
  const result = await buildOk('FROM busybox\n', [...quiet, '--cache-from', 'type=gha', '--isolation', 'default']);
  expect(result.stderr).toMatch(/^tsrun: --cache-from changes nothing/m);
  expect(result.stderr.match(/changes nothing/g)).toHaveLength(1);
});
