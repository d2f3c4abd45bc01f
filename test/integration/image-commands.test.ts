/** The commands about images: tag, history, images, rmi, image prune, import, pull --all-tags, search, and their events. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { archive, directory, file } from '../fixtures/archives.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

let busybox: string;
beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  busybox = await tsrunOk(['inspect', '-f', '{{.Id}}', 'busybox']);
});

/** Everything but busybox goes. */
afterEach(async () => {
  const all = (await tsrunOk(['images', '-q', '--no-trunc'])).split('\n').filter((id) => id !== '' && id !== busybox);
  if (all.length > 0) await tsrunOk(['rmi', '-f', ...new Set(all)]);
});

const importArchive = (args: string[] = [], content: Buffer = archive(file('hello', 'hello'))) =>
  tsrun(['import', ...args], { stdin: content });

async function imported(name: string, ...args: string[]): Promise<string> {
  const result = await importArchive([...args, '-', name], archive(file('name', name)));
  if (result.code !== 0) throw new Error(result.stderr);
  return result.stdout.trim();
}

const names = async (...args: string[]) =>
  (await tsrunOk(['images', '--format', '{{.Repository}}:{{.Tag}}', ...args]))
    .split('\n')
    .filter((name) => name !== '')
    .sort();

function events(count: number): { action: string; id: string; attributes: Record<string, string> }[] {
  const lines = readFileSync(join(inject('root'), 'events.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-count);
  return lines.map((line) => {
    const event = JSON.parse(line) as { Action: string; Actor: { ID: string; Attributes: Record<string, string> } };
    return { action: event.Action, id: event.Actor.ID, attributes: event.Actor.Attributes };
  });
}

describe('tag', () => {
  test('gives a name, and takes it from the image that had it', async () => {
    expect(await tsrun(['tag', 'busybox', 'some/name:1'])).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
    expect(events(1)).toEqual([{ action: 'tag', id: busybox, attributes: { name: 'some/name:1' } }]);
    const other = await imported('other');
    await tsrunOk(['image', 'tag', other.slice(7, 19), 'some/name:1']);
    expect(await tsrunOk(['inspect', '-f', '{{.Id}}', 'some/name:1'])).toBe(other);
  });

  test.each([
    [
      ['busybox', 'Foo'],
      'Error parsing reference: "Foo" is not a valid repository/tag: invalid reference format: repository name must be lowercase',
    ],
    [['busybox', 'a b'], 'Error parsing reference: "a b" is not a valid repository/tag: invalid reference format'],
    [['busybox', `a@sha256:${'a'.repeat(64)}`], 'refusing to create a tag with a digest reference'],
    [['nope', 'a'], 'Error: No such image: nope:latest'],
  ])('%j', async (args, message) => {
    const result = await tsrun(['tag', ...args]);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain(message);
  });
});

describe('import', () => {
  test('makes an image of an archive, plain or compressed, with a config by instructions', async () => {
    const tar = archive(directory('bin'), file('hello', 'hello'));
    const ids: string[] = [];
    for (const content of [tar, gzipSync(tar)]) {
      const result = await importArchive(
        ['-m', 'why', '-c', 'CMD ["/x"]', '-c', 'LABEL a=b', '-', 'imported:v1'],
        content,
      );
      expect(result).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) });
      ids.push(result.stdout.trim());
    }
    const [document] = JSON.parse(await tsrunOk(['inspect', 'imported:v1'])) as [Record<string, unknown>];
    expect(document).toMatchObject({
      Id: ids[1],
      Comment: 'why',
      Config: { Cmd: ['/x'], Labels: { a: 'b' }, Env: null },
      Architecture: 'amd64',
      Parent: '',
      Size: 5,
    });
    expect(events(2).map(({ action, id }) => [action, id])).toEqual([
      ['tag', ids[1]],
      ['import', ids[1]],
    ]);
    expect(await tsrunOk(['history', '--format', '{{.Comment}}|{{.CreatedBy}}|{{.Size}}', 'imported:v1'])).toBe(
      'why||5B',
    );
    const json = await tsrunOk(['history', '--format', '{{json .}}', 'imported:v1']);
    expect(Object.keys(JSON.parse(json))).toEqual(['Comment', 'CreatedAt', 'CreatedBy', 'CreatedSince', 'ID', 'Size']);
  });

  test('from a URL', async () => {
    const tar = gzipSync(archive(file('hello', 'hello')));
    const server = createServer((request, response) => {
      if (request.url === '/moved.tar') response.writeHead(302, { location: '/x.tar' }).end();
      else if (request.url === '/x.tar') response.end(tar);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const result = await tsrun(['import', `${base}/moved.tar`, 'imported:url']);
      expect(result.stderr).toBe('');
      expect(result.stdout).toMatch(/^Downloading from http:\S+\/moved\.tar\nsha256:[0-9a-f]{64}\n$/);
      expect(await tsrunOk(['history', '--format', '{{.Comment}}|{{.Size}}', 'imported:url'])).toBe(
        `Imported from ${base}/moved.tar|5B`,
      );
      expect((await tsrun(['import', `${base}/nope`])).stderr).toContain(`Get "${base}/nope": 404 Not Found`);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('what it does not take', async () => {
    const url = await tsrun(['import', 'http://127.0.0.1:1/x.tar']);
    expect(url).toMatchObject({ code: 1, stdout: 'Downloading from http://127.0.0.1:1/x.tar\n' });
    expect(url.stderr).toContain('cannot reach 127.0.0.1:1: connection refused');
    expect((await tsrun(['import', '/nonexistent'])).stderr).toContain(
      'tsrun: open /nonexistent: no such file or directory\n',
    );
    expect((await importArchive(['-'], Buffer.from('x'.repeat(1000)))).stderr).toContain('is not a tar archive');
    expect(await names()).toEqual(['busybox:latest']);
  });

  test('for another platform', async () => {
    await imported('other:arm', '--platform', 'linux/arm64');
    expect(await tsrunOk(['inspect', '-f', '{{.Os}}/{{.Architecture}}', 'other:arm'])).toBe('linux/arm64');
  });
});

describe('history', () => {
  test('has docker’s columns, in full or short, for people or not', async () => {
    await imported('history', '-m', 'a message');
    const lines = (await tsrunOk(['history', 'history'])).split('\n').map((line) => line.split(/ {2,}/));
    expect(lines[0]).toEqual(['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT']);
    expect(lines[1]?.slice(1)).toEqual([expect.stringMatching(/second/), '7B', 'a message']);
    const raw = (await tsrunOk(['history', '-H=false', 'history'])).split('\n').map((line) => line.split(/ {2,}/));
    expect(raw[0]).toEqual(['IMAGE', 'CREATED AT', 'CREATED BY', 'SIZE', 'COMMENT']);
    expect(raw[1]?.slice(1)).toEqual([
      expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/),
      '7',
      'a message',
    ]);
    expect(await tsrunOk(['history', '-q', '--no-trunc', 'history'])).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test('layers that came from elsewhere have no image of their own', async () => {
    await tsrunOk(['pull', '-q', 'tsrun/layers']);
    const ids = (await tsrunOk(['history', '-q', 'tsrun/layers'])).split('\n');
    expect(ids[0]).toMatch(/^[0-9a-f]{12}$/);
    expect(new Set(ids.slice(1))).toEqual(new Set(['<missing>']));
  });
});

describe('images', () => {
  test('filters: label, before, since, reference, dangling', async () => {
    await imported('one:1', '-c', 'LABEL k=v');
    await imported('two/x:1', '-c', 'LABEL k=w');
    await imported('');
    expect(await names('--filter', 'label=k')).toEqual(['one:1', 'two/x:1']);
    expect(await names('--filter', 'label=k=w')).toEqual(['two/x:1']);
    expect(await names('--filter', 'since=one:1')).toEqual(['<none>:<none>', 'two/x:1']);
    expect(await names('--filter', 'before=two/x:1')).toEqual(['busybox:latest', 'one:1']);
    expect(await names('--filter', 'reference=two/*')).toEqual(['two/x:1']);
    expect(await names('--filter', 'dangling=true')).toEqual(['<none>:<none>']);
    expect(await names('-a', 'one')).toEqual(['one:1']);
  });

  test('digests and full ids', async () => {
    const lines = (await tsrunOk(['images', '--digests', '--no-trunc', 'busybox']))
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(lines[0]).toEqual(['REPOSITORY', 'TAG', 'DIGEST', 'IMAGE ID', 'CREATED', 'SIZE']);
    expect(lines[1]?.slice(0, 4)).toEqual([
      'busybox',
      'latest',
      expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      busybox,
    ]);
  });
});

describe('rmi', () => {
  test('by name, id, beginning of an id and digest, with docker’s events', async () => {
    const id = await imported('gone:1');
    await tsrunOk(['tag', id, 'gone:2']);
    expect((await tsrunOk(['rmi', 'gone:1'])).split('\n')).toEqual(['Untagged: gone:1']);
    expect(events(1)).toEqual([{ action: 'untag', id, attributes: { name: id } }]);
    const lines = (await tsrunOk(['rmi', id.slice(7, 17)])).split('\n');
    expect(lines.slice(0, 2)).toEqual(['Untagged: gone:2', `Deleted: ${id}`]);
    expect(events(2).map(({ action }) => action)).toEqual(['untag', 'delete']);
    await tsrunOk(['pull', '-q', 'tsrun/layers']);
    const digest = await tsrunOk(['inspect', '-f', '{{index .RepoDigests 0}}', 'tsrun/layers']);
    await tsrunOk(['rmi', 'tsrun/layers']);
    await tsrunOk(['pull', '-q', digest]);
    expect((await tsrunOk(['rmi', '--no-prune', digest])).split('\n')[0]).toBe(`Untagged: ${digest}`);
  });

  test('not while a container uses it', async () => {
    const id = await imported('used:1', '-c', 'CMD ["/x"]');
    const container = await tsrunOk(['create', 'used:1']);
    try {
      const byName = await tsrun(['rmi', 'used:1']);
      expect(byName.code).toBe(1);
      expect(byName.stderr).toContain(
        `conflict: unable to remove repository reference "used:1" (must force) - container ${container.slice(0, 12)} is using its referenced image ${id.slice(7, 19)}`,
      );
      await tsrunOk(['tag', 'used:1', 'used:2']);
      expect(await tsrunOk(['rmi', 'used:2'])).toBe('Untagged: used:2');
    } finally {
      await tsrunOk(['rm', container]);
    }
  });
});

describe('image prune', () => {
  test('takes images without a name, and says how much that was', async () => {
    await imported('named:1');
    const id = await imported('');
    const result = await tsrunOk(['image', 'prune', '-f']);
    expect(result.split('\n')).toEqual([
      'Deleted Images:',
      `deleted: ${id}`,
      expect.stringMatching(/^deleted: sha256:/),
      '',
      'Total reclaimed space: 0B',
    ]);
    expect(await names()).toEqual(['busybox:latest', 'named:1']);
    expect(events(1)).toEqual([{ action: 'prune', id: '', attributes: { reclaimed: '0' } }]);
    expect(await tsrunOk(['image', 'prune', '-f'])).toBe('Total reclaimed space: 0B');
  });

  test('with -a all that no container uses, by label and age', async () => {
    await imported('a:1', '-c', 'LABEL keep=yes');
    await imported('b:1', '-c', 'CMD ["/x"]');
    await imported('c:1');
    await tsrunOk(['tag', 'c:1', 'c:2']);
    const container = await tsrunOk(['create', 'b:1']);
    const prune = (...args: string[]) => tsrunOk(['image', 'prune', '-af', '--filter', 'label!=keep', ...args]);
    try {
      expect(await prune('--filter', 'until=1h', '--filter', 'label=none')).toBe('Total reclaimed space: 0B');
      await tsrunOk(['create', '--name', 'keeps-busybox', 'busybox']);
      const lines = (await prune()).split('\n');
      expect(lines).toContain('untagged: c:1');
      expect(lines).toContain('untagged: c:2');
      expect(lines.at(-1)).toBe('Total reclaimed space: 3B');
      expect(await names()).toEqual(['a:1', 'b:1', 'busybox:latest']);
    } finally {
      await tsrunOk(['rm', container, 'keeps-busybox']);
    }
  });

  test('takes layers that no image has, of which a kill may leave some', async () => {
    const root = mkdtempSync('/var/tmp/tsrun-prune.');
    try {
      const env = { TSRUN_ROOT: root };
      await tsrunOk(['pull', '-q', 'busybox'], { env });
      const layers = () => readdirSync(join(root, 'layers')).filter((name) => !name.startsWith('.'));
      expect(await tsrunOk(['image', 'prune', '-f'], { env })).toBe('Total reclaimed space: 0B');
      expect(layers()).toHaveLength(1);
      rmSync(join(root, 'images.json'));
      expect(await tsrunOk(['image', 'prune', '-f'], { env })).toMatch(/^Total reclaimed space: 1\.98\dMB$/);
      expect(layers()).toEqual([]);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

  test('asks, and takes nothing but y for yes', async () => {
    await imported('');
    const asked = await tsrun(['image', 'prune'], { stdin: 'n\n' });
    expect(asked).toMatchObject({
      code: 0,
      stdout:
        'WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] Total reclaimed space: 0B\n',
    });
    expect((await tsrun(['image', 'prune'], { stdin: 'y\n' })).stdout).toContain('Deleted Images:');
    expect((await tsrun(['image', 'prune', '-f', '--filter', 'foo=bar'])).stderr).toContain("Invalid filter 'foo'");
    expect((await tsrun(['image', 'prune', '-f', '--filter', 'until=x'])).stderr).toContain(
      'failed to parse value as time or duration: "x"',
    );
  });
});

test('pull --all-tags takes every tag that the registry has, and each has its event', async () => {
  const result = await tsrun(['pull', '-a', 'tsrun/layers']);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toContain('latest: Pulling from tsrun/layers');
  const attributes = await tsrunOk(['inspect', '-f', '{{json .Config.Labels}}', 'tsrun/layers']);
  expect(events(1)).toEqual([
    {
      action: 'pull',
      id: expect.stringMatching(/^tsrun\/layers:/),
      attributes: { ...JSON.parse(attributes), name: 'tsrun/layers' },
    },
  ]);
  expect((await tsrun(['pull', '-a', 'tsrun/layers:latest'])).stderr).toContain("tag can't be used with --all-tags/-a");
});

test('search is refused with a place to search', async () => {
  const result = await tsrun(['search', 'a b']);
  expect(result).toMatchObject({ code: 1, stdout: '' });
  expect(result.stderr).toContain('https://hub.docker.com/search?q=a%20b');
});
