/**
 * Twenty commands at once, in any mix: what comes of it is what some order of them would have given, and nothing leaks.
 * TSRUN_CONCURRENCY_ROUNDS says how many such mixes (2 without it).
 */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findCommand } from '../../src/cli/commands.ts';
import { layers, leftovers, takeStock } from './stock.ts';
import { tsrun, tsrunOk } from './tsrun.ts';
import { begin, nextCommand, Random } from './workload.ts';

const many = 20;
const rounds = Number(process.env.TSRUN_CONCURRENCY_ROUNDS || 2);
const timeout = 120_000;
let intact: Map<string, string[]>;

beforeAll(async () => {
  // Layers of other tests would be compared each time.
  await tsrunOk(['system', 'prune', '-af']);
  await tsrunOk(['pull', '-q', 'busybox']);
  intact = layers();
});

afterEach(async () => {
  const ids = (await tsrunOk(['ps', '-aq', '--no-trunc'])).split('\n').filter(Boolean);
  if (ids.length > 0) await tsrunOk(['rm', '-f', '-v', ...ids]);
});

/** Runs a command line twenty times at once; how many succeeded, and what the others said. */
async function atOnce(words: (index: number) => string[]): Promise<{ succeeded: number; complaints: string[] }> {
  const running = Array.from({ length: many }, (_, index) => begin(words(index)));
  const results = await Promise.all(running.map(({ ended }) => ended));
  const failed = results.filter(({ code }) => code !== 0);
  return {
    succeeded: results.length - failed.length,
    complaints: [...new Set(failed.map(({ stderr }) => stderr.split('\n')[0] ?? ''))].sort(),
  };
}

const service = ['busybox', 'sleep', '100'];

describe('twenty at once', { timeout }, () => {
  test('runs with one name: one container, and the others hear who has the name', async () => {
    const { succeeded, complaints } = await atOnce(() => [
      'run',
      '-d',
      '--name',
      'one',
      '--network',
      'none',
      ...service,
    ]);
    expect(succeeded).toBe(1);
    const id = await tsrunOk(['ps', '-aq', '--no-trunc']);
    for (const text of complaints) expect(text).toContain('The container name "/one" is already in use');
    expect(id).toMatch(/^[0-9a-f]{64}$/);
  });

  test('runs with one published port: one has it, and nothing of the others runs', async () => {
    const { succeeded } = await atOnce((i) => ['run', '-d', '--name', `port-${i}`, '-p', '23100:80', ...service]);
    expect(succeeded).toBe(1);
    expect((await tsrunOk(['ps', '-q'])).split('\n')).toHaveLength(1);
    expect(await tsrunOk(['ps', '--format', '{{.Ports}}'])).toContain('23100->80/tcp');
  });

  test('runs: every one has an address of its own', async () => {
    const { succeeded, complaints } = await atOnce((i) => ['run', '-d', '--name', `run-${i}`, ...service]);
    expect({ succeeded, complaints }).toEqual({ succeeded: many, complaints: [] });
    const names = Array.from({ length: many }, (_, i) => `run-${i}`);
    const addresses = (await tsrunOk(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', ...names])).split('\n');
    expect(new Set(addresses).size).toBe(many);
  });

  test('starts of one container: it runs once', async () => {
    await tsrunOk(['create', '--name', 'started', '--network', 'none', ...service]);
    const { complaints } = await atOnce(() => ['start', 'started']);
    for (const text of complaints) expect(text).toMatch(/already running|being started/);
    expect((await tsrunOk(['ps', '-q'])).split('\n')).toHaveLength(1);
  });

  test('removals of one container: it is gone', async () => {
    await tsrunOk(['run', '-d', '--name', 'gone', '-p', '23101:80', ...service]);
    const { succeeded, complaints } = await atOnce(() => ['rm', '-f', 'gone']);
    expect(succeeded).toBeGreaterThan(0);
    for (const text of complaints) expect(text).toMatch(/No such container|being started or cleaned up/);
    expect(await tsrunOk(['ps', '-aq'])).toBe('');
  });

  test('pulls and removals of one image: it is there or not, and whole', async () => {
    const { complaints } = await atOnce((i) =>
      i % 2 === 0 ? ['pull', '-q', 'tsrun/layers'] : ['rmi', 'tsrun/layers'],
    );
    for (const text of complaints) expect(text).toContain('No such image');
    await tsrunOk(['pull', '-q', 'tsrun/layers']);
    await tsrunOk(['rmi', 'tsrun/layers']);
    await takeStock(intact);
  });

  test.runIf(findCommand('volume create'))('creations of one volume: one volume', async () => {
    const { succeeded } = await atOnce(() => ['volume', 'create', 'shared']);
    expect(succeeded).toBe(many);
    expect(await tsrunOk(['volume', 'ls', '-q'])).toBe('shared');
    await tsrunOk(['volume', 'rm', 'shared']);
  });

  test.runIf(findCommand('rename'))('renames to one name: one has it, and the others keep theirs', async () => {
    await atOnce((i) => ['create', '--name', `old-${i}`, ...service]);
    const { succeeded, complaints } = await atOnce((i) => ['rename', `old-${i}`, 'new']);
    expect(succeeded).toBe(1);
    for (const text of complaints) expect(text).toContain('already in use');
    const names = (await tsrunOk(['ps', '-a', '--format', '{{.Names}}'])).split('\n');
    expect(new Set(names).size).toBe(many);
    expect(names.filter((name) => name.startsWith('old-'))).toHaveLength(many - 1);
  });

  test.runIf(findCommand('network connect'))(
    'connections to one network: every one has an address and its name',
    async () => {
      await tsrunOk(['network', 'create', 'meeting']);
      await tsrunOk(['run', '-d', '--name', 'first', '--network', 'meeting', ...service]);
      const others = Array.from({ length: many }, (_, i) => `member-${i}`);
      await atOnce((i) => ['run', '-d', '--name', `member-${i}`, '--network', 'none', ...service]);
      await tsrunOk(['rm', '-f', ...others]);
      await atOnce((i) => ['run', '-d', '--name', `member-${i}`, ...service]);
      const { succeeded, complaints } = await atOnce((i) => ['network', 'connect', 'meeting', `member-${i}`]);
      expect({ succeeded, complaints }).toEqual({ succeeded: many, complaints: [] });
      const format = '{{.NetworkSettings.Networks.meeting.IPAddress}}';
      const addresses = (await tsrunOk(['inspect', '-f', format, 'first', ...others])).split('\n');
      expect(new Set(addresses).size).toBe(many + 1);
      const hosts = await tsrunOk(['exec', 'first', 'cat', '/etc/hosts']);
      for (const name of others) expect(hosts).toMatch(new RegExp(`\\s${name}(\\s|$)`, 'm'));
      await tsrunOk(['rm', '-f', 'first', ...others]);
      await tsrunOk(['network', 'rm', 'meeting']);
    },
  );

  test('of any kind: whatever came of them, every command reads the store and ps tells what is so', async () => {
    const random = new Random(20);
    for (let round = 0; round < rounds; round++) {
      const running = Array.from({ length: many }, () => begin(nextCommand(random)));
      for (const { words, ended } of running) {
        const { stderr } = await ended;
        expect(stderr, words.join(' ')).not.toMatch(/fault of tsrun itself|is damaged/);
      }
      await takeStock(intact);
    }
    const ids = (await tsrunOk(['ps', '-aq', '--no-trunc'])).split('\n').filter(Boolean);
    if (ids.length > 0) await tsrunOk(['rm', '-f', '-v', ...ids]);
    for (const network of ['crash-net-0', 'crash-net-1']) await tsrun(['network', 'rm', network]);
    await tsrun(['volume', 'rm', '-f', 'crash-vol-0', 'crash-vol-1']);
    await tsrun(['rmi', '-f', 'tsrun/layers', 'crash-image:0', 'crash-image:1']);
    expect(await leftovers()).toEqual([]);
  });
});
