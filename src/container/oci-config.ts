/** The OCI runtime config of a container: docker's defaults and what the user changed, as one document. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { allDevices, defaultDeviceRules } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { defaultMounts, maskedPaths, readonlyPaths } from '../runtime/defaults.ts';
import {
  type IdMapping,
  type LinuxDevice,
  type LinuxDeviceCgroup,
  type LinuxNamespace,
  type LinuxResources,
  type Mount,
  OCI_VERSION,
  type Spec,
} from '../runtime/spec.ts';
import type { IdMappings } from '../runtime/user-namespace.ts';
import { blockIo, deviceCgroupRule, deviceNumber } from './block-io.ts';
import { mountOption } from './mount-plan.ts';
import { buildProcess } from './process.ts';
import type { ContainerRecord, MountRecord } from './record.ts';
import type { MountOption, RunOptions } from './run-options.ts';
import { showsSystemPaths } from './security.ts';
import type { ResolvedUser } from './users.ts';
import { volumeFiles, volumeMount } from './volumes/options.ts';
import { isWithout } from './walls.ts';

export interface SpecInputs {
  record: ContainerRecord;
  user: ResolvedUser;
  /** `containers/<id>`, where hosts, hostname and resolv.conf lie. */
  directory: string;
  /** `bridge`, `none`, `host`, `container:<id>`. */
  networkMode: string;
  /** Of the caller's terminal. */
  term: string | undefined;
  /** Where joined namespaces are: /proc/PID/ns of the other container. */
  joinedPid?: string;
  joinedIpc?: string;
  /** The maps of a user namespace of its own. */
  userns?: IdMappings | undefined;
}

/** Builds the config. Throws `USAGE` or `UNSUPPORTED` for options that cannot be served. */
export function buildSpec(inputs: SpecInputs): Spec {
  const { record } = inputs;
  const { options } = record;
  const nodes = devices(options);
  return {
    ociVersion: OCI_VERSION,
    process: buildProcess(record, inputs.user, { terminal: record.process.terminal, term: inputs.term }),
    root: { path: 'rootfs', readonly: options.readOnly },
    hostname: record.hostname,
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
    ...(options.domainname === undefined ? {} : { domainname: options.domainname }),
    mounts: mounts(inputs),
    linux: {
      namespaces: namespaces(inputs),
      ...(inputs.userns === undefined ? {} : mappingFields(inputs.userns)),
      sysctl: { ...defaultSysctls(inputs, options), ...options.sysctls },
      devices: nodes,
      resources: { ...resources(options), devices: deviceRules(options, nodes) },
      maskedPaths: showsSystemPaths(options) ? [] : [...maskedPaths],
      readonlyPaths: showsSystemPaths(options) ? [] : [...readonlyPaths],
      rootfsPropagation: 'rprivate',
    },
  };
}

/** Ports below 1024 and ping for everybody: they belong to the container alone, since it has a network of its own. */
function defaultSysctls({ networkMode, userns }: SpecInputs, options: RunOptions): Record<string, string> {
  if (networkMode === 'host' || networkMode.startsWith('container:') || options.privileged) return {};
  return { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': pingGroups(userns) };
}

/** All groups that there are, as whoever writes the setting has to name them: the machine's side of the first map. */
function pingGroups(userns: IdMappings | undefined): string {
  const range = userns?.gids[0];
  return range === undefined ? '0 2147483647' : `${range.hostID} ${range.hostID + range.size - 1}`;
}

function mappingFields({ uids, gids }: IdMappings): { uidMappings: IdMapping[]; gidMappings: IdMapping[] } {
  return { uidMappings: [...uids], gidMappings: [...gids] };
}

function namespaces({ record, networkMode, joinedPid, joinedIpc, userns }: SpecInputs): LinuxNamespace[] {
  const { options } = record;
  const list: LinuxNamespace[] = isWithout(options, 'mount') ? [] : [{ type: 'mount' }];
  if (userns !== undefined) list.push({ type: 'user' });
  if (networkMode !== 'host') list.push({ type: 'network' });
  if (options.pidMode === '') list.push({ type: 'pid' });
  else if (joinedPid !== undefined) list.push({ type: 'pid', path: joinedPid });
  if (joinedIpc !== undefined) list.push({ type: 'ipc', path: joinedIpc });
  else if (options.ipcMode !== 'host') list.push({ type: 'ipc' });
  if (options.utsMode !== 'host') list.push({ type: 'uts' });
  // Docker gives privileged containers the host's cgroup namespace.
  if (options.cgroupns !== 'host' && !(options.privileged && options.cgroupns === '')) list.push({ type: 'cgroup' });
  return list;
}

function mounts({ record, directory, networkMode, userns }: SpecInputs): Mount[] {
  const { options } = record;
  const list: Mount[] = defaultMounts(options.shmSize)
    .filter((mount) => !(mount.destination === '/dev/shm' && options.ipcMode === 'none'))
    .map((mount) => {
      const isOfIpc = mount.destination === '/dev/shm' || mount.destination === '/dev/mqueue';
      // Where the host has none mounted, the container's own is the same: it shows the queues of the namespace.
      if (options.ipcMode === 'host' && isOfIpc && existsSync(mount.destination)) {
        return { destination: mount.destination, type: 'bind', source: mount.destination, options: ['rbind'] };
      }
      if (options.pidMode === 'host' && mount.destination === '/proc') return mount;
      if (networkMode === 'host' && mount.destination === '/sys') return mount;
      if (options.privileged && (mount.type === 'sysfs' || mount.type === 'cgroup')) {
        return { ...mount, options: (mount.options ?? []).filter((option) => option !== 'ro') };
      }
      return mount;
    });
  const own: Mount[] = ['resolv.conf', 'hostname', 'hosts'].map((name) => ({
    destination: `/etc/${name}`,
    type: 'bind',
    source: join(directory, name),
    options: ['rbind', ...(userns === undefined ? [] : ['idmap']), 'rprivate'],
  }));
  const asked = record.mounts.map((mount, index) => {
    const made = toMount(mount, mountOption(record, index));
    // A volume is tsrun's own. What of the machine is bound belongs to the machine's users, and shows it.
    const isOwn = mount.type === 'volume' && volumeFiles(mount.volumeOptions).kind === 'own';
    return userns !== undefined && isOwn ? { ...made, options: [...(made.options ?? []), 'idmap'] } : made;
  });
  const taken = new Set(asked.map((mount) => normal(mount.destination)));
  const free = (mount: Mount): boolean => !taken.has(normal(mount.destination));
  // Parents before children, so that no mount hides another.
  const late = [...own.filter(free), ...asked].sort((a, b) => depth(a.destination) - depth(b.destination));
  return [...list.filter(free), ...late];
}

function normal(path: string): string {
  return `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

function depth(path: string): number {
  return path.split('/').filter((part) => part !== '').length;
}

function toMount(mount: MountRecord, option: MountOption | undefined): Mount {
  const { destination, source } = mount;
  const readOnly = !mount.readWrite;
  if (mount.type === 'volume') {
    checkDevice(mount);
    return volumeMount(source, mount.volumeOptions, { destination, readOnly });
  }
  if (mount.type === 'tmpfs') {
    const words = option?.tmpfsOptions ?? [];
    const asked = words.filter((word) => !/^r?(bind|private|slave|shared|unbindable)$/.test(word));
    const options = ['nosuid', 'nodev', 'noexec', ...asked];
    if (option?.tmpfsSize !== undefined) options.push(`size=${option.tmpfsSize}`);
    if (option?.tmpfsMode !== undefined) options.push(`mode=${option.tmpfsMode.toString(8)}`);
    if (readOnly) options.push('ro');
    return { destination, type: 'tmpfs', source: 'tmpfs', options };
  }
  const recursive = option?.nonRecursive === true ? 'bind' : 'rbind';
  const propagation = mount.propagation || 'rprivate';
  return { destination, type: 'bind', source, options: [recursive, ...(readOnly ? ['rro'] : []), propagation] };
}

/** A volume may be a directory of the host that nobody has made. Throws `USAGE` with docker's words and exit code. */
function checkDevice({ source, volumeOptions }: MountRecord): void {
  const files = volumeFiles(volumeOptions);
  if (files.kind !== 'bind' || existsSync(files.device)) return;
  throw new TsrunError(
    'USAGE',
    `error while mounting volume '${source}': failed to mount local volume: mount ${files.device}:${source}, flags: 0x1000: no such file or directory`,
    { hint: `make the directory: mkdir -p ${files.device}`, exitCode: 127 },
  );
}

/** The nodes of --device; with --privileged all devices of the host, as docker has it. */
function devices(options: RunOptions): LinuxDevice[] {
  const asked = options.devices.map(({ hostPath, containerPath }) => {
    const device = deviceAt(hostPath, containerPath);
    if (typeof device !== 'string') return device;
    throw new TsrunError(
      'USAGE',
      `error gathering device information while adding custom device "${hostPath}": ${device}`,
    );
  });
  return options.privileged ? [...hostDevices('/dev'), ...asked] : asked;
}

/** Who may open what: docker's defaults, the devices of --device, --device-cgroup-rule; --privileged may open all. */
function deviceRules(options: RunOptions, nodes: readonly LinuxDevice[]): LinuxDeviceCgroup[] {
  if (options.privileged || isWithout(options, 'devices')) return [...allDevices];
  const asked = nodes.map(({ type, major = 0, minor = 0 }, index): LinuxDeviceCgroup => {
    const access = options.devices[index]?.permissions || 'rwm';
    return { allow: true, type: type === 'b' ? 'b' : 'c', major, minor, access };
  });
  return [...defaultDeviceRules, ...asked, ...(options.deviceCgroupRules ?? []).map(deviceCgroupRule)];
}

/** Filesystems of their own below /dev, and what belongs to one terminal. */
const notShared = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.lxd-mounts', '.udev']);

function hostDevices(directory: string): LinuxDevice[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry): LinuxDevice[] => {
    const path = join(directory, entry.name);
    if (notShared.has(entry.name)) return [];
    if (entry.isDirectory()) return hostDevices(path);
    const device = entry.isCharacterDevice() || entry.isBlockDevice() ? deviceAt(path, path) : '';
    return typeof device === 'string' ? [] : [device];
  });
}

/** The node at a path of the host as one of the container, or why there is none. */
function deviceAt(hostPath: string, containerPath: string): LinuxDevice | string {
  const stats = statSync(hostPath, { throwIfNoEntry: false });
  if (stats === undefined) return 'no such file or directory';
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return 'not a device node';
  return {
    path: containerPath,
    type: stats.isBlockDevice() ? 'b' : 'c',
    ...deviceNumber(stats.rdev),
    fileMode: stats.mode & 0o777,
    uid: stats.uid,
    gid: stats.gid,
  };
}

/** Limits in the form of the runtime-spec; absent ones are left out, so that no controller is asked for them. */
export function resources(options: RunOptions): LinuxResources {
  const result: LinuxResources = {};
  const memory: NonNullable<LinuxResources['memory']> = {};
  if (options.memory) memory.limit = options.memory;
  if (options.memoryReservation) memory.reservation = options.memoryReservation;
  if (options.memorySwap) memory.swap = options.memorySwap;
  // Docker allows as much swap as memory when only memory is limited.
  else if (options.memory) memory.swap = options.memory * 2;
  if (Object.keys(memory).length > 0) result.memory = memory;
  const cpu: NonNullable<LinuxResources['cpu']> = {};
  if (options.nanoCpus) {
    cpu.period = 100_000;
    cpu.quota = Math.round(options.nanoCpus / 10_000);
  }
  if (options.cpuPeriod) cpu.period = options.cpuPeriod;
  if (options.cpuQuota) cpu.quota = options.cpuQuota;
  if (options.cpuShares) cpu.shares = options.cpuShares;
  if (options.cpusetCpus) cpu.cpus = options.cpusetCpus;
  if (options.cpusetMems) cpu.mems = options.cpusetMems;
  if (Object.keys(cpu).length > 0) result.cpu = cpu;
  if (options.pidsLimit !== undefined && options.pidsLimit > 0) result.pids = { limit: options.pidsLimit };
  const block = blockIo(options);
  if (block !== undefined) result.blockIO = block;
  return result;
}
