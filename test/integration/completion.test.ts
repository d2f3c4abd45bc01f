/** Completion as a shell does it: bash loads the script, presses Tab, and shows what it would offer. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

/** What bash would do with a line: COMPREPLY, and whether it puts a space behind the word. */
const driver = `
eval "$("$1" completion bash)"
PATH=\${1%/*}:$PATH
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
compopt() { echo "option \${2-$1}"; }
COMP_LINE=$2 COMP_POINT=\${#2}
_tsrun tsrun "$3" ""
printf '%s\\n' "\${COMPREPLY[@]}"
`;

async function offers(line: string, word = ''): Promise<string[]> {
  const result = await run('bash', ['-c', driver, 'bash', tsrunPath, line, word]);
  expect(result.stderr).toBe('');
  return result.stdout.trimEnd().split('\n');
}

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  await tsrunOk(['create', '--name', 'web1', 'busybox', 'true']);
  await tsrunOk(['run', '-d', '--name', 'web2', '--network', 'none', 'busybox', 'sleep', '1000']);
});
afterAll(() => tsrunOk(['rm', '-f', 'web1', 'web2']));

test('bash completes commands, flags, values and names', async () => {
  expect(await offers('tsrun ru', 'ru')).toEqual(['run']);
  expect(await offers('tsrun container l', 'l')).toEqual(['logs', 'ls']);
  expect(await offers('tsrun ps --no', '--no')).toEqual(['--no-trunc']);
  expect(await offers('tsrun run --pull ')).toEqual(['always', 'missing', 'never']);
  expect(await offers('tsrun start ')).toEqual(['web1']);
  expect(await offers('tsrun stop ')).toEqual(['web2']);
  expect(await offers('tsrun logs we', 'we')).toEqual(['web2', 'web1']);
  expect(await offers('tsrun rm -f ')).toEqual(['web2', 'web1']);
  expect(await offers('tsrun kill -s TER', 'TER')).toEqual(['TERM']);
  expect(await offers('tsrun run -it --rm busy', 'busy')).toEqual(['busybox', 'busybox:latest']);
});

test('what bash takes for the end of a word is not repeated', async () => {
  expect(await offers('tsrun run busybox:', ':')).toEqual(['latest']);
  expect(await offers('tsrun run --network=no', 'no')).toEqual(['none']);
  expect(await offers('tsrun ps --filter status=e', 'e')).toEqual(['exited']);
  expect(await offers('tsrun ps -f st', 'st')).toEqual(['option nospace', 'status=']);
});

test('files where a file is wanted, and behind the image what the container is told', async () => {
  expect(await offers('tsrun run --env-file /etc/host', '/etc/host')).toEqual(
    expect.arrayContaining(['option filenames', '/etc/hostname']),
  );
  expect(await offers('tsrun run busybox ls /etc/host', '/etc/host')).toContain('/etc/hostname');
});

test('what cannot be read is not offered, and is no error', async () => {
  const result = await tsrun(['__complete', 'bash', 'tsrun start ', ' '], { env: { TSRUN_ROOT: '/nonexistent' } });
  expect(result).toEqual({ code: 0, signal: null, stdout: '\n', stderr: '' });
});

test('descriptions for shells that show them', async () => {
  expect(await tsrunOk(['__complete', 'fish', 'ps', '--la'])).toBe(
    '\n--last\tThe n newest, whatever their state\n--latest\tThe newest, whatever its state',
  );
});

test.each(['bash', 'zsh', 'fish'])('the script for %s is one', async (shell) => {
  const script = await tsrunOk(['completion', shell]);
  expect(script).toContain('__complete');
  if (!existsSync(`/usr/bin/${shell}`)) return;
  const result = await run(shell, ['-n', '-c', script]);
  expect(result).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
});

test('no other shell', async () => {
  const result = await tsrun(['completion', 'ksh']);
  expect(result.code).toBe(1);
  expect(result.stderr).toContain('there is one for each of bash, fish, zsh');
});
