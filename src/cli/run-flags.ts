/** The flags of `run` and `create`. What they mean together is options/run-options.ts. */
import { parseWalls, walls } from '../container/walls.ts';
import type { Flag } from './flag.ts';
import {
  checkDeviceRule,
  checkWeight,
  parseBytesRate,
  parseDeviceWeight,
  parseOperationsRate,
} from './options/block-io.ts';
import { checkEnvironment, checkLabel } from './options/environment.ts';
import { healthFlags } from './options/health.ts';
import { checkSysctl, parseCpus, parseMemorySwap, parseUlimit } from './options/limits.ts';
import { parseMountFields } from './options/mounts.ts';
import {
  checkAddress,
  checkIpv4,
  checkIpv6,
  checkMac,
  checkSearchDomain,
  parseExtraHost,
  parseLink,
  parseNetwork,
} from './options/network.ts';
import { parseBytes } from './units.ts';

function checkStream(text: string): void {
  if (!/^std(in|out|err)$/i.test(text)) throw new Error('valid streams are STDIN, STDOUT and STDERR');
}

/** What `create` and `run` have in common. */
export const createFlags: readonly Flag[] = [
  { name: 'add-host', type: 'list', description: 'Add a line to /etc/hosts (host:ip)', check: parseExtraHost },
  { name: 'annotation', type: 'map', description: "Set an annotation of the container's OCI config" },
  { name: 'attach', short: 'a', type: 'list', description: 'Attach to STDIN, STDOUT or STDERR', check: checkStream },
  {
    name: 'blkio-weight',
    type: 'uint',
    description: 'Share of the disks when they are busy: 10 to 1000, 0 for none',
    check: checkWeight,
  },
  {
    name: 'blkio-weight-device',
    type: 'list',
    description: 'Share of one disk when it is busy (/dev/sda:200)',
    check: parseDeviceWeight,
  },
  { name: 'cap-add', type: 'list', description: 'Add Linux capabilities (or ALL)' },
  { name: 'cap-drop', type: 'list', description: 'Drop Linux capabilities (or ALL)' },
  { name: 'cgroupns', type: 'string', description: 'Cgroup namespace to use (host|private)' },
  { name: 'cidfile', type: 'string', description: 'Write the container ID to this file' },
  { name: 'cpu-period', type: 'int', description: 'Period of the CPU quota, in microseconds' },
  { name: 'cpu-quota', type: 'int', description: 'CPU time in each period, in microseconds' },
  {
    name: 'cpu-shares',
    short: 'c',
    type: 'int',
    description: 'Share of the CPUs when they are busy (relative weight)',
  },
  { name: 'cpus', type: 'decimal', description: 'Number of CPUs, such as 1.5', check: parseCpus },
  { name: 'cpuset-cpus', type: 'string', description: 'CPUs to run on (0-3, 0,1)' },
  { name: 'cpuset-mems', type: 'string', description: 'Memory nodes to use (0-3, 0,1)' },
  { name: 'device', type: 'list', description: 'Give a device of the host to the container' },
  {
    name: 'device-cgroup-rule',
    type: 'list',
    description: "Allow devices by number ('c 13:* rwm')",
    check: checkDeviceRule,
  },
  {
    name: 'device-read-bps',
    type: 'list',
    description: 'Limit what is read from a disk, in bytes a second (/dev/sda:1mb)',
    check: parseBytesRate,
  },
  {
    name: 'device-read-iops',
    type: 'list',
    description: 'Limit reads from a disk in a second (/dev/sda:1000)',
    check: parseOperationsRate,
  },
  {
    name: 'device-write-bps',
    type: 'list',
    description: 'Limit what is written to a disk, in bytes a second (/dev/sda:1mb)',
    check: parseBytesRate,
  },
  {
    name: 'device-write-iops',
    type: 'list',
    description: 'Limit writes to a disk in a second (/dev/sda:1000)',
    check: parseOperationsRate,
  },
  { name: 'dns', type: 'list', description: 'Name servers to use', check: checkAddress },
  { name: 'dns-option', type: 'list', description: 'Options of the resolver' },
  { name: 'dns-opt', type: 'list', description: 'Options of the resolver', aliasOf: 'dns-option', hidden: true },
  { name: 'dns-search', type: 'list', description: 'Search domains', check: checkSearchDomain },
  { name: 'domainname', type: 'string', description: 'NIS domain name of the container' },
  { name: 'entrypoint', type: 'string', description: 'Run this instead of the ENTRYPOINT of the image' },
  { name: 'env', short: 'e', type: 'list', description: 'Set environment variables', check: checkEnvironment },
  { name: 'env-file', type: 'list', description: 'Read environment variables from a file' },
  { name: 'expose', type: 'list', description: 'Expose a port or a range of ports' },
  {
    name: 'firewall',
    type: 'string',
    description:
      'What to do when a firewall of the host drops the traffic: warn, or cooperate (add a rule where it wants it)',
    shownDefault: '"warn"',
  },
  { name: 'group-add', type: 'list', description: 'Additional groups to join' },
  ...healthFlags,
  { name: 'hostname', short: 'h', type: 'string', description: 'Host name of the container' },
  { name: 'init', type: 'bool', description: 'Run an init in the container that forwards signals and reaps processes' },
  { name: 'interactive', short: 'i', type: 'bool', description: 'Keep stdin open, even when nobody is attached' },
  { name: 'ip', type: 'string', description: 'IPv4 address on its network', check: checkIpv4 },
  { name: 'ip6', type: 'string', description: 'IPv6 address on its network', check: checkIpv6 },
  { name: 'ipc', type: 'string', description: 'IPC namespace to use' },
  { name: 'label', short: 'l', type: 'list', description: 'Set metadata on the container', check: checkLabel },
  { name: 'label-file', type: 'list', description: 'Read labels from a file' },
  {
    name: 'link',
    type: 'list',
    description: 'Know another container by a name (CONTAINER[:ALIAS]); networks of users know all names',
    check: parseLink,
  },
  { name: 'log-driver', type: 'string', description: 'Where the log goes (json-file|none)' },
  { name: 'log-opt', type: 'list', description: 'Options of the log: max-size, max-file, labels, env, tag' },
  { name: 'mac-address', type: 'string', description: 'MAC address of the container', check: checkMac },
  { name: 'memory', short: 'm', type: 'bytes', description: 'Memory limit', check: parseBytes },
  {
    name: 'memory-reservation',
    type: 'bytes',
    description: 'Memory that is left to it when memory is scarce',
    check: parseBytes,
  },
  {
    name: 'memory-swap',
    type: 'bytes',
    description: "Limit of memory and swap together; '-1' for as much swap as there is",
    check: parseMemorySwap,
  },
  { name: 'mount', type: 'mount', description: 'Attach a filesystem to the container', check: parseMountFields },
  { name: 'name', type: 'string', description: 'Name of the container' },
  {
    name: 'network',
    type: 'network',
    description: 'Network to connect to (NAME|bridge|none|host|container:NAME), may be repeated',
    check: parseNetwork,
  },
  { name: 'net', type: 'network', description: 'Network to connect to', aliasOf: 'network', hidden: true },
  { name: 'network-alias', type: 'list', description: 'Another name of the container on its network' },
  { name: 'net-alias', type: 'list', description: 'Another name', aliasOf: 'network-alias', hidden: true },
  { name: 'no-healthcheck', type: 'bool', description: 'Run no health check, not that of the image either' },
  { name: 'oom-score-adj', type: 'int', description: "Preference of the kernel's OOM killer (-1000 to 1000)" },
  { name: 'pid', type: 'string', description: 'PID namespace to use' },
  { name: 'pids-limit', type: 'int', description: 'Limit of processes and threads (-1 for none)' },
  { name: 'platform', type: 'string', description: 'Platform of the image, such as linux/arm64' },
  { name: 'privileged', type: 'bool', description: 'Give all capabilities and devices: no wall against root is left' },
  { name: 'publish', short: 'p', type: 'list', description: "Publish a container's ports on the host" },
  { name: 'publish-all', short: 'P', type: 'bool', description: 'Publish all exposed ports on ports that are free' },
  {
    name: 'pull',
    type: 'string',
    description: 'Pull the image first ("always"|"missing"|"never")',
    shownDefault: '"missing"',
  },
  { name: 'quiet', short: 'q', type: 'bool', description: 'Print nothing while pulling' },
  { name: 'read-only', type: 'bool', description: 'Mount the root filesystem read-only' },
  {
    name: 'restart',
    type: 'string',
    description: 'When to start it again (no|on-failure[:max-retries]|always|unless-stopped)',
    shownDefault: '"no"',
  },
  { name: 'rm', type: 'bool', description: 'Remove the container when it exits' },
  { name: 'security-opt', type: 'list', description: 'Security options' },
  { name: 'shm-size', type: 'bytes', description: 'Size of /dev/shm', check: parseBytes },
  { name: 'stop-signal', type: 'string', description: 'Signal that stops the container', shownDefault: '"SIGTERM"' },
  { name: 'stop-timeout', type: 'int', description: 'Seconds to wait after that signal before killing it' },
  { name: 'sysctl', type: 'map', description: 'Kernel parameters of its namespaces', check: checkSysctl },
  { name: 'tmpfs', type: 'list', description: 'Mount a tmpfs' },
  { name: 'tty', short: 't', type: 'bool', description: 'Give it a terminal' },
  { name: 'ulimit', type: 'ulimit', description: 'Resource limits (name=soft[:hard])', check: parseUlimit },
  { name: 'user', short: 'u', type: 'string', description: 'User to run as (<name|uid>[:<group|gid>])' },
  { name: 'userns', type: 'string', description: 'User namespace to use (host|auto[:size=N]|keep-id)' },
  { name: 'uts', type: 'string', description: 'UTS namespace to use' },
  { name: 'volume', short: 'v', type: 'list', description: 'Mount a volume, or a file or directory of the host' },
  { name: 'volume-driver', type: 'string', description: 'Driver of new volumes (only "local")' },
  { name: 'volumes-from', type: 'list', description: 'Mount the volumes of another container (NAME[:ro|rw])' },
  { name: 'workdir', short: 'w', type: 'string', description: 'Working directory in the container' },
  { name: 'disable-content-trust', type: 'bool', description: 'No effect', hidden: true },
];

/** What only `run` has. */
const foregroundFlags: readonly Flag[] = [
  { name: 'detach', short: 'd', type: 'bool', description: 'Run in the background and print the container ID' },
  { name: 'detach-keys', type: 'string', description: 'Keys that detach from the container' },
  {
    name: 'sig-proxy',
    type: 'bool',
    description: 'Pass received signals on to the container',
    shownDefault: 'true',
  },
  {
    name: 'without',
    type: 'list',
    description: `Take a wall away, to see what it holds back (${walls.join(' ')})`,
    check: (text) => void parseWalls([text]),
  },
];

/** Docker's flags that tsrun knows and refuses: a reason is more useful than "unknown flag". */
const refused: readonly (readonly [name: string, type: Flag['type'], reason: string])[] = [
  ['cgroup-parent', 'string', 'containers have their cgroups below tsrun'],
  ['cpu-count', 'int', 'it belongs to Windows; --cpus says how many'],
  ['cpu-percent', 'int', 'it belongs to Windows; --cpus limits processors'],
  ['cpu-rt-period', 'int', 'cgroup v2 has no limits of real-time scheduling'],
  ['cpu-rt-runtime', 'int', 'cgroup v2 has no limits of real-time scheduling'],
  ['gpus', 'string', 'requests for GPUs are not there yet; --device gives single devices'],
  ['io-maxbandwidth', 'bytes', 'it belongs to Windows; --device-write-bps and --device-read-bps limit disks'],
  ['io-maxiops', 'uint', 'it belongs to Windows; --device-write-iops and --device-read-iops limit disks'],
  ['isolation', 'string', 'it belongs to Windows'],
  ['kernel-memory', 'bytes', 'cgroup v2 has no limit of kernel memory alone'],
  ['link-local-ip', 'list', 'link-local addresses are not there yet'],
  ['memory-swappiness', 'int', 'cgroup v2 has no swappiness of a container'],
  ['oom-kill-disable', 'bool', 'cgroup v2 cannot disable the OOM killer'],
  ['runtime', 'string', 'tsrun is the runtime'],
  ['use-api-socket', 'bool', 'there is no daemon, and so no socket to give'],
  ['storage-opt', 'list', 'quotas of the root filesystem are not there yet'],
];

const refusedFlags: readonly Flag[] = refused.map(([name, type]) => ({ name, type, description: '', hidden: true }));

/** Why a flag is refused. */
export const refusals: ReadonlyMap<string, string> = new Map(refused.map(([name, , reason]) => [name, reason]));

/** The flags of `create`. */
export const allCreateFlags: readonly Flag[] = [...createFlags, ...refusedFlags];
/** The flags of `run`. */
export const allRunFlags: readonly Flag[] = [...createFlags, ...foregroundFlags, ...refusedFlags];
