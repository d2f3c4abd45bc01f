/**
 * Which devices a container may open and make: rules as in cgroup v1's devices controller (OCI runtime-spec,
 * config-linux.md "Allowed Device list"), held in cgroup v2 by a BPF program that the kernel asks at each open and mknod
 * (cgroup-v2.rst, "Device controller").
 */
import { TsrunError } from '../error.ts';
import {
  andWith,
  attachProgram,
  BPF_CGROUP_DEVICE,
  BPF_F_ALLOW_MULTI,
  BPF_PROG_TYPE_CGROUP_DEVICE,
  copy,
  type EbpfInstruction,
  exit,
  loadProgram,
  loadWord,
  move,
  shiftRight,
  skipIf,
  skipUnless,
} from '../linux/ebpf.ts';
import { close } from '../linux/fs.ts';
import type { LinuxDeviceCgroup } from '../runtime/spec.ts';
import { step } from '../trace.ts';
import { deviceControl } from './steps.ts';

function device(type: 'c' | 'b', major?: number, minor?: number, access = 'rwm'): LinuxDeviceCgroup {
  return { allow: true, type, ...(major !== undefined && { major }), ...(minor !== undefined && { minor }), access };
}

/**
 * What containers may use unless they are privileged: the rules of Docker and runc. Making any node is allowed (packages
 * do it), opening it is not. Rules of --device come behind these.
 */
export const defaultDeviceRules: readonly LinuxDeviceCgroup[] = [
  { allow: false, access: 'rwm' },
  device('c', undefined, undefined, 'm'),
  device('b', undefined, undefined, 'm'),
  device('c', 1, 3), // /dev/null
  device('c', 1, 5), // /dev/zero
  device('c', 1, 7), // /dev/full
  device('c', 1, 8), // /dev/random
  device('c', 1, 9), // /dev/urandom
  device('c', 5, 0), // /dev/tty
  device('c', 5, 1), // /dev/console
  device('c', 5, 2), // /dev/ptmx
  device('c', 136), // /dev/pts/*
  device('c', 10, 200), // /dev/net/tun: needs CAP_NET_ADMIN too
];

/** What --privileged allows. */
export const allDevices: readonly LinuxDeviceCgroup[] = [{ allow: true, access: 'rwm' }];

// linux/bpf.h: BPF_DEVCG_*
const TYPES = { b: 1, c: 2 } as const;
const ACCESS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const ALL_ACCESS = 7;

/** Devices that are treated other than the rest; undefined numbers stand for all. */
export interface DeviceException {
  type: 'b' | 'c';
  major: number | undefined;
  minor: number | undefined;
  /** Of the bits of ACCESS. */
  access: number;
}

export interface DevicePolicy {
  /** What holds for devices without an exception. */
  allowed: boolean;
  exceptions: DeviceException[];
}

/**
 * The rules one after the other, as the devices controller of cgroup v1 applies them: a rule for all devices starts anew;
 * others widen or narrow the exceptions. Throws `USAGE` for a rule that would take a part out of a wider exception, which
 * no list of exceptions can say.
 */
export function devicePolicy(rules: readonly LinuxDeviceCgroup[]): DevicePolicy {
  const policy: DevicePolicy = { allowed: true, exceptions: [] };
  for (const rule of rules) {
    const access = parseAccess(rule.access);
    if (rule.type === undefined || rule.type === 'a') {
      policy.allowed = rule.allow;
      policy.exceptions = [];
      continue;
    }
    const exception = { type: rule.type, major: concrete(rule.major), minor: concrete(rule.minor), access };
    if (rule.allow !== policy.allowed) addException(policy, exception);
    else removeException(policy, exception);
  }
  return policy;
}

/** The specification says that absent is all; runtimes also write -1. */
function concrete(number: number | undefined): number | undefined {
  return number === undefined || number < 0 ? undefined : number;
}

function parseAccess(text: string | undefined): number {
  let access = 0;
  for (const letter of text === undefined || text === '' ? 'rwm' : text) {
    const bit = ACCESS[letter];
    if (bit === undefined) {
      throw new TsrunError('USAGE', `device access ${JSON.stringify(text)} is not made of r, w and m`);
    }
    access |= bit;
  }
  return access;
}

function sameDevice(a: DeviceException, b: DeviceException): boolean {
  return a.type === b.type && a.major === b.major && a.minor === b.minor;
}

function addException(policy: DevicePolicy, added: DeviceException): void {
  const known = policy.exceptions.find((exception) => sameDevice(exception, added));
  if (known === undefined) policy.exceptions.push(added);
  else known.access |= added.access;
}

function removeException(policy: DevicePolicy, removed: DeviceException): void {
  const covers = (wide: number | undefined, narrow: number | undefined): boolean =>
    wide === undefined || wide === narrow;
  for (const exception of policy.exceptions) {
    if (sameDevice(exception, removed)) {
      exception.access &= ~removed.access;
    } else if (
      exception.type === removed.type &&
      covers(exception.major, removed.major) &&
      covers(exception.minor, removed.minor) &&
      (exception.access & removed.access) !== 0
    ) {
      const number = (part: number | undefined): string => (part === undefined ? '*' : String(part));
      throw new TsrunError(
        'USAGE',
        `device rule ${removed.type} ${number(removed.major)}:${number(removed.minor)} contradicts the wider ` +
          `${exception.type} ${number(exception.major)}:${number(exception.minor)} before it`,
        { hint: 'name the devices one by one' },
      );
    }
  }
  policy.exceptions = policy.exceptions.filter((exception) => exception.access !== 0);
}

// registers
const ANSWER = 0;
const CONTEXT = 1;
const TYPE = 2;
const WANTED = 3;
const MAJOR = 4;
const MINOR = 5;
const SCRATCH = 6;

/** Answers 1 to allow, 0 to refuse with EPERM, from struct bpf_cgroup_dev_ctx. */
export function deviceProgram(policy: DevicePolicy): EbpfInstruction[] {
  const program = [
    loadWord(TYPE, CONTEXT, 0),
    copy(WANTED, TYPE),
    andWith(TYPE, 0xffff),
    shiftRight(WANTED, 16),
    loadWord(MAJOR, CONTEXT, 4),
    loadWord(MINOR, CONTEXT, 8),
  ];
  for (const exception of policy.exceptions) program.push(...test(exception, policy.allowed));
  program.push(move(ANSWER, policy.allowed ? 1 : 0), exit());
  return program;
}

/** An allowance must cover all that is wanted; a refusal strikes when any of it is. */
function test({ type, major, minor, access }: DeviceException, allowedOtherwise: boolean): EbpfInstruction[] {
  /** Makes a comparison whose distance is how many instructions stand behind it. */
  const tests: ((distance: number) => EbpfInstruction)[] = [(distance) => skipUnless(TYPE, TYPES[type], distance)];
  if (major !== undefined) tests.push((distance) => skipUnless(MAJOR, major, distance));
  if (minor !== undefined) tests.push((distance) => skipUnless(MINOR, minor, distance));
  if (access !== ALL_ACCESS) {
    tests.push(() => copy(SCRATCH, WANTED));
    tests.push(() => andWith(SCRATCH, allowedOtherwise ? access : ALL_ACCESS & ~access));
    tests.push((distance) => (allowedOtherwise ? skipIf(SCRATCH, 0, distance) : skipUnless(SCRATCH, 0, distance)));
  }
  const verdict = [move(ANSWER, allowedOtherwise ? 0 : 1), exit()];
  const length = tests.length + verdict.length;
  return [...tests.map((make, index) => make(length - index - 1)), ...verdict];
}

/**
 * Puts the rules in force for the cgroup that `cgroup` is open on, and everything below it; they end with the cgroup.
 * Throws `USAGE` for contradicting rules, `UNSUPPORTED` where the kernel cannot do it.
 */
export function controlDevices(cgroup: number, rules: readonly LinuxDeviceCgroup[]): void {
  const policy = devicePolicy(rules);
  if (policy.allowed && policy.exceptions.length === 0) return;
  const info = deviceControl(policy.exceptions.length);
  step(info, () => {
    try {
      const program = loadProgram(BPF_PROG_TYPE_CGROUP_DEVICE, deviceProgram(policy), 'tsrun_devices');
      try {
        attachProgram(cgroup, program, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI);
      } finally {
        close(program);
      }
    } catch (cause) {
      const hint = cause instanceof TsrunError ? cause.hint : undefined;
      throw new TsrunError(
        'UNSUPPORTED',
        `this kernel cannot restrict devices: ${cause instanceof Error ? cause.message : cause}`,
        {
          cause,
          hint: `${hint ?? 'cgroup v2 needs CONFIG_CGROUP_BPF'}; --privileged runs without device control`,
        },
      );
    }
  });
}
