/** Who the process is and what it may do: limits, capabilities, users, seccomp, in the order that lets each succeed. */
import { TsrunError } from '../../error.ts';
import {
  boundingDrops,
  capabilityNames,
  capabilityNumber,
  capabilitySet,
  encodeCapset,
} from '../../linux/capabilities.ts';
import {
  O_CLOEXEC,
  O_WRONLY,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
  SECCOMP_SET_MODE_FILTER,
} from '../../linux/constants.ts';
import type { Load } from '../../program/program.ts';
import type { Process } from '../spec.ts';
import { type Context, messageListener, openHow, type ProcessContext } from './context.ts';

const rlimits: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

/** man 2 prlimit; -1 is unlimited. */
export function compileRlimits(c: ProcessContext, process: Process): void {
  const { b } = c;
  b.enter('identity');
  for (const limit of process.rlimits ?? []) {
    const resource = rlimits[limit.type];
    if (resource === undefined) throw new TsrunError('USAGE', `unknown resource limit "${limit.type}"`);
    const struct = Buffer.alloc(16);
    struct.writeBigUInt64LE(BigInt.asUintN(64, BigInt(limit.soft)), 0);
    struct.writeBigUInt64LE(BigInt.asUintN(64, BigInt(limit.hard)), 8);
    b.call('prlimit64', [0, resource, b.bytes(struct, 'struct rlimit'), 0], {
      title: `limit ${limit.type} to ${limit.soft}:${limit.hard}`,
      shell: `prlimit --pid $$ --${limit.type.slice(7).toLowerCase()}=${limit.soft}:${limit.hard}`,
      tolerate: c.options.lenientRlimit(limit.type) ? ['EPERM'] : [],
      hints: { EPERM: 'raising a hard limit needs CAP_SYS_RESOURCE, which this machine does not give; ask for less' },
    });
  }
}

/** Writes a file of the container's own proc, by a walk that can neither leave it nor follow a magic link. */
export function writeProc(
  c: Context,
  path: string,
  value: string,
  info: { title: string; why: string; shell: string; hint?: string },
): void {
  const { b } = c;
  const fd = b.slot(`/proc/${path}`);
  b.call(
    'openat2',
    [c.proc, b.text(path), openHow(b, O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS), 24],
    {
      title: `open /proc/${path}`,
      why: info.why,
      store: fd,
      retry: { errno: 'EAGAIN', times: 128 },
      hints: { ENOENT: info.hint ?? 'this kernel has no such setting' },
    },
  );
  const size = Buffer.byteLength(value);
  b.call('write', [fd, b.text(value), size], {
    title: info.title,
    shell: info.shell,
    expect: { equals: size },
    hints: {
      EINVAL: `the kernel does not accept ${JSON.stringify(value)} there`,
      EACCES: info.hint ?? 'lowering it needs CAP_SYS_RESOURCE',
    },
  });
  b.call('close', [fd], { title: `close /proc/${path}` });
}

/** What the caller may no longer do, and who it becomes. The last calls before execve. */
export function compileIdentity(c: ProcessContext, process: Process): void {
  const { b } = c;
  const seccompFirst = process.noNewPrivileges !== true;
  b.enter('security');
  dropBounding(c, process);
  if (seccompFirst) compileSeccompLoad(c);
  b.enter('identity');
  const { uid, gid, additionalGids = [] } = process.user;
  b.call('prctl', [PR_SET_KEEPCAPS, 1, 0, 0, 0], {
    title: 'keep capabilities over the change of user',
    why: 'the sets are set to their final values below',
  });
  const groups = Buffer.alloc(Math.max(4, additionalGids.length * 4));
  additionalGids.forEach((group, index) => {
    groups.writeUInt32LE(group, index * 4);
  });
  b.call('setgroups', [additionalGids.length, b.bytes(groups, 'supplementary groups')], {
    title: `supplementary groups: ${additionalGids.join(', ') || 'none'}`,
    why: 'those of the caller would give access to files of the host that are mounted',
  });
  b.call('setresgid', [gid, gid, gid], { title: `become group ${gid}` });
  b.call('setresuid', [uid, uid, uid], { title: `become user ${uid}` });
  b.call('prctl', [PR_SET_KEEPCAPS, 0, 0, 0, 0], { title: 'let capabilities go from now on' });
  b.enter('security');
  setCapabilities(c, process);
  if (process.noNewPrivileges === true) {
    b.call('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], {
      title: 'no new privileges',
      why: 'setuid programs and file capabilities give nothing from here on',
      shell: 'setpriv --no-new-privs',
    });
    compileSeccompLoad(c);
  }
}

function dropBounding(c: ProcessContext, process: Process): void {
  for (const number of boundingDrops(process.capabilities?.bounding ?? [])) {
    const name = capabilityNames[number] ?? `capability ${number}`;
    c.b.call('prctl', [PR_CAPBSET_DROP, number, 0, 0, 0], {
      title: `drop ${name} from the bounding set`,
      why: 'no program of the container can ever get it again, not even by setuid or file capabilities',
      shell: `capsh --drop=${name.toLowerCase()}`,
    });
  }
}

function setCapabilities(c: ProcessContext, process: Process): void {
  const { b } = c;
  const sets = process.capabilities ?? {};
  const { header, data } = encodeCapset({
    effective: capabilitySet(sets.effective ?? []),
    permitted: capabilitySet(sets.permitted ?? []),
    inheritable: capabilitySet(sets.inheritable ?? []),
  });
  b.call('capset', [b.bytes(header, 'capability header'), b.bytes(data, 'capability sets')], {
    title: 'set effective, permitted and inheritable capabilities',
    why: 'root in the container can do what these name, not what root of the host can',
    shell: `setpriv --inh-caps=-all --bounding-set=-all${(sets.bounding ?? []).map((name) => `,+${name.slice(4).toLowerCase()}`).join('')}`,
  });
  b.call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], { title: 'clear the ambient set' });
  for (const name of sets.ambient ?? []) {
    const number = capabilityNumber(name);
    if (number === undefined) continue;
    b.call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0], {
      title: `raise ${name} in the ambient set`,
    });
  }
}

/** man 2 seccomp, SECCOMP_FILTER_FLAG_NEW_LISTENER */
const newListener = 8;

function compileSeccompLoad(c: ProcessContext): void {
  const filter = c.options.seccomp;
  if (filter === undefined) return;
  const { b } = c;
  const flags = c.options.seccompFlags ?? 0;
  const listener = (flags & newListener) !== 0 ? b.slot('listener of the filter') : undefined;
  const code = b.bytes(filter, 'filter');
  const program = b.reserve(16, 'struct sock_fprog');
  b.at(program).writeUInt16LE(filter.length / 8, 0);
  b.relocate(program.offset + 8, code);
  b.call('seccomp', [SECCOMP_SET_MODE_FILTER, flags, program], {
    title: `load the seccomp filter (${filter.length / 8} instructions)`,
    why: 'system calls that containers do not need are refused: most holes of the kernel were in those',
    hints: { EINVAL: 'this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), or not that flag' },
    ...(listener === undefined ? {} : { store: listener }),
  });
  if (listener !== undefined) handListener(c, listener);
}

/** The other side takes the listener out of this process (man 2 pidfd_getfd) and hands it to whoever answers. */
function handListener(c: ProcessContext, listener: Load): void {
  const { b } = c;
  const message = b.reserve(16, 'message: listener');
  b.at(message).writeUInt32LE(messageListener, 0);
  b.call('dup3', [listener, c.options.listenerFd ?? -1, O_CLOEXEC], { title: 'the listener at the agreed number' });
  b.call('write', [c.options.errorFd ?? -1, message, 16], {
    title: 'tell: the listener is there',
    expect: { equals: 16 },
  });
  b.call('read', [c.options.errorFd ?? -1, b.reserve(8, 'answer'), 1], {
    title: 'wait until the listener has been taken',
    why: 'from here on calls may wait for an answer from there',
    expect: { equals: 1 },
  });
}
