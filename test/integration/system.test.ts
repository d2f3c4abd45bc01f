import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { tsrun, tsrunOk } from './tsrun.ts';

beforeAll(async () => {
  // What is counted here is all there is.
  await tsrunOk(['system', 'prune', '-af', '--volumes']);
  await tsrunOk(['pull', '-q', 'busybox']);
});

const quiet = ['--network', 'none'];
/** The rows of `system df`, by their type. */
async function usage(): Promise<Record<string, Record<string, string>>> {
  const rows = (await tsrunOk(['system', 'df', '--format', 'json'])).split('\n').map((line) => JSON.parse(line));
  return Object.fromEntries(rows.map((row) => [row.Type, row]));
}

describe('containers of three kinds', () => {
  afterEach(() => tsrun(['rm', '-f', 'up', 'ended', 'made', 'kept']));

  test('df counts them, and what could go; prune takes those that do not run', async () => {
    const fill = (bytes: number, then = ''): string[] => ['sh', '-c', `head -c ${bytes} /dev/zero >/x${then}`];
    await tsrunOk(['run', '-d', '--name', 'up', ...quiet, 'busybox', ...fill(2_000_000, '; echo ok; exec sleep 1000')]);
    await tsrunOk(['run', '--name', 'ended', ...quiet, 'busybox', ...fill(1_000_000)]);
    const made = await tsrunOk(['create', '--name', 'made', '-l', 'a=b', 'busybox', 'true']);
    await expect.poll(() => tsrunOk(['logs', 'up'])).toBe('ok');

    const found = await usage();
    expect(found.Containers).toEqual({
      Type: 'Containers',
      TotalCount: '3',
      Active: '1',
      Size: '3MB',
      Reclaimable: '1MB (33%)',
    });
    expect(found.Images).toMatchObject({ TotalCount: '1', Active: '1', Reclaimable: '0B (0%)' });
    expect(Object.keys(found)).toEqual(['Images', 'Containers', 'Local Volumes', 'Build Cache']);
    expect(await tsrunOk(['system', 'df'])).toMatch(
      /^TYPE {12}TOTAL {5}ACTIVE {4}SIZE {6}RECLAIMABLE\nImages {10}1 {9}1 /,
    );
    await tsrunOk(['tag', 'busybox', 'zzz:1']);
    const details = JSON.parse(await tsrunOk(['system', 'df', '-v', '--format', '{{json .}}']));
    await tsrunOk(['rmi', 'zzz:1']);
    expect(details.Images).toMatchObject([{ Repository: 'busybox', Containers: '3', SharedSize: '0B' }]);
    expect(details.Containers.map(({ Names, Size }: Record<string, string>) => [Names, Size])).toEqual([
      ['made', '0B'],
      ['ended', '1MB'],
      ['up', '2MB'],
    ]);
    expect(await tsrunOk(['system', 'df', '-v'])).toMatch(
      /\nCONTAINER ID {3}IMAGE {5}COMMAND .*\n[0-9a-f]{12} {3}busybox /,
    );

    const refused = await tsrun(['system', 'prune'], { stdin: 'n\n' });
    expect(refused).toMatchObject({ code: 0, stderr: '' });
    expect(refused.stdout).toBe(
      'WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n' +
        '  - all dangling images\n  - all dangling build cache\n\nAre you sure you want to continue? [y/N] ',
    );
    // Whoever cannot be asked has not said yes.
    expect((await tsrun(['system', 'prune'])).stdout).not.toContain('Deleted');
    expect(await tsrunOk(['ps', '-aq', '--filter', 'status=exited'])).not.toBe('');

    expect(await tsrunOk(['system', 'prune', '-f', '--filter', 'label=a'])).toBe(
      `Deleted Containers:\n${made}\n\nTotal reclaimed space: 0B`,
    );
    expect(await tsrunOk(['system', 'prune', '-f', '--filter', 'until=1h'])).toBe('Total reclaimed space: 0B');
    expect(await tsrunOk(['system', 'prune', '-f'])).toMatch(
      /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 1MB$/,
    );
    expect(await tsrunOk(['ps', '-a', '--format', '{{.Names}}'])).toBe('up');
  });

  test('an image that a container is made from stays; with -a any other goes', async () => {
    await tsrunOk(['run', '-d', '--name', 'kept', ...quiet, 'busybox', 'sleep', '1000']);
    await tsrunOk(['pull', '-q', 'tsrun/config']);
    const old = await tsrunOk(['system', 'prune', '-af', '--filter', 'until=2000-01-01']);
    expect(old).toBe('Total reclaimed space: 0B');
    const output = await tsrunOk(['system', 'prune', '-a'], { stdin: 'Y\n' });
    expect(output).toContain('  - all images without at least one container associated to them\n  - all build cache\n');
    expect(output).toMatch(/Deleted Images:\nuntagged: tsrun\/config:latest\n/);
    expect(output).toMatch(/Total reclaimed space: [1-9][\d.]*[kM]?B$/);
    expect(await tsrunOk(['images', '--format', '{{.Repository}}'])).toBe('busybox');
  });
});

test('volumes: what no container has', async () => {
  await tsrunOk(['volume', 'create', 'data']);
  writeFileSync(join(inject('root'), 'volumes/data/_data/file'), Buffer.alloc(5000));
  expect((await usage())['Local Volumes']).toMatchObject({ TotalCount: '1', Active: '0', Reclaimable: '5kB (100%)' });
  expect(await tsrunOk(['system', 'prune', '-f'])).toBe('Total reclaimed space: 0B');
  expect(await tsrunOk(['system', 'prune', '-f', '--volumes'])).toBe(
    'Deleted Volumes:\ndata\n\nTotal reclaimed space: 5kB',
  );
});

test('what killed processes left goes too', async () => {
  const containers = join(inject('root'), 'containers');
  const old = new Date(Date.now() - 3_600_000);
  mkdirSync(join(containers, '.creating-1'), { recursive: true });
  mkdirSync(join(containers, '.removing-2/upper/x'), { recursive: true });
  mkdirSync(join(inject('root'), 'names'), { recursive: true });
  writeFileSync(join(inject('root'), 'names/lost'), 'nobody\n');
  for (const path of ['containers/.creating-1', 'names/lost']) utimesSync(join(inject('root'), path), old, old);
  // The suite sees whether they are gone.
  expect(await tsrunOk(['system', 'prune', '-f'])).toBe('Total reclaimed space: 0B');
});

test.each([
  [['--filter', 'foo=1'], 1, "Invalid filter 'foo'"],
  [['--filter', 'until=soon'], 1, 'failed to parse value as time or duration: "soon"'],
  [['--volumes', '--filter', 'until=1h'], 1, 'the "until" filter is not supported with "--volumes"'],
  [['more'], 1, 'accepts no arguments'],
])('prune %j is refused', async (args, code, message) => {
  const result = await tsrun(['system', 'prune', '-f', ...args]);
  expect(result).toMatchObject({ code, stdout: '' });
  expect(result.stderr).toContain(message);
});
