/**
 * Capabilities (man 7 capabilities, linux/capability.h): names, numbers, Docker's default set, and what --cap-add,
 * --cap-drop and --privileged make of it.
 */
import { TsrunError } from '../error.ts';
import { LINUX_CAPABILITY_VERSION_3 } from './constants.ts';
import { readKernelText } from './kernel-file.ts';

/** In the order of their numbers, from 0. */
// biome-ignore format: a table
export const capabilityNames: readonly string[] = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_SETGID',
  'CAP_SETUID', 'CAP_SETPCAP', 'CAP_LINUX_IMMUTABLE', 'CAP_NET_BIND_SERVICE', 'CAP_NET_BROADCAST', 'CAP_NET_ADMIN',
  'CAP_NET_RAW', 'CAP_IPC_LOCK', 'CAP_IPC_OWNER', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE', 'CAP_SYS_PACCT', 'CAP_SYS_ADMIN', 'CAP_SYS_BOOT', 'CAP_SYS_NICE', 'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME', 'CAP_SYS_TTY_CONFIG', 'CAP_MKNOD', 'CAP_LEASE', 'CAP_AUDIT_WRITE', 'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP', 'CAP_MAC_OVERRIDE', 'CAP_MAC_ADMIN', 'CAP_SYSLOG', 'CAP_WAKE_ALARM', 'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ', 'CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE',
];

const numbers = new Map(capabilityNames.map((name, number) => [name, number]));

/** What a container gets unless it is told otherwise: the set that Docker gives. */
// biome-ignore format: a table
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN', // change owners: package managers
  'CAP_DAC_OVERRIDE', // root reads and writes what permissions deny
  'CAP_FOWNER', // chmod and utime on files of others
  'CAP_FSETID', // keep setuid bits on change
  'CAP_KILL', // signal processes of other users
  'CAP_SETGID', 'CAP_SETUID', // become another user: su, daemons that drop root
  'CAP_SETPCAP', // give up capabilities of its own
  'CAP_NET_BIND_SERVICE', // ports below 1024
  'CAP_NET_RAW', // ping
  'CAP_SYS_CHROOT', // chroot: sshd, postfix
  'CAP_MKNOD', // device nodes; opening them is the device controller's matter
  'CAP_AUDIT_WRITE', // login records of sshd and su
  'CAP_SETFCAP', // file capabilities, when packages are installed
];

/** `CAP_KILL` -> 5; undefined for a name that is not known here. */
export function capabilityNumber(name: string): number | undefined {
  return numbers.get(name);
}

/** A set as the kernel has it, one bit for each number. Throws `USAGE` for an unknown name. */
export function capabilitySet(names: Iterable<string>): bigint {
  let set = 0n;
  for (const name of names) {
    const number = numbers.get(name);
    if (number === undefined) throw new TsrunError('USAGE', `unknown capability: ${JSON.stringify(name)}`);
    set |= 1n << BigInt(number);
  }
  return set;
}

/** The names in a set, in the order of their numbers; numbers without a name here are left out. */
export function namesOfSet(set: bigint): string[] {
  return capabilityNames.filter((_, number) => (set >> BigInt(number)) & 1n);
}

/** The highest number that the running kernel knows (/proc/sys/kernel/cap_last_cap, man 7 capabilities). */
export function lastCapability(): number {
  return Number.parseInt(readKernelText('/proc/sys/kernel/cap_last_cap'), 10);
}

/** The numbers to take out of the bounding set so that only `kept` stay, ones without a name here included. */
export function boundingDrops(kept: Iterable<string>, last: number = lastCapability()): number[] {
  const set = capabilitySet(kept);
  const drops: number[] = [];
  for (let number = 0; number <= last; number++) {
    if (((set >> BigInt(number)) & 1n) === 0n) drops.push(number);
  }
  return drops;
}

/**
 * What this process can hand on: capabilities that are both permitted and in its bounding set (man 5 proc,
 * `/proc/self/status`). Machines that are guests themselves may lack some, CAP_SYS_RESOURCE for example.
 */
export function availableCapabilities(): string[] {
  const status = readKernelText('/proc/self/status');
  const field = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
  return namesOfSet(field('CapPrm') & field('CapBnd'));
}

export interface CapabilityRequest {
  /** --cap-add and --cap-drop as typed: `net_admin`, `CAP_NET_ADMIN`, `all`. */
  add?: readonly string[];
  drop?: readonly string[];
  privileged?: boolean;
  /** What can be given: `availableCapabilities()`. */
  available: readonly string[];
}

const ALL = 'ALL';

/**
 * The capabilities of a container, as Docker computes them: --privileged is all; `--cap-add ALL` is all but the dropped;
 * `--cap-drop ALL` is only the added; else the default set without the dropped and with the added, where adding wins.
 * Of the default set and of ALL, what is not available is left out; naming such a one is `UNSUPPORTED`. Throws `USAGE`
 * for an unknown name.
 */
export function containerCapabilities(request: CapabilityRequest): string[] {
  const add = normalize(request.add ?? [], 'CapAdd', request.available);
  const drop = normalize(request.drop ?? [], 'CapDrop');
  const available = new Set(request.available);
  let chosen: Iterable<string>;
  if (request.privileged) chosen = available;
  else if (add.has(ALL)) chosen = [...available].filter((name) => !drop.has(name));
  else if (drop.has(ALL)) chosen = add;
  else chosen = [...defaultCapabilities.filter((name) => !drop.has(name)), ...add];
  const wanted = new Set(chosen);
  return capabilityNames.filter((name) => wanted.has(name) && available.has(name));
}

function normalize(typed: readonly string[], option: 'CapAdd' | 'CapDrop', available?: readonly string[]): Set<string> {
  const names = new Set<string>();
  for (const text of typed) {
    const upper = text.trim().toUpperCase();
    if (upper === ALL || upper === `CAP_${ALL}`) {
      names.add(ALL);
      continue;
    }
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!numbers.has(name)) {
      throw new TsrunError('USAGE', `invalid ${option}: unknown capability: ${JSON.stringify(name)}`, {
        hint: 'the names are those of man 7 capabilities, with or without CAP_, or ALL',
      });
    }
    if (available !== undefined && !available.includes(name)) {
      throw new TsrunError(
        'UNSUPPORTED',
        `invalid ${option}: capability not supported by your kernel or not available in the current environment: ${JSON.stringify(name)}`,
        { hint: 'what tsrun itself may hand on is CapBnd in /proc/self/status' },
      );
    }
    names.add(name);
  }
  return names;
}

/** The two structures of man 2 capset: version 3 and the calling thread, and the three sets in two halves. */
export function encodeCapset(sets: { effective: bigint; permitted: bigint; inheritable: bigint }): {
  header: Uint8Array;
  data: Uint8Array;
} {
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint32(0, LINUX_CAPABILITY_VERSION_3, true);
  const data = new Uint8Array(24);
  const view = new DataView(data.buffer);
  [sets.effective, sets.permitted, sets.inheritable].forEach((set, index) => {
    view.setUint32(index * 4, Number(set & 0xffffffffn), true);
    view.setUint32(12 + index * 4, Number(set >> 32n), true);
  });
  return { header, data };
}
