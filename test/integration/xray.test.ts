/** `xray`: what it shows is compared with what the kernel and the container themselves say. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { environment, run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsrun-xray.'));
/** A name that would colour a terminal, open an element, and turn the direction of writing. */
const hostile = 'a\u001b[31m<b>"&\u202ec';

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  const shell = `echo mine >>/etc/passwd; rm /etc/group; mkdir "/scratch/$NAME"
    ln -s /bin/busybox "/$NAME"; httpd -f -p 80 & sh -c 'sleep 1000; :' "$NAME" & exec sleep 1000`;
  const flags = ['-p', '127.0.0.1:18484:80', '-v', '/tmp:/mnt:ro', '--tmpfs', '/scratch', '-e', `NAME=${hostile}`];
  await tsrunOk(['run', '-d', '--name', 'xray', ...flags, 'busybox', 'sh', '-c', shell]);
  await until(async () => {
    const processes = await tsrunOk(['top', 'xray', '-o', 'pid,args']);
    return processes.includes('httpd') && processes.includes('<b>');
  });
});
afterAll(async () => {
  await tsrun(['rm', '-f', 'xray']);
  rmSync(directory, { recursive: true });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) if (await condition()) return;
  throw new Error('it does not come to it');
}

interface Found {
  Pid: number;
  Namespaces: { Type: string; Id: number; HostId: number }[];
  Processes: { Pid: number; InnerPid: number; Parent: number; Command: string; Depth: number }[];
  Mounts: { Point: string; Kind: string; From?: string }[];
  Layers: { Number: number; Form: string; Place: string }[];
  Cgroup?: { Path: string };
  Security: {
    Capabilities: { Effective: string[]; Bounding: string[] };
    Filter: { Allowed: string[]; Refused: Record<string, string[]>; Depends: { Call: string; Answers: string[] }[] };
  };
  Ways: { Direction: string; Title: string; Hops: { Kind: string; Name: string; Details: string[] }[] }[];
}

const json = async (): Promise<Found> => JSON.parse(await tsrunOk(['xray', '--format', 'json', 'xray']));

test('namespaces, processes, mounts and rights are those that the kernel and the container tell', async () => {
  const found = await json();
  for (const { Type, Id, HostId } of found.Namespaces) {
    expect(readlinkSync(`/proc/${found.Pid}/ns/${Type}`)).toContain(`[${Id}]`);
    expect(HostId === Id, Type).toBe(['user', 'time'].includes(Type));
  }
  const inside = await tsrunOk(['exec', 'xray', 'sh', '-c', 'grep -l . /proc/[0-9]*/comm; echo; cat /proc/mounts']);
  const [pids = '', mounts = ''] = inside.split('\n\n');
  const innerPids = [...pids.matchAll(/\/proc\/(\d+)\//g)].map(([, pid]) => Number(pid));
  for (const { InnerPid } of found.Processes) expect(innerPids).toContain(InnerPid);
  expect(found.Processes[0]).toMatchObject({ Pid: found.Pid, InnerPid: 1, Depth: 0 });
  const depths = found.Processes.map(({ Depth }) => Depth).sort();
  expect(depths).toEqual([0, 1, 1, 2]);
  expect(found.Mounts.map(({ Point }) => Point)).toEqual(
    mounts
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[1]),
  );
  const kind = (point: string) => found.Mounts.findLast(({ Point }) => Point === point)?.Kind;
  expect(['/', '/mnt', '/scratch', '/etc/hosts', '/proc', '/proc/keys', '/proc/sys'].map(kind)).toEqual([
    ...['root', 'host', 'memory', 'names', 'kernel', 'hidden', 'readOnly'],
  ]);
  const { Capabilities, Filter } = found.Security;
  expect(Capabilities.Effective).toHaveLength(14);
  expect(Capabilities.Bounding).toContain('CAP_NET_RAW');
  expect(Filter.Refused.EPERM).toEqual(expect.arrayContaining(['mount', 'unshare', 'kexec_load', 'bpf']));
  expect(Filter.Refused.ENOSYS).toContain('clone3');
  expect(Filter.Allowed).toEqual(expect.arrayContaining(['read', 'execve', 'openat']));
  expect(Filter.Depends).toContainEqual({ Call: 'clone', Answers: ['EPERM', 'allowed'] });
});

test('the way of a packet has the names, addresses and handles that ip and nft show', async () => {
  const { Ways } = await json();
  const [way] = Ways;
  expect(way).toMatchObject({ Direction: 'in', Title: '127.0.0.1:18484/tcp' });
  expect(way?.Hops.map(({ Kind }) => Kind)).toEqual([
    ...['client', 'port', 'rule', 'bridge', 'cable', 'interface', 'process'],
  ]);
  const hop = (kind: string) => way?.Hops.find(({ Kind }) => Kind === kind) ?? { Name: '', Details: [] };
  const address = await tsrunOk(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'xray']);
  expect(hop('interface').Name).toBe(`eth0 ${address}:80`);
  expect(hop('process').Details.join()).toMatch(/^process \d+ \(httpd\) listens$/);
  const rules = execFileSync('nft', ['-a', 'list', 'table', 'inet', 'tsrun'], { encoding: 'utf8' });
  expect(rules).toContain(`127.0.0.1 . tcp . 18484 comment`);
  expect(hop('rule').Details).toContain(`element: 127.0.0.1 . tcp . 18484 : ${address} . 80`);
  const handles = [
    ...hop('rule')
      .Details.join('\n')
      .matchAll(/chain (\w+), handle (\d+): (.*)$/gm),
  ];
  expect(handles.map(([, chain]) => chain)).toEqual(['output', 'postrouting']);
  for (const [, , handle = '', text = ''] of handles) {
    expect(rules.split('\n').some((line) => line.includes(text) && line.endsWith(`# handle ${handle}`))).toBe(true);
  }
  const links = execFileSync('ip', ['-o', 'link', 'show', 'dev', hop('cable').Name], { encoding: 'utf8' });
  expect(links).toContain(`master ${hop('bridge').Name}`);
  expect(hop('cable').Details[0]).toBe(`interface ${Number.parseInt(links, 10)}, MTU 1500`);
  expect(Ways.find(({ Direction }) => Direction === 'out')?.Title).toBe('bridge');
});

test('the sheet fits the terminal and shows hostile names without obeying them', async () => {
  const text = await tsrunOk(['xray', 'xray']);
  expect(text).toContain('a\\x1b[31m<b>"&\\u202ec');
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  const narrow = await run('sh', ['-c', `stty cols 60 rows 24; exec ${tsrunPath} xray --lang ru xray`], { tty: true });
  expect(narrow.code).toBe(0);
  expect(narrow.stdout).toContain('Пространства имён');
  const plain = narrow.stdout.replaceAll('\r', '').replace(/\u001b\[\d*m/g, '');
  for (const line of plain.split('\n')) expect(line.length, line).toBeLessThanOrEqual(60);
  expect(plain).not.toContain('\u001b');
});

test('the page loads nothing, escapes everything, and speaks both languages', async () => {
  for (const language of ['en', 'ru']) {
    const file = join(directory, `${language}.html`);
    await tsrunOk(['xray', '--html', file, '--lang', language, 'xray']);
    const page = readFileSync(file, 'utf8');
    expect(page).toMatch(new RegExp(`^<!DOCTYPE html>\n<html lang="${language}">`));
    expect(page).toContain('a\\x1b[31m&#60;b&#62;&#34;&#38;\\u202ec');
    expect(page).not.toContain('<b>"');
    expect(page).not.toMatch(/<script|src=|href="(?!#)|url\(|@import/);
    expect(page.match(/<svg [^>]*role="img" aria-labelledby=/g)?.length).toBeGreaterThanOrEqual(5);
    for (const [, id] of page.matchAll(/ href="#([^"]+)"/g)) expect(page).toContain(`id="${id}"`);
  }
});

test('a path is found in its mount, or in every layer that has it', async () => {
  const passwd = await tsrunOk(['xray', 'xray', '/etc/passwd']);
  expect(passwd).toMatch(/^\/etc\/passwd in container xray\n/);
  expect(passwd).toMatch(/\nthe container's own +file +0644 +0:0 .* yes\nlayer \d +file +0644 +0:0 .* no$/);
  const keys = await tsrunOk(['xray', 'xray', '/proc/keys']);
  expect(keys).toMatch(/what it is +hidden/);
  const link = await tsrunOk(['xray', 'xray', hostile]);
  expect(link).toMatch(/behind links it is +\/bin\/busybox/);
  const removed = await tsrun(['xray', 'xray', '/etc/group']);
  expect(removed.code).toBe(1);
  expect(removed.stderr).toContain('no /etc/group in container xray');
});

test('--watch serves the page to who knows its path, follows the container, and ends with Ctrl-C', async () => {
  const child = spawn(tsrunPath, ['xray', '--watch', 'xray'], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [address = ''] = /http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\//.exec(await firstOutput(child)) ?? [];
    expect((await fetch(new URL('/', address))).status).toBe(404);
    expect((await fetch(`${address.slice(0, -2)}_/`)).status).toBe(404);
    const foreign = await run('curl', [
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-H',
      'Host: evil.example',
      address,
    ]);
    expect(foreign.stdout).toBe('404');
    const page = await fetch(address);
    const text = await page.text();
    const [, nonce = ''] = /<script nonce="([^"]+)">/.exec(text) ?? [];
    expect(text).toContain(`script-src 'nonce-${nonce}'`);
    const events = await fetch(`${address}events`);
    const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
    let seen = '';
    const readUntil = async (part: string): Promise<void> => {
      while (!seen.includes(part)) seen += (await reader?.read())?.value ?? '';
    };
    await readUntil('"name":"ways"');
    await tsrunOk(['exec', '-d', 'xray', 'sleep', '4711']);
    await readUntil('sleep 4711');
    const one = (await json()).Processes.find(({ Command }) => Command === 'sleep 4711');
    process.kill(one?.Pid ?? 0, 'SIGKILL');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
  } finally {
    child.kill('SIGKILL');
  }
});

function firstOutput(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => child.stdout?.once('data', (bytes) => resolve(String(bytes))));
}

test('what cannot be is one clear error', async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const result = await tsrun(['xray', ...args]);
    expect(result.code).toBe(1);
    expect(result.stdout).toBe('');
    return result.stderr;
  };
  expect(await refused('no-such')).toContain('No such container: no-such');
  expect(await refused('--html', '/x', '--watch', 'xray')).toContain('conflicting options: --html and --watch');
  expect(await refused('--port', '80', 'xray')).toContain('--port is that of --watch');
  expect(await refused('--html', '/no/such/page', 'xray')).toContain('cannot write the page to "/no/such/page"');
  await tsrunOk(['create', '--name', 'xray-idle', 'busybox', 'true']);
  try {
    expect(await refused('xray-idle')).toContain('is not running');
  } finally {
    await tsrunOk(['rm', 'xray-idle']);
  }
});
