/**
 * The executable in the page cache. Its build writes it so that the kernel holds it in folios of 2 MiB, each of which a page fault
 * maps as a whole: a start then takes half of the faults and half of the time (docs/decisions/0085). Copied by cp(1), read
 * again after a reboot or thrown out of the cache page by page, it lies in small folios. A command that finds it so leaves
 * a process behind that reads it anew when the command has ended; nobody waits for that.
 */
import { closeSync, constants, fstatSync, ftruncateSync, futimesSync, openSync } from 'node:fs';
import {
  MADV_HUGEPAGE,
  MADV_POPULATE_READ,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  POLLIN,
  POSIX_FADV_DONTNEED,
  PROT_READ,
} from '../linux/constants.ts';
import { syscall } from '../linux/ffi.ts';
import { check, sealedMemfd } from '../linux/fs.ts';
import { readKernelText } from '../linux/kernel-file.ts';
import { monitorExecutable } from '../linux/monitor-executable.ts';
import { smallEngine } from '../linux/small-engine.ts';
import { spawnDetached } from '../linux/spawn.ts';
import { encodeProgram } from '../program/encode.ts';
import { type Program, ProgramBuilder } from '../program/program.ts';
import { errorFdOf, fdProgram } from '../runtime/compile/context.ts';
import { notePath } from './page-cache-note.ts';

/** KiB of files that a start maps in small pages: 7,000 where the executable lies in large folios, else 19,000 to 40,000. */
const smallLimit = 12_000;

/** When it is looked at again, in milliseconds: a minute, and four times as long after each attempt in a row that did not help. */
const firstWait = 60_000;
const mostAttempts = 6;

/** A number of KiB in /proc/PID/smaps_rollup (man 5 proc). */
const kibibytes = (rollup: string, name: string): number =>
  Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0);

/** KiB of files that a process has mapped in base pages. */
export function smallFilePages(rollup: string): number {
  const value = (name: string): number => kibibytes(rollup, name);
  return value('Rss') - value('Anonymous') - value('FilePmdMapped') - value('ShmemPmdMapped');
}

/** Whether the executable lies in small pages. The small engine is two MiB of it, which are in one huge page or in none. */
export function isInSmallPages(rollup: string, engine: 'small' | 'large'): boolean {
  return engine === 'small' ? kibibytes(rollup, 'FilePmdMapped') === 0 : smallFilePages(rollup) > smallLimit;
}

/** Looks how the executable is mapped, and has it read anew where that may help. Throws what the kernel says. */
export function lookAtExecutable(): void {
  const engine = smallEngine === undefined ? 'large' : 'small';
  const isSmall = isInSmallPages(readKernelText('/proc/self/smaps_rollup'), engine);
  // As for all that tsrun has written: no link is followed, no fifo waited for.
  const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const note = openSync(notePath(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const attempts = isSmall ? Math.min(fstatSync(note).size + 1, mostAttempts) : 0;
    ftruncateSync(note, attempts);
    const due = (Date.now() + firstWait * 4 ** Math.max(attempts - 1, 0)) / 1000;
    futimesSync(note, due, due);
  } finally {
    closeSync(note);
  }
  if (isSmall) readAnewAfterwards(process.execPath);
}

const fdCommand = errorFdOf(0) + 1;
const fdExecutable = fdCommand + 1;
/** Where the file is mapped: at a border of huge pages, in the lower half of the smallest address space (arm64, 39 bits). */
const mapped = 64 * 1024 ** 3;

/** Waits for the end of a command, throws a file of `size` bytes out of the page cache and reads it in huge pages. */
export function compileReading(size: number): Program {
  const b = new ProgramBuilder();
  const poll = b.reserve(8, 'pidfd of the command');
  b.at(poll).writeInt32LE(fdCommand);
  b.at(poll).writeInt16LE(POLLIN, 4);
  b.call('ppoll', [poll, 1, 0, 0, 0], { title: 'wait for the end of the command, which has the file mapped' });
  b.call('fdatasync', [fdExecutable], { title: 'write what is not on the disk yet: only then it can be thrown out' });
  b.call('fadvise64', [fdExecutable, 0, 0, POSIX_FADV_DONTNEED], { title: 'throw the file out of the page cache' });
  b.call('mmap', [mapped, size, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fdExecutable, 0], { title: 'map it' });
  b.call('madvise', [mapped, size, MADV_HUGEPAGE], { title: 'ask for huge pages: it is read in folios of that size' });
  b.call('madvise', [mapped, size, MADV_POPULATE_READ], { title: 'read it' });
  b.call('end', [], { title: 'done' });
  return b.build({ errorFd: errorFdOf(0) });
}

function readAnewAfterwards(path: string): void {
  const executable = openSync(path, 'r');
  const command = check(syscall('pidfd_open', process.pid, 0), 'pidfd_open');
  const program = sealedMemfd('tsrun-program', encodeProgram(compileReading(fstatSync(executable).size)));
  const stdio: (number | 'ignore')[] = Array.from({ length: fdExecutable + 1 }, () => 'ignore');
  stdio[fdProgram] = program;
  stdio[fdCommand] = command;
  stdio[fdExecutable] = executable;
  spawnDetached(`/proc/${process.pid}/fd/${monitorExecutable()}`, ['run'], { argv0: 'tsrun-monitor', stdio });
  for (const fd of [program, command, executable]) closeSync(fd);
}
