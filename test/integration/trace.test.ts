import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsrun-trace.'));
beforeAll(async () => void (await tsrunOk(['pull', '-q', 'busybox'])));
afterAll(() => rmSync(directory, { recursive: true }));

interface Line {
  side: string;
  phase: string;
  title: string;
}

/** The lines of a trace; a title may have a call and its result behind it. */
function linesOf(text: string): Line[] {
  return [...text.matchAll(/^ *[\d.]+ +(?:[\d.]+|-) ms {2}(\w+) +(\w+) +(.*)$/gm)].map(
    ([, side = '', phase = '', title = '']) => ({ side, phase, title }),
  );
}

/** The same for every container: ids are not. */
function general(text: string): string {
  return text
    .replace(/[0-9a-f]{64}/g, 'ID')
    .replace(/\bts[0-9a-f]{11}\b/g, 'CABLE')
    .replace(/\b[0-9a-f]{12}\b/g, 'ID');
}

interface Explained {
  Steps: { Side: string; Phase: string; Title: string; Call: string; Traced: boolean }[];
}

test.each([
  ['a bridge, a port, a user', ['-p', '127.0.0.1:18080:80', '-u', '1000', '--read-only', '--tmpfs', '/x']],
  ['no network, init, a mount', ['--network', 'none', '--init', '-v', '/tmp:/mnt:ro', '--cap-add', 'SYS_TIME']],
  ['the network of the host, no new privileges', ['--network=host', '--security-opt', 'no-new-privileges', '-i']],
])('explain and --trace agree on every step and its order: %s', async (_, flags) => {
  const command = ['run', '--rm', ...flags, 'busybox', 'true'];
  // What is made once for all containers is there then.
  await tsrunOk(command);
  const explained: Explained = JSON.parse(await tsrunOk(['explain', 'run', '--format=json', ...command.slice(1)]));
  const file = join(directory, 'agree');
  await tsrunOk(['run', '--trace-file', file, ...command.slice(1)]);
  const lines = linesOf(readFileSync(file, 'utf8'));
  for (const side of ['command', 'monitor', 'container']) {
    const expected = explained.Steps.filter(
      (step) => step.Traced && step.Side === side && (side === 'command' || step.Call !== ''),
    );
    const real = lines.filter((line) => line.side === side);
    // The address is the next one; execve is tried until one works.
    const address = (title: string): string => general(title).replace(/172\.\d+\.\d+\.\d+(?=\/| and|$)/g, 'ADDRESS');
    const titles = expected.map(({ Title, Phase }) => `${Phase} ${address(Title)}`);
    const done = real.map(
      ({ title, phase }) => `${phase} ${address(side === 'command' ? title : (title.split(/: \w+\(/)[0] ?? ''))}`,
    );
    expect(done).toEqual(titles.slice(0, done.length));
    if (side !== 'container') expect(titles).toHaveLength(done.length);
  }
  expect(lines.at(-1)?.phase).toBe('teardown');
});

/** The calls of one process in the output of `strace -f`, complete ones, in the order of their beginning. */
function callsOf(output: string, pid: string): string[] {
  const calls: string[] = [];
  for (const line of output.split('\n')) {
    const [, owner, text = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (owner !== pid || text.startsWith('+++') || text.startsWith('---')) continue;
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    if (resumed !== undefined) calls.push(`${calls.pop()}${resumed}`);
    else calls.push(text.replace(/ <unfinished \.\.\.>$/, ''));
  }
  return calls;
}

/** A line of ours as a pattern for strace's: what only the kernel or the machine knows is any text. */
function pattern(result: string): RegExp {
  const literal = result
    .replace(/ \(tolerated\)$/, '')
    .replace(/^(umask\(\d+\)) = \d+$/, '$1 = {result}')
    .replace(/ \/\* \d+ vars? \*\//, '');
  const source = literal
    .split(/(<[^<>|]+>|\{[\w' :,-]+\})/)
    .map((part, index) => (index % 2 === 1 ? '.*?' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
    .join('');
  return new RegExp(`^${source}`);
}

test('the order and the arguments are those that strace saw', async () => {
  const seen = join(directory, 'strace');
  const file = join(directory, 'trace');
  const flags = ['--rm', '--network=none', '-u', '5:6', '--hostname', 'box', '--trace-file', file];
  const hidden = '!clock_gettime,futex,mmap,munmap,rt_sigprocmask';
  const strace = ['-f', '-s', '4096', '-o', seen, '-e', `trace=${hidden}`, tsrunPath];
  const result = await run('strace', [...strace, 'run', ...flags, 'busybox', '/bin/true']);
  expect(result.stderr).toBe('');
  expect(result.code).toBe(0);
  const output = readFileSync(seen, 'utf8');
  const traced = readFileSync(file, 'utf8');
  const container = /^(\d+) +pivot_root\(/m.exec(output)?.[1] ?? '';
  const resultsOf = (side: string): string[] =>
    linesOf(traced)
      .filter((line) => line.side === side)
      .map(({ title }) => /: (\w+\(.*)$/.exec(title)?.[1] ?? title);

  const ours = resultsOf('container');
  const theirs = callsOf(output, container).slice(0, ours.length);
  expect(ours.length).toBeGreaterThan(150);
  expect(theirs).toHaveLength(ours.length);
  ours.forEach((call, index) => {
    const shown = (theirs[index] ?? '')
      .replace(/\)\s+= /, ') = ')
      .replace(/, 0x[0-9a-f]+ \/\* \d+ vars? \*\//, ', env')
      .replace(/ \/\* .*? \*\//g, '');
    expect(shown, call).toMatch(pattern(call.replace('{envp}', 'env')));
  });
  expect(theirs.at(-1)).toMatch(/^execve\("\/bin\/true", \["\/bin\/true"\]/);

  const monitor = /^(\d+) +clone3\(\{flags=CLONE_PIDFD/m.exec(output)?.[1] ?? '';
  const parent = resultsOf('monitor').map((call) => /^\w+/.exec(call)?.[0]);
  const names = callsOf(output, monitor).map((call) => /^\w+/.exec(call)?.[0]);
  const clone = names.indexOf('clone3');
  expect(names.slice(clone - parent.indexOf('clone3')).slice(0, parent.length)).toEqual(parent);
});

test('--trace and --timing print to stderr and leave stdout and the exit code alone', async () => {
  const result = await tsrun([
    'run',
    '--rm',
    '--trace',
    '--timing',
    '--network=none',
    'busybox',
    'sh',
    '-c',
    'echo out; exit 3',
  ]);
  expect(result.code).toBe(3);
  expect(result.stdout).toBe('out\n');
  const lines = linesOf(result.stderr);
  expect(lines.map(({ phase }) => phase)).toEqual(
    expect.arrayContaining(['image', 'cgroup', 'monitor', 'mounts', 'exec', 'teardown']),
  );
  expect(result.stderr).toMatch(/\n?phase {2,}steps {2,}host ms {2,}program ms\n/);
  expect(result.stderr).toMatch(/\nmounts +\d+ +0\.00 +\d+\.\d\d\n/);
  expect(result.stderr).toMatch(/ms from the start of tsrun until the command ran\n$/);
});

test('a trace speaks Russian where it is asked to, by the flag or by the environment', async () => {
  const command = ['run', '--rm', '--trace', '--timing', '--network=none'];
  const asked = await tsrun([...command, '--lang', 'ru', 'busybox', 'true']);
  expect(asked.stderr).toMatch(/ мс {2}контейнер {2}пр\. имён {4}запретить дамп процесса: prctl\(/);
  expect(asked.stderr).toMatch(/\nвсего +\d+/);
  const byLocale = await tsrun([...command, 'busybox', 'true'], { env: { LANG: 'ru_RU.UTF-8' } });
  expect(byLocale.stderr).toMatch(/ мс от запуска tsrun до запуска команды\n$/);
});

test('a start that fails is traced up to the call that failed', async () => {
  const result = await tsrun(['run', '--rm', '--trace', '--network=none', 'busybox', '/no/such/program']);
  expect(result.code).toBe(127);
  const lines = linesOf(result.stderr);
  expect(lines.findLast(({ side }) => side === 'container')?.title).toMatch(
    /execve\("\/no\/such\/program".* = -1 ENOENT$/,
  );
});

test("a profile of the user's that refuses to tell the time is traced all the same", async () => {
  const profile = join(directory, 'profile.json');
  const { writeFileSync } = await import('node:fs');
  writeFileSync(
    profile,
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['clock_gettime'], action: 'SCMP_ACT_KILL_PROCESS' }],
    }),
  );
  const flags = ['--rm', '--trace', '--network=none', '--security-opt', `seccomp=${profile}`];
  const result = await tsrun(['run', ...flags, 'busybox', '/bin/echo', 'hi']);
  expect(result.stdout).toBe('hi\n');
  expect(result.stderr).toMatch(/ - ms {2}container {2}identity +become user 0: setresuid/);
});

test('a trace that cannot be written is one clear error, and nothing is made', async () => {
  const result = await tsrun(['run', '--trace-file', '/no/such/directory/trace', 'busybox', 'true']);
  expect(result.code).toBe(125);
  expect(result.stderr).toContain('cannot write the trace to "/no/such/directory/trace"');
  expect(await tsrunOk(['ps', '-aq'])).toBe('');
});
