/** Containers on a network of a user's find each other by name; names come and go with those who have them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, inject, test } from 'vitest';
import { inside, networksOf, removeAll, sleeper } from './network-people.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

afterEach(removeAll);

/** The block of a container's hosts file: names by address. */
function namesKnownTo(id: string): Record<string, string> {
  const hosts = readFileSync(join(inject('root'), 'containers', id, 'hosts'), 'utf8');
  const block = /^# tsrun: containers.*\n([\s\S]*?)^# tsrun: end$/m.exec(hosts)?.[1] ?? '';
  return Object.fromEntries(
    block
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t') as [string, string]),
  );
}

async function until(fact: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5000; !fact() && Date.now() < deadline; ) await delay(50);
  expect(fact()).toBe(true);
}

test('by name, alias, hostname and the beginning of the id, with real packets', async () => {
  await tsrunOk(['network', 'create', 'n1']);
  const asks = ['--network', 'n1', '--network-alias', 'db', '--hostname', 'host.example'];
  const id = await tsrunOk(['run', '-d', '--name', 'first', ...asks, ...sleeper]);
  const names = ['first', 'db', 'host.example', id.slice(0, 12)];
  const script = names.map((name) => `ping -c 1 -w 3 ${name} >/dev/null && echo ${name}`).join('; ');
  expect(await tsrunOk(['run', '--rm', '--network', 'n1', 'busybox', 'sh', '-c', script])).toBe(names.join('\n'));
  // Docker's default network has no names.
  const plain = await tsrun(['run', '--rm', 'busybox', 'ping', '-c', '1', '-w', '1', 'first']);
  expect([plain.code, plain.stderr]).toEqual([1, expect.stringContaining("bad address 'first'")]);
});

test('a name appears with start and connect, and vanishes with stop, disconnect and a crash', async () => {
  await tsrunOk(['network', 'create', 'n1']);
  const watcher = await tsrunOk(['run', '-d', '--name', 'watcher', '--network', 'n1', ...sleeper]);
  const known = () => Object.values(namesKnownTo(watcher)).map((names) => names.split(' ')[0]);
  expect(known()).toEqual(['watcher']);
  await tsrunOk(['run', '-d', '--name', 'other', ...sleeper]);
  await tsrunOk(['network', 'connect', '--alias', 'friend', 'n1', 'other']);
  expect(known()).toEqual(['watcher', 'other']);
  expect(await inside('other', 'ping -c 1 -w 3 watcher')).toContain('1 packets received');
  expect(await inside('watcher', 'ping -c 1 -w 3 friend')).toContain('1 packets received');
  await tsrunOk(['network', 'disconnect', 'n1', 'other']);
  expect(known()).toEqual(['watcher']);

  await tsrunOk(['network', 'connect', 'n1', 'other']);
  await tsrunOk(['stop', '-t', '0', 'other']);
  await until(() => known().length === 1);
  await tsrunOk(['start', 'other']);
  expect(known()).toEqual(['watcher', 'other']);

  const pid = Number(await tsrunOk(['inspect', '-f', '{{.State.Pid}}', 'other']));
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  process.kill(Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]), 'SIGKILL');
  process.kill(pid, 'SIGKILL');
  await delay(100);
  await tsrunOk(['run', '--rm', '--network', 'none', 'busybox', 'true']);
  expect(known()).toEqual(['watcher']);
});

test('what a container has written into its hosts file stays, and names of one network are not told on another', async () => {
  await tsrunOk(['network', 'create', 'n1']);
  await tsrunOk(['network', 'create', 'n2']);
  const id = await tsrunOk(['run', '-d', '--name', 'one', '--network', 'n1', ...sleeper]);
  const path = join(inject('root'), 'containers', id, 'hosts');
  writeFileSync(path, `${readFileSync(path, 'utf8')}10.1.2.3\tmine\n`);
  const two = await tsrunOk(['run', '-d', '--name', 'two', '--network', 'n1', '--network', 'n2', ...sleeper]);
  const three = await tsrunOk(['run', '-d', '--name', 'three', '--network', 'n2', ...sleeper]);
  expect(await inside('one', 'cat /etc/hosts')).toContain('10.1.2.3\tmine\n');
  const first = (known: Record<string, string>) => Object.values(known).map((names) => names.split(' ')[0]);
  expect(first(namesKnownTo(id)).sort()).toEqual(['one', 'two']);
  expect(first(namesKnownTo(two)).sort()).toEqual(['one', 'three', 'two', 'two']);
  expect(first(namesKnownTo(three)).sort()).toEqual(['three', 'two']);
  // One that shares its network knows the same, and its own addresses are in its file before the others.
  const shared = await tsrunOk(['run', '--rm', '--network', 'container:one', 'busybox', 'cat', '/etc/hosts']);
  expect(shared).toContain(`${(await networksOf('two')).n1?.IPAddress}\ttwo`);
});
