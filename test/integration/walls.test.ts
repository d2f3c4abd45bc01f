/**
 * docs/walls.md is run: each attack fails with its wall and succeeds without. All of it in throw-away namespaces: what the
 * host is to the container are those.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import { walls } from '../../src/container/walls.ts';
import { environment, run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

/** An ```attack block of the page. */
interface Attack {
  wall: string;
  flags: string[];
  run: string;
  program: string | undefined;
  check: string;
  with: string;
  without: string;
}

function attacks(): Attack[] {
  const page = readFileSync(join(checkout, 'docs/walls.md'), 'utf8');
  return [...page.matchAll(/^```attack\n(.*?)^```$/gms)].map(([, body = '']) => {
    const fields = new Map(
      body
        .trim()
        .split('\n')
        .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
    );
    const field = (name: string): string => fields.get(name) ?? '';
    return {
      wall: field('wall'),
      flags: field('flags').split(' ').filter(Boolean),
      run: field('run'),
      program: fields.get('program'),
      check: field('check'),
      with: field('with'),
      without: field('without'),
    };
  });
}

const directory = mkdtempSync('/var/tmp/tsrun-walls.');
const secret = join(directory, 'file');
const hostName = 'host-of-walls';
let server: Server;
let loop = '';
/** What stands for `HOST_…` in the page. */
let host: Record<string, string> = {};

beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  writeFileSync(secret, 'a file of the host\n');
  const disk = join(directory, 'disk');
  writeFileSync(disk, Buffer.concat([Buffer.from('on the disk'), Buffer.alloc(4085)]));
  loop = execFileSync('losetup', ['--find', '--show', disk], { encoding: 'utf8' }).trim();
  const { rdev } = statSync(loop);
  server = createServer((socket) => socket.end('a secret of 127.0.0.1\n'));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  host = {
    HOST_PID: String(process.pid),
    HOST_PORT: String((server.address() as AddressInfo).port),
    HOST_FILE: secret,
    HOST_NAME: hostName,
    HOST_DISK: `${(rdev >> 8) & 0xfff} ${rdev & 0xff}`,
  };
});
afterAll(() => {
  server?.close();
  if (loop !== '') execFileSync('losetup', ['--detach', loop]);
  rmSync(directory, { recursive: true });
});

/** The command line of the attack, in the container and around it. */
async function attack(attack: Attack, flags: readonly string[]): Promise<string> {
  const words = ['run', '--rm', '-i', ...(attack.wall === 'net' ? [] : ['--network=none'])];
  for (const [name, value] of Object.entries(host)) words.push('-e', `${name}=${value}`);
  words.push(...attack.flags, ...flags);
  let command = `(${attack.run}) 2>&1`;
  if (attack.program !== undefined) {
    const [source, program] = [join(directory, `${attack.wall}.c`), join(directory, attack.wall)];
    const headers = '#include <stdlib.h>\n#include <unistd.h>\n#include <sys/stat.h>\n';
    writeFileSync(source, `${headers}int main(void) { ${attack.program} return 1; }\n`);
    execFileSync('gcc', ['-static', '-w', '-o', program, source]);
    words.push('-v', `${program}:/attack:ro`);
    command = '/attack 2>&1';
  }
  // The container waits until the host has been looked at.
  words.push('busybox', 'sh', '-c', `${command}; read -r _`);
  const script = `
trap '' PIPE
hostname ${hostName}
ipcmk -M 4242 >/dev/null
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkfifo "$work/in"
"$@" <"$work/in" >"$work/out" 2>"$work/err" &
exec 3>"$work/in"
while [ ! -s "$work/out" ] && kill -0 $! 2>/dev/null; do sleep 0.02; done
check=$(${attack.check || 'true'})
echo >&3; wait $!
status=$?
cat "$work/out"; echo "$check"
[ $status -eq 0 ] || { cat "$work/err"; echo "status $status"; }
`;
  const { stdout, stderr } = await run('unshare', [
    ...['--uts', '--ipc', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', tsrunPath, ...words],
  ]);
  return `${stdout}${stderr}`.trim().split(/\s+/).join(' ');
}

/** The page's words with what they stand for. */
function filledIn(text: string): string {
  return Object.entries(host).reduce((so, [name, value]) => so.replaceAll(name, value), text);
}

describe('with the wall the attack fails, without it succeeds', () => {
  test.each(attacks().map((each) => [each.wall, each] as const))('%s', async (wall, each) => {
    const [withIt, without] = [await attack(each, []), await attack(each, ['--without', wall])];
    expect({ with: withIt, without }).toEqual({ with: filledIn(each.with), without: filledIn(each.without) });
  });
});

test('every wall has its section in the page, in both languages', () => {
  for (const page of ['walls.md', 'walls.ru.md']) {
    const sections = [...readFileSync(join(checkout, 'docs', page), 'utf8').matchAll(/^## (\S+)$/gm)].map(
      ([, name]) => name,
    );
    expect(sections.sort()).toEqual([...walls].sort());
  }
});

test('what is missing is said loudly, at every start and by explain; nothing stays', async () => {
  const flags = ['--network=none', '--without', 'pid,mount', '--without=fds', 'busybox', 'true'];
  const first = await tsrun(['run', '--name', 'without', ...flags]);
  expect(first.code).toBe(0);
  const said = first.stderr.split('\n').filter(Boolean);
  expect(said.map((line) => line.split(':').slice(0, 2).join(':'))).toEqual([
    'WARNING: --without pid',
    'WARNING: --without mount',
    'WARNING: --without fds',
  ]);
  expect((await tsrun(['start', '-a', 'without'])).stderr).toBe(first.stderr);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain('/containers/');
  await tsrunOk(['rm', 'without']);
  const english = await tsrunOk(['explain', 'run', '--lang=en', ...flags]);
  expect(english).toContain('chroot(".")');
  expect(english).not.toContain('pivot_root(');
  expect(english).not.toContain('close_range');
  for (const line of said) expect(english.replaceAll(/\s+/g, ' ')).toContain(line.replace('WARNING: ', ''));
  expect(await tsrunOk(['explain', 'run', '--lang=ru', ...flags])).toContain('видит все процессы этой машины');
});

test('a detached container without mount namespace leaves no mount, and takes no further command', async () => {
  await tsrunOk(['run', '-d', '--name', 'shared', '--network=none', '--without=mount', 'busybox', 'sleep', '1000']);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).toContain('/containers/');
  const exec = await tsrun(['exec', 'shared', 'true']);
  expect(exec).toMatchObject({ code: 126 });
  expect(exec.stderr).toContain('without pivot_root takes no further commands');
  await tsrunOk(['kill', 'shared']);
  await expect.poll(() => readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain('/containers/');
  await tsrunOk(['rm', '-f', 'shared']);
});

test('--trace shows what is done instead', async () => {
  const { stderr, code } = await tsrun(
    ['run', '--rm', '--trace', '--network=none', '--without=pivot_root', 'busybox', 'true'],
    { env: environment() },
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/make it the root by chroot alone: chroot\("\."\) += 0/);
});

test('what contradicts it, and walls that there are not, are refused', async () => {
  const refused = async (...flags: string[]): Promise<string> => {
    const { code, stderr } = await tsrun(['run', '--rm', ...flags, 'busybox', 'true']);
    expect(code).toBe(125);
    return stderr;
  };
  expect(await refused('--without', 'wall')).toContain('there is no wall "wall"; there are pid, net,');
  expect(await refused('--without', 'net', '--network', 'none')).toContain(
    'conflicting options: --without net and --network',
  );
  expect(await refused('--without', 'caps', '--cap-drop', 'ALL')).toContain('conflicting options');
  expect((await tsrun(['create', '--without', 'pid', 'busybox'])).stderr).toContain('unknown flag: --without');
});
