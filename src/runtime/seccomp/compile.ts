/**
 * Compiles a seccomp profile (OCI runtime-spec, config-linux.md "Seccomp") to classic BPF.
 *
 *   ld arch ── jeq native ─> ld nr ─> tree over ranges of numbers ─> ret ALLOW | ret ERRNO … | rules on arguments
 *           └─ jeq 32-bit ─> the same with its numbers
 *           └─ ret KILL_PROCESS
 *
 * To a filter the numbers 0 to 2^32-1 are a few hundred ranges that get the same answer each: they are the leaves of a
 * balanced binary tree, so that an answer takes about eight comparisons.
 *
 * Semantics, those of runc and crun on libseccomp: entries whose action is the default one say nothing; an entry without
 * conditions beats those with; else the first entry decides whose conditions all hold; two conditions on one argument
 * in an entry are alternatives. Names that an architecture does not have are skipped. Numbers beyond the highest that
 * the profile names get ENOSYS where the default would refuse: the profile is older than the call, and programs know
 * how to go on without a call that does not exist.
 */
import { TsrunError } from '../../error.ts';
import { type BpfInstruction, encodeFilter, jump, jumpEqual, load, ret } from '../../linux/bpf.ts';
import { errno } from '../../linux/errno.ts';
import type { Architecture } from '../../linux/syscalls.ts';
import type { LinuxSeccomp, LinuxSyscall, SeccompAction } from '../spec.ts';
import { type FilterArchitecture, type FilteredArchitectureName, filterArchitecture } from './numbers.ts';
import { type ArgumentRule, compileRules, toRules } from './rules.ts';
import { type NumberRange, rangeTree } from './tree.ts';

// struct seccomp_data, linux/seccomp.h
const OFFSET_NR = 0;
const OFFSET_ARCH = 4;

// linux/seccomp.h: the answers, with 16 bits of data
const SECCOMP_RET_KILL_PROCESS = 0x80000000;
const SECCOMP_RET_KILL_THREAD = 0x00000000;
const SECCOMP_RET_TRAP = 0x00030000;
const SECCOMP_RET_ERRNO = 0x00050000;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
const SECCOMP_RET_TRACE = 0x7ff00000;
const SECCOMP_RET_LOG = 0x7ffc0000;
const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_DATA = 0xffff;

/** x32 programs use the architecture of x86-64 and set this bit (asm/unistd.h): another way to each call. */
const X32_SYSCALL_BIT = 0x40000000;
/** A tracer skips a call by making its number -1; the kernel does nothing for it. */
const NO_SYSCALL = 0xffffffff;
const nativeNames: Record<Architecture, FilteredArchitectureName> = {
  x64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
};
const compatNames: Record<Architecture, FilteredArchitectureName> = { x64: 'SCMP_ARCH_X86', arm64: 'SCMP_ARCH_ARM' };

/**
 * The filter for a profile as `struct sock_filter[]`: 8 bytes each, at most 4,096. The native architecture is always in
 * it; its 32-bit sister where the profile lists it, else her programs are killed; x32 gets ENOSYS.
 * Throws `USAGE` for what cannot be a filter, `UNSUPPORTED` where it gets too long.
 */
export function compileSeccomp(profile: LinuxSeccomp, architecture: Architecture): Uint8Array {
  refuseNotifyOfWrite(profile);
  const names = [nativeNames[architecture]];
  if (profile.architectures?.includes(compatNames[architecture])) names.push(compatNames[architecture]);
  const program: BpfInstruction[] = [load(OFFSET_ARCH)];
  for (const name of names) {
    const target = filterArchitecture(name);
    const body = compileArchitecture(profile, target);
    program.push(jumpEqual(target.auditArch, 1, 0), jump(body.length + 1), load(OFFSET_NR));
    for (const instruction of body) program.push(instruction);
  }
  program.push(ret(SECCOMP_RET_KILL_PROCESS));
  return encodeFilter(program);
}

/** What the calls of one architecture get. */
function compileArchitecture(profile: LinuxSeccomp, target: FilterArchitecture): BpfInstruction[] {
  const fallback = answer(profile.defaultAction, profile.defaultErrnoRet);
  /** By number: the answer of the first entry without conditions; the conditions of the others. */
  const always: (number | undefined)[] = [];
  const conditional = new Map<number, ArgumentRule[]>();
  /** The private calls of ARM say nothing about how new a profile is. */
  const privateFrom = target.privateCalls?.first ?? Number.POSITIVE_INFINITY;
  let highest = -1;
  for (const entry of profile.syscalls ?? []) {
    const action = answer(entry.action, entry.errnoRet);
    const rules = toRules(entry.args ?? [], action);
    for (const name of entry.names) {
      const number = target.table.get(name);
      if (number === undefined) continue;
      if (number > highest && number < privateFrom) highest = number;
      if (action === fallback) continue;
      if (rules.length === 0) {
        always[number] ??= action;
      } else {
        const known = conditional.get(number);
        if (known === undefined) conditional.set(number, [...rules]);
        else known.push(...rules);
      }
    }
  }
  const unknown = SECCOMP_RET_ERRNO | errno.ENOSYS;
  const ranges: NumberRange[] = [];
  const append = (number: number): void => {
    const action = always[number];
    const rules = action === undefined ? conditional.get(number) : undefined;
    const code = rules === undefined ? leaf(action ?? fallback) : compileRules(rules, fallback, target.bits);
    if (code !== ranges.at(-1)?.code) ranges.push({ from: number, code });
  };
  for (let number = 0; number <= highest; number++) append(number);
  const beyond = leaf(highest >= 0 && refuses(profile.defaultAction) ? unknown : fallback);
  ranges.push({ from: highest + 1, code: beyond });
  if (target.privateCalls !== undefined) {
    const { first, last } = target.privateCalls;
    for (let number = first; number <= last; number++) append(number);
    ranges.push({ from: last + 1, code: beyond });
  }
  if (target.name === nativeNames.x64) ranges.push({ from: X32_SYSCALL_BIT, code: leaf(unknown) });
  ranges.push({ from: NO_SYSCALL, code: leaf(SECCOMP_RET_ALLOW) });
  return rangeTree(ranges);
}

/** The code of an answer that is always the same; one and the same array for one answer, so that ranges can be joined. */
function leaf(value: number): readonly BpfInstruction[] {
  let code = leaves.get(value);
  if (code === undefined) {
    code = [ret(value)];
    leaves.set(value, code);
  }
  return code;
}
const leaves = new Map<number, readonly BpfInstruction[]>();

/** Whether an action keeps the call from being made; a tracer or a log lets it pass. */
function refuses(action: SeccompAction): boolean {
  return action !== 'SCMP_ACT_ALLOW' && action !== 'SCMP_ACT_LOG' && action !== 'SCMP_ACT_TRACE';
}

/** An action as the value that the filter returns. */
function answer(action: SeccompAction, errnoRet: number | undefined): number {
  const data = (errnoRet ?? errno.EPERM) & SECCOMP_RET_DATA;
  switch (action) {
    case 'SCMP_ACT_ALLOW':
      return SECCOMP_RET_ALLOW;
    case 'SCMP_ACT_LOG':
      return SECCOMP_RET_LOG;
    case 'SCMP_ACT_ERRNO':
      return SECCOMP_RET_ERRNO | data;
    case 'SCMP_ACT_TRACE':
      return SECCOMP_RET_TRACE | data;
    case 'SCMP_ACT_NOTIFY':
      return SECCOMP_RET_USER_NOTIF;
    case 'SCMP_ACT_TRAP':
      return SECCOMP_RET_TRAP;
    case 'SCMP_ACT_KILL_PROCESS':
      return SECCOMP_RET_KILL_PROCESS;
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return SECCOMP_RET_KILL_THREAD;
  }
}

/** Between the loading of the filter and execve, write must work without anyone who answers notifications. */
function refuseNotifyOfWrite(profile: LinuxSeccomp): void {
  if (profile.defaultAction === 'SCMP_ACT_NOTIFY') {
    throw new TsrunError('USAGE', 'SCMP_ACT_NOTIFY cannot be the default action of a seccomp profile');
  }
  const notifies = (entry: LinuxSyscall): boolean =>
    entry.action === 'SCMP_ACT_NOTIFY' && entry.names.includes('write');
  if (profile.syscalls?.some(notifies)) {
    throw new TsrunError('USAGE', 'SCMP_ACT_NOTIFY cannot be used for the write syscall');
  }
}
