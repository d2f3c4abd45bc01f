/** `pause`, `resume` and `update`. */
import { readFileSync } from 'node:fs';
import { freezeCgroup } from '../../../cgroup/index.ts';
import { TsrunError } from '../../../error.ts';
import { meaningful, updateLimits } from '../../../oci/cgroup.ts';
import type { OciContainer } from '../../../oci/store.ts';
import { parseExactJson } from '../../../runtime/json.ts';
import { parseResources } from '../../../runtime/parse-spec.ts';
import type { LinuxResources } from '../../../runtime/spec.ts';
import type { ParsedFlags } from '../../arguments.ts';
import { parseBytes } from '../../units.ts';
import type { OciCommand } from '../command.ts';

function cgroupOf({ record }: OciContainer): string {
  if (record.cgroup !== '') return record.cgroup;
  throw new TsrunError('UNSUPPORTED', `container ${record.id} has no cgroup of its own`, {
    hint: 'it was made with --cgroup-manager=disabled, or no cgroup2 is mounted',
  });
}

export const pause: OciCommand = {
  usage: 'CONTAINER',
  flags: [],
  args: { min: 1, max: 1 },
  run: async ({ args, store }) => {
    const container = store.get(args[0] ?? '');
    const status = container.status();
    if (status !== 'running' && status !== 'created') {
      throw new TsrunError('CONFLICT', `container not running: it is ${status}`);
    }
    freezeCgroup(cgroupOf(container), true);
    return 0;
  },
};

export const resume: OciCommand = {
  usage: 'CONTAINER',
  flags: [],
  args: { min: 1, max: 1 },
  run: async ({ args, store }) => {
    const container = store.get(args[0] ?? '');
    if (container.status() !== 'paused') throw new TsrunError('CONFLICT', 'container not paused');
    freezeCgroup(cgroupOf(container), false);
    return 0;
  },
};

export const update: OciCommand = {
  usage: '[OPTIONS] CONTAINER',
  flags: [
    { name: 'resources', short: 'r', type: 'string', description: 'File with linux.resources; - is stdin' },
    { name: 'memory', type: 'string', description: 'Limit of memory in bytes; -1 is none' },
    { name: 'memory-reservation', type: 'string', description: 'Memory that is taken from others first' },
    { name: 'memory-swap', type: 'string', description: 'Limit of memory and swap together; -1 is none' },
    { name: 'cpu-shares', type: 'uint', description: 'Share when processors are wanted by several' },
    { name: 'cpu-share', type: 'uint', description: 'The same', hidden: true, aliasOf: 'cpu-shares' },
    { name: 'cpu-quota', type: 'int', description: 'Microseconds in each period' },
    { name: 'cpu-period', type: 'uint', description: 'Length of a period in microseconds' },
    { name: 'cpu-burst', type: 'uint', description: 'Microseconds that may be saved up' },
    { name: 'cpu-idle', type: 'uint', description: '1: only when nothing else runs' },
    { name: 'cpuset-cpus', type: 'string', description: 'Processors: 0-3,7' },
    { name: 'cpuset-mems', type: 'string', description: 'Memory nodes' },
    { name: 'pids-limit', type: 'int', description: 'Processes and threads; -1 is no limit' },
    { name: 'blkio-weight', type: 'uint', description: 'Share when a disk is wanted by several, 10 to 1000' },
  ],
  args: { min: 1, max: 1 },
  run: async ({ flags, args, store }) => {
    const container = store.get(args[0] ?? '');
    if (!container.isAlive()) throw new TsrunError('CONFLICT', 'container not running');
    const file = flags.string('resources');
    const resources = file === undefined ? fromFlags(flags) : fromFile(file);
    // Device rules come with every update of containerd; the program that holds them stays as it is.
    const { devices: _, ...limits } = meaningful(resources);
    // A zero changes something here: what was given before.
    if (resources.cpu !== undefined) limits.cpu = resources.cpu;
    if (Object.values(limits).some((part) => part !== undefined && Object.keys(part).length > 0)) {
      updateLimits(cgroupOf(container), container.record.v1, limits);
    }
    return 0;
  },
};

function fromFile(path: string): LinuxResources {
  return parseResources(parseExactJson(readFileSync(path === '-' ? 0 : path, 'utf8')), '');
}

function fromFlags(flags: ParsedFlags): LinuxResources {
  const bytes = (name: string): number | undefined => {
    const text = flags.string(name);
    return text === undefined ? undefined : text === '-1' ? -1 : parseBytes(text);
  };
  const given = <T extends object>(value: { [K in keyof T]: T[K] | undefined }): T =>
    Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as T;
  const pids = flags.integer('pids-limit');
  const weight = flags.integer('blkio-weight');
  return {
    memory: given({
      limit: bytes('memory'),
      reservation: bytes('memory-reservation'),
      swap: bytes('memory-swap'),
    }),
    cpu: given({
      shares: flags.integer('cpu-shares'),
      quota: flags.integer('cpu-quota'),
      period: flags.integer('cpu-period'),
      burst: flags.integer('cpu-burst'),
      idle: flags.integer('cpu-idle'),
      cpus: flags.string('cpuset-cpus'),
      mems: flags.string('cpuset-mems'),
    }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
    ...(weight === undefined ? {} : { blockIO: { weight } }),
  };
}
