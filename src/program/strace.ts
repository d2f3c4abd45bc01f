/**
 * An operation of a program as strace(1) would write the call. Descriptors and pids are known only when it runs: they stand
 * as `<name>`, and what the kernel fills in as `{name}`.
 */
import { capabilityNames, namesOfSet } from '../linux/capabilities.ts';
import {
  AT_FDCWD,
  F_SETFD,
  PR_CAP_AMBIENT,
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  SIOCSIFFLAGS,
  TIOCGPTPEER,
  TIOCSPTLCK,
} from '../linux/constants.ts';
import {
  flagNames,
  modeText,
  octal,
  openFlags,
  resourceName,
  socketType,
  type ValueTable,
  valueName,
} from './flags.ts';
import type { Argument, Operation, Place, Program } from './program.ts';

/** A program's memory, to look into structs; what operations have stored, by its place, where it has run. */
type Memory = Pick<Program, 'memory' | 'relocations'> & { values?: ReadonlyMap<number, number> };
type Render = (argument: Argument, memory: Memory) => string;

const plain: Render = (argument, memory) => {
  if (typeof argument === 'number' || typeof argument === 'bigint') return String(argument);
  if (argument.kind === 'load') return String(memory.values?.get(argument.offset) ?? `<${argument.label}>`);
  return argument.isText ? quoted(argument.label) : `{${argument.label}}`;
};

/** strace escapes as C does. */
function quoted(text: string): string {
  let result = '';
  for (const byte of Buffer.from(text)) {
    if (byte === 0x22 || byte === 0x5c) result += `\\${String.fromCharCode(byte)}`;
    else if (byte === 0x0a) result += '\\n';
    else if (byte === 0x09) result += '\\t';
    else if (byte >= 0x20 && byte < 0x7f) result += String.fromCharCode(byte);
    else result += `\\${byte.toString(8)}`;
  }
  return `"${result}"`;
}

/** Of a number, by what it is; everything else as it is. */
function number(render: (value: number) => string): Render {
  return (argument, memory) => (typeof argument === 'number' ? render(argument) : plain(argument, memory));
}

const dirfd = number((value) => (value === AT_FDCWD ? 'AT_FDCWD' : String(value)));
const pointer = number((value) => (value === 0 ? 'NULL' : `0x${value.toString(16)}`));
const mode = number(modeText);
const bits = number(octal);
const one = (table: ValueTable): Render => number((value) => valueName(table, value));
const flags = (table: Parameters<typeof flagNames>[0]): Render => number((value) => flagNames(table, value));

/** Of a place, by its bytes. */
function struct(render: (bytes: Buffer, memory: Memory, place: Place) => string): Render {
  return (argument, memory) => {
    if (typeof argument !== 'object' || argument.kind !== 'place') return pointer(argument, memory);
    const { offset, size } = argument;
    return render(Buffer.from(memory.memory.subarray(offset, offset + size)), memory, argument);
  };
}

const openHow = struct((data) => {
  const open = openFlags(Number(data.readBigUInt64LE(0)));
  return `{flags=${open}, resolve=${flagNames('resolve', data.readBigUInt64LE(16))}}`;
});

const cloneArguments = struct((data) => {
  const set = data.readBigUInt64LE(0);
  const cgroup = data.readBigUInt64LE(80);
  const fields = [
    `flags=${flagNames('clone', set)}`,
    'pidfd={pidfd}',
    'exit_signal=SIGCHLD',
    'stack=NULL',
    'stack_size=0',
  ];
  return `{${[...fields, ...(cgroup === 0n ? [] : [`cgroup=${cgroup}`])].join(', ')}}`;
});

const mountAttributes = struct((data) => {
  const text = (at: number): string => flagNames('mountAttr', data.readBigUInt64LE(at));
  const propagation = flagNames('mount', data.readBigUInt64LE(16));
  return `{attr_set=${text(0)}, attr_clr=${text(8)}, propagation=${propagation}, userns_fd=0}`;
});

/** strace writes round numbers as products. */
function limit(value: bigint): string {
  if (value === 0xffffffffffffffffn) return 'RLIM64_INFINITY';
  return value > 1024n && value % 1024n === 0n ? `${value / 1024n}*1024` : String(value);
}

const rlimit = struct(
  (data) => `{rlim_cur=${limit(data.readBigUInt64LE(0))}, rlim_max=${limit(data.readBigUInt64LE(8))}}`,
);

const interfaceRequest = struct((data) => {
  const name = data.toString('latin1', 0, data.indexOf(0));
  return `{ifr_name=${quoted(name)}, ifr_flags=IFF_UP|IFF_RUNNING}`;
});

const capabilityHeader = struct(() => '{version=_LINUX_CAPABILITY_VERSION_3, pid=0}');

const capabilitySets = struct((data) => {
  const set = (at: number): string => {
    const value = BigInt(data.readUInt32LE(at)) | (BigInt(data.readUInt32LE(at + 12)) << 32n);
    return (
      namesOfSet(value)
        .map((name) => `1<<${name}`)
        .join('|') || '0'
    );
  };
  return `{effective=${set(0)}, permitted=${set(4)}, inheritable=${set(8)}}`;
});

const filterProgram = struct((data) => `{len=${data.readUInt16LE(0)}, filter={filter}}`);

/** The texts that an array of pointers leads to. */
function texts({ memory, relocations }: Memory, { offset, size }: Place): string[] {
  const found: string[] = [];
  for (let at = offset; at < offset + size - 8; at += 8) {
    const target = relocations.find((relocation) => relocation.at === at)?.target;
    if (target === undefined) break;
    found.push(Buffer.from(memory.subarray(target, memory.indexOf(0, target))).toString());
  }
  return found;
}

const argumentVector: Render = (argument, memory) =>
  typeof argument === 'object' && argument.kind === 'place'
    ? `[${texts(memory, argument).map(quoted).join(', ')}]`
    : plain(argument, memory);

const environmentVector: Render = (argument, memory) => {
  if (typeof argument !== 'object' || argument.kind !== 'place') return plain(argument, memory);
  const count = texts(memory, argument).length;
  return `{envp} /* ${count} var${count === 1 ? '' : 's'} */`;
};

function setgroups([count = 0, list = 0]: readonly Argument[], memory: Memory): string[] {
  const show = struct((data) => {
    return `[${Array.from({ length: Number(count) }, (_, index) => data.readUInt32LE(index * 4)).join(', ')}]`;
  });
  return [plain(count, memory), show(list, memory)];
}

function ioctl([descriptor = 0, request = 0, value = 0]: readonly Argument[], memory: Memory): string[] {
  const shown =
    request === SIOCSIFFLAGS
      ? interfaceRequest(value, memory)
      : request === TIOCSPTLCK
        ? '[0]'
        : request === TIOCGPTPEER && typeof value === 'number'
          ? openFlags(value)
          : plain(value, memory);
  return [plain(descriptor, memory), one('ioctl')(request, memory), shown];
}

/** makedev(3) of the kernel's 32-bit encoding. */
const device = number((value) => {
  const major = (value >>> 8) & 0xfff;
  const minor = (value & 0xff) | ((value >>> 12) & 0xfff00);
  const part = (value: number): string => (value === 0 ? '0' : `0x${value.toString(16)}`);
  return `makedev(${part(major)}, ${part(minor)})`;
});

const fd = plain;
const text = plain;

/** What each argument of a call is. */
const signatures: Readonly<Record<string, readonly Render[]>> = {
  openat: [dirfd, text, number(openFlags)],
  openat2: [dirfd, text, openHow, plain],
  clone3: [cloneArguments, plain],
  clone: [flags('clone'), pointer, plain, pointer, pointer],
  mmap: [pointer, plain, flags('protection'), one('mapping'), fd, plain],
  madvise: [plain, plain, one('advice')],
  memfd_create: [text, flags('memfd')],
  waitid: [one('idType'), plain, pointer, flags('wait'), pointer],
  wait4: [plain, pointer, flags('wait'), pointer],
  setns: [fd, flags('clone')],
  unshare: [flags('clone')],
  socket: [one('family'), number(socketType), number((value) => (value === 0 ? 'IPPROTO_IP' : String(value)))],
  socketpair: [one('family'), number(socketType), plain, plain],
  mount: [pointer, text, pointer, flags('mount'), pointer],
  umount2: [text, flags('umount')],
  open_tree: [dirfd, text, flags('openTree')],
  move_mount: [dirfd, text, dirfd, text, flags('moveMount')],
  fsopen: [text, flags('fsopen')],
  fsconfig: [fd, one('fsconfig'), pointer, pointer, plain],
  fsmount: [fd, flags('fsmount'), flags('mountAttr')],
  mount_setattr: [dirfd, text, flags('at'), mountAttributes, plain],
  mkdirat: [dirfd, text, bits],
  mknodat: [dirfd, text, mode, device],
  fchownat: [dirfd, text, plain, plain, flags('at')],
  umask: [bits],
  pipe2: [plain, number(openOnly)],
  dup3: [fd, fd, number(openOnly)],
  close_range: [plain, plain, plain],
  recvmsg: [fd, plain, flags('message')],
  sendmsg: [fd, plain, flags('message')],
  prlimit64: [plain, number(resourceName), rlimit, pointer],
  capset: [capabilityHeader, capabilitySets],
  seccomp: [one('seccomp'), plain, filterProgram],
  keyctl: [number((value) => (value === 1 ? 'KEYCTL_JOIN_SESSION_KEYRING' : String(value))), pointer],
  execve: [text, argumentVector, environmentVector],
  execveat: [fd, text, argumentVector, environmentVector, flags('at')],
};

/** Flags without an access mode. */
function openOnly(value: number): string {
  return flagNames('open', value);
}

/** `mount(NULL, "/", NULL, MS_REC|MS_PRIVATE, NULL)`. `end` and `fail` are no calls: they stand by their names. */
export function straceCall(operation: Operation, memory: Memory): string {
  const { call, args } = operation;
  if (call === 'end' || call === 'fail') return call;
  const words =
    wholes[call]?.(args, memory) ??
    withoutUnused(operation).map((argument, index) => (signatures[call]?.[index] ?? plain)(argument, memory));
  return `${call}(${words.join(', ')})`;
}

/** mknodat of a file and openat of a file that exists have a last argument that says nothing. */
function withoutUnused({ call, args }: Operation): readonly Argument[] {
  if (call === 'mknodat' && typeof args[2] === 'number' && (args[2] & 0o170000) === 0o100000) return args.slice(0, 3);
  return call === 'openat' ? args.slice(0, 3) : args;
}

function prctl(args: readonly Argument[], memory: Memory): string[] {
  const [option = 0, value = 0, third = 0] = args;
  const name = one('prctl')(option, memory);
  if (option === PR_CAPBSET_DROP) return [name, capability(value)];
  if (option === PR_SET_DUMPABLE) return [name, value === 0 ? 'SUID_DUMP_DISABLE' : plain(value, memory)];
  if (option !== PR_CAP_AMBIENT)
    return [name, plain(value, memory), ...(name === 'PR_SET_NO_NEW_PRIVS' ? ['0', '0', '0'] : [])];
  const action = one('ambient')(value, memory);
  return [name, action, action === 'PR_CAP_AMBIENT_RAISE' ? capability(third) : '0', '0', '0'];
}

function capability(argument: Argument): string {
  return typeof argument === 'number' ? (capabilityNames[argument] ?? String(argument)) : '';
}

function fcntl(args: readonly Argument[], memory: Memory): string[] {
  const [descriptor = 0, command = 0, value = 0] = args;
  const set = command === F_SETFD && value === 1 ? 'FD_CLOEXEC' : plain(value, memory);
  return [plain(descriptor, memory), one('fcntl')(command, memory), set];
}

/** Calls whose arguments mean what others of them say. */
const wholes: Readonly<Record<string, (args: readonly Argument[], memory: Memory) => string[]>> = {
  prctl,
  fcntl,
  ioctl,
  setgroups,
};
