/** The filter that a container gets unless it is told otherwise, as an OCI profile (see calls.ts and docs/seccomp.md). */
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from '../../linux/constants.ts';
import { errno } from '../../linux/errno.ts';
import { architecture as ownArchitecture } from '../../linux/syscalls.ts';
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from '../spec.ts';
import { allowed, byCapability, callsOf } from './calls.ts';

/** CLONE_NEWTIME is no flag of clone(2): the bit belongs to its exit signal. */
const NAMESPACE_FLAGS =
  CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

/** linux/personality.h: Linux, Linux with an uname of 2.6, 32-bit Linux, and the question which one it is. */
const PERSONALITIES = [0x0, 0x20000, 0x8, 0x20008, 0xffffffff];

/** Address families below this number are allowed: local, IP of both versions, packet sockets behind CAP_NET_RAW, … */
const FIRST_DOUBTFUL_FAMILY = 12;
/**
 * The further ones that are allowed; the list says what is, since a comparison "is not" sees 64 bits where the kernel
 * looks at 32. Missing are AF_VSOCK (a way to the hypervisor and its other guests, past every network rule), AF_ALG (the
 * kernel's cryptography: a history of holes, and no program fails without it) and families that are gone from the kernel
 * or nearly so: DECnet 12, Econet 19, ATM SVC 20, IrDA 23, Wanpipe 25, ISDN 34, CAIF 37.
 */
const FURTHER_FAMILIES = [
  13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45,
];

/** man 2 socketcall, linux/net.h. */
const SYS_SOCKET = 1;

export interface DefaultProfileOptions {
  /** The architecture of the image, as image configurations name it (`amd64`, `386`, …). */
  imageArchitecture?: string | undefined;
  architecture?: 'x64' | 'arm64';
}

/**
 * The default profile for a container with these capabilities (its bounding set, `CAP_…`).
 *
 * What is not named is refused with EPERM, and with ENOSYS where its number is beyond all that are named (compile.ts):
 * a call newer than tsrun looks as if the kernel were older, and programs fall back to the call that they know.
 */
export function defaultSeccompProfile(
  capabilities: readonly string[],
  options: DefaultProfileOptions = {},
): LinuxSeccomp {
  const x64 = (options.architecture ?? ownArchitecture) === 'x64';
  const granted = byCapability.filter((group) => group.capabilities.some((name) => capabilities.includes(name)));
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: errno.EPERM,
    architectures: x64 ? ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'] : ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
    syscalls: [
      allow([...allowed, ...granted].flatMap(callsOf)),
      ...clone(capabilities.includes('CAP_SYS_ADMIN')),
      ...sockets(options.imageArchitecture === '386'),
      ...PERSONALITIES.map((value) => allow(['personality'], { index: 0, value, op: 'SCMP_CMP_EQ' })),
    ],
  };
}

/**
 * New processes are allowed, new namespaces are not: a user namespace would bring all capabilities. clone3 keeps its
 * flags in memory, where no filter can look, so it gets ENOSYS and libc takes clone.
 */
function clone(admin: boolean): LinuxSyscall[] {
  if (admin) return [allow(['clone', 'clone3'])];
  return [
    allow(['clone'], { index: 0, value: NAMESPACE_FLAGS, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }),
    asIfUnknown(['clone3']),
  ];
}

/**
 * `socket` by address family. i386 also has socketcall(2), which keeps the family in memory: making sockets through it
 * gets ENOSYS (libcs then call socket), because every 64-bit program on x86-64 can make i386 calls too. Images for
 * i386 get it whole: the libc of their Debian knows nothing else.
 */
function sockets(i386: boolean): LinuxSyscall[] {
  return [
    allow(['socket'], { index: 0, value: FIRST_DOUBTFUL_FAMILY, op: 'SCMP_CMP_LT' }),
    ...FURTHER_FAMILIES.map((value) => allow(['socket'], { index: 0, value, op: 'SCMP_CMP_EQ' })),
    ...(i386
      ? [allow(['socketcall'])]
      : [
          allow(['socketcall'], { index: 0, value: SYS_SOCKET, op: 'SCMP_CMP_NE' }),
          asIfUnknown(['socketcall'], { index: 0, value: SYS_SOCKET, op: 'SCMP_CMP_EQ' }),
        ]),
  ];
}

function allow(names: string[], ...args: LinuxSeccompArg[]): LinuxSyscall {
  return args.length === 0 ? { names, action: 'SCMP_ACT_ALLOW' } : { names, action: 'SCMP_ACT_ALLOW', args };
}

function asIfUnknown(names: string[], ...args: LinuxSeccompArg[]): LinuxSyscall {
  const entry: LinuxSyscall = { names, action: 'SCMP_ACT_ERRNO', errnoRet: errno.ENOSYS };
  return args.length === 0 ? entry : { ...entry, args };
}
