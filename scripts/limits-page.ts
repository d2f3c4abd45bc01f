/**
 * Writes docs/limits.md from the table that the code uses (src/cgroup/limits.ts); what a flag writes is worked out by the
 * command line itself. `--check` says whether the page is as it would be written.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Limit, limits } from '../src/cgroup/limits.ts';
import { parseArguments } from '../src/cli/arguments.ts';
import { buildRunOptions } from '../src/cli/options/run-options.ts';
import { allRunFlags } from '../src/cli/run-flags.ts';
import { resources } from '../src/container/oci-config.ts';
import type { LinuxResources } from '../src/runtime/spec.ts';
import { checkout } from './images/paths.ts';

/** Flags by the field that they set; the rows that are of a disk are written for one that no machine need have. */
const examples: Readonly<Record<string, string[][]>> = {
  'memory.limit': [['--memory=64m']],
  'memory.swap': [
    ['--memory=64m', '--memory-swap=96m'],
    ['--memory=64m', '--memory-swap=64m'],
    ['--memory=64m', '--memory-swap=-1'],
    ['--memory=64m'],
  ],
  'memory.reservation': [['--memory-reservation=32m']],
  'cpu.shares': [['--cpu-shares=1024'], ['--cpu-shares=512'], ['--cpu-shares=2048']],
  'cpu.quota and cpu.period': [['--cpus=0.5'], ['--cpu-quota=20000'], ['--cpu-quota=5000', '--cpu-period=10000']],
  'cpu.cpus': [['--cpuset-cpus=0']],
  'cpu.mems': [['--cpuset-mems=0']],
  'pids.limit': [['--pids-limit=100']],
  'blockIO.weight': [['--blkio-weight=500']],
};

/** The disk of examples: 8:0 is the first SCSI disk everywhere (Documentation/admin-guide/devices.txt). */
const diskExamples: Readonly<Record<string, { flag: string; resources: LinuxResources }>> = {
  'blockIO.weightDevice': {
    flag: '--blkio-weight-device=/dev/sda:100',
    resources: { blockIO: { weightDevice: [{ major: 8, minor: 0, weight: 100 }] } },
  },
  'blockIO.throttleReadBpsDevice': {
    flag: '--device-read-bps=/dev/sda:1mb',
    resources: { blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 << 20 }] } },
  },
  'blockIO.throttleWriteBpsDevice': {
    flag: '--device-write-bps=/dev/sda:1mb',
    resources: { blockIO: { throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 1 << 20 }] } },
  },
  'blockIO.throttleReadIOPSDevice': {
    flag: '--device-read-iops=/dev/sda:100',
    resources: { blockIO: { throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 100 }] } },
  },
  'blockIO.throttleWriteIOPSDevice': {
    flag: '--device-write-iops=/dev/sda:100',
    resources: { blockIO: { throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 100 }] } },
  },
};

/** What the row makes of flags, as `file` and `value`. */
function written(limit: Limit, asked: LinuxResources): string[] {
  return limit.values(asked).map((given) => {
    const { file = limit.file, value, preferred } = typeof given === 'string' ? { value: given } : given;
    const bfq =
      preferred === undefined
        ? ''
        : `; where the disk's scheduler is BFQ, \`${preferred.value}\` to \`${preferred.file}\``;
    return `\`${value}\` to \`${file}\`${bfq}`;
  });
}

function resourcesOf(flags: readonly string[]): LinuxResources {
  const parsed = parseArguments([...flags, 'image'], { command: 'tsrun run', flags: allRunFlags, interspersed: false });
  return resources(buildRunOptions(parsed.flags, parsed.args, { stdin: false, stdout: false }, {}));
}

function examplesOf(limit: Limit): string[] {
  const disk = diskExamples[limit.field];
  if (disk !== undefined) return [`- \`${disk.flag}\` writes ${written(limit, disk.resources).join(', ')}`];
  return (examples[limit.field] ?? []).map((flags) => {
    const lines = written(limit, resourcesOf(flags));
    return `- \`${flags.join(' ')}\` writes ${lines.length === 0 ? 'nothing' : lines.join(', ')}`;
  });
}

function section(limit: Limit): string {
  const given = examplesOf(limit);
  if (limit.flags.length > 0 && given.length === 0) throw new Error(`no example of ${limit.field}`);
  return [
    `### ${limit.flags[0] ?? limit.field}`,
    '',
    ...given,
    `- Means: ${limit.why}.`,
    `- At the limit: ${limit.atLimit}.`,
    `- To be seen in: ${limit.see}.`,
    `- In an OCI configuration: \`linux.resources.${limit.field.replace(' and ', '`, `linux.resources.')}\`.`,
    ...(limit.hint === undefined ? [] : [`- When the kernel refuses it: ${limit.hint}.`]),
  ].join('\n');
}

function overview(): string {
  const rows = limits
    .filter(({ flags }) => flags.length > 0)
    .map(
      ({ flags, controller, file }) =>
        `| ${flags.map((flag) => `\`${flag}\``).join(', ')} | ${controller} | \`${file}\` |`,
    );
  return ['| flag | controller | file |', '|---|---|---|', ...rows].join('\n');
}

const head = `# Limits

<!-- Written by scripts/limits-page.ts from the table in src/cgroup/limits.ts. Change that, then: npm run docs -->

A limit of a container is a number in a file. Linux keeps processes in *control groups*, cgroups for short: a tree of
directories, mounted at \`/sys/fs/cgroup\`. Making a directory makes a cgroup; each has files that say what its processes may
use and what they have used. tsrun makes \`/sys/fs/cgroup/tsrun/<id>\` for a container, writes the numbers, and only then lets
the container's first process be born in it (\`clone3\` with \`CLONE_INTO_CGROUP\`): nothing ever runs outside its limits, not
even for a moment. Children are born where their parent is.

The container sees its own part as the whole (a cgroup namespace), read-only: \`/proc/self/cgroup\` says \`0::/\` in it, and
\`/sys/fs/cgroup/memory.max\` is its own limit.

Try it, with a shell in the container and one beside it:

\`\`\`sh
tsrun run -d --name small --memory 64m --cpus 0.5 busybox sh -c 'while :; do :; done'
cat /sys/fs/cgroup/tsrun/$(tsrun inspect --format '{{.Id}}' small)/cpu.max
tsrun stats --no-stream --pressure small
tsrun update --cpus 0.2 small
tsrun --debug run --rm --memory 64m busybox true
\`\`\`

The last one prints each write, and why. \`docs/architecture.md\` says how the parts fit together; the kernel's own text is
Documentation/admin-guide/cgroup-v2.rst.

## What each flag writes
`;

const tail = `## What is no number

### Devices

Which devices may be opened is decided by a small BPF program that the kernel asks at each \`open\` and \`mknod\`. By default a
container may make any node (packages do), and open only null, zero, full, random, urandom, tty, console, ptmx, pts and
net/tun. \`--device=/dev/sda\` makes the node and allows it, \`--device-cgroup-rule='b 8:* r'\` allows all disks of major number 8
to be read, \`--privileged\` allows everything. What is not allowed answers EPERM.

### Stopping, going on, ending

\`tsrun pause\` writes \`1\` to \`cgroup.freeze\`: every process stops where it is, without a signal that it could see.
\`tsrun unpause\` writes \`0\`. To end a container the kernel is told once, by \`cgroup.kill\` (Linux 5.14), and also kills what is
being forked at that moment: a fork bomb cannot outrun it.

### Pressure

A limit that is met is felt as waiting. The kernel counts it for each cgroup, in \`cpu.pressure\`, \`memory.pressure\` and
\`io.pressure\`: \`some\` is the share of time in which at least one task waited, \`full\` that in which all did.
\`tsrun stats --pressure\` shows \`some\` of the last ten seconds, \`tsrun inspect\` has all of it in \`.State.Pressure\`.

## Controllers

A limit needs its controller in \`cgroup.controllers\` of the container's cgroup, which is there when every directory above
hands it down in \`cgroup.subtree_control\`. tsrun switches on what is needed, and what \`stats\` counts where that goes
unnoticed. A machine that has a controller in cgroup v1 (mounted beside v2, a *hybrid* hierarchy) cannot have it in v2: then
the limit is an error before anything starts, and says what to do.

## What cgroup v2 does not have

\`--kernel-memory\`, \`--memory-swappiness\`, \`--oom-kill-disable\`, \`--cpu-rt-period\` and \`--cpu-rt-runtime\` are flags of version 1.
They are refused, since a limit that is not held is worse than none.
`;

const page = `${head}\n${overview()}\n\n${limits.map(section).join('\n\n')}\n\n${tail}`;
const path = join(checkout, 'docs/limits.md');
if (!process.argv.includes('--check')) writeFileSync(path, page);
else if (readFileSync(path, { encoding: 'utf8' }) !== page) {
  console.error('docs/limits.md is not what src/cgroup/limits.ts says: npm run docs');
  process.exitCode = 1;
}
