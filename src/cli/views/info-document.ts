/** `info --format`: docker's document (API 1.41, SystemInfo), with what scripts read out of it. */

import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, release, totalmem } from 'node:os';
import { createHash } from '../../linux/hash.ts';
import type { Info } from '../commands/info.ts';
import { GoMap, nilList, type Struct, type Value } from '../format/value.ts';
import { programVersion } from '../program-version.ts';

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

/** A field of /etc/os-release (man 5 os-release). */
function osRelease(name: string): string | undefined {
  const match = new RegExp(`^${name}=(.*)$`, 'm').exec(readText('/etc/os-release'));
  return match?.[1]?.replace(/^(["'])(.*)\1$/, '$2');
}

export function operatingSystem(): string {
  return osRelease('PRETTY_NAME') ?? 'Linux';
}

export function machine(): string {
  return process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : process.arch;
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Twelve groups of four, as docker writes its ID; the same for this machine and data root always. */
export function machineId(root: string): string {
  const hash = createHash('sha256')
    .update(`${readText('/etc/machine-id')} ${root}`)
    .digest();
  const letters = Array.from(hash.subarray(0, 48), (byte) => base32[byte & 31]).join('');
  return letters.match(/.{4}/g)?.join(':') ?? '';
}

/** Mirrors as the environment has them: `docker.io=http://127.0.0.1:5000`. */
function mirrorsOf(registry: string): string[] {
  return (process.env.TSRUN_MIRRORS ?? '')
    .split(/[\s,]+/)
    .filter((entry) => entry.startsWith(`${registry}=`))
    .map((entry) => `${entry.slice(registry.length + 1).replace(/\/?$/, '/')}`);
}

function registryConfig(): Struct {
  const mirrors = mirrorsOf('docker.io');
  const dockerHub = { Name: 'docker.io', Mirrors: mirrors, Secure: true, Official: true };
  return {
    AllowNondistributableArtifactsCIDRs: [],
    AllowNondistributableArtifactsHostnames: [],
    InsecureRegistryCIDRs: ['127.0.0.0/8'],
    IndexConfigs: new GoMap([['docker.io', dockerHub]], null),
    Mirrors: mirrors,
  };
}

function proxies(): Struct {
  const of = (name: string): string => process.env[name.toLowerCase()] ?? process.env[name] ?? '';
  return { HttpProxy: of('HTTP_PROXY'), HttpsProxy: of('HTTPS_PROXY'), NoProxy: of('NO_PROXY') };
}

/** What scripts take for the programs that docker calls. */
const commit = (version: string): Struct => ({ ID: version, Expected: version });

/** Docker's names where the meaning is the same. */
export function infoDocument(info: Info): Struct {
  const { counts, cgroup, network } = info;
  const has = (controller: string): boolean => cgroup?.controllers.includes(controller) ?? false;
  const warnings: Value = info.warnings.map((warning) => `WARNING: ${warning}`);
  return {
    ID: machineId(info.root),
    Containers: counts.all,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.all - counts.running - counts.paused,
    Images: info.images,
    Driver: 'overlay2',
    DriverStatus: [
      ['Backing Filesystem', info.filesystem],
      ['Supports d_type', 'true'],
      ['Native Overlay Diff', 'true'],
      ['userxattr', 'false'],
      ['Layers', info.storage.form],
    ],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: nilList,
      Log: ['json-file', 'none'],
    },
    MemoryLimit: has('memory'),
    SwapLimit: has('memory'),
    KernelMemory: false,
    KernelMemoryTCP: false,
    CpuCfsPeriod: has('cpu'),
    CpuCfsQuota: has('cpu'),
    CPUShares: has('cpu'),
    CPUSet: has('cpuset'),
    PidsLimit: has('pids'),
    IPv4Forwarding: network?.ipForward ?? false,
    BridgeNfIptables: readText('/proc/sys/net/bridge/bridge-nf-call-iptables') === '1',
    BridgeNfIp6tables: readText('/proc/sys/net/bridge/bridge-nf-call-ip6tables') === '1',
    Debug: process.env.TSRUN_DEBUG !== undefined,
    NFd: 0,
    OomKillDisable: false,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: cgroup === undefined ? '' : '2',
    NEventsListener: 0,
    KernelVersion: release(),
    OperatingSystem: operatingSystem(),
    OSVersion: osRelease('VERSION_ID') ?? '',
    OSType: 'linux',
    Architecture: machine(),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(),
    NCPU: availableParallelism(),
    MemTotal: totalmem(),
    GenericResources: nilList,
    DockerRootDir: info.root,
    StateDir: info.state,
    ...proxies(),
    Name: hostname(),
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: programVersion,
    Runtimes: new GoMap([['tsrun', { path: 'tsrun' }]], null),
    DefaultRuntime: 'tsrun',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: nilList,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'tsrun-monitor',
    ContainerdCommit: commit(''),
    RuncCommit: commit(programVersion),
    InitCommit: commit(programVersion),
    SecurityOptions: ['name=seccomp,profile=default'],
    Warnings: warnings,
    Network: {
      Bridge: network?.bridge ?? '',
      Subnet: network?.subnet ?? '',
      Gateway: network?.gateway ?? '',
      RouteLocalnet: network?.routeLocalnet ?? false,
    },
    ClientInfo: { Debug: process.env.TSRUN_DEBUG !== undefined, Context: 'default', Plugins: [], Warnings: nilList },
    ServerErrors: nilList,
  };
}
