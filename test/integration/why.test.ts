import { afterEach, expect, test } from 'vitest';
import { tsrun, tsrunOk } from './tsrun.ts';

afterEach(async () => void (await tsrun(['rm', '-f', 'why'])));

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) if (await condition()) return;
  throw new Error('it does not come to it');
}

test('why exit tells what the code means and whose hand it was', async () => {
  await tsrun(['run', '--name', 'why', 'busybox', 'sh', '-c', 'exit 3']);
  expect(await tsrunOk(['why', 'exit', 'why'])).toMatch(
    /^its command ended with 3\nwhat that number means is up to the program/,
  );
  await tsrunOk(['rm', 'why']);
  await tsrun(['run', '--name', 'why', 'busybox', '/no/such/thing']);
  expect(await tsrunOk(['why', 'exit', 'why'])).toMatch(/^it was not started: .*\/no\/such\/thing/);
  await tsrunOk(['rm', 'why']);
  await tsrunOk(['run', '-d', '--name', 'why', 'busybox', 'sleep', '1000']);
  expect(await tsrunOk(['why', 'exit', 'why'])).toBe('it has not ended: it is up');
  expect(await tsrunOk(['why', 'exit', '--lang', 'ru', 'why'])).toBe('он не завершён: он работает');
  expect(await tsrunOk(['why', 'exit', 'why'], { env: { LANG: 'ru_RU.UTF-8' } })).toBe('он не завершён: он работает');
  await tsrunOk(['kill', 'why']);
  await tsrunOk(['wait', 'why']);
  expect(await tsrunOk(['why', 'exit', 'why'])).toBe(
    'its command ended with 137: 128 and the number of SIGKILL\nit was killed by hand: tsrun kill, or tsrun stop when its patience was over',
  );
});

test('why path tells mounts, layers and what the container wrote', async () => {
  const command = 'echo mine >/new; echo more >>/etc/passwd; sleep 1000';
  await tsrunOk([
    'run',
    '-d',
    '--name',
    'why',
    '-v',
    '/tmp:/mnt:ro',
    '--tmpfs',
    '/scratch',
    'busybox',
    'sh',
    '-c',
    command,
  ]);
  await until(async () => (await tsrunOk(['exec', 'why', 'cat', '/etc/passwd'])).endsWith('more'));
  const why = (path: string): Promise<string> => tsrunOk(['why', 'path', 'why', path]);
  expect(await why('/mnt/deep/er')).toBe("/mnt/deep/er is the host's /tmp/deep/er, mounted at /mnt");
  expect(await why('/scratch/x')).toContain('is in a tmpfs at /scratch');
  expect(await why('/proc/uptime')).toBe('/proc/uptime is made by the kernel: a proc is mounted at /proc');
  expect(await why('/proc/keys')).toContain('is hidden');
  expect(await why('/etc/hosts')).toContain('is written by tsrun for this container');
  expect(await why('/bin/busybox')).toMatch(/^\/bin\/busybox comes from layer 1 of \d/);
  expect(await why('new')).toMatch(
    /^\/new is the container's own: it was made or changed after its start, in .*upper\/new$/,
  );
  expect(await why('/etc/passwd')).toMatch(/is the container's own.*\nit lies over the one of layer 1 of /);
  const missing = await tsrun(['why', 'path', 'why', '/no/such']);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('no /no/such in container why');
});

test('why port shows the way, and who listens at its end', async () => {
  await tsrunOk([
    'run',
    '-d',
    '--name',
    'why',
    '-p',
    '127.0.0.1:18282:80',
    'busybox',
    'sh',
    '-c',
    'nc -l -p 80; sleep 1000',
  ]);
  await until(async () => (await tsrunOk(['why', 'port', 'why'])).includes(') listens'));
  const lines = (await tsrunOk(['why', 'port', 'why', '80'])).split('\n');
  expect(lines[0]).toMatch(/^127\.0\.0\.1:18282\/tcp on the host/);
  expect(lines[1]).toMatch(/map published: 127\.0\.0\.1 \. tcp \. 18282 : 172\.[\d.]+ \. 80$/);
  expect(lines[2]).toMatch(/-> bridge tsrun0 -> ts[0-9a-f]{11} -> eth0 172\.[\d.]+:80$/);
  expect(lines[3]).toMatch(/-> process \d+ \(nc\) listens$/);
  expect(await tsrunOk(['why', 'port', 'why', '81'])).toBe(
    '81/tcp is not published: only other containers can reach it\n  nobody listens on 81/tcp in the container: connections are refused',
  );
});

test('why limit says that there are none', async () => {
  await tsrunOk(['create', '--name', 'why', 'busybox', 'true']);
  expect(await tsrunOk(['why', 'limit', 'why'])).toBe('it has no limits: the whole machine is its own');
});
