/** What the start of a container needs of the kernel: its version, calls, namespaces, filesystems and drivers. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { errno } from '../../linux/errno.ts';
import { syscall } from '../../linux/ffi.ts';
import type { Check, Finding } from './finding.ts';

type KernelFinding = Omit<Finding, 'area'>;

export const kernelChecks: Check = {
  area: 'kernel',
  run: () => [
    versionFinding(release()),
    ...drivers.map(driverFinding),
    ...namespaceFindings(),
    ...calls.map(callFinding),
    seccompFinding(),
    memfdFinding(readText('/proc/sys/vm/memfd_noexec')),
  ],
};

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Which kernels tsrun is made for. */
export function versionFinding(text: string): KernelFinding {
  const [major = 0, minor = 0] = text.split('.').map((part) => Number.parseInt(part, 10));
  const number = major * 1000 + minor;
  const base = { name: 'version', detail: `Linux ${text}` };
  // cgroup.kill and mounts by descriptor are the youngest things that starts cannot do without.
  if (number < 5014) {
    return {
      ...base,
      verdict: 'problem',
      meaning: 'calls are missing that every start of a container makes (Linux 5.14)',
      remedy: 'use a kernel of 6.1 or later',
    };
  }
  if (number < 6001) {
    return {
      ...base,
      verdict: 'warning',
      meaning: 'tsrun is tested with Linux 6.1 and later',
      remedy: 'use a kernel of 6.1 or later',
    };
  }
  return { ...base, verdict: 'ok' };
}

interface Driver {
  name: string;
  module: string;
  option: string;
  meaning: string;
}

const drivers: readonly Driver[] = [
  { name: 'overlayfs', module: 'overlay', option: 'OVERLAY_FS', meaning: 'no container has a root filesystem' },
  { name: 'bridge', module: 'bridge', option: 'BRIDGE', meaning: 'containers have no network but host and none' },
  { name: 'veth', module: 'veth', option: 'VETH', meaning: 'containers have no network but host and none' },
  { name: 'nf_tables', module: 'nf_tables', option: 'NF_TABLES', meaning: 'no NAT: containers reach nothing outside' },
  { name: 'nat', module: 'nft_chain_nat', option: 'NFT_NAT', meaning: 'no NAT: containers reach nothing outside' },
];

/** Whether a driver is there: loaded, built in, or a module that the kernel loads when it is needed. */
function driverFinding({ name, module, option, meaning }: Driver): KernelFinding {
  const base = { name, verdict: 'ok' as const };
  if (module === 'overlay' && /\toverlay$/m.test(readText('/proc/filesystems') ?? '')) {
    return { ...base, detail: 'available' };
  }
  if (existsSync(`/sys/module/${module}`)) return { ...base, detail: 'available' };
  const directory = `/lib/modules/${release()}`;
  const file = new RegExp(`/${module}\\.ko`, 'm');
  if (file.test(readText(`${directory}/modules.builtin`) ?? '')) return { ...base, detail: 'built into the kernel' };
  const loaded = readText(`${directory}/modules.dep`);
  if (loaded !== undefined && file.test(loaded)) return { ...base, detail: 'a module, loaded when it is needed' };
  const config = kernelConfig();
  const value = config === undefined ? undefined : new RegExp(`^CONFIG_${option}=([ym])$`, 'm').exec(config)?.[1];
  if (value === 'y') return { ...base, detail: 'built into the kernel' };
  if (config === undefined && loaded === undefined) {
    return { name, verdict: 'unknown', detail: 'neither loaded nor described by /lib/modules or /proc/config.gz' };
  }
  return {
    name,
    verdict: 'problem',
    detail: value === 'm' ? `the module "${module}" is not in ${directory}` : `the kernel has no CONFIG_${option}`,
    meaning,
    remedy: value === 'm' ? `modprobe ${module}` : 'use a kernel that has it, such as that of a distribution',
  };
}

let configText: string | undefined | null = null;

/** The configuration of this kernel, where it shows it. */
function kernelConfig(): string | undefined {
  if (configText === null) {
    try {
      configText = gunzipSync(readFileSync('/proc/config.gz')).toString();
    } catch {
      configText = readText(`/boot/config-${release()}`);
    }
  }
  return configText;
}

function namespaceFindings(): KernelFinding[] {
  const wanted = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'];
  const missing = wanted.filter((name) => !existsSync(`/proc/self/ns/${name}`));
  if (missing.length === 0) return [{ name: 'namespaces', verdict: 'ok', detail: wanted.join(' ') }];
  return [
    {
      name: 'namespaces',
      verdict: 'problem',
      detail: `missing: ${missing.join(' ')}`,
      meaning: 'containers cannot be kept apart from the host',
      remedy: 'use a kernel that has them, such as that of a distribution',
    },
  ];
}

/** Calls made with arguments that no kernel takes: one that has the call says that they are wrong. */
const calls: readonly { name: string; since: string; call: () => number }[] = [
  { name: 'pidfd_open', since: '5.3', call: () => syscall('pidfd_open', 0, 0xffff) },
  { name: 'openat2', since: '5.6', call: () => syscall('openat2', -1, '', 0, 0) },
  { name: 'clone3', since: '5.3', call: () => syscall('clone3', 0, 0) },
  { name: 'fsopen', since: '5.2', call: () => syscall('fsopen', 0, 0xffff) },
  { name: 'move_mount', since: '5.2', call: () => syscall('move_mount', -1, 0, -1, 0, 0xffff) },
  { name: 'close_range', since: '5.9', call: () => syscall('close_range', 1, 0, 0xffff) },
  { name: 'mount_setattr', since: '5.12', call: () => syscall('mount_setattr', -1, 0, 0xffff, 0, 0) },
];

function callFinding({ name, since, call }: (typeof calls)[number]): KernelFinding {
  const result = call();
  if (result === -errno.ENOSYS) {
    return {
      name,
      verdict: 'problem',
      detail: 'the call does not exist',
      meaning: `every start of a container makes it (Linux ${since}); a seccomp filter of a container around tsrun may hide it`,
      remedy: 'use a newer kernel, or run outside of that container',
    };
  }
  return { name, verdict: 'ok', detail: `there since Linux ${since}` };
}

function seccompFinding(): KernelFinding {
  const actions = readText('/proc/sys/kernel/seccomp/actions_avail');
  if (actions?.includes('errno')) return { name: 'seccomp', verdict: 'ok', detail: actions };
  return {
    name: 'seccomp',
    verdict: 'problem',
    detail: 'the kernel has no CONFIG_SECCOMP_FILTER',
    meaning: 'containers run without a filter only when they are told to',
    remedy: 'use a kernel that has it, or run with --security-opt seccomp=unconfined',
  };
}

/** The monitor and the start program are files in memory. */
export function memfdFinding(value: string | undefined): KernelFinding {
  const base = { name: 'executable memfd', detail: value === undefined ? 'allowed' : `vm.memfd_noexec = ${value}` };
  if (value !== '2') return { ...base, verdict: 'ok' };
  return {
    ...base,
    verdict: 'problem',
    meaning: 'the monitor of a container is executed from a file in memory, which this sysctl forbids',
    remedy: 'sysctl -w vm.memfd_noexec=1',
  };
}
