/** Attacks on copying, by a container that has the place of the copy too and swaps names while tsrun works in it. */
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lookInLayer } from '../../src/container/layer-paths.ts';
import { bytePath } from '../../src/image/unpack/byte-path.ts';
import { copyTree } from '../../src/oci/copy-up.ts';
import { Host } from './attack-fixture.ts';
import { run, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const host = new Host();
const victim = join(host.directory, 'victim');
beforeAll(async () => {
  await tsrunOk(['pull', '-q', 'busybox']);
  mkdirSync(victim);
});
afterAll(() => host.remove());

/** Exchanges two names of a directory all the time: `x` is there, as what it was or as what `y` was (man 2 renameat2). */
const exchanger = `#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  if (chdir(argv[1])) return 1;
  write(1, "r", 1);
  for (;;) syscall(SYS_renameat2, -100, "x", -100, "y", 2);
}
`;

test('cp of an archive: a file that becomes a link out of the container is no directory', async () => {
  const program = host.compile('exchanger', exchanger);
  // In the container the link leads to a directory too: it is followed there, and not on the host.
  const script = `mkdir -p ${victim} /s; touch /s/x; ln -s ${victim} /s/y; exec /exchanger /s`;
  const flags = ['--network=none', '-v', `${program}:/exchanger:ro`];
  await tsrunOk(['run', '-d', '--name', 'copied-into', ...flags, 'busybox', 'sh', '-c', script]);
  try {
    await expect.poll(() => tsrunOk(['logs', 'copied-into'])).toBe('r');
    const entries = join(host.directory, 'entries');
    mkdirSync(join(entries, 'x'), { recursive: true });
    for (let index = 0; index < 50; index++) writeFileSync(join(entries, 'x', `file${index}`), 'written');
    const archive = execFileSync('tar', [
      '-C',
      entries,
      '-c',
      ...readdirSync(join(entries, 'x')).map((name) => `x/${name}`),
    ]);
    const codes = new Set<number>();
    for (let round = 0; round < 8; round++) {
      const { code } = await tsrun(['cp', '-', 'copied-into:/s'], { stdin: archive });
      codes.add(code);
    }
    expect(readdirSync(victim)).toEqual([]);
    // It was there to be found as a file.
    expect(codes).toContain(1);
  } finally {
    await tsrunOk(['rm', '-f', 'copied-into']);
  }
});

test('cp: a link of the container where a directory or a file is to be leads to nothing of the host', async () => {
  // Makes the link again in the moment in which it has been taken away.
  const program = host.compile(
    'linker',
    '#include <unistd.h>\nint main(int argc, char **argv) { write(1, "r", 1); for (;;) symlink(argv[1], "/s/file"); }',
  );
  const created = join(victim, 'created');
  const script = `mkdir /s; ln -s ${victim} /s/link; ln -s /proc/1/root${host.secret} /s/root; exec /linker ${created}`;
  // With the machine's processes in its proc: process 1 is one of the host, and so is its root.
  const flags = ['--network=none', '--pid=host', '-v', `${program}:/linker:ro`];
  await tsrunOk(['run', '-d', '--name', 'linker', ...flags, 'busybox', 'sh', '-c', script]);
  try {
    await expect.poll(() => tsrunOk(['logs', 'linker'])).toBe('r');
    const source = join(host.directory, 'source');
    mkdirSync(join(source, 'link'), { recursive: true });
    writeFileSync(join(source, 'link', 'inner'), 'written');
    writeFileSync(join(source, 'file'), 'written');
    const directory = await tsrun(['cp', `${source}/link`, 'linker:/s']);
    expect(directory.code).toBe(1);
    expect(directory.stderr).toContain('cannot overwrite non-directory "s/link" with directory');
    for (let round = 0; round < 8; round++) await tsrun(['cp', `${source}/file`, 'linker:/s/.']);
    expect(readdirSync(victim)).toEqual([]);
    const taken = join(host.directory, 'taken');
    expect((await tsrun(['cp', '-L', 'linker:/s/root', taken])).code).toBe(1);
    expect(readdirSync(host.directory)).not.toContain('taken');
  } finally {
    await tsrunOk(['rm', '-f', 'linker']);
  }
});

/** Puts links where directories of a copy are complete: one of them has the file that all later ones get as a hard link. */
const stager = `#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char path[300], aside[300];
  struct stat st;
  write(1, "r", 1);
  for (int i = 0;; i = (i + 1) % 30) {
    snprintf(path, 300, "/vol/.tsrun-stage.tmp/d%d/file", i);
    if (lstat(path, &st) || st.st_nlink < 2) continue;
    snprintf(path, 300, "/vol/.tsrun-stage.tmp/d%d", i);
    snprintf(aside, 300, "/vol/.tsrun-stage.tmp/aside%d", i);
    if (rename(path, aside) == 0 && symlink(argv[1], path) == 0) write(1, "s", 1);
  }
}
`;

test('filling a volume that a container has already: a directory that becomes a link gives it no file of the host', async () => {
  const program = host.compile('stager', stager);
  const directory = join(host.directory, 'device');
  mkdirSync(directory);
  const secret = join(victim, 'file');
  writeFileSync(secret, host.secretText, { mode: 0o600 });
  const fill =
    'mkdir v; echo x >v/file; for i in $(seq 0 29); do mkdir v/d$i v/p$i; head -c 400000 /dev/urandom >v/p$i/filler; ln v/file v/d$i/file; done; rm v/file';
  const image = await host.image('filler', fill);
  const options = ['-o', 'type=none', '-o', 'o=bind', '-o', `device=${directory}`];
  await tsrunOk(['volume', 'create', ...options, 'attacked']);
  const flags = ['--network=none', '-v', `${directory}:/vol`, '-v', `${program}:/stager:ro`];
  // Both on one processor, where the attacker has most of the time: it sees every state of the copy.
  const [cpu = '0'] = /^Cpus_allowed_list:\t(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.slice(1) ?? [];
  const pinned = (words: readonly string[]): ReturnType<typeof run> => run('taskset', ['-c', cpu, ...words]);
  await pinned([tsrunPath, 'run', '-d', '--name', 'stager', ...flags, 'busybox', '/stager', victim]);
  try {
    await expect.poll(() => tsrunOk(['logs', 'stager'])).toBe('r');
    // Whether it can be filled is another question.
    await pinned(['nice', '-n', '10', tsrunPath, 'run', '--rm', '--network=none', '-v', 'attacked:/v', image, 'true']);
    expect(statSync(secret).nlink).toBe(1);
    expect(readFileSync(secret, 'utf8')).toBe(host.secretText);
  } finally {
    await tsrunOk(['rm', '-f', 'stager']);
    await tsrunOk(['volume', 'rm', 'attacked']);
    rmSync(secret);
  }
});

test('tmpcopyup and why path: a directory that becomes a link brings and tells of no file of the host', async () => {
  const program = host.compile('exchanger', exchanger);
  const root = join(host.directory, 'copied-up');
  mkdirSync(join(root, 'x'), { recursive: true });
  symlinkSync(victim, join(root, 'y'));
  writeFileSync(join(victim, 'secret'), host.secretText);
  const neighbour = spawn(program, [root], { stdio: ['ignore', 'pipe', 'ignore'] });
  const from = openSync(root, constants.O_RDONLY);
  try {
    await new Promise((resolve) => neighbour.stdout.once('data', resolve));
    for (let round = 0; round < 200; round++) {
      const target = join(host.directory, 'copied', String(round));
      mkdirSync(target, { recursive: true });
      const to = openSync(target, constants.O_RDONLY);
      try {
        copyTree(from, to, bytePath('/'));
      } catch (error) {
        expect(String(error)).toMatch(/ENOTDIR|ELOOP|EINVAL/);
      }
      closeSync(to);
      try {
        expect(lookInLayer(root, 'x/secret').file).toBeUndefined();
      } catch (error) {
        expect(String(error)).toMatch(/ENOTDIR|ELOOP/);
      }
      for (const entry of readdirSync(target, { withFileTypes: true })) {
        if (entry.isDirectory()) expect(readdirSync(join(target, entry.name))).toEqual([]);
      }
    }
  } finally {
    neighbour.kill('SIGKILL');
    closeSync(from);
  }
});
