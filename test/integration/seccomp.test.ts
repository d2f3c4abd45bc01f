/** Real filters in real processes: what the kernel answers, and that ordinary programs notice nothing. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capabilityNames, defaultCapabilities } from '../../src/linux/capabilities.ts';
import { architecture } from '../../src/linux/syscalls.ts';
import { compileSeccomp, defaultSeccompProfile, seccompFlags } from '../../src/runtime/seccomp/index.ts';
import type { LinuxSeccomp } from '../../src/runtime/spec.ts';

/** Loads the filter in argv[1]; then becomes the program in argv[3], or makes one call after the other and prints its errno, or 0. */
const probeSource = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sock_filter code[4096];

static void say(const char *name, long result) { printf("%s %d\\n", name, result < 0 ? errno : 0); }
static void *thread(void *argument) { return argument; }

#ifdef __x86_64__
static void say32(const char *name, long number, long first) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(0L), "d"(0L), "S"(0L), "D"(0L) : "memory", "r8", "r9", "r10", "r11");
  printf("%s %d\\n", name, (int)result < 0 ? -(int)result : 0);
  fflush(stdout);
}
#endif

int main(int argc, char **argv) {
  int fd = open(argv[1], O_RDONLY);
  struct sock_fprog program = { .len = read(fd, code, sizeof code) / sizeof code[0], .filter = code };
  close(fd);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, strtoul(argv[2], 0, 10), &program) != 0) {
    perror("seccomp");
    return 1;
  }
  if (argc > 3) {
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 1;
  }
  say("mount", syscall(SYS_mount, 0, 0, 0, 0, 0));
  say("unshare", syscall(SYS_unshare, 0));
  say("setns", syscall(SYS_setns, -1, 0));
  say("clone3", syscall(SYS_clone3, 0, 0));
  say("clone-newuser", syscall(SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0));
  say("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  say("io_uring_setup", syscall(SYS_io_uring_setup, 0, 0));
  say("userfaultfd", syscall(SYS_userfaultfd, 0));
  say("bpf", syscall(SYS_bpf, 0, 0, 0));
  say("perf_event_open", syscall(SYS_perf_event_open, 0, 0, -1, -1, 0));
  say("add_key", syscall(SYS_add_key, 0, 0, 0, 0, 0));
  say("request_key", syscall(SYS_request_key, 0, 0, 0, 0));
  say("unknown-999", syscall(999));
  say("personality-query", syscall(SYS_personality, 0xffffffffUL));
  say("personality-norandom", syscall(SYS_personality, 0x40000UL));
  say("socket-inet", syscall(SYS_socket, 2, 1, 0));
  say("socket-unix", syscall(SYS_socket, 1, 1, 0));
  say("socket-netlink", syscall(SYS_socket, 16, 3, 0));
  say("socket-vsock", syscall(SYS_socket, 40, 1, 0));
  say("socket-vsock-dirty", syscall(SYS_socket, 0x100000028UL, 1, 0));
  say("socket-alg", syscall(SYS_socket, 38, 5, 0));
  int status = -1;
  pid_t child = fork();
  if (child == 0) _exit(7);
  waitpid(child, &status, 0);
  printf("fork %d\\n", WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : -1);
  pthread_t other;
  printf("thread %d\\n", pthread_create(&other, 0, thread, 0));
  pthread_join(other, 0);
#ifdef __x86_64__
  say("x32-getpid", syscall(0x40000000 + 39));
  say("x32-mount", syscall(0x40000000 + 165, 0, 0, 0, 0, 0));
  fflush(stdout);
  say32("i386-getpid", 20, 0);
  say32("i386-mount", 21, 0);
  say32("i386-socketcall-socket", 102, 1);
  say32("i386-clone3", 435, 0);
#endif
  return 0;
}
`;

const EPERM = 1;
const EFAULT = 14;
const EINVAL = 22;
const ENOSYS = 38;

let directory = '';
let probe = '';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsrun-seccomp-'));
  probe = join(directory, 'probe');
  execFileSync('cc', ['-pthread', '-w', '-x', 'c', '-', '-o', probe], { input: probeSource });
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function writeFilter(profile: LinuxSeccomp): string {
  const path = join(directory, 'filter.bpf');
  writeFileSync(path, compileSeccomp(profile, architecture));
  return path;
}

function answers(profile: LinuxSeccomp): { results: Record<string, number>; signal: string | null } {
  const run = spawnSync(probe, [writeFilter(profile), String(seccompFlags(profile))], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  const lines = run.stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return { results: Object.fromEntries(lines.map(([name, value]) => [name, Number(value)])), signal: run.signal };
}

describe('the default filter, loaded by a process that has all capabilities', () => {
  test('answers with EPERM or ENOSYS before the kernel looks at the arguments', () => {
    const { results, signal } = answers(defaultSeccompProfile(defaultCapabilities));
    // Of int 0x80 at the end, on a kernel without the emulation of i386.
    expect(signal === null || results['i386-getpid'] === undefined).toBe(true);
    expect(results).toMatchObject({
      mount: EPERM,
      unshare: EPERM,
      setns: EPERM,
      clone3: ENOSYS,
      'clone-newuser': EPERM,
      keyctl: EPERM,
      io_uring_setup: EPERM,
      userfaultfd: EPERM,
      bpf: EPERM,
      perf_event_open: EPERM,
      add_key: EPERM,
      request_key: EPERM,
      'unknown-999': ENOSYS,
      'personality-query': 0,
      'personality-norandom': EPERM,
      'socket-inet': 0,
      'socket-unix': 0,
      'socket-netlink': 0,
      'socket-vsock': EPERM,
      'socket-vsock-dirty': EPERM,
      'socket-alg': EPERM,
      fork: 0,
      thread: 0,
    });
  });

  test.runIf(architecture === 'x64')('filters the two other ways that x86-64 has into the kernel', () => {
    const { results } = answers(defaultSeccompProfile(defaultCapabilities));
    expect(results).toMatchObject({ 'x32-getpid': ENOSYS, 'x32-mount': ENOSYS });
    // kernels without the emulation of i386 end the process with SIGSEGV at int 0x80
    if (results['i386-getpid'] === undefined) return;
    expect(results).toMatchObject({
      'i386-getpid': 0,
      'i386-mount': EPERM,
      'i386-socketcall-socket': ENOSYS,
      'i386-clone3': ENOSYS,
    });
  });

  test('lets through what the capabilities of a mighty container need', () => {
    const { results } = answers(defaultSeccompProfile(capabilityNames));
    expect(results).toMatchObject({ mount: EFAULT, unshare: 0, clone3: EINVAL, keyctl: EPERM, 'unknown-999': ENOSYS });
  });
});

test('without the default filter the kernel itself answers, so that the tests above mean something', () => {
  const { results } = answers({ defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_ARM'] });
  expect(results).toMatchObject({ mount: EFAULT, unshare: 0, clone3: EINVAL, 'personality-norandom': 0 });
  // Whatever the kernel says to them (others it may have been told to refuse), it is not what the filter says.
  for (const name of ['bpf', 'perf_event_open', 'keyctl', 'add_key', 'request_key']) {
    expect([name, results[name]]).not.toEqual([name, EPERM]);
  }
});

test.runIf(architecture === 'x64')('a 32-bit call is killed where the profile does not list its architecture', () => {
  const { results, signal } = answers({ defaultAction: 'SCMP_ACT_ALLOW' });
  expect(results['x32-getpid']).toBe(ENOSYS);
  expect(results['i386-getpid']).toBeUndefined();
  expect(['SIGSYS', 'SIGSEGV']).toContain(signal);
});

test('a profile of a user that ends the process does', () => {
  const { signal } = answers({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['keyctl'], action: 'SCMP_ACT_KILL_PROCESS' }],
  });
  expect(signal).toBe('SIGSYS');
});

const programs: [string, string[], RegExp][] = [
  ['bash', ['-c', 'x=$(echo a | tr a b); for i in 1 2 3; do (exit $i); done; echo $x$?'], /^b3$/m],
  [
    'python3',
    [
      '-c',
      'import threading,subprocess,socket,tempfile,os,select,multiprocessing\n' +
        't=threading.Thread(target=lambda:None);t.start();t.join()\n' +
        's=socket.create_server(("127.0.0.1",0));c=socket.create_connection(s.getsockname());c.close();s.close()\n' +
        'p=multiprocessing.Pool(2);r=p.map(abs,[-1,-2]);p.close();p.join()\n' +
        'print(subprocess.check_output(["echo","hi"]).decode().strip(),r,os.urandom(2).__len__())',
    ],
    /^hi \[1, 2\] 2$/m,
  ],
  ['dpkg', ['-s', 'dpkg'], /^Status: install ok installed$/m],
  ['apt-get', ['-s', '-o', 'Debug::NoLocking=1', 'check'], /^Reading package lists/m],
  ['sh', ['-c', 'tar c -C /etc hostname | gzip -c | gzip -dc | tar t'], /^hostname$/m],
  [
    process.execPath,
    ['-e', 'require("fs").promises.readFile("/etc/hostname").then(() => console.log("node"))'],
    /^node$/m,
  ],
];

const installed = (command: string): boolean =>
  command.startsWith('/') || ['/bin', '/usr/bin'].some((path) => existsSync(join(path, command)));

test.each(programs.filter(([command]) => installed(command)))(
  '%s works behind the default filter',
  (command, args, expected) => {
    const profile = defaultSeccompProfile(defaultCapabilities);
    const run = spawnSync(probe, [writeFilter(profile), String(seccompFlags(profile)), command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    expect([run.status, run.stderr]).toEqual([0, '']);
    expect(run.stdout).toMatch(expected);
  },
);
