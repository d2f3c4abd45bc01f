/** Attacks on processes that join a container, by root in it who may trace: man 7 capabilities, CAP_SYS_PTRACE. */

import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Host } from './attack-fixture.ts';
import { OciWorld, removeCgroupParent } from './oci-fixture.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

const host = new Host();
let program = '';
beforeAll(async () => {
  program = host.compile('tracer', tracer);
  await tsrunOk(['pull', '-q', 'busybox']);
});
afterAll(() => host.remove());

/**
 * Stops whatever appears in its pid namespace at every step, and looks for what is not the container's: another root, working
 * directory or namespace than process 1 has, descriptors that are files, more capabilities or no filter. What it finds stands in
 * /said, with how many times it met a process before it was a program of the container.
 */
const tracer = `#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
char found[64][400];
int founds, sure, met;
void say(const char *what, const char *more) {
  char line[400];
  snprintf(line, 400, "%s %s", what, more);
  for (int i = 0; i < founds; i++) if (!strcmp(found[i], line)) return;
  if (founds < 64) strcpy(found[founds++], line);
}
char *at(int pid, const char *rest) {
  static char path[2][600];
  static int turn;
  turn = !turn;
  snprintf(path[turn], 600, "/proc/%d/%s", pid, rest);
  return path[turn];
}
/* The text of a file of proc, in one read; how long it is. */
int text(const char *path, char *to, int size) {
  if (size == 0) return 0;
  int fd = open(path, O_RDONLY), n = fd < 0 ? 0 : read(fd, to, size - 1);
  close(fd);
  return to[n < 0 ? 0 : n] = 0, n < 0 ? 0 : n;
}
/* Whether a process runs what tsrun has made it with. */
int early(int pid) {
  char link[400] = "";
  return readlink(at(pid, "exe"), link, 399) > 0 && strstr(link, "memfd:");
}
void look(int pid, const char *secret) {
  static const char *const kinds[] = { "mnt", "pid", "net", "ipc", "uts", "cgroup" };
  static const char *const lines[] = { "CapPrm:", "CapEff:", "CapBnd:", "Seccomp:" };
  char link[400] = "", mine[400] = "", status[8192], own[8192], *a, *b;
  if (!early(pid)) return;
  char rest[500];
  snprintf(rest, 500, "root%s", secret);
  if (access(at(pid, rest), F_OK) == 0) say("root", secret);
  snprintf(rest, 500, "cwd/%s", secret);
  if (access(at(pid, rest), F_OK) == 0) say("cwd", secret);
  for (int i = 0; i < 6; i++) {
    memset(link, 0, 400), memset(mine, 0, 400);
    snprintf(rest, 500, "ns/%s", kinds[i]);
    if (readlink(at(pid, rest), link, 399) > 0 && readlink(at(1, rest), mine, 399) > 0 && strcmp(link, mine)) say("namespace", kinds[i]);
  }
  DIR *d = opendir(at(pid, "fd"));
  for (struct dirent *e; d && (e = readdir(d));) {
    struct stat s;
    memset(link, 0, 400);
    snprintf(rest, 500, "fd/%s", e->d_name);
    if (e->d_name[0] == '.' || readlink(at(pid, rest), link, 399) <= 0 || stat(at(pid, rest), &s)) continue;
    if (!S_ISFIFO(s.st_mode) && !S_ISSOCK(s.st_mode) && !S_ISCHR(s.st_mode)) say("descriptor", link);
    if (S_ISCHR(s.st_mode) && strncmp(link, "/dev/pts/", 9) && strcmp(link, "/null") && strcmp(link, "/dev/null")) say("descriptor", link);
    if (S_ISCHR(s.st_mode) && strncmp(link, "/dev/pts/", 9) == 0 && access(link, F_OK)) say("descriptor", link);
  }
  if (d) closedir(d);
  if (text(at(pid, "environ"), link, 400) > 0) say("environment", link);
  text("/proc/1/status", own, 8192);
  text(at(pid, "status"), status, 8192);
  for (int i = 0; i < 4; i++) {
    if (!(a = strstr(status, lines[i])) || !(b = strstr(own, lines[i]))) continue;
    int n = strcspn(a, "\\n");
    if (strncmp(a, b, n + 1)) snprintf(rest, 500, "%.*s", n, a), say("more", rest);
  }
  /* What it has as a program of the container is its own. */
  if (early(pid)) sure = founds, met++;
  else founds = sure;
}
int main(int argc, char **argv) {
  int last = getpid(), before = -1;
  for (int turn = 0;; turn++) {
    /* Where it was not given the processor in time, the newest number is behind it. */
    char load[100], *newest = text("/proc/loadavg", load, turn % 64 ? 0 : 100) > 0 ? strrchr(load, ' ') : 0;
    if (newest && atoi(newest) > last) last = atoi(newest) - 1;
    for (int pid = last + 1; pid < last + 3; pid++)
      for (int times = 0; kill(pid, SIGSTOP) == 0; times++) {
        if (pid > last) last = pid;
        look(pid, argv[1]);
        kill(pid, SIGCONT);
        if (times > 200) break;
      }
    while (waitpid(-1, 0, WNOHANG) > 0);
    if (before != met) {
      FILE *said = fopen("/said.new", "w");
      fprintf(said, "met %d\\n", before = met);
      for (int i = 0; i < founds; i++) fprintf(said, "FOUND %s\\n", found[i]);
      fclose(said);
      rename("/said.new", "/said");
    }
  }
}
`;

/** What the attacker has said: how many times it met a process on its way, and what it found. */
function heard(text: string): { met: number; found: string[] } {
  const [, met = '0'] = /met (\d+)$/m.exec(text) ?? [];
  return { met: Number(met), found: text.match(/^FOUND .*$/gm) ?? [] };
}

// Not by exec, which is what is attacked.
const said = async (name: string): Promise<string> => (await tsrun(['cp', `${name}:/said`, '-'])).stdout;

/** Joins again and again, until enough more has been met: some are through before they are noticed. */
async function attacked(joins: () => Promise<unknown>, text: () => Promise<string> | string): Promise<void> {
  const enough = heard(await text()).met + 10;
  for (let round = 0; round < 200 && heard(await text()).met < enough; round++) await joins();
  const { met, found } = heard(await text());
  expect(found).toEqual([]);
  expect(met).toBeGreaterThanOrEqual(enough);
}

const traces = ['--network=none', '--cap-add=SYS_PTRACE'];

async function runTracer(name: string, flags: readonly string[]): Promise<void> {
  const mount = ['-v', `${program}:/tracer:ro`];
  await tsrunOk(['run', '-d', '--name', name, ...traces, ...mount, ...flags, 'busybox', '/tracer', host.secret]);
}

test('who may trace finds nothing of the host in what joins: health checks, containers, commands', async () => {
  await runTracer('tracer', ['--health-cmd=true', '--health-interval=100ms']);
  const text = (): Promise<string> => said('tracer');
  try {
    await attacked(() => delay(50), text);
    const status = (): Promise<string> => tsrunOk(['inspect', '--format', '{{.State.Health.Status}}', 'tracer']);
    await expect.poll(status).toBe('healthy');
    // It stands still while they start, and goes on behind that.
    const flags = ['--rm', '--network=none', '--pid=container:tracer'];
    for (let round = 0; round < 2; round++)
      expect(await tsrunOk(['run', ...flags, 'busybox', 'echo', 'ran'])).toBe('ran');
    await attacked(() => tsrunOk(['exec', 'tracer', 'true']), text);
  } finally {
    await tsrunOk(['rm', '-f', 'tracer']);
  }
});

test('nor in what joins a container whose pid namespace it has joined', async () => {
  await tsrunOk(['run', '-d', '--name', 'debugged', '--network=none', 'busybox', 'sleep', '1000']);
  try {
    await runTracer('debugger', ['--pid=container:debugged']);
    await attacked(
      () => tsrunOk(['exec', 'debugged', 'true']),
      () => said('debugger'),
    );
  } finally {
    await tsrunOk(['rm', '-f', 'debugged', 'debugger']);
  }
});

test('a command in a container that may trace is what it is in another one', async () => {
  const names = ['plain', 'traced'];
  for (const [index, flags] of [['--network=none'], traces].entries()) {
    await tsrunOk(['run', '-d', '--name', names[index] ?? '', ...flags, 'busybox', 'sleep', '1000']);
  }
  const stat = 'set -- $(cat /proc/self/stat); [ $6 = $$ ] && echo leads its session';
  const cases: [flags: string[], command: string[], options?: Parameters<typeof tsrun>[1]][] = [
    [[], ['sh', '-c', `${stat}; id; pwd; echo $HOME; ls /proc/self/fd | wc -l; exit 7`]],
    [
      ['-u', '7:8', '-w', '/tmp', '-e', 'A=b'],
      ['sh', '-c', 'id; pwd; echo $A; ls -ln /dev/stdout | wc -l; kill -9 $$'],
    ],
    [
      [],
      ['sh', '-c', 'grep -E "^(Sig[BIC]|Groups|Uid|NoNew|Seccomp:)" /proc/self/status; cat /proc/self/oom_score_adj'],
    ],
    [['--privileged'], ['grep', 'CapEff', '/proc/self/status']],
    [['-i'], ['cat'], { stdin: 'input' }],
    [['-t'], ['sh', '-c', `${stat}; stty size; ps -o tty= >/dev/tty; exit 3`], { tty: true }],
    [[], ['nope']],
    [[], ['/etc/passwd']],
    [['-w', '/etc/passwd'], ['true']],
    [['-w', '/nope/nope'], ['true']],
    [['-d'], ['sh', '-c', 'echo detached >/detached']],
  ];
  try {
    for (const [flags, command, options] of cases) {
      const [plain, traced] = await Promise.all(
        names.map(async (name) => {
          const { code, stdout, stderr } = await tsrun(['exec', ...flags, name, ...command], options);
          return { code, stdout, stderr: stderr.replace(/step \d+ of \d+/, '') };
        }),
      );
      expect(traced, command.join(' ')).toEqual(plain);
    }
    for (const name of names)
      await expect.poll(async () => (await tsrun(['exec', name, 'cat', '/detached'])).stdout).toBe('detached\n');
  } finally {
    await tsrunOk(['rm', '-f', ...names]);
  }
});

const cgroups = 'tsrun-joining-test';

test('tsrun-oci exec: nothing of the host is found, and the command is what it was asked to be', async () => {
  const world = await OciWorld.make();
  try {
    const bundle = world.bundle('traced', '');
    copyFileSync(program, join(bundle, 'rootfs/tracer'));
    await world.createOk('traced', `exec /tracer ${host.secret}`, ({ process, linux }) => {
      const set = [...(process.capabilities?.bounding ?? []), 'CAP_SYS_PTRACE'];
      process.capabilities = { bounding: set, effective: set, permitted: set };
      linux.cgroupsPath = `/${cgroups}/traced`;
    });
    await world.ok(['start', 'traced']);
    const file = join(bundle, 'rootfs/said');
    await attacked(
      () => world.ok(['exec', 'traced', 'true']),
      () => (existsSync(file) ? readFileSync(file, 'utf8') : ''),
    );
    expect(await world.oci(['exec', '-u', '5:6', 'traced', 'sh', '-c', 'id -u; exit 5'])).toMatchObject({
      code: 5,
      stdout: '5\n',
    });
    expect((await world.oci(['exec', 'traced', 'nope'])).stderr).toMatch(/executable file not found in \$PATH/);
    const console = await world.withConsole(
      ['exec', '--detach', '--tty'],
      ['traced', 'sh', '-c', 'tty; : </dev/tty && echo controls'],
    );
    expect(console.stdout).toMatch(/^\/dev\/pts\/\d+\r\ncontrols\r\n$/);
    // What a fork would not hand on.
    const process = join(world.directory, 'process.json');
    const scheduler = { policy: 'SCHED_OTHER', nice: -7, flags: ['SCHED_FLAG_RESET_ON_FORK'] };
    const command = { args: ['sleep', '1000'], env: ['PATH=/bin'], cwd: '/', user: { uid: 0, gid: 0 }, scheduler };
    writeFileSync(process, JSON.stringify(command));
    const pidFile = join(world.directory, 'pid');
    await world.detached(['exec', '--process', process, '--detach', '--pid-file', pidFile, 'traced']);
    const pid = readFileSync(pidFile, 'utf8');
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('sleep\x001000\x00');
    expect(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[18]).toBe('-7');
  } finally {
    await world.dispose();
    removeCgroupParent(cgroups);
  }
});
