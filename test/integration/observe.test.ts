/** top, stats and port: looking at a container from outside. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Terminal } from './terminal.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  const ports = ['-p', '127.0.0.1:0:80', '-p', '127.0.0.1:0:90/udp'];
  await tsrunOk(['run', '-d', '--name', 'seen', ...ports, 'busybox', 'sh', '-c', 'while :; do :; done & sleep 1000']);
});

afterAll(async () => {
  await tsrun(['rm', '-f', 'seen']);
});

test('top shows the processes of the container and no others', async () => {
  const text = await tsrunOk(['top', 'seen']);
  const [head = '', ...lines] = text.split('\n');
  expect(head.split(/\s+/)).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
  expect(head.indexOf('PID')).toBe(20);
  expect(lines).toHaveLength(2);
  expect(lines.every((line) => /sleep 1000|while :/.test(line))).toBe(true);
  expect((await tsrunOk(['top', 'seen', '-o', 'pid,comm'])).split('\n')[0]).toMatch(/^PID {17}COMMAND$/);
  expect(await tsrun(['top', 'seen', '-eo', 'args'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Couldn't find PID field in ps output"),
  });
});

test('stats shows what a busy container uses, as a table and as data', async () => {
  const text = await tsrunOk(['stats', '--no-stream', 'seen']);
  expect(text.split('\n')[0]?.split(/ {2,}/)).toEqual([
    'CONTAINER ID',
    'NAME',
    'CPU %',
    'MEM USAGE / LIMIT',
    'MEM %',
    'NET I/O',
    'BLOCK I/O',
    'PIDS',
  ]);
  const json = await tsrunOk(['stats', '--no-stream', '--format', 'json']);
  const row: unknown = JSON.parse(json);
  expect(row).toMatchObject({ Name: 'seen', PIDs: '2' });
  const cpu = await tsrunOk(['stats', '--no-stream', '--format', '{{.CPUPerc}}', 'seen']);
  expect(Number.parseFloat(cpu)).toBeGreaterThan(5);
  expect(await tsrun(['stats', '--no-stream', 'nobody'])).toMatchObject({ code: 1, stdout: '' });
  expect((await tsrun(['stats', '--format', '{{.Nope}}', '--no-stream'])).code).not.toBe(0);
});

test('on a terminal stats draws in place', async () => {
  using terminal = Terminal.tsrun(['stats', 'seen'], { columns: 120, rows: 10 });
  await terminal.waitFor('seen');
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(terminal.screen().match(/CONTAINER ID/g)).toHaveLength(1);
  terminal.press('C-c');
  expect(await terminal.exit()).toBe(130);
});

test('port lists what is published, all or one', async () => {
  const [tcp = '', udp = ''] = (await tsrunOk(['port', 'seen'])).split('\n');
  expect(tcp).toMatch(/^80\/tcp -> 127\.0\.0\.1:\d+$/);
  expect(udp).toMatch(/^90\/udp -> 127\.0\.0\.1:\d+$/);
  expect(await tsrunOk(['port', 'seen', '80'])).toBe(tcp.split(' -> ')[1]);
  expect(await tsrunOk(['port', 'seen', '90/udp'])).toBe(udp.split(' -> ')[1]);
  expect(await tsrun(['port', 'seen', '81'])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining("Error: No public port '81/tcp' published for seen"),
  });
});
