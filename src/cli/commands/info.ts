/** `tsrun info`: what this machine gives to containers, and what tsrun has changed on it. */
import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, release, totalmem } from 'node:os';
import { findCgroup2, offeredControllers } from '../../cgroup/index.ts';
import { ContainerStore } from '../../container/store.ts';
import { messageOf } from '../../error.ts';
import { chooseStorage, type StorageChoice } from '../../image/storage.ts';
import { ImageStore } from '../../image/store.ts';
import { type NetworkInfo, networkInfo } from '../../network/index.ts';
import type { Command } from '../command.ts';
import { printError } from '../output.ts';
import { programVersion } from '../program-version.ts';
import { printForeign } from '../terminal.ts';
import { binarySize } from '../units.ts';
import { infoDocument, machine, machineId, operatingSystem } from '../views/info-document.ts';
import { printFormatted } from './print-format.ts';

export const info: Command = {
  usage: '[OPTIONS]',
  description: 'Show what this machine gives to containers',
  flags: [{ name: 'format', short: 'f', type: 'string', description: "'json', or a Go template" }],
  args: { min: 0, max: 0 },
  async run({ flags }) {
    const gathered = gather();
    const format = flags.string('format');
    if (format) {
      printFormatted(infoDocument(gathered), format, 'info');
      return 0;
    }
    printForeign(text(gathered));
    for (const warning of gathered.warnings) printError(`WARNING: ${warning}`);
    return 0;
  },
};

/** What was found out about this machine and the stores. */
export interface Info {
  counts: { all: number; running: number; paused: number };
  images: number;
  root: string;
  state: string;
  filesystem: string;
  /** How new layers are stored, and why not otherwise. */
  storage: StorageChoice;
  cgroup: { mountPoint: string; controllers: string[] } | undefined;
  network: NetworkInfo | undefined;
  warnings: string[];
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function gather(): Info {
  const store = new ContainerStore();
  const containers = store.list();
  const count = (status: string): number => containers.filter(({ state }) => state.status === status).length;
  const found = findCgroup2();
  const cgroup =
    found === undefined
      ? undefined
      : { mountPoint: found.mountPoint, controllers: offeredControllers(found.mountPoint) };
  let network: NetworkInfo | undefined;
  try {
    network = networkInfo();
  } catch {
    // without root, or without nf_tables: said below
  }
  return {
    counts: { all: containers.length, running: count('running'), paused: count('paused') },
    images: new ImageStore(store.root).list().length,
    root: store.root,
    state: store.state,
    filesystem: filesystemOf(store.root),
    storage: storageOf(store.root),
    cgroup,
    network,
    warnings: warningsOf(cgroup, network),
  };
}

/** What is wrong with a setting is told where it matters: at a pull. */
function storageOf(root: string): StorageChoice {
  try {
    return chooseStorage(root);
  } catch (error) {
    return { form: 'unpacked', why: messageOf(error) };
  }
}

/** The controllers that limits need, by the flag that asks for them. */
const limits: readonly (readonly [controller: string, flags: string])[] = [
  ['memory', '--memory'],
  ['cpu', '--cpus and --cpu-shares'],
  ['cpuset', '--cpuset-cpus'],
  ['pids', '--pids-limit'],
];

function warningsOf(cgroup: Info['cgroup'], network: NetworkInfo | undefined): string[] {
  const warnings: string[] = [];
  if (cgroup === undefined) {
    warnings.push('No cgroup v2 is mounted: limits cannot be held');
  } else {
    for (const [controller, flags] of limits) {
      if (!cgroup.controllers.includes(controller)) {
        warnings.push(`No ${controller} controller in ${cgroup.mountPoint}: ${flags} cannot be held`);
      }
    }
  }
  if (network === undefined) {
    warnings.push(
      process.geteuid?.() === 0
        ? 'The network cannot be looked at: no nf_tables?'
        : 'Without root the network cannot be looked at',
    );
  }
  return warnings;
}

/** The type of the filesystem that holds `path` (man 5 proc, mountinfo). */
function filesystemOf(path: string): string {
  let best = { length: -1, type: '' };
  for (const line of readText('/proc/self/mountinfo').split('\n')) {
    const [fields = '', rest = ''] = line.split(' - ');
    const point = fields.split(' ')[4]?.replace(/\\040/g, ' ') ?? '';
    const below = path === point || path.startsWith(point === '/' ? '/' : `${point}/`);
    if (below && point.length >= best.length) best = { length: point.length, type: rest.split(' ')[0] ?? '' };
  }
  return best.type;
}

function text(info: Info): string {
  const { counts, cgroup, network } = info;
  const lines = [
    `Version: ${programVersion}`,
    `Containers: ${counts.all}`,
    ` Running: ${counts.running}`,
    ` Paused: ${counts.paused}`,
    ` Stopped: ${counts.all - counts.running - counts.paused}`,
    `Images: ${info.images}`,
    `Server Version: ${programVersion}`,
    'Storage Driver: overlay2',
    ` Backing Filesystem: ${info.filesystem}`,
    ` Layers: ${info.storage.form}${info.storage.why === '' ? '' : ` (${info.storage.why})`}`,
    'Logging Driver: json-file',
    'Cgroup Driver: cgroupfs',
    `Cgroup Version: ${cgroup === undefined ? 'none' : 2}`,
    ...(cgroup === undefined
      ? []
      : [` Mount Point: ${cgroup.mountPoint}`, ` Controllers: ${cgroup.controllers.join(' ') || 'none'}`]),
    ...(network === undefined ? [] : networkLines(network)),
    'Security Options:',
    ' seccomp',
    '  Profile: default',
    `Kernel Version: ${release()}`,
    `Operating System: ${operatingSystem()}`,
    'OSType: linux',
    `Architecture: ${machine()}`,
    `CPUs: ${availableParallelism()}`,
    `Total Memory: ${binarySize(totalmem())}`,
    `Name: ${hostname()}`,
    `ID: ${machineId(info.root)}`,
    `Root Dir: ${info.root}`,
    `State Dir: ${info.state}`,
  ];
  return `${lines.join('\n')}\n`;
}

function networkLines(network: NetworkInfo): string[] {
  const yes = (value: boolean): string => (value ? 'yes' : 'no');
  const since = network.ipForwardSince === undefined ? '' : ` (turned on by tsrun, ${network.ipForwardSince})`;
  return [
    'Network:',
    ` Bridge: ${network.bridge}${network.present ? '' : ' (made with the first container)'}`,
    ...(network.subnet === undefined ? [] : [` Subnet: ${network.subnet}`, ` Gateway: ${network.gateway ?? ''}`]),
    ` IP Forwarding: ${yes(network.ipForward)}${since}`,
    ` Ports on 127.0.0.1 (route_localnet): ${yes(network.routeLocalnet)}`,
    ` nftables: table inet tsrun ${network.ruleset.present === undefined ? 'not loaded' : `version ${network.ruleset.present}`}`,
    ...network.firewalls.map((firewall) => ` Firewall that drops: ${describe(firewall)}`),
    ...(network.cooperating ? [' Cooperating with that firewall: yes'] : []),
  ];
}

function describe(firewall: NetworkInfo['firewalls'][number]): string {
  return Object.values(firewall)
    .filter((value) => typeof value === 'string' && value !== '')
    .join(' ');
}
