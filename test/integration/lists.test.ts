/** What lists keep of containers is believed as long as it holds, and not a moment longer. */
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { ContainerStore } from '../../src/container/store.ts';
import { containerRecord } from '../fixtures/container-record.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

const name = 'listed';
const image = 'listed/image:1';
/** With fewer nothing is kept. */
const others = 16;
let id: string;

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
});
beforeEach(async () => {
  await tsrunOk(['tag', 'busybox', image]);
  const store = new ContainerStore(inject('root'), inject('state'));
  for (let i = 0; i < others; i++) store.create(containerRecord(`${name}-${i}`));
  const health = ['--health-cmd', 'test -e /healthy', '--health-interval', '2s', '--health-retries', '1000'];
  id = await tsrunOk(['run', '-d', '--name', name, '-p', '127.0.0.1::80', ...health, image, 'sleep', '1000']);
});
afterEach(async () => {
  await tsrun(['rm', '-f', id, ...Array.from({ length: others }, (_, i) => `${name}-${i}`)]);
  await tsrun(['rmi', image]);
});

/** What the table says of the container, but for the spans of time. */
async function shown(): Promise<{ image: string; status: string; ports: string; name: string }> {
  const [titles = '', row = ''] = (await tsrunOk(['ps', '-a', '-f', `id=${id}`])).split('\n');
  const column = (title: string, next?: string): string =>
    row.slice(titles.indexOf(title), next === undefined ? undefined : titles.indexOf(next)).trim();
  return {
    image: column('IMAGE', 'COMMAND'),
    status: column('STATUS', 'PORTS')
      .replace(/^Up [^(]*/, 'Up ')
      .replace(/ [^()]* ago$/, ''),
    ports: column('PORTS', 'NAMES').replace(/\d{5}/, 'PORT'),
    name: column('NAMES'),
  };
}

/** Waits until a list has kept what it shows of the container as it is now. */
async function keep(): Promise<void> {
  const cache = join(inject('root'), 'cache/containers');
  for (;;) {
    // Whatever else there is to keep: one container alone is not worth writing it.
    rmSync(cache, { force: true });
    await tsrunOk(['ps', '-a']);
    const { ctimeMs } = statSync(join(inject('root'), 'containers', id));
    const head = JSON.parse(readIfThere(cache).split('\n')[0] ?? '') as { rows?: Row[] };
    const row = head.rows?.find((each) => each.id === id);
    if (row?.cells !== undefined && Math.abs(row.changed - ctimeMs) < 0.01) return;
  }
}

interface Row {
  id: string;
  changed: number;
  cells?: unknown;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '{}';
  }
}

test('what happens to a container, its network and its image is in the next list', async () => {
  const expected = { image, status: 'Up (health: starting)', ports: '127.0.0.1:PORT->80/tcp', name };
  await keep();
  expect(await shown()).toEqual(expected);

  await tsrunOk(['rename', name, 'renamed']);
  expect((await shown()).name).toBe('renamed');
  await keep();
  await tsrunOk(['rename', 'renamed', name]);
  expect(await shown()).toEqual(expected);

  await keep();
  await tsrunOk(['network', 'disconnect', 'bridge', name]);
  expect((await shown()).ports).toBe('');
  await keep();
  await tsrunOk(['network', 'connect', 'bridge', name]);
  expect((await shown()).ports).toBe('127.0.0.1:PORT->80/tcp');

  await keep();
  await tsrunOk(['rmi', image]);
  expect((await shown()).image).toBe((await tsrunOk(['images', '-q', 'busybox'])).trim());
  await keep();
  await tsrunOk(['tag', 'busybox', image]);
  expect(await shown()).toEqual(expected);

  await keep();
  await tsrunOk(['pause', name]);
  expect((await shown()).status).toBe('Up (Paused)');
  await keep();
  expect((await shown()).status).toBe('Up (Paused)');
  await tsrunOk(['unpause', name]);
  expect(await shown()).toEqual(expected);

  await keep();
  await tsrunOk(['exec', name, 'touch', '/healthy']);
  while ((await tsrunOk(['inspect', '-f', '{{.State.Health.Status}}', name])) !== 'healthy') await delay(50);
  expect((await shown()).status).toBe('Up (healthy)');
});

test('a container that is killed, or whose monitor is, is not taken for one that runs', async () => {
  await keep();
  await tsrunOk(['kill', name]);
  await tsrunOk(['wait', name]);
  expect((await shown()).status).toBe('Exited (137)');

  await tsrunOk(['start', name]);
  await keep();
  const { monitorPid } = JSON.parse(readFileSync(join(inject('root'), 'containers', id, 'start.json'), 'utf8'));
  process.kill(monitorPid, 'SIGKILL');
  while (existsSync(`/proc/${monitorPid}`)) await delay(5);
  // It may take its container with it, or not; nobody will tell how that ends.
  expect((await shown()).status).toMatch(/^Up .*\(unsupervised\)$|^Exited \(255\)$/);
});
