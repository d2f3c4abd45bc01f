/** Attacks on processes that join a container, by root in it who may trace: man 7 capabilities, CAP_SYS_PTRACE. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Host } from './attack-fixture.ts';
import { tsrun, tsrunOk } from './tsrun.ts';

const host = new Host();
beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));
afterAll(() => host.remove());

/**
 * Stops whatever appears in its pid namespace at every step, and looks for what is not the container's: another root, working
 * directory or namespace, descriptors that are files, more capabilities or no filter. What it finds stands in /said, with the
 * number of processes that it met before they were programs of the container.
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
    if (readlink(at(pid, rest), link, 399) > 0 && readlink(at(getpid(), rest), mine, 399) > 0 && strcmp(link, mine)) say("namespace", kinds[i]);
  }
  DIR *d = opendir(at(pid, "fd"));
  for (struct dirent *e; d && (e = readdir(d));) {
    struct stat s;
    memset(link, 0, 400);
    snprintf(rest, 500, "fd/%s", e->d_name);
    if (e->d_name[0] == '.' || readlink(at(pid, rest), link, 399) <= 0 || stat(at(pid, rest), &s)) continue;
    if (!S_ISFIFO(s.st_mode) && !S_ISSOCK(s.st_mode) && !S_ISCHR(s.st_mode)) say("descriptor", link);
    if (S_ISCHR(s.st_mode) && strncmp(link, "/dev/pts/", 9) && strcmp(link, "/null")) say("descriptor", link);
    if (S_ISCHR(s.st_mode) && strncmp(link, "/dev/pts/", 9) == 0 && access(link, F_OK)) say("descriptor", link);
  }
  if (d) closedir(d);
  if (text(at(pid, "environ"), link, 400) > 0) say("environment", link);
  text("/proc/self/status", own, 8192);
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

/** What the attacker has said: how many processes it met on their way, and what it found in them. */
async function said(name: string): Promise<{ met: number; found: string[] }> {
  // Not by exec, which is what is attacked.
  const { stdout } = await tsrun(['cp', `${name}:/said`, '-']);
  const [, met = '0'] = /met (\d+)$/m.exec(stdout) ?? [];
  return { met: Number(met), found: stdout.match(/^FOUND .*$/gm) ?? [] };
}

test('who may trace finds nothing of the host in what joins by exec', async () => {
  const program = host.compile('tracer', tracer);
  const flags = ['--network=none', '--cap-add=SYS_PTRACE', '-v', `${program}:/tracer:ro`];
  await tsrunOk(['run', '-d', '--name', 'tracer', ...flags, 'busybox', '/tracer', host.secret]);
  try {
    // Some are through before they are noticed: until a few have been met.
    for (let round = 0; round < 200 && (await said('tracer')).met < 20; round++) {
      await tsrunOk(['exec', 'tracer', 'true']);
    }
    const { met, found } = await said('tracer');
    expect(found).toEqual([]);
    expect(met).toBeGreaterThanOrEqual(20);
  } finally {
    await tsrunOk(['rm', '-f', 'tracer']);
  }
});
