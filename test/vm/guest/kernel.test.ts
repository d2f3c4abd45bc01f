/** What the design takes from newer kernels has a way round on this one, and what it takes from the kernel is as it says. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { run, tsrun, tsrunOk } from '../../integration/tsrun.ts';
import { ioDisk, ioNumber, processes, remove, start } from './containers.ts';

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
});

// No lowerdir+ in fsconfig (6.7), no MFD_EXEC (6.3), no setxattrat (6.13).
test('the kernel is that of Debian 12', () => {
  expect(release()).toMatch(/^6\.1\..*-cloud-amd64$/);
});

test('layers are stacked by mount(2), and what is written goes to the upper one', async () => {
  const id = await start([], 'echo new >/etc/new; rm /etc/passwd; sleep 1000');
  const pid = processes(id)[0] ?? 0;
  expect(readFileSync(`/proc/${pid}/mounts`, 'utf8')).toMatch(/^overlay \/ overlay .*lowerdir=/m);
  expect((await tsrunOk(['diff', id])).split('\n').sort()).toEqual(['A /etc/new', 'C /etc', 'D /etc/passwd']);
  await remove(id);
});

test('files go into and out of a container that does not run, which is then mounted nowhere', async () => {
  const id = await tsrunOk(['create', '--network=none', 'tsrun/layers', 'true']);
  await tsrunOk(['cp', '/etc/hostname', `${id}:/new`]);
  const out = await tsrun(['cp', `${id}:/new`, '-']);
  expect(out.stdout).toContain(readFileSync('/etc/hostname', 'utf8'));
  expect(readFileSync('/proc/mounts', 'utf8')).not.toMatch(/^overlay /m);
  await remove(id);
});

test('an image of several layers runs, from its pull to its end', async () => {
  const result = await tsrun(['run', '--rm', 'tsrun/layers', 'ls', '/']);
  expect(result).toMatchObject({ code: 0 });
});

/** Where the kernel tells what it does. */
const tracing = '/sys/kernel/tracing';

test('no process is ever moved into the cgroup of a container: each is born there', async () => {
  const event = join(tracing, 'events/cgroup/cgroup_attach_task/enable');
  writeFileSync(join(tracing, 'trace'), '');
  writeFileSync(event, '1');
  try {
    // The test itself can see such a move.
    const own = '/sys/fs/cgroup/own';
    await run('sh', ['-c', `mkdir ${own}; (echo $$; exec sleep 0) >${own}/cgroup.procs; echo $$ >${own}/cgroup.procs`]);
    const id = await start(['--memory=64m', '--init'], 'sleep 1000 & exec sleep 1000');
    await tsrunOk(['exec', id, 'true']);
    expect(processes(id).length).toBeGreaterThanOrEqual(3);
    await remove(id);
    const moves = readFileSync(join(tracing, 'trace'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('cgroup_attach_task'));
    expect(moves.some((line) => line.includes('/own'))).toBe(true);
    expect(moves.filter((line) => line.includes('/tsrun/'))).toEqual([]);
  } finally {
    writeFileSync(event, '0');
    execFileSync('sh', ['-c', 'sleep 0.2; rmdir /sys/fs/cgroup/own']);
  }
});

test('a device that was not given can be made, but not opened', async () => {
  const script = `mknod /disk b ${ioNumber.replace(':', ' ')} && dd if=/disk of=/dev/null bs=512 count=1`;
  const result = await tsrun(['run', '--rm', '--network=none', 'busybox', 'sh', '-c', script]);
  expect(result.stderr).toContain("can't open '/disk': Operation not permitted");
  expect(result.code).toBe(1);
});

test('a device that was given is there and open; a rule opens others by their number', async () => {
  const [major, minor] = ioNumber.split(':').map(Number);
  const one = (path: string): string => `dd if=${path} of=/dev/null bs=512 count=1`;
  const result = await tsrun([
    ...['run', '--rm', '--network=none', `--device=${ioDisk}:/dev/given:r`, `--device-cgroup-rule=b ${major}:0 r`],
    ...['busybox', 'sh', '-c', `${one('/dev/given')} && mknod /first b ${major} 0 && ${one('/first')}`],
  ]);
  expect(minor).not.toBe(0);
  expect(result.stderr).not.toContain('not permitted');
  expect(result.code).toBe(0);
});
