/** From the flags of `run` and `create` to what the engine is asked for: the checks that docker's client and daemon make. */
import { existsSync } from 'node:fs';
import { parseVolumesFrom } from '../../container/mount-plan.ts';
import type { RunOptions } from '../../container/run-options.ts';
import { parseUserns } from '../../container/userns.ts';
import { parseWalls, withoutWalls } from '../../container/walls.ts';
import { TsrunError } from '../../error.ts';
import { parsePlatform } from '../../image/platform.ts';
import { parsePublish } from '../../network/publish.ts';
import { defaultShmSize } from '../../runtime/defaults.ts';
import type { ParsedFlags } from '../arguments.ts';
import { refusals } from '../run-flags.ts';
import { parseBytes } from '../units.ts';
import { checkLogTag } from '../views/log-details.ts';
import { blockIoOf } from './block-io.ts';
import { environmentOf, labelsOf } from './environment.ts';
import { healthOf, parseRestartPolicy } from './health.ts';
import { checkLimits, parseCpus, parseDevice, parseMemorySwap, parseUlimit } from './limits.ts';
import { mountsOf } from './mounts.ts';
import { canonicalIpv6, networksOf, parseExpose, parseExtraHost, parseLink } from './network.ts';
import { wantedPlatform } from './platform.ts';

function usage(message: string, hint?: string): TsrunError {
  return new TsrunError('USAGE', message, { hint });
}

function notYet(message: string, hint?: string): TsrunError {
  return new TsrunError('UNSUPPORTED', message, { hint });
}

/** `{ [name]: value }`, or nothing where the value is undefined. */
function optional<Name extends string, T>(name: Name, value: T | undefined): { [P in Name]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [P in Name]: T });
}

/** What a check throws as a plain `Error` is a mistake of the user's. */
function asUsage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

function parsed<T>(flags: ParsedFlags, name: string, parse: (text: string) => T): T | undefined {
  const text = flags.string(name);
  return text === undefined ? undefined : asUsage(() => parse(text));
}

/** An absent or empty value. */
function given(flags: ParsedFlags, name: string): string | undefined {
  return flags.string(name) || undefined;
}

function oneOf<T extends string>(text: string | undefined, choices: readonly T[], message: string): T | undefined {
  if (text === undefined) return undefined;
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw usage(message);
  return found;
}

export interface Terminals {
  /** Whether stdin and stdout are terminals: then a foreground `run` is interactive without being told. */
  stdin: boolean;
  stdout: boolean;
}

/** Throws `UNSUPPORTED` with the reason where one of docker's flags was given that tsrun knows and refuses. */
export function refuseUnsupported(flags: ParsedFlags, names: Iterable<string>): void {
  for (const name of names) {
    if (flags.has(name)) throw notYet(`--${name} is not supported: ${refusals.get(name)}`);
  }
}

/**
 * Builds the options of a container from `args`, the image and its command.
 * Throws `USAGE` with docker's words, `UNSUPPORTED` for what tsrun does not do.
 */
export function buildRunOptions(
  flags: ParsedFlags,
  args: readonly string[],
  terminals: Terminals,
  caller: NodeJS.ProcessEnv = process.env,
): RunOptions {
  refuseUnsupported(flags, refusals.keys());
  const [image = '', ...command] = args;
  const options: RunOptions = {
    image,
    command,
    ...optional(
      'entrypoint',
      parsed(flags, 'entrypoint', (text) => (text === '' ? [] : [text])),
    ),
    // Docker shows names with a slash in some places, and takes them so.
    ...optional('name', given(flags, 'name')?.replace(/^\//, '')),
    ...optional('platform', platformOf(flags)),
    pull:
      oneOf(
        given(flags, 'pull'),
        ['always', 'missing', 'never'],
        `invalid pull option: '${flags.string('pull')}': must be one of "always", "missing" or "never"`,
      ) ?? 'missing',
    ...processOf(flags, terminals),
    env: environmentOf(flags.strings('env-file'), flags.strings('env'), caller),
    labels: labelsOf(flags.strings('label-file'), flags.strings('label')),
    ...(flags.has('annotation') ? { annotations: labelsOf([], flags.strings('annotation')) } : {}),
    ...optional('user', given(flags, 'user') ?? keptUser(flags)),
    groupAdd: flags.strings('group-add'),
    ...optional('workingDir', workingDir(flags)),
    ...optional('hostname', given(flags, 'hostname')),
    ...optional('domainname', given(flags, 'domainname')),
    ...optional('stopSignal', given(flags, 'stop-signal')),
    ...optional('stopTimeout', flags.integer('stop-timeout')),
    ...networkOf(flags),
    mounts: mountsOf(flags.strings('volume'), flags.strings('mount'), flags.strings('tmpfs')),
    ...optional('volumesFrom', volumesFrom(flags)),
    ...optional('volumeDriver', given(flags, 'volume-driver')),
    readOnly: flags.boolean('read-only'),
    ...privilegesOf(flags),
    ...namespacesOf(flags),
    ...resourcesOf(flags),
    ...blockIoOf(flags),
    ...optional('health', healthOf(flags)),
    restart: restartOf(flags),
    log: logOf(flags),
  };
  checkTogether(options);
  return withoutWalls(options, parseWalls(flags.strings('without')));
}

/** With --userns=keep-id the command is that user, unless told otherwise: as podman has it. */
function keptUser(flags: ParsedFlags): string | undefined {
  const keep = parseUserns(given(flags, 'userns'))?.keep;
  return keep === undefined ? undefined : `${keep.uid}:${keep.gid}`;
}

function volumesFrom(flags: ParsedFlags): string[] | undefined {
  const texts = flags.strings('volumes-from');
  for (const text of texts) parseVolumesFrom(text);
  return texts.length === 0 ? undefined : texts;
}

function platformOf(flags: ParsedFlags): string | undefined {
  const text = wantedPlatform(flags);
  if (text !== undefined) parsePlatform(text);
  return text;
}

function workingDir(flags: ParsedFlags): string | undefined {
  const path = given(flags, 'workdir');
  if (path !== undefined && !path.startsWith('/')) {
    throw usage(`the working directory '${path}' is invalid, it needs to be an absolute path`);
  }
  return path;
}

type ProcessOptions = Pick<
  RunOptions,
  'detach' | 'interactive' | 'terminal' | 'attach' | 'remove' | 'init' | 'sigProxy' | 'detachKeys' | 'cidfile'
>;

function processOf(flags: ParsedFlags, terminals: Terminals): ProcessOptions {
  const detach = flags.boolean('detach');
  const attach = flags.strings('attach').map((stream) => stream.toLowerCase() as 'stdin' | 'stdout' | 'stderr');
  if (detach && attach.length > 0) {
    throw new TsrunError('USAGE', 'conflicting options: cannot specify both --attach and --detach', { exitCode: 1 });
  }
  const silent = !flags.has('interactive') && !flags.has('tty') && !flags.has('attach');
  const obvious = silent && !detach && terminals.stdin && terminals.stdout;
  const cidfile = given(flags, 'cidfile');
  if (cidfile !== undefined && existsSync(cidfile)) {
    throw usage(`container ID file found, make sure the other container isn't running or delete ${cidfile}`);
  }
  return {
    detach,
    interactive: obvious || flags.boolean('interactive'),
    terminal: obvious || flags.boolean('tty'),
    attach,
    remove: flags.boolean('rm'),
    init: flags.boolean('init'),
    sigProxy: flags.boolean('sig-proxy', true),
    ...optional('detachKeys', given(flags, 'detach-keys')),
    ...optional('cidfile', cidfile),
  };
}

type NetworkOptions = Pick<
  RunOptions,
  | 'network'
  | 'endpoints'
  | 'links'
  | 'publish'
  | 'publishAll'
  | 'expose'
  | 'dns'
  | 'dnsSearch'
  | 'dnsOptions'
  | 'macAddress'
  | 'firewall'
>;

function networkOf(flags: ParsedFlags): NetworkOptions {
  const { network, endpoints } = asUsage(() =>
    networksOf({
      networks: flags.strings('network').filter((text) => text !== ''),
      aliases: flags.strings('network-alias'),
      ip: given(flags, 'ip'),
      ip6: parsed(flags, 'ip6', canonicalIpv6) || undefined,
    }),
  );
  if (/^container:?$/.test(network)) {
    throw usage('Invalid network mode: invalid container format container:<name|id>');
  }
  return {
    network,
    ...optional('endpoints', endpoints),
    ...(flags.has('link') ? { links: flags.strings('link').map((text) => asUsage(() => parseLink(text))) } : {}),
    publish: flags.strings('publish').flatMap((text) => asUsage(() => parsePublish(text))),
    publishAll: flags.boolean('publish-all'),
    expose: flags.strings('expose').flatMap((text) => asUsage(() => parseExpose(text))),
    dns: flags.strings('dns').map((text) => text.trim()),
    dnsSearch: flags.strings('dns-search'),
    dnsOptions: flags.strings('dns-option'),
    ...optional('macAddress', given(flags, 'mac-address')),
    firewall:
      oneOf(given(flags, 'firewall'), ['warn', 'cooperate'], '--firewall must be "warn" or "cooperate"') ?? 'warn',
  };
}

type PrivilegeOptions = Pick<RunOptions, 'privileged' | 'capAdd' | 'capDrop' | 'securityOpt' | 'devices' | 'sysctls'>;

function privilegesOf(flags: ParsedFlags): PrivilegeOptions {
  return {
    privileged: flags.boolean('privileged'),
    capAdd: flags.strings('cap-add'),
    capDrop: flags.strings('cap-drop'),
    securityOpt: flags.strings('security-opt'),
    devices: flags.strings('device').map((text) => asUsage(() => parseDevice(text))),
    sysctls: labelsOf([], flags.strings('sysctl')),
  };
}

type NamespaceOptions = Pick<RunOptions, 'userns' | 'pidMode' | 'ipcMode' | 'utsMode' | 'cgroupns'>;

/** Who calls is found out now: a later start may be somebody else's. */
function usernsOf(flags: ParsedFlags): string | undefined {
  const text = given(flags, 'userns');
  const keep = parseUserns(text)?.keep;
  return keep === undefined ? text : `keep-id:${keep.uid}:${keep.gid}`;
}

function namespacesOf(flags: ParsedFlags): NamespaceOptions {
  return {
    ...optional('userns', usernsOf(flags)),
    pidMode: joined(flags, 'pid') ?? oneOf(given(flags, 'pid'), ['host'], '--pid: invalid PID mode') ?? '',
    ipcMode:
      joined(flags, 'ipc') ??
      oneOf(
        given(flags, 'ipc'),
        ['private', 'shareable', 'none', 'host'],
        `Invalid IPC mode: ${flags.string('ipc')}`,
      ) ??
      '',
    utsMode: oneOf(given(flags, 'uts'), ['host'], '--uts: invalid UTS mode') ?? '',
    cgroupns: oneOf(given(flags, 'cgroupns'), ['private', 'host'], '--cgroupns: invalid CGROUP mode') ?? '',
  };
}

function joined(flags: ParsedFlags, name: string): `container:${string}` | undefined {
  const other = /^container:(.+)$/s.exec(flags.string(name) ?? '')?.[1];
  return other === undefined ? undefined : `container:${other}`;
}

/** Limits of memory, processors and processes; also for `update`, which checks them together with those that are. */
export function parseLimits(flags: ParsedFlags): Parameters<typeof checkLimits>[0] {
  return {
    ...optional('memory', parsed(flags, 'memory', parseBytes)),
    ...optional('memoryReservation', parsed(flags, 'memory-reservation', parseBytes)),
    ...optional('memorySwap', parsed(flags, 'memory-swap', parseMemorySwap)),
    ...optional('nanoCpus', parsed(flags, 'cpus', parseCpus)),
    ...optional('cpuShares', flags.integer('cpu-shares')),
    ...optional('cpuPeriod', flags.integer('cpu-period')),
    ...optional('cpuQuota', flags.integer('cpu-quota')),
    ...optional('cpusetCpus', given(flags, 'cpuset-cpus')),
    ...optional('cpusetMems', given(flags, 'cpuset-mems')),
    ...optional('pidsLimit', flags.integer('pids-limit')),
    ...optional('oomScoreAdj', flags.integer('oom-score-adj')),
  };
}

/** What processes may use and which hosts they know: also of the commands of a build. Throws `USAGE` with docker's words. */
export function resourcesOf(
  flags: ParsedFlags,
): ReturnType<typeof parseLimits> & Pick<RunOptions, 'extraHosts' | 'ulimits' | 'shmSize'> {
  const limits = parseLimits(flags);
  checkLimits(limits);
  return {
    ...limits,
    extraHosts: flags.strings('add-host').map((text) => {
      const { name, address } = asUsage(() => parseExtraHost(text));
      return `${name}:${address}`;
    }),
    ulimits: [...new Map(flags.strings('ulimit').map((text) => [text.split('=')[0], parseUlimit(text)])).values()],
    shmSize: parsed(flags, 'shm-size', parseBytes) || defaultShmSize,
  };
}

function restartOf(flags: ParsedFlags): RunOptions['restart'] {
  const policy = parseRestartPolicy(flags.string('restart') ?? '');
  if (policy.name !== 'no' && flags.boolean('rm')) throw usage('Conflicting options: --restart and --rm');
  return policy;
}

/** Docker's options of json-file. What `logs --details` shows is found out when it is shown. */
const logOptions = ['compress', 'env', 'env-regex', 'labels', 'labels-regex', 'max-file', 'max-size', 'tag'];

function logOf(flags: ParsedFlags): RunOptions['log'] {
  const driver = flags.string('log-driver') || 'json-file';
  if (driver !== 'json-file' && driver !== 'none') {
    throw usage(
      `error looking up logging plugin ${driver}: plugin "${driver}" not found`,
      'there are json-file and none',
    );
  }
  const given = flags.strings('log-opt').map((option): [string, string] => {
    const [name = '', ...rest] = option.split('=');
    return [name, rest.join('=')];
  });
  const log: RunOptions['log'] = { driver };
  for (const [name, value] of given) {
    if (!logOptions.includes(name)) {
      throw usage(`unknown log opt '${name}' for ${driver} log driver`, `there are ${logOptions.join(', ')}`);
    }
    if (name === 'max-size') {
      log.maxSize = asUsage(() => parseBytes(value));
      if (log.maxSize < 1) throw usage('max-size must be a positive number');
    } else if (name === 'max-file') {
      log.maxFiles = Number(value);
      if (!/^\d+$/.test(value) || log.maxFiles < 1) throw usage('max-file must be a positive number');
    } else if (name === 'tag') {
      asUsage(() => checkLogTag(value));
    } else if (name.endsWith('-regex')) {
      asUsage(() => new RegExp(value, 'u'));
    }
  }
  if (given.length > 0) log.given = Object.fromEntries(given);
  return log;
}

/** Bytes of a host's name, and of a domain's, that the kernel takes (man 2 sethostname). */
const longestName = 64;

/** Options that exclude one another, or that only the kernel would refuse. */
function checkTogether(options: RunOptions): void {
  for (const what of ['hostname', 'domainname'] as const) {
    const length = Buffer.byteLength(options[what] ?? '');
    if (length > longestName) throw usage(`invalid ${what}: it has ${length} bytes, the kernel takes ${longestName}`);
  }
  const shared = options.network.startsWith('container:');
  if (shared) {
    const conflicts: readonly (readonly [boolean, string])[] = [
      [options.hostname !== undefined, 'hostname and the network mode'],
      [options.publish.length > 0 || options.publishAll, 'port publishing and the container type network mode'],
      [options.expose.length > 0, 'port exposing and the container type network mode'],
      [options.dns.length > 0, 'dns and the network mode'],
      [options.extraHosts.length > 0, 'custom host-to-IP mapping and the network mode'],
      [options.macAddress !== undefined, 'mac-address and the network mode'],
    ];
    for (const [conflict, what] of conflicts) if (conflict) throw usage(`conflicting options: ${what}`);
  }
  if (options.utsMode === 'host' && options.hostname !== undefined) {
    throw usage('conflicting options: hostname and the UTS mode');
  }
}
