/** When and where a process runs: scheduler, priority of disk access, processors, personality (OCI runtime-spec config.md). */
import { TsrunError } from '../../error.ts';
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from '../../linux/constants.ts';
import type { Load, ProgramBuilder } from '../../program/program.ts';
import type { IoPriority, Linux, Process, Scheduler } from '../spec.ts';
import type { ProcessContext } from './context.ts';

/** man 2 sched_setattr */
const policies: Readonly<Record<Scheduler['policy'], number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};
const schedulerFlags: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
};
/** man 2 ioprio_set */
const ioClasses: Readonly<Record<IoPriority['class'], number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};
const ioprioWhoProcess = 1;
const ioprioClassShift = 13;

const realTimeHint = 'real-time policies need CAP_SYS_NICE, and time for real-time tasks in the cgroup';
/** In runc's words, which callers may look for. */
const deadlineHint =
  "SCHED_DEADLINE needs CAP_SYS_NICE and all processors of the machine: the process scheduler can't be used together with AllowedCPUs (linux.resources.cpu.cpus)";

/** Whether a child of a process that has it is without it (man 7 sched), or cannot be made. */
function staysBehind(scheduler: Scheduler | undefined): boolean {
  return scheduler?.policy === 'SCHED_DEADLINE' || scheduler?.flags?.includes('SCHED_FLAG_RESET_ON_FORK') === true;
}

/**
 * `process.scheduler` and `process.ioPriority`; while the process may still do so. `forked`: a child of it becomes the command.
 */
export function compileScheduling(
  { b }: Pick<ProcessContext, 'b'>,
  { scheduler, ioPriority }: Process,
  forked = false,
): void {
  b.enter('identity');
  if (scheduler !== undefined && !(forked && staysBehind(scheduler))) setScheduler(b, scheduler, 0);
  if (ioPriority !== undefined) {
    const { priority = 0 } = ioPriority;
    const value = (ioClasses[ioPriority.class] << ioprioClassShift) | priority;
    b.call('ioprio_set', [ioprioWhoProcess, 0, value], {
      title: `priority of disk access ${ioPriority.class} ${priority}`,
      why: 'asked for by process.ioPriority',
      shell: `ionice --class ${ioClasses[ioPriority.class]} --classdata ${priority} --pid $$`,
      hints: { EPERM: 'the real-time class needs CAP_SYS_ADMIN or CAP_SYS_NICE' },
    });
  }
}

/** What `forked` has left out, for the command by its pid. */
export function scheduleForked(b: ProgramBuilder, { scheduler }: Process, pid: Load): void {
  b.enter('identity');
  if (scheduler !== undefined && staysBehind(scheduler)) setScheduler(b, scheduler, pid);
}

function setScheduler(b: ProgramBuilder, scheduler: Scheduler, pid: Load | 0): void {
  const struct = Buffer.alloc(48);
  let flags = 0;
  for (const name of scheduler.flags ?? []) {
    const bit = schedulerFlags[name];
    if (bit === undefined) throw new TsrunError('USAGE', `unknown scheduler flag ${JSON.stringify(name)}`);
    flags |= bit;
  }
  struct.writeUInt32LE(struct.length, 0);
  struct.writeUInt32LE(policies[scheduler.policy], 4);
  struct.writeBigUInt64LE(BigInt(flags), 8);
  struct.writeInt32LE(scheduler.nice ?? 0, 16);
  struct.writeInt32LE(scheduler.priority ?? 0, 20);
  struct.writeBigUInt64LE(BigInt(scheduler.runtime ?? 0), 24);
  struct.writeBigUInt64LE(BigInt(scheduler.deadline ?? 0), 32);
  struct.writeBigUInt64LE(BigInt(scheduler.period ?? 0), 40);
  b.call('sched_setattr', [pid, b.bytes(struct, 'struct sched_attr'), 0], {
    title: `scheduler ${scheduler.policy}`,
    why: 'asked for by process.scheduler',
    shell: `chrt --${scheduler.policy.slice(6).toLowerCase()} --pid ${scheduler.priority ?? 0} $$`,
    // Another process may have ended meanwhile.
    tolerate: pid === 0 ? [] : ['ESRCH'],
    hints: {
      EPERM: scheduler.policy === 'SCHED_DEADLINE' ? deadlineHint : realTimeHint,
      EINVAL: 'the numbers do not fit to the policy (man 2 sched_setattr)',
    },
  });
}

/** man 2 set_mempolicy */
const memoryModes: Readonly<Record<string, number>> = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
};
const memoryFlags: Readonly<Record<string, number>> = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
};

/** `linux.memoryPolicy`: children and programs executed keep it. */
export function compileMemoryPolicy({ b }: ProcessContext, policy: Linux['memoryPolicy']): void {
  if (policy === undefined) return;
  const { mode: name = '', nodes, flags = [] } = policy;
  let mode = memoryModes[name];
  if (mode === undefined) throw new TsrunError('USAGE', `invalid memory policy mode ${JSON.stringify(name)}`);
  for (const flag of flags) {
    const bit = memoryFlags[flag];
    if (bit === undefined) throw new TsrunError('USAGE', `invalid memory policy flag ${JSON.stringify(flag)}`);
    mode |= bit;
  }
  const mask = nodes ? bitMask(nodes, 'invalid memory policy node:', 1023) : undefined;
  b.call(
    'set_mempolicy',
    [mode, mask === undefined ? 0 : b.bytes(mask, 'nodemask'), mask === undefined ? 0 : mask.length * 8 + 1],
    {
      title: `memory policy ${name}`,
      why: 'asked for by linux.memoryPolicy',
      hints: { EINVAL: 'the nodes are not there, or do not go with mode and flags (man 2 set_mempolicy)' },
    },
  );
}

/** `linux.personality` (man 2 personality). */
export function compilePersonality({ b }: ProcessContext, personality: Linux['personality']): void {
  if (personality === undefined) return;
  if ((personality.flags ?? []).length > 0) {
    throw new TsrunError('UNSUPPORTED', `personality flags ${personality.flags?.join(', ')} are not supported`, {
      hint: 'the specification names no flag yet: leave the list out',
    });
  }
  b.call('personality', [personality.domain === 'LINUX32' ? 8 : 0], {
    title: `personality ${personality.domain}`,
    why: 'what uname says of the machine',
    shell: personality.domain === 'LINUX32' ? 'setarch linux32' : '',
  });
}

/** man 2 sched_setaffinity with a list of processors such as `0-3,7`. */
export function setAffinity(b: ProgramBuilder, list: string | undefined, when: string): void {
  if (list === undefined || list === '') return;
  const mask = bitMask(list, 'execCPUAffinity:', 8191);
  b.call('sched_setaffinity', [0, mask.length, b.bytes(mask, 'cpu_set_t')], {
    title: `processors ${list} ${when}`,
    shell: `taskset --cpu-list --pid ${list} $$`,
    hints: { EINVAL: 'none of these processors may be used: see Cpus_allowed_list in /proc/self/status' },
  });
}

/** As many as Linux can be built for. */
const allProcessors = 8192;

/** As with runc and crun: a container is not bound to the processors that its caller happens to be bound to. */
export function resetAffinity(b: ProgramBuilder): void {
  const mask = Buffer.alloc(allProcessors / 8, 0xff);
  b.call('sched_setaffinity', [0, mask.length, b.bytes(mask, 'cpu_set_t')], {
    title: 'all processors',
    why: 'those of the cgroup: what the caller is bound to (taskset) is not for the container',
    shell: 'taskset --pid ffffffffffffffff $$',
  });
}

/** A list such as `0-3,7` as bits, in whole words. `what` begins the message. */
function bitMask(list: string, what: string, highest: number): Buffer {
  const numbers = list.split(',').flatMap((part) => {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (match === null || last < first || last > highest) {
      throw new TsrunError('USAGE', `${what} ${JSON.stringify(list)} is no list of numbers up to ${highest}`);
    }
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  const mask = Buffer.alloc(8 * (Math.floor(Math.max(...numbers) / 64) + 1));
  for (const number of numbers) mask[number >> 3] = (mask[number >> 3] ?? 0) | (1 << (number & 7));
  return mask;
}

/** Before the namespaces change: what is written to a proc that this process may trust, and what needs its rights. */
export function prepareProcess(
  c: ProcessContext,
  process: Process,
  { labels }: { labels: Readonly<Record<string, string>> },
  forked: boolean,
): void {
  const { b } = c;
  setAffinity(b, process.execCPUAffinity?.final, 'for the command');
  compileScheduling(c, process, forked);
  b.enter('security');
  for (const [file, value] of Object.entries(labels)) {
    const fd = b.slot(`attr/${file}`);
    b.call('openat', [AT_FDCWD, b.text(`/proc/self/attr/${file}`), O_WRONLY | O_CLOEXEC, 0], {
      title: `open /proc/self/attr/${file}`,
      store: fd,
    });
    const size = Buffer.byteLength(value);
    b.call('write', [fd, b.text(value), size], {
      title: `label ${JSON.stringify(value)}`,
      why: 'the security module of the host confines the command by it',
      expect: { equals: size },
    });
  }
}
