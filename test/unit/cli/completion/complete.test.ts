import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sortedCommands } from '../../../../src/cli/commands.ts';
import { keptLength, splitLine } from '../../../../src/cli/completion/command-line.ts';
import { complete } from '../../../../src/cli/completion/complete.ts';

beforeAll(() => {
  vi.stubEnv('TSRUN_ROOT', '/nonexistent');
});
afterAll(() => {
  vi.unstubAllEnvs();
});

async function offered(line: string): Promise<string[]> {
  return (await complete(splitLine(line))).candidates.map(({ value }) => value);
}

test('every command and flag of the tables is offered, those for tsrun itself are not', async () => {
  const names = await offered('');
  for (const { names: all, hidden } of sortedCommands()) {
    const [name = ''] = all;
    if (!name.includes(' ')) expect([name, names.includes(name)]).toEqual([name, hidden !== true]);
  }
  for (const entry of sortedCommands().filter(({ hidden }) => hidden !== true)) {
    const { flags } = await entry.load();
    const shown = flags.filter(({ hidden }) => hidden !== true).map(({ name }) => `--${name}`);
    expect(await offered(`${entry.names[0]} --`)).toEqual([...shown, '--help']);
  }
});

test.each([
  ['sy', ['system']],
  ['system p', ['prune']],
  ['help syst', ['system']],
  ['--root /x ps --la', ['--last', '--latest']],
  ['--ro', ['--root']],
  ['ps -f stat', ['status=']],
  ['ps -f status=exi', ['status=exited']],
  ['ps --filter=status=exi', ['--filter=status=exited']],
  ['ps -af status=p', ['status=paused']],
  ['run --pull=al', ['--pull=always']],
  ['run --network ho', ['host']],
  ['run --net ho', ['host']],
  ['explain r', ['rm', 'run']],
  ['explain run --format ', ['html', 'json', 'sh', 'text']],
  ['explain stop --format ', ['html', 'json', 'text']],
  ['explain run --lang=r', ['--lang=ru']],
  ['explain run --level b', ['brief']],
  ['why p', ['path', 'port']],
  ['learn ', ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', 'breakout', 'check', 'run']],
  ['learn check 1', ['1', '10']],
  ['learn --lang ', ['en', 'ru']],
  ['run --pid ', ['host', 'container:']],
  ['run --cap-add NET_A', ['NET_ADMIN']],
  ['kill --signal HU', ['HUP']],
  ['run --rm image --pul', []],
  ['ps -- -', []],
  ['rm --volumes ', []],
  ['completion z', ['zsh']],
  ['nope --x', []],
])('%s', async (line, expected) => {
  expect(await offered(line)).toEqual(expected);
});

test('files, and values that go on', async () => {
  expect(await complete(['run', '--env-file', ''])).toEqual({ candidates: [], files: 'files' });
  expect(await complete(['--root', ''])).toEqual({ candidates: [], files: 'directories' });
  expect((await complete(['ps', '-f', 'st'])).open).toBe(true);
  expect((await complete(['run', 'image', 'ls', ''])).files).toBe('files');
});

describe('a line as bash has it', () => {
  test.each([
    ['tsrun ', ['tsrun', '']],
    ['tsrun ps', ['tsrun', 'ps']],
    ["tsrun run -e 'A=b c' x", ['tsrun', 'run', '-e', 'A=b c', 'x']],
    ['tsrun run -e "A=\\"b" x\\ y', ['tsrun', 'run', '-e', 'A="b', 'x y']],
    ['tsrun "unfin', ['tsrun', 'unfin']],
  ])('%s', (line, words) => {
    expect(splitLine(line)).toEqual(words);
  });

  test('what it has already', () => {
    expect(keptLength('busybox:la', ' =:')).toBe(8);
    expect(keptLength('--network=ho', ' =:')).toBe(10);
    expect(keptLength('busybox:la', ' =')).toBe(0);
    expect(keptLength('web', ' =:')).toBe(0);
  });
});
