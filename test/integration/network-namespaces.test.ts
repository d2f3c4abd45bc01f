/** Visits of the main thread to other network namespaces: it always comes back. */
import { readdirSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { close } from '../../src/linux/fs.ts';
import { newNetns, withNetns } from '../../src/linux/namespaces.ts';
import { createNetns } from '../../src/network/index.ts';
import { run } from './network-world.ts';

const here = () => readlinkSync('/proc/thread-self/ns/net');
const of = (fd: number) => readlinkSync(`/proc/self/fd/${fd}`);
const descriptors = () => readdirSync('/proc/self/fd').length;

test('a new namespace is another one, has its loopback interface up, and is gone with its descriptor', () => {
  const home = here();
  const netns = createNetns();
  expect(of(netns)).not.toBe(home);
  expect(here()).toBe(home);
  expect(run(netns, 'ip -o -4 address show')).toMatch(/^1: lo\s+inet 127\.0\.0\.1\/8/);
  expect(run(netns, 'ip -o link show').trim().split('\n')).toHaveLength(1);
  close(netns);
});

test('visits nest, and give back what was returned', () => {
  const home = here();
  const [a, b] = [newNetns(), newNetns()];
  const seen = withNetns(a, () => {
    const outer = here();
    const inner = withNetns(b, here);
    const born = newNetns();
    const child = of(born);
    close(born);
    return [outer, inner, here(), child];
  });
  expect(seen.slice(0, 3)).toEqual([of(a), of(b), of(a)]);
  expect(new Set([home, ...seen]).size).toBe(4);
  expect(here()).toBe(home);
  for (const fd of [a, b]) close(fd);
});

test('an error inside ends the visit too, and a namespace that was just made', () => {
  const home = here();
  const netns = newNetns();
  const before = descriptors();
  const fail = () => {
    throw new Error('inside');
  };
  expect(() => withNetns(netns, fail)).toThrow('inside');
  expect(() => newNetns(fail)).toThrow('inside');
  expect(here()).toBe(home);
  expect(descriptors()).toBe(before);
  close(netns);
});

test('what would go on after the visit is refused', () => {
  const home = here();
  const netns = newNetns();
  expect(() => withNetns(netns, async () => {})).toThrow('must be synchronous');
  expect(() => withNetns(-1, () => {})).toThrow(/setns .*EBADF/);
  expect(here()).toBe(home);
  close(netns);
});
