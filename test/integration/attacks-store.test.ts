/** A store in which something else lies where a record was: it is named, not followed and not waited for. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Host } from './attack-fixture.ts';
import { type Result, tsrun, tsrunOk } from './tsrun.ts';

const host = new Host();
const root = join(host.directory, 'root');
const env = { TSRUN_ROOT: root, TSRUN_STATE: join(host.directory, 'state') };
const victim = join(host.directory, 'victim');
const call = (...words: string[]): Promise<Result> => tsrun(words, { env, timeout: 30_000 });
let container = '';

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox'], { env });
  await tsrunOk(['volume', 'create', 'data'], { env });
  await tsrunOk(['network', 'create', 'own'], { env });
  container = await tsrunOk(['create', '--name', 'one', '--network=none', '-v', 'data:/data', 'busybox', 'true'], {
    env,
  });
});
afterAll(async () => {
  await tsrunOk(['rm', '-f', 'one'], { env });
  await tsrunOk(['network', 'rm', 'own'], { env });
  await host.remove();
});

const kinds: readonly (readonly [kind: string, put: (path: string) => void])[] = [
  ['a link', (path) => symlinkSync(victim, path)],
  ['a fifo', (path) => execFileSync('mkfifo', [path])],
  ['a directory', (path) => execFileSync('mkdir', [path])],
];

/** Puts something else where the file is, for as long as `look` takes. */
async function replaced(path: string, put: (path: string) => void, look: () => Promise<void>): Promise<void> {
  const content = '{"version":1,"images":{},"name":"data"}';
  writeFileSync(victim, content);
  renameSync(path, `${path}.kept`);
  try {
    put(path);
    await look();
  } finally {
    rmSync(path, { recursive: true, force: true });
    renameSync(`${path}.kept`, path);
  }
  expect(readFileSync(victim, 'utf8')).toBe(content);
}

test.each(kinds)('%s where a record was', { timeout: 240_000 }, async (_, put) => {
  const records: readonly (readonly [path: string, command: readonly string[]])[] = [
    ['images.json', ['images']],
    ['volumes/data/volume.json', ['volume', 'inspect', 'data']],
    [`networks/${readdirSync(join(root, 'networks')).find((name) => name.endsWith('.json'))}`, ['network', 'ls']],
    [`containers/${container}/container.json`, ['start', '-a', 'one']],
  ];
  for (const [name, command] of records) {
    await replaced(join(root, name), put, async () => {
      const { code, stdout, stderr } = await call(...command);
      expect({ name, code: code > 0, stdout: stdout.includes('true') }).toEqual({ name, code: true, stdout: false });
      expect(stderr.replace('.json:', '.json"')).toContain(`${name}" is no ordinary file`);
    });
  }
});

test('a fifo where credentials are kept: nobody waits, and the file is named', async () => {
  const home = { ...env, DOCKER_CONFIG: host.directory };
  const path = join(host.directory, 'config.json');
  execFileSync('mkfifo', [path]);
  const { code, stderr } = await tsrun(['logout', '127.0.0.1:1'], { env: home, timeout: 30_000 });
  expect({ code, named: stderr.includes(`${path}" is no ordinary file`) }).toEqual({ code: 1, named: true });
  rmSync(path);
});

test.each(kinds.slice(0, 2))('%s where the journal was: nothing is written to it, and nobody waits', async (_, put) => {
  await replaced(join(root, 'events.jsonl'), put, async () => {
    expect(await call('start', '-a', 'one')).toMatchObject({ code: 0 });
    expect((await call('events', '--since', '1h', '--until', '0s')).code).toBeGreaterThanOrEqual(0);
  });
});
