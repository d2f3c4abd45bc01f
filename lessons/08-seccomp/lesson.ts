/** Lesson 8: a program in the kernel looks at every system call, and refuses some. */
import * as kit from 'tsrun/lessons/kit.ts';
import { type BpfInstruction, encodeFilter, jumpEqual, jumpGreaterOrEqual, load, ret } from 'tsrun/linux/bpf.ts';
import { SECCOMP_SET_MODE_FILTER } from 'tsrun/linux/constants.ts';
import { errno } from 'tsrun/linux/errno.ts';
import { architecture, numberOf } from 'tsrun/linux/syscalls.ts';

const enterCgroup = kit.newCgroup();
const b = new kit.ProgramBuilder();
kit.newChild(b, kit.isolated, true);
const root = kit.layeredRoot(b);
kit.mountProc(b, root);
kit.pivotRoot(b, root);
kit.dropCapabilities(b); // lesson 7; without its no_new_privs only root may set a filter

// struct seccomp_data: the number of the call at 0, the architecture at 4, the arguments from 16 on, 8 bytes each.
const [ALLOW, KILL, ERRNO] = [0x7fff0000, 0x80000000, 0x00050000];
const AUDIT_ARCH = architecture === 'arm64' ? 0xc00000b7 : 0xc000003e;
const denied = ['add_key', 'keyctl', 'request_key', 'bpf', 'perf_event_open', 'ptrace', 'unshare', 'setns'] as const;
const filter: BpfInstruction[] = [
  load(4),
  jumpEqual(AUDIT_ARCH, 1, 0), // another architecture has other numbers: not a single call of it
  ret(KILL),
  load(0),
  jumpGreaterOrEqual(0x40000000, 0, 1), // nor the second set of numbers that x86-64 has (x32)
  ret(ERRNO | errno.EPERM),
  ...denied.flatMap((name) => [jumpEqual(numberOf(name), 0, 1), ret(ERRNO | errno.EPERM)]),
  ret(ALLOW),
];

// struct sock_fprog: how many instructions, and where they are.
const program = b.reserve(16, 'struct sock_fprog');
b.at(program).writeUInt16LE(filter.length, 0);
b.relocate(program.offset + 8, b.bytes(encodeFilter(filter), 'the filter'));
b.call('seccomp', [SECCOMP_SET_MODE_FILTER, 0, program], { title: 'from here on the filter sees every call' });
await kit.inside(b);
await kit.run(b, enterCgroup);
