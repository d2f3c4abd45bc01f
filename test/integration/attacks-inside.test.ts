/** Attacks of root in a container on tsrun while it works on that container, and on what is around it. */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';
import { maskedPaths, readonlyPaths } from '../../src/runtime/defaults.ts';
import { attack, Host } from './attack-fixture.ts';
import { environment, tsrun, tsrunOk, tsrunPath } from './tsrun.ts';

const host = new Host();
beforeAll(() => tsrunOk(['pull', '-q', 'busybox']));
afterAll(() => host.remove());

/** What a checkout runs, as it is now. */
function executables(): string[] {
  return readdirSync(join(checkout, 'dist')).map((name) => {
    const path = join(checkout, 'dist', name);
    return `${name} ${statSync(path).isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : ''}`;
  });
}

/**
 * Holds what others run by a handle that is no open file, and writes to it when it has ended: a program that runs cannot be
 * written to. Says so in /wrote.
 */
const overwriter = `#define _GNU_SOURCE
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int held, fds[900];
char links[900][300];
int main(void) {
  for (;;) {
    DIR *d = opendir("/proc");
    for (struct dirent *e; held < 900 && (e = readdir(d));) {
      char path[300], link[300] = "";
      if (e->d_name[0] < '1' || e->d_name[0] > '9') continue;
      snprintf(path, 300, "/proc/%s/exe", e->d_name);
      if (readlink(path, link, 299) <= 0 || strstr(link, "busybox") || strstr(link, "/overwriter")) continue;
      if ((fds[held] = open(path, O_PATH)) >= 0) strcpy(links[held++], link);
    }
    closedir(d);
    for (int i = 0, w; i < held; i++) {
      char handle[64];
      snprintf(handle, 64, "/proc/self/fd/%d", fds[i]);
      if ((w = open(handle, O_WRONLY)) < 0) continue;
      FILE *f = fopen("/wrote", "a");
      fprintf(f, "%s %s\\n", write(w, "x", 1) == 1 ? "WROTE" : "refused", links[i]);
      fclose(f), close(w), close(fds[i]);
      fds[i] = fds[--held], strcpy(links[i], links[held]);
    }
  }
}
`;

test('CVE-2019-5736: a container that has the runtime run itself writes to no file of the host', async () => {
  const before = executables();
  const program = host.compile('overwriter', overwriter);
  const script =
    'cp /bin/busybox /victim; touch /wrote; /overwriter & until grep -q WROTE /wrote; do /victim sleep 0.01; done; exec sleep 1000';
  const flags = ['--network=none', '-v', `${program}:/overwriter:ro`];
  await tsrunOk(['run', '-d', '--name', 'overwriter', ...flags, 'busybox', 'sh', '-c', script]);
  const wrote = async (): Promise<string> => (await tsrun(['exec', 'overwriter', 'cat', '/wrote'])).stdout;
  try {
    // What is written to a program of its own shows that the attack is one.
    await expect.poll(wrote, { timeout: 20_000 }).toContain('WROTE /victim');
    for (let round = 0; round < 6; round++)
      await tsrun(['exec', 'overwriter', '/proc/self/exe', 'x'], { timeout: 10_000 });
    const monitor = (await tsrunOk(['inspect', '--format', '{{.State.Pid}}', 'overwriter'])).trim();
    const [, parent = ''] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${monitor}/status`, 'utf8')) ?? [];
    expect(readlinkSync(`/proc/${parent}/exe`)).toBe('/memfd:tsrun-monitor (deleted)');
    const seals = 'import fcntl, os, sys; print(fcntl.fcntl(os.open(sys.argv[1], os.O_RDONLY), 1034) & 15)';
    // Nobody may write, grow, shrink, or take that back (man 2 fcntl, F_GET_SEALS).
    expect(execFileSync('python3', ['-c', seals, `/proc/${parent}/exe`], { encoding: 'utf8' })).toBe('15\n');
    const others = (await wrote()).split('\n').filter((line) => line.startsWith('WROTE') && line !== 'WROTE /victim');
    expect(others).toEqual([]);
  } finally {
    await tsrunOk(['rm', '-f', 'overwriter']);
  }
  // The same as the container's own command.
  expect((await tsrun(['run', '--rm', '--network=none', 'busybox', '/proc/self/exe', 'x'])).code).not.toBe(0);
  expect(executables()).toEqual(before);
});

/** Stops whatever appears in its pid namespace again and again, and looks at what it has before it is a program of the container. */
const looker = `#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int last = getpid(), stopped = 0, looked = 0;
  char path[300], link[300];
  FILE *said = fopen("/said", "w");
  for (;;) {
    int pid = last + 1;
    for (int times = 0; kill(pid, SIGSTOP) == 0; times++) {
      last = pid, stopped += times == 0;
      snprintf(path, 300, "/proc/%d/exe", pid);
      memset(link, 0, 300);
      if (readlink(path, link, 299) > 0 && strstr(link, "memfd:")) looked = 1;
      snprintf(path, 300, "/proc/%d/root%s", pid, argv[1]);
      if (open(path, O_RDONLY) >= 0) looked = 2;
      kill(pid, SIGCONT);
      if (times % 64 == 0) rewind(said), fprintf(said, "stopped %d looked %d ", stopped, looked), fflush(said);
      if (times > 100000) break;
    }
    waitpid(-1, 0, WNOHANG);
  }
}
`;

test.each([
  ['by default', []],
  ['with CAP_SYS_PTRACE in a user namespace', ['--userns=auto', '--cap-add', 'SYS_PTRACE']],
])('CVE-2016-9962: who joins cannot be looked into by who stops it at every step, %s', async (_, given) => {
  const program = host.compile('looker', looker);
  const flags = ['--network=none', '-v', `${program}:/looker:ro`, ...given];
  await tsrunOk(['run', '-d', '--name', 'looker', ...flags, 'busybox', '/looker', host.secret]);
  try {
    for (let round = 0; round < 4; round++) {
      await tsrunOk(['exec', 'looker', 'true']);
      if (given.length === 0)
        await tsrunOk(['run', '--rm', '--network=none', '--pid=container:looker', 'busybox', 'true']);
    }
    const said = async (): Promise<string> => (await tsrun(['exec', 'looker', 'cat', '/said'])).stdout;
    await expect.poll(said).toMatch(/^stopped [1-9]/);
    expect(await said()).toContain('looked 0 ');
  } finally {
    await tsrunOk(['rm', '-f', 'looker']);
  }
});

test('CVE-2022-24769: nothing is inheritable, in run, exec and for another user', async () => {
  const show = ['grep', '-E', '^Cap(Inh|Amb)', '/proc/self/status'];
  const none = 'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n';
  await tsrunOk([
    'run',
    '-d',
    '--name',
    'inherits',
    '--network=none',
    '--cap-add',
    'NET_ADMIN',
    'busybox',
    'sleep',
    '1000',
  ]);
  try {
    expect((await tsrun(['exec', 'inherits', ...show])).stdout).toBe(none);
    expect((await tsrun(['exec', '--privileged', '-u', '1000', 'inherits', ...show])).stdout).toBe(none);
  } finally {
    await tsrunOk(['rm', '-f', 'inherits']);
  }
  expect((await tsrun(['run', '--rm', '--network=none', '--cap-add', 'ALL', 'busybox', ...show])).stdout).toBe(none);
  // From the caller neither.
  const called = ['--inh-caps=+chown,+net_raw', '--ambient-caps=+chown', '--', tsrunPath];
  const run = spawnSync('setpriv', [...called, 'run', '--rm', '--network=none', 'busybox', ...show], {
    env: environment(),
    encoding: 'utf8',
  });
  expect([run.stderr, run.stdout]).toEqual(['', none]);
});

test('CVE-2022-2989, CVE-2022-36109: a group that a file denies is not given up by a setgid program', async () => {
  const reader = host.compile(
    'setgid-cat',
    '#include <fcntl.h>\n#include <unistd.h>\n#include <stdlib.h>\n#include <stdio.h>\nint main(int c, char **v) { char b[64]; if (c > 2) setresgid(atoi(v[2]), atoi(v[2]), atoi(v[2])); int f = open(v[1], O_RDONLY); long n = f < 0 ? 0 : read(f, b, 64); write(1, b, n); return n == 0; }',
  );
  const image = await host.image(
    'denying',
    `cp ${reader} bin/cat2; chgrp 99 bin/cat2; chmod 2755 bin/cat2; printf denied >f; chgrp 1000 f; chmod 0604 f; echo 'u:x:1000:1000::/:/bin/sh' >>etc/passwd; echo 'g:x:1000:' >>etc/group`,
  );
  for (const user of ['u', '1000:1000']) {
    const { stdout, code } = await tsrun(['run', '--rm', '--network=none', '-u', user, image, 'cat2', '/f', '99']);
    expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
  }
  expect((await tsrun(['run', '--rm', '--network=none', '-u', '1001:1001', image, 'cat2', '/f'])).stdout).toBe(
    'denied',
  );
  expect((await tsrun(['run', '--rm', '--network=none', '-u', '-1', image, 'true'])).code).toBe(125);
});

test('CVE-2020-15257: sockets with abstract names belong to the network namespace', async () => {
  const program = host.compile(
    'abstract',
    `#include <sys/socket.h>
#include <sys/un.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <stdio.h>
int main(int c, char **v) {
  struct sockaddr_un a = { AF_UNIX };
  char b[64];
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  strcpy(a.sun_path + 1, v[1]);
  if (c > 2) {
    if (bind(s, (void *)&a, 3 + strlen(v[1])) || listen(s, 9)) return 1;
    puts("listening"), fflush(stdout);
    for (int n; (n = accept(s, 0, 0)) >= 0; close(n)) write(n, v[2], strlen(v[2]));
    return 1;
  }
  if (connect(s, (void *)&a, 3 + strlen(v[1]))) return puts(strerror(errno)), 1;
  write(1, b, read(s, b, 64));
  return 0;
}
`,
  );
  const name = `tsrun-attack-${process.pid}`;
  const server = spawn(program, [name, host.secretText], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await new Promise((resolve) => server.stdout.once('data', resolve));
    const run = (flags: string[]): ReturnType<typeof tsrun> =>
      tsrun(['run', '--rm', ...flags, '-v', `${program}:/abstract:ro`, 'busybox', '/abstract', name]);
    expect((await run(['--network=none'])).stdout).toBe('Connection refused\n');
    expect((await run([])).stdout).toBe('Connection refused\n');
    expect((await run(['--network=host'])).stdout).toBe(host.secretText);
  } finally {
    server.kill('SIGKILL');
  }
});

test('CVE-2022-0492: no cgroup can be mounted for its release_agent, and none can be made', async () => {
  const script =
    'mkdir /c; for t in cgroup cgroup2; do for o in rdma memory none; do mount -t $t -o $o x /c 2>/dev/null && echo MOUNTED; done; done; unshare -Urm true 2>/dev/null && echo UNSHARED; mkdir /sys/fs/cgroup/x 2>/dev/null && echo MADE; echo done';
  expect((await attack([], script)).stdout).toBe('done\n');
});

test('CVE-2019-14271: no library of the container is loaded by cp, exec or run', async () => {
  const mark = join(host.directory, 'loaded');
  const source = join(host.directory, 'evil.c');
  const library = join(host.directory, 'evil.so');
  execFileSync('sh', [
    '-c',
    `printf '#include <fcntl.h>\\n__attribute__((constructor)) void go(void) { creat("${mark}", 0600); }\\n' >${source}; gcc -shared -fPIC -o ${library} ${source}`,
  ]);
  expect(spawnSync('true', { env: { LD_PRELOAD: library } }).status).toBe(0);
  expect(existsSync(mark)).toBe(true);
  execFileSync('rm', [mark]);
  const names = ['libnss_files.so.2', 'libnss_compat.so.2', 'libc.so.6', 'libnss_x.so.2'];
  const places = ['lib/x86_64-linux-gnu', 'lib64', 'usr/lib/x86_64-linux-gnu', 'lib'];
  const copies = places.flatMap((place) => [
    `mkdir -p ${place}`,
    ...names.map((name) => `cp ${library} ${place}/${name}`),
  ]);
  const image = await host.image(
    'libraries',
    `${copies.join('; ')}; echo 'passwd: x files' >etc/nsswitch.conf; echo 'u:x:7:8::/:/bin/sh' >>etc/passwd; echo ${library} >etc/ld.so.preload`,
  );
  await tsrunOk(['run', '-d', '--name', 'library', '--network=none', '-u', 'u', image, 'sleep', '1000']);
  try {
    await tsrunOk(['cp', '-a', host.secret, 'library:/tmp/x']);
    await tsrunOk(['exec', '-u', 'u', 'library', 'true']);
    expect((await tsrun(['exec', 'library', 'stat', '-c', '%u:%g', '/tmp/x'])).stdout).toBe('7:8\n');
  } finally {
    await tsrunOk(['rm', '-f', 'library']);
  }
  expect(existsSync(mark)).toBe(false);
});

test("keys of the caller are not the container's, also without a filter, in run and in exec", async () => {
  const program = host.compile(
    'keys',
    '#include <sys/syscall.h>\n#include <unistd.h>\n#include <stdio.h>\n#include <string.h>\n#include <errno.h>\nint main(int c, char **v) { if (c > 1) { if (syscall(SYS_add_key, "user", "tsrun-attack", "secret", 6, -3) < 0) { perror("add_key"); return 1; } execv(v[1], v + 1); return 1; } char b[64] = ""; long k = syscall(SYS_keyctl, 10, -3, "user", "tsrun-attack", 0); if (k < 0) { printf("%s\\n", strerror(errno)); return 0; } syscall(SYS_keyctl, 11, k, b, 64); puts(b); return 0; }',
  );
  const withKey = (...words: string[]): string =>
    spawnSync(program, [tsrunPath, ...words], { env: environment(), encoding: 'utf8' }).stdout;
  const called = (flags: string[]): string =>
    withKey('run', '--rm', '--network=none', ...flags, '-v', `${program}:/keys:ro`, 'busybox', '/keys');
  expect(spawnSync(program, [program], { encoding: 'utf8' }).stdout).toBe('secret\n');
  expect(called([])).toBe('Operation not permitted\n');
  expect(called(['--security-opt', 'seccomp=unconfined'])).toBe('Required key not available\n');
  expect(called(['--privileged'])).toBe('Required key not available\n');
  const flags = ['--network=none', '--security-opt', 'seccomp=unconfined', '-v', `${program}:/keys:ro`];
  await tsrunOk(['run', '-d', '--name', 'keyless', ...flags, 'busybox', 'sleep', '1000']);
  try {
    expect(withKey('exec', 'keyless', '/keys')).toBe('Required key not available\n');
  } finally {
    await tsrunOk(['rm', '-f', 'keyless']);
  }
});

test("what is handed in of the host's devices cannot be changed: masks, and stdin of exec", async () => {
  const before = statSync('/dev/null');
  // Harmless, should it succeed.
  const change = 'chmod 667 $f 2>/dev/null && echo changed $f; chown 1 $f 2>/dev/null && echo given $f';
  const script = `for f in /proc/keys /proc/timer_list /proc/interrupts /proc/self/fd/0; do ${change}; done; exit 0`;
  await tsrunOk(['run', '-d', '--name', 'changer', '--network=none', 'busybox', 'sleep', '1000']);
  try {
    expect((await tsrun(['exec', 'changer', 'sh', '-c', script])).stdout).toBe('');
    const read = 'stat -L -c %F /dev/stdin; cat; cat /proc/timer_list; echo x >/proc/timer_list && echo swallowed';
    expect((await tsrun(['exec', 'changer', 'sh', '-c', read])).stdout).toBe('character special file\nswallowed\n');
    const { mode, uid } = statSync('/dev/null');
    expect({ mode, uid }).toEqual({ mode: before.mode, uid: before.uid });
  } finally {
    chmodSync('/dev/null', before.mode & 0o7777);
    chownSync('/dev/null', before.uid, before.gid);
    await tsrunOk(['rm', '-f', 'changer']);
  }
});

/** What docker hides and protects, beside what is tsrun's own idea. */
const dockers = {
  masked: 'acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats'.split(' '),
  readonly: 'bus fs irq sys sysrq-trigger'.split(' '),
};

test('every path that is to be hidden is, and every one that is to be read-only', async () => {
  const masked = dockers.masked.map((name) => `/proc/${name}`);
  expect(maskedPaths).toEqual(expect.arrayContaining([...masked, '/sys/devices/virtual/powercap', '/sys/firmware']));
  expect(readonlyPaths).toEqual(expect.arrayContaining(dockers.readonly.map((name) => `/proc/${name}`)));
  const script = [
    `for p in ${maskedPaths.join(' ')}; do`,
    '[ -e $p ] || continue; if [ -d $p ]; then ls $p; else [ "$(stat -c %t:%T $p)" = 1:3 ] || echo $p is not hidden; fi; done',
    `for p in ${readonlyPaths.join(' ')} /sys /sys/fs/cgroup; do`,
    '[ ! -e $p ] || grep -q " $p ro," /proc/self/mountinfo || echo $p is not read-only; done; echo done',
  ].join('\n');
  expect((await attack([], script)).stdout).toBe('done\n');
});

test('dmesg, kcore, firmware, the log device and the hardware ports stay closed', async () => {
  const script =
    'dmesg 2>&1 | head -1; (head -c 1 /proc/kcore 2>/dev/null | wc -c); ls /sys/firmware | wc -l; mknod /k c 1 11 && (head -c 1 /k) 2>&1; mknod /m c 1 4 && (head -c 1 /m) 2>&1; cat /proc/keys | wc -c; (echo h >/proc/sysrq-trigger) 2>&1; (cat /sys/kernel/security/*) 2>/dev/null; true';
  const lines = (await attack([], script)).stdout.split('\n');
  expect(lines[0]).toMatch(/Operation not permitted/);
  expect(lines.slice(1, 3)).toEqual(['0', '0']);
  expect(lines[3]).toMatch(/\/k: Operation not permitted/);
  expect(lines[4]).toMatch(/\/m: Operation not permitted/);
  expect(lines[5]).toBe('0');
  // Read-only, or this kernel has none.
  expect(lines[6]).toMatch(/can't create/);
});
