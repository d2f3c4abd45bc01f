/** `HostConfig` of inspect: what the flags asked for, in docker's fields. */
import type { DeviceRate, MountOption, RunOptions, VolumeOption } from '../../container/run-options.ts';
import { showsSystemPaths } from '../../container/security.ts';
import { maskedPaths, readonlyPaths } from '../../runtime/defaults.ts';
import {
  GoMap,
  listOrNil,
  nilList,
  nilMap,
  type Struct,
  shownAs,
  stringMap,
  type Value,
  withOmitted,
} from '../format/value.ts';

function portBindingMap(options: RunOptions): GoMap {
  const map = new Map<string, Value[]>();
  for (const { hostIp, hostPort, hostPortEnd, containerPort, protocol } of options.publish) {
    const name = `${containerPort}/${protocol}`;
    const list = map.get(name) ?? [];
    const range = hostPortEnd === undefined || hostPortEnd === hostPort ? '' : `-${hostPortEnd}`;
    list.push({ HostIp: hostIp, HostPort: hostPort === 0 ? '' : `${hostPort}${range}` });
    map.set(name, list);
  }
  return new GoMap(map, nilList);
}

function logConfig({ log }: RunOptions): Struct {
  return { Type: log.driver, Config: stringMap(log.given ?? {}) };
}

function volumeOptions(volume: VolumeOption | undefined): Struct {
  if (volume === undefined) return {};
  const { noCopy, labels, driver, options } = volume;
  const config = {
    ...(driver === undefined ? {} : { Name: driver }),
    ...(options === undefined ? {} : { Options: stringMap(options) }),
  };
  return {
    VolumeOptions: {
      ...(noCopy === true ? { NoCopy: true } : {}),
      ...(labels === undefined ? {} : { Labels: stringMap(labels) }),
      ...(Object.keys(config).length === 0 ? {} : { DriverConfig: config }),
    },
  };
}

/** A mount of --mount. */
function mountSpec(mount: MountOption): Struct {
  const tmpfs = {
    ...(mount.tmpfsSize === undefined ? {} : { SizeBytes: mount.tmpfsSize }),
    ...(mount.tmpfsMode === undefined ? {} : { Mode: mount.tmpfsMode }),
  };
  return {
    Type: mount.type,
    ...(mount.source === '' ? {} : { Source: mount.source }),
    Target: mount.target,
    ...(mount.readOnly ? { ReadOnly: true } : {}),
    ...(mount.propagation === '' ? {} : { BindOptions: { Propagation: mount.propagation } }),
    ...volumeOptions(mount.volume),
    ...(Object.keys(tmpfs).length === 0 ? {} : { TmpfsOptions: tmpfs }),
  };
}

/** The mounts that inspect shows in three places, by the flag that asked for them. */
function mountFields(mounts: readonly MountOption[]): { Binds: Value; Mounts: Struct; Tmpfs: Struct } {
  const ofFlag = (flag: string): MountOption[] => mounts.filter((mount) => mount.origin?.flag === flag);
  const specs = ofFlag('mount').map(mountSpec);
  const tmpfs = ofFlag('tmpfs').map((mount): [string, Value] => [mount.target, mount.mode]);
  const binds = ofFlag('volume').filter((mount) => mount.source !== '');
  return {
    Binds: listOrNil(binds.map((mount) => mount.origin?.text ?? '')),
    Mounts: specs.length === 0 ? {} : { Mounts: specs },
    Tmpfs: tmpfs.length === 0 ? {} : { Tmpfs: new GoMap(tmpfs, '') },
  };
}

/** Docker lets as much be swapped out as the memory limit is, unless told otherwise. */
function memorySwap({ memory = 0, memorySwap: asked }: RunOptions): number {
  return asked ?? memory * 2;
}

/** Docker takes the labels of SELinux away from what sees the host's processes. */
function securityOptions({ securityOpt, privileged, pidMode, ipcMode }: RunOptions): string[] {
  const seesHost = privileged || pidMode === 'host' || ipcMode === 'host';
  return seesHost && !securityOpt.some((option) => option.startsWith('label'))
    ? [...securityOpt, 'label=disable']
    : securityOpt;
}

/** `links`: what --link has made, as `/web:/db/web`. */
export function hostConfig(options: RunOptions, links: readonly string[]): Struct {
  const mounts = mountFields(options.mounts);
  const sysctls = Object.keys(options.sysctls).length === 0 ? {} : { Sysctls: stringMap(options.sysctls) };
  const fields: Struct = {
    Binds: mounts.Binds,
    ContainerIDFile: options.cidfile ?? '',
    LogConfig: logConfig(options),
    NetworkMode: options.network,
    PortBindings: portBindingMap(options),
    RestartPolicy: { Name: options.restart.name, MaximumRetryCount: options.restart.maximumRetryCount },
    AutoRemove: options.remove,
    VolumeDriver: options.volumeDriver ?? '',
    VolumesFrom: listOrNil(options.volumesFrom ?? []),
    CapAdd: listOrNil(options.capAdd),
    CapDrop: listOrNil(options.capDrop),
    CgroupnsMode: options.cgroupns || (options.privileged ? 'host' : 'private'),
    Dns: options.dns,
    DnsOptions: options.dnsOptions,
    DnsSearch: options.dnsSearch,
    ExtraHosts: listOrNil(options.extraHosts),
    GroupAdd: listOrNil(options.groupAdd),
    IpcMode: options.ipcMode || 'private',
    Cgroup: '',
    Links: listOrNil(links),
    OomScoreAdj: options.oomScoreAdj ?? 0,
    PidMode: options.pidMode,
    Privileged: options.privileged,
    PublishAllPorts: options.publishAll,
    ReadonlyRootfs: options.readOnly,
    SecurityOpt: listOrNil(securityOptions(options)),
    ...mounts.Tmpfs,
    UTSMode: options.utsMode,
    UsernsMode: options.userns ?? '',
    ShmSize: options.shmSize,
    ...sysctls,
    Runtime: 'tsrun',
    ...(options.annotations === undefined ? {} : { Annotations: stringMap(options.annotations) }),
    ConsoleSize: [0, 0],
    Isolation: '',
    ...resourceFields(options),
    ...mounts.Mounts,
    MaskedPaths: showsSystemPaths(options) ? nilList : [...maskedPaths],
    ReadonlyPaths: showsSystemPaths(options) ? nilList : [...readonlyPaths],
    ...(options.init ? { Init: true } : {}),
  };
  return withOmitted(fields, { StorageOpt: nilMap, Tmpfs: nilMap, Sysctls: nilMap, Mounts: nilList, Init: null });
}

function rates(list: DeviceRate[] = []): Value {
  return listOrNil(list.map(({ path, rate }) => ({ Path: path, Rate: rate })));
}

function resourceFields(options: RunOptions): Struct {
  return {
    CpuShares: options.cpuShares ?? 0,
    Memory: options.memory ?? 0,
    NanoCpus: options.nanoCpus ?? 0,
    CgroupParent: '',
    BlkioWeight: options.blkioWeight ?? 0,
    BlkioWeightDevice: (options.blkioWeightDevices ?? []).map(({ path, weight }) => ({ Path: path, Weight: weight })),
    BlkioDeviceReadBps: rates(options.deviceReadBps),
    BlkioDeviceWriteBps: rates(options.deviceWriteBps),
    BlkioDeviceReadIOps: rates(options.deviceReadIops),
    BlkioDeviceWriteIOps: rates(options.deviceWriteIops),
    CpuPeriod: options.cpuPeriod ?? 0,
    CpuQuota: options.cpuQuota ?? 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: options.cpusetCpus ?? '',
    CpusetMems: options.cpusetMems ?? '',
    Devices: options.devices.map(({ hostPath, containerPath, permissions }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath,
      CgroupPermissions: permissions,
    })),
    DeviceCgroupRules: listOrNil(options.deviceCgroupRules ?? []),
    DeviceRequests: nilList,
    KernelMemory: 0,
    KernelMemoryTCP: 0,
    MemoryReservation: options.memoryReservation ?? 0,
    MemorySwap: memorySwap(options),
    MemorySwappiness: null,
    OomKillDisable: false,
    PidsLimit: options.pidsLimit ?? null,
    Ulimits: listOrNil(
      [...options.ulimits]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, soft, hard }) => ({
          Name: name,
          Hard: hard,
          Soft: soft,
          [shownAs]: `${name}=${soft}:${hard}`,
        })),
    ),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}
