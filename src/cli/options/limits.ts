/** Limits of memory, processors and processes, with the checks that docker makes before anything starts. */
import { readFileSync } from 'node:fs';
import type { DeviceOption, LimitOptions, RunOptions, UlimitOption } from '../../container/run-options.ts';
import { TsrunError } from '../../error.ts';
import { parseBytes } from '../units.ts';

function usage(message: string): TsrunError {
  return new TsrunError('USAGE', message);
}

const minimumMemory = 6 * 1024 * 1024;

/** -1 lifts a limit; anything else is a size. */
export function parseMemorySwap(text: string): number {
  return text === '-1' ? -1 : parseBytes(text);
}

/** Processors as billionths: `1.5` is 1,500,000,000. Throws an `Error` with docker's words. */
export function parseCpus(text: string): number {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text);
  if (match === null || `${match[2]}${match[3] ?? ''}` === '') {
    throw new Error(`failed to parse ${text} as a rational number`);
  }
  const fraction = (match[3] ?? '').replace(/0+$/, '');
  if (fraction.length > 9) throw new Error('value is too precise');
  const nano = Number(match[2] || 0) * 1e9 + Number(fraction.padEnd(9, '0'));
  return match[1] === '-' ? -nano : nano;
}

type Limits = LimitOptions & Pick<RunOptions, 'oomScoreAdj'>;

/** Throws `USAGE` for limits that contradict one another or this machine. */
export function checkLimits(
  limits: Limits,
  processors = process.getBuiltinModule('node:os').availableParallelism(),
): void {
  const { memory = 0, memoryReservation = 0, memorySwap = 0, nanoCpus = 0 } = limits;
  if (memory !== 0 && memory < minimumMemory) throw usage('Minimum memory limit allowed is 6MB');
  if (memorySwap > 0 && memory === 0) {
    throw usage('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (memorySwap > 0 && memorySwap < memory) {
    throw usage('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memoryReservation !== 0 && memoryReservation < minimumMemory) {
    throw usage('Minimum memory reservation allowed is 6MB');
  }
  if (memory !== 0 && memoryReservation > memory) {
    throw usage('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
  if (limits.nanoCpus !== undefined && (nanoCpus < 0 || nanoCpus > processors * 1e9)) {
    throw usage(
      `Range of CPUs is from 0.01 to ${processors.toFixed(2)}, as there are only ${processors} CPUs available`,
    );
  }
  if (nanoCpus > 0 && limits.cpuPeriod) throw usage('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (nanoCpus > 0 && limits.cpuQuota) throw usage('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  if (limits.cpuPeriod && (limits.cpuPeriod < 1000 || limits.cpuPeriod > 1_000_000)) {
    throw usage('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (limits.cpuQuota && limits.cpuQuota > 0 && limits.cpuQuota < 1000) {
    throw usage('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  }
  if ((limits.cpuShares ?? 0) < 0) throw usage(`invalid CPU shares (${limits.cpuShares}): value must be positive`);
  const { oomScoreAdj = 0 } = limits;
  if (oomScoreAdj < -1000 || oomScoreAdj > 1000) {
    throw usage(`Invalid value ${oomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  }
  checkSet('cpuset cpus', 'CPUs', limits.cpusetCpus, '/sys/devices/system/cpu/online');
  checkSet('cpuset mems', 'memory nodes', limits.cpusetMems, '/sys/devices/system/node/online');
}

/** Numbers of a list such as `0-2,4` (man 7 cpuset, "List format"); undefined for what is none. */
export function parseSet(text: string): Set<number> | undefined {
  const set = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match === null) return undefined;
    const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (from > to || to > 8192) return undefined;
    for (let number = from; number <= to; number++) set.add(number);
  }
  return set;
}

function checkSet(name: string, things: string, text: string | undefined, availableFile: string): void {
  if (text === undefined || text === '') return;
  const asked = parseSet(text);
  if (asked === undefined) throw usage(`Invalid value ${text} for ${name}: invalid format: ${text}`);
  let available: string;
  try {
    available = readFileSync(availableFile, 'utf8').trim();
  } catch {
    return;
  }
  const there = parseSet(available);
  if (there !== undefined && [...asked].some((number) => !there.has(number))) {
    throw usage(`Requested ${things} are not available - requested ${text}, available: ${available}`);
  }
}

const ulimitNames = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
);

/** `nofile=1024[:2048]`; -1 is unlimited. Throws an `Error` with docker's words. */
export function parseUlimit(text: string): UlimitOption {
  const match = /^([^=]*)=([^=]*)$/.exec(text);
  if (match === null) throw new Error(`invalid ulimit argument: ${text}`);
  const [, name = '', value = ''] = match;
  if (!ulimitNames.has(name)) throw new Error(`invalid ulimit type: ${name}`);
  const limits = value.split(':');
  if (limits.length > 2)
    throw new Error(`too many limit value arguments - ${value}, can only have up to two, \`soft[:hard]\``);
  const [soft = 0, hard = soft] = limits.map((limit) => {
    if (!/^-?\d+$/.test(limit)) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(limit)}: invalid syntax`);
    return Number(limit);
  });
  const unlimited = hard === -1;
  if (!unlimited && (soft === -1 || soft > hard)) {
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return { name, soft, hard };
}

/** `HOST[:CONTAINER][:rwm]`. Throws an `Error` with docker's words. */
export function parseDevice(text: string): DeviceOption {
  const parts = text.split(':');
  const isMode = (part: string): boolean => /^[rwm]{1,3}$/.test(part) && new Set(part).size === part.length;
  const [hostPath = '', second, third] = parts;
  if (parts.length > 3) throw usage(`bad format for path: ${text}`);
  if (third !== undefined && !isMode(third)) throw usage(`bad mode specified: ${third}`);
  const secondIsMode = third === undefined && second !== undefined && isMode(second);
  const containerPath = second === undefined || secondIsMode ? hostPath : second;
  for (const path of [hostPath, containerPath]) {
    if (!path.startsWith('/')) throw usage(`${path} is not an absolute path`);
  }
  return { hostPath, containerPath, permissions: third ?? (secondIsMode ? second : 'rwm') };
}

const kernelSysctls = new Set(
  'msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced'.split(' ').map((name) => `kernel.${name}`),
);

/** Checks that a sysctl belongs to a namespace, so that setting it changes nothing outside the container. */
export function checkSysctl(text: string): void {
  const [name = '', value] = text.split(/=(.*)/s);
  const namespaced = kernelSysctls.has(name) || name.startsWith('net.') || name.startsWith('fs.mqueue.');
  if (value === undefined || !namespaced || name.includes('..')) throw new Error(`sysctl '${text}' is not whitelisted`);
}
