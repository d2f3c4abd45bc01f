/**
 * What earlier lessons have taught, for later ones: each function is the part of a program that one lesson is about, and says
 * which. Lessons import it as `tsrun/lessons/kit.ts`.
 */
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { encodeFilter, jumpEqual, jumpGreaterOrEqual, load, ret } from 'tsrun/linux/bpf.ts';
import {
  availableCapabilities,
  boundingDrops,
  capabilitySet,
  defaultCapabilities,
  encodeCapset,
} from 'tsrun/linux/capabilities.ts';
import {
  AT_FDCWD,
  AT_RECURSIVE,
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  F_SETFD,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_PRIVATE,
  MS_REC,
  PR_CAPBSET_DROP,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
  SECCOMP_SET_MODE_FILTER,
} from 'tsrun/linux/constants.ts';
import { errno } from 'tsrun/linux/errno.ts';
import type { NetlinkSocket } from 'tsrun/linux/netlink.ts';
import { getLink, parseLink } from 'tsrun/linux/netlink-link.ts';
import { architecture, numberOf } from 'tsrun/linux/syscalls.ts';
import { type Place, type Program, ProgramBuilder } from 'tsrun/program/program.ts';
import { fdProgram, fdSync, runProgram } from 'tsrun/program/run.ts';

export { ProgramBuilder };

/** Where the child builds its root: a tmpfs is laid over it, in a mount namespace of the child's own. */
export const place = '/mnt';

/** What a break-out adds in the place of the container's command. */
export interface BreakOut {
  /** Makes on the host what the break-out is after, and returns what takes it away again. */
  prepare?: () => (() => void) | Promise<() => void>;
  /** The attacker's system calls: they end in an execve that fails (or a status other than 0) where they came to nothing. */
  attack: (b: ProgramBuilder) => void;
  /** Lesson 1, whose container is this very process: a command for `runHere`. */
  here?: readonly string[];
}

/** The words that run the lesson's program once more; those of its command line follow. */
export function self(): string[] {
  return JSON.parse(process.env.TSRUN_LESSON_RUN ?? '[]') as string[];
}

async function breakOutOf(path: string): Promise<BreakOut> {
  return ((await import(path)) as { default: BreakOut }).default;
}

/** Lesson 1: runs the words behind the program's name, if there are any, as a child of this thread. */
export async function runHere(): Promise<void> {
  const breakOut = process.env.TSRUN_LESSON_BREAKOUT;
  const words = breakOut === undefined ? process.argv.slice(2) : ((await breakOutOf(breakOut)).here ?? []);
  const [file, ...args] = words;
  if (file !== undefined) process.exit(spawnSync(file, args, { stdio: 'inherit' }).status ?? 128);
}

/**
 * Lesson 2: a child with new namespaces. `met`: the parent's side tells its pid, and the child waits until the other side
 * is done with it (lesson 6).
 */
export function newChild(b: ProgramBuilder, namespaces = 0, met = false): void {
  const SIGCHLD = 17n;
  const SIGKILL = 9;
  const args = b.reserve(88, 'struct clone_args');
  b.at(args).writeBigUInt64LE(BigInt(CLONE_NEWNS | namespaces), 0);
  b.at(args).writeBigUInt64LE(SIGCHLD, 32);
  const message = b.reserve(8, 'the pid');
  const child = b.label();
  const pid = b.field(message, 0, 4, 'pid');
  b.call('clone3', [args, 88], { title: 'make the child', store: pid, branch: child });
  if (met) b.call('write', [fdSync, message, 4], { title: 'tell its pid' });
  b.call('end', [], { title: 'the parent waits for the child' });
  b.mark(child);
  b.call('prctl', [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], { title: 'end when the machine ends' });
  b.call('mount', [0, b.text('/'), 0, MS_REC | MS_PRIVATE, 0], { title: 'keep our mounts to ourselves' });
  if (met) b.call('read', [fdSync, b.reserve(8, 'answer'), 1], { title: 'wait', expect: { equals: 1 } });
}

/** A directory and a file system on it. */
export function mountAt(b: ProgramBuilder, type: string, path: string, options = ''): void {
  makeDirectory(b, path);
  b.call('mount', [b.text(type), b.text(path), b.text(type), 0, options === '' ? 0 : b.text(options)], {
    title: `mount ${type} on ${path}`,
  });
}

export function makeDirectory(b: ProgramBuilder, path: string): void {
  b.call('mkdirat', [AT_FDCWD, b.text(path), 0o755], { title: `make ${path}`, tolerate: ['EEXIST'] });
}

/** A file of the program's own making. */
export function putFile(b: ProgramBuilder, path: string, text: string): void {
  const O_WRONLY_CREAT = 0o101;
  const fd = b.slot(`fd of ${path}`);
  b.call('openat', [AT_FDCWD, b.text(path), O_WRONLY_CREAT, 0o644], { title: `make ${path}`, store: fd });
  if (text !== '') b.call('write', [fd, b.text(text), Buffer.byteLength(text)], { title: `write ${path}` });
  b.call('close', [fd], { title: `close ${path}` });
}

/** Lesson 3: the host's programs below `root`, read-only: /usr, and what leads there. */
export function bindPrograms(b: ProgramBuilder, root: string): void {
  for (const name of ['usr', 'bin', 'sbin', 'lib', 'lib64']) {
    const path = `${root}/${name}`;
    const kind = kindOf(`/${name}`);
    if (kind === undefined) continue;
    if (kind !== 'directory') {
      b.call('symlinkat', [b.text(kind.link), AT_FDCWD, b.text(path)], { title: `/${name} leads to ${kind.link}` });
      continue;
    }
    makeDirectory(b, path);
    b.call('mount', [b.text(`/${name}`), b.text(path), 0, MS_BIND | MS_REC, 0], { title: `bind /${name}` });
    setReadOnly(b, path);
  }
}

function kindOf(path: string): 'directory' | { link: string } | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? { link: readlinkSync(path) } : 'directory';
  } catch {
    return undefined;
  }
}

/** man 2 mount_setattr: all mounts at and below `path`. */
export function setReadOnly(b: ProgramBuilder, path: string): void {
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(BigInt(MOUNT_ATTR_RDONLY), 0);
  b.call('mount_setattr', [AT_FDCWD, b.text(path), AT_RECURSIVE, b.bytes(attributes, 'struct mount_attr'), 32], {
    title: `make ${path} read-only`,
    tolerate: ['ENOENT'],
  });
}

/** Lesson 4: `root` becomes `/`, and the old root is gone. */
export function pivotRoot(b: ProgramBuilder, root: string): void {
  b.call('chdir', [b.text(root)], { title: `go to ${root}` });
  b.call('pivot_root', [b.text('.'), b.text('.')], { title: 'make it the root; the old one lies on top' });
  b.call('umount2', [b.text('.'), MNT_DETACH], { title: 'take the old root away' });
  b.call('chdir', [b.text('/')], { title: 'stand in the new root' });
}

/** Lesson 4: the root of later lessons: one layer and one for changes, joined by overlayfs; and the programs of lesson 3. */
export function layeredRoot(b: ProgramBuilder): string {
  mountAt(b, 'tmpfs', place);
  const directories = ['base', 'base/dev', 'base/etc', 'base/tmp', 'upper', 'work', 'root'];
  for (const name of directories) makeDirectory(b, `${place}/${name}`);
  putFile(b, `${place}/base/etc/motd`, 'Welcome to the container.\n');
  putFile(b, `${place}/base/dev/null`, '');
  const root = `${place}/root`;
  mountAt(b, 'overlay', root, `lowerdir=${place}/base,upperdir=${place}/upper,workdir=${place}/work`);
  bindPrograms(b, root);
  b.call('mount', [b.text('/dev/null'), b.text(`${root}/dev/null`), 0, MS_BIND, 0], { title: 'bind /dev/null' });
  return root;
}

/** Lesson 5: proc of the own pid namespace. */
export function mountProc(b: ProgramBuilder, root: string): void {
  mountAt(b, 'proc', `${root}/proc`);
}

/**
 * The end of every lesson: the container's command, by default the words behind the program's name, or a shell. Where a
 * break-out is tried (`tsrun learn breakout`) its system calls stand here instead.
 */
export async function inside(b: ProgramBuilder, words: readonly string[] = commandWords()): Promise<void> {
  closeOurs(b);
  const breakOut = process.env.TSRUN_LESSON_BREAKOUT;
  if (breakOut === undefined && isatty(0)) takeTerminal(b);
  if (breakOut === undefined) execute(b, words);
  else (await breakOutOf(breakOut)).attack(b);
}

/** A process group of its own that has the terminal (man 4 tty_ioctl), so that a shell can do job control in a pid namespace. */
function takeTerminal(b: ProgramBuilder): void {
  const [SIG_BLOCK, SIG_UNBLOCK, SIGTTOU, TIOCSPGRP] = [0, 1, 22, 0x5410];
  const set = Buffer.alloc(8);
  set.writeUInt32LE(1 << (SIGTTOU - 1), 0);
  const signals = b.bytes(set, 'SIGTTOU');
  const group = b.reserve(8, 'process group');
  b.call('setpgid', [0, 0], { title: 'a process group of its own' });
  b.call('getpid', [], { title: 'whose number it is', store: b.field(group, 0, 4, 'process group') });
  b.call('rt_sigprocmask', [SIG_BLOCK, signals, 0, 8], { title: 'who is in the background may not do this' });
  b.call('ioctl', [0, TIOCSPGRP, group], { title: 'take the terminal', expect: 'any' });
  b.call('rt_sigprocmask', [SIG_UNBLOCK, signals, 0, 8], { title: 'as before' });
}

/** What runs in the container: the words behind the program's name, or a shell. */
export function commandWords(): string[] {
  const words = process.argv.slice(2);
  return words.length === 0 ? ['/bin/sh'] : words;
}

/** Lesson 2: nothing of ours stays open in the container's command. */
export function closeOurs(b: ProgramBuilder): void {
  const FD_CLOEXEC = 1;
  b.call('close', [fdProgram], { title: 'close the program' });
  b.call('fcntl', [fdSync, F_SETFD, FD_CLOEXEC], { title: 'the socket to the other side ends with execve' });
}

const directories = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** An environment and an argument vector, as execve(2) takes them. */
export function vectors(b: ProgramBuilder, words: readonly string[]): { argv: Place; envp: Place } {
  const texts = (list: readonly string[], label: string) =>
    b.pointers(
      list.map((word) => b.text(word)),
      label,
    );
  const environment = [`PATH=${directories.join(':')}`, `TERM=${process.env.TERM ?? 'dumb'}`, 'HOME=/', 'PS1=# '];
  return { argv: texts(words, 'argv'), envp: texts(environment, 'envp') };
}

/** Lesson 2: becomes a command, found along PATH. */
export function execute(b: ProgramBuilder, words: readonly string[]): void {
  const { argv, envp } = vectors(b, words);
  const command = words[0] ?? '';
  const paths = command.includes('/') ? [command] : directories.map((directory) => `${directory}/${command}`);
  for (const path of paths) {
    b.call('execve', [b.text(path), argv, envp], { title: `run ${path}`, tolerate: ['ENOENT'], remember: true });
  }
  b.call('fail', [], { title: `run ${command}` });
}

/** Runs the program; this process ends as the container does. `meet` gets the child's pid while it waits. */
export async function run(b: ProgramBuilder, meet?: (pid: number) => void): Promise<never> {
  const program: Program = b.build({ errorFd: fdSync });
  try {
    process.exit(await runProgram(program, meet));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    if (error instanceof Error && 'hint' in error && error.hint !== undefined) console.error(`  ${error.hint}`);
    process.exit(125);
  }
}

/** Lessons 5 and 6: the namespaces of a container without a network. */
export const isolated = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;

/** Lesson 6: a cgroup that goes away with this process, and what puts a process into it. */
export function newCgroup(): (pid: number) => void {
  const hierarchy = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.includes(' - cgroup2 '))
    ?.split(' ')[4];
  if (hierarchy === undefined) throw new Error('no cgroup v2 is mounted on this machine');
  const cgroup = `${hierarchy}/tsrun-lesson-${process.pid}`;
  mkdirSync(cgroup);
  process.on('exit', () => removeCgroup(cgroup));
  return (pid) => writeFileSync(`${cgroup}/cgroup.procs`, String(pid));
}

/** Lesson 6: ends whatever is in a cgroup, waits for that, and removes it. */
export function removeCgroup(cgroup: string): void {
  writeFileSync(`${cgroup}/cgroup.kill`, '1');
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (
    let tries = 0;
    tries < 1000 && readFileSync(`${cgroup}/cgroup.events`, 'utf8').includes('populated 1');
    tries++
  ) {
    Atomics.wait(pause, 0, 0, 5);
  }
  rmdirSync(cgroup);
}

/** Lesson 7: what docker leaves to a container, as far as this machine has it; the rest is gone for good. */
export function dropCapabilities(b: ProgramBuilder): void {
  const available = availableCapabilities();
  const kept = defaultCapabilities.filter((name) => available.includes(name));
  for (const number of boundingDrops(kept)) {
    b.call('prctl', [PR_CAPBSET_DROP, number, 0, 0, 0], { title: `drop capability ${number} for good` });
  }
  const set = capabilitySet(kept);
  const { header, data } = encodeCapset({ effective: set, permitted: set, inheritable: 0n });
  b.call('capset', [b.bytes(header, 'cap_user_header'), b.bytes(data, 'cap_user_data')], { title: 'keep only these' });
  b.call('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { title: 'no new privileges' });
}

/** Lesson 8: calls that no ordinary program makes are refused. */
export function refuseCalls(b: ProgramBuilder): void {
  const [ALLOW, KILL, ERRNO] = [0x7fff0000, 0x80000000, 0x00050000];
  const denied = ['add_key', 'keyctl', 'request_key', 'bpf', 'perf_event_open', 'ptrace', 'unshare', 'setns'] as const;
  const filter = [
    ...[load(4), jumpEqual(architecture === 'arm64' ? 0xc00000b7 : 0xc000003e, 1, 0), ret(KILL), load(0)],
    ...[jumpGreaterOrEqual(0x40000000, 0, 1), ret(ERRNO | errno.EPERM)],
    ...denied.flatMap((name) => [jumpEqual(numberOf(name), 0, 1), ret(ERRNO | errno.EPERM)]),
    ret(ALLOW),
  ];
  const program = b.reserve(16, 'struct sock_fprog');
  b.at(program).writeUInt16LE(filter.length, 0);
  b.relocate(program.offset + 8, b.bytes(encodeFilter(filter), 'the filter'));
  b.call('seccomp', [SECCOMP_SET_MODE_FILTER, 0, program], { title: 'from here on a filter sees every call' });
}

/** Lesson 9: what of proc belongs to the whole machine is read-only or hidden. */
export function maskProc(b: ProgramBuilder): void {
  for (const path of ['/proc/sys', '/proc/sysrq-trigger', '/proc/irq', '/proc/bus', '/proc/fs']) {
    b.call('mount', [b.text(path), b.text(path), 0, MS_BIND | MS_REC, 0], {
      title: `lay ${path} over itself`,
      tolerate: ['ENOENT'],
    });
    setReadOnly(b, path);
  }
  for (const path of ['/proc/kcore', '/proc/keys', '/proc/timer_list']) {
    b.call('mount', [b.text('/dev/null'), b.text(path), 0, MS_BIND, 0], {
      title: `hide ${path}`,
      tolerate: ['ENOENT'],
    });
  }
}

/** Lessons 3 to 9: all of the container but its network. `inside` follows. */
export function containerWalls(b: ProgramBuilder): void {
  const root = layeredRoot(b);
  mountProc(b, root);
  pivotRoot(b, root);
  maskProc(b);
  dropCapabilities(b);
  refuseCalls(b);
}

/** Lesson 10: the index of a network interface, as netlink wants it. */
export function indexOf(socket: NetlinkSocket, name: string): number {
  const [message] = socket.run([getLink(name)])[0]?.messages ?? [];
  if (message === undefined) throw new Error(`there is no interface ${name}`);
  return parseLink(message).index;
}
