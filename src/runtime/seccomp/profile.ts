/**
 * Reads seccomp profiles from JSON: Docker's format (`--security-opt seccomp=FILE`), which is that of OCI configurations
 * with conditions on capabilities, architectures and kernels around its entries.
 */
import { messageOf, TsrunError } from '../../error.ts';
import { kernelAtLeast, parseRelease } from '../../linux/release.ts';
import { type Architecture, architecture as ownArchitecture } from '../../linux/syscalls.ts';
import { uname } from '../../linux/uname.ts';
import { parseExactJson } from '../json.ts';
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall, SeccompAction, SeccompOperator } from '../spec.ts';

const actions: readonly SeccompAction[] = [
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_LOG',
  'SCMP_ACT_NOTIFY',
];

const operators: readonly SeccompOperator[] = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
];

/** As Docker's profiles call the architectures in `includes` and `excludes`. */
const dockerNames: Record<Architecture, string> = { x64: 'amd64', arm64: 'arm64' };
const ociNames: Record<Architecture, string> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

export interface ProfileContext {
  /** The container's bounding set, `CAP_…`. */
  capabilities: readonly string[];
  architecture?: Architecture;
  /** `6.1.0-13-amd64`; the running kernel's by default. */
  kernel?: string;
}

/**
 * The profile in `text` for one container: entries whose conditions do not fit are left out. undefined where it has
 * neither a default action nor entries, which Docker takes for no filter. Throws `USAGE` with the place of what is wrong.
 */
export function parseSeccompProfile(text: string, context: ProfileContext): LinuxSeccomp | undefined {
  const profile = record(parse(text), 'the profile');
  const architecture = context.architecture ?? ownArchitecture;
  if (profile.defaultAction === undefined && list(profile.syscalls, 'syscalls').length === 0) return undefined;
  const architectures = list(profile.architectures, 'architectures').map((name, at) =>
    string(name, `architectures[${at}]`),
  );
  const map = list(profile.archMap, 'archMap').map((value, at) => record(value, `archMap[${at}]`));
  if (architectures.length > 0 && map.length > 0) {
    throw invalid("'architectures' and 'archMap' exclude each other");
  }
  const mapped = map.find((entry) => entry.architecture === ociNames[architecture]);
  if (mapped !== undefined) {
    const sisters = list(mapped.subArchitectures, 'archMap[].subArchitectures');
    architectures.push(ociNames[architecture], ...sisters.map((name) => string(name, 'archMap[].subArchitectures[]')));
  }
  const { archMap: _1, syscalls: _2, ...plain } = profile;
  const seccomp = parseLinuxSeccomp({ ...plain, architectures });
  const syscalls: LinuxSyscall[] = [];
  const kernel = context.kernel ?? uname().release;
  list(profile.syscalls, 'syscalls').forEach((value, index) => {
    const at = `syscalls[${index}]`;
    const entry = record(value, at);
    if (fits(entry, at, kernel, dockerNames[architecture], context.capabilities)) {
      syscalls.push(parseSyscall(entry, at));
    }
  });
  return { ...seccomp, syscalls };
}

/** `linux.seccomp` of an OCI configuration. Throws `USAGE` with the place of what is wrong. */
export function parseLinuxSeccomp(value: unknown): LinuxSeccomp {
  const source = record(value, 'the profile');
  const seccomp: LinuxSeccomp = { defaultAction: oneOf(source.defaultAction, actions, 'defaultAction') };
  if (source.defaultErrnoRet !== undefined)
    seccomp.defaultErrnoRet = integer(source.defaultErrnoRet, 'defaultErrnoRet');
  if (source.architectures !== undefined) {
    seccomp.architectures = list(source.architectures, 'architectures').map((name, at) => {
      const text = string(name, `architectures[${at}]`);
      if (!/^SCMP_ARCH_[A-Z0-9_]+$/.test(text)) throw invalid(`architectures[${at}] is ${JSON.stringify(text)}`);
      return text;
    });
  }
  if (source.flags !== undefined) {
    seccomp.flags = list(source.flags, 'flags').map((flag, at) => string(flag, `flags[${at}]`));
  }
  if (source.listenerPath !== undefined) seccomp.listenerPath = string(source.listenerPath, 'listenerPath');
  if (source.listenerMetadata !== undefined) {
    seccomp.listenerMetadata = string(source.listenerMetadata, 'listenerMetadata');
  }
  if (source.syscalls !== undefined) {
    seccomp.syscalls = list(source.syscalls, 'syscalls').map((entry, at) => parseSyscall(entry, `syscalls[${at}]`));
  }
  return seccomp;
}

function parseSyscall(value: unknown, at: string): LinuxSyscall {
  const source = record(value, at);
  const names = list(source.names, `${at}.names`).map((name, index) => string(name, `${at}.names[${index}]`));
  if (source.name !== undefined && source.name !== '') {
    if (names.length > 0) throw invalid(`${at}: 'name' and 'names' exclude each other`);
    names.push(string(source.name, `${at}.name`));
  }
  const entry: LinuxSyscall = { names, action: oneOf(source.action, actions, `${at}.action`) };
  if (source.errnoRet !== undefined && source.errnoRet !== null) {
    entry.errnoRet = integer(source.errnoRet, `${at}.errnoRet`);
  }
  const args = list(source.args, `${at}.args`);
  if (args.length > 0) entry.args = args.map((arg, index) => parseArgument(arg, `${at}.args[${index}]`));
  return entry;
}

function parseArgument(value: unknown, at: string): LinuxSeccompArg {
  const source = record(value, at);
  const index = integer(source.index, `${at}.index`);
  if (index > 5) throw invalid(`${at}.index is ${index}; a system call has the arguments 0 to 5`);
  const arg: LinuxSeccompArg = {
    index,
    value: unsigned(source.value ?? 0, `${at}.value`),
    op: oneOf(source.op, operators, `${at}.op`),
  };
  if (source.valueTwo !== undefined) arg.valueTwo = unsigned(source.valueTwo, `${at}.valueTwo`);
  return arg;
}

/** Docker's conditions: all of `includes` must hold (every capability of it), nothing of `excludes` may. */
function fits(
  entry: Record<string, unknown>,
  at: string,
  kernel: string,
  architecture: string,
  capabilities: readonly string[],
): boolean {
  const holds = (which: 'includes' | 'excludes'): (boolean | undefined)[] => {
    if (entry[which] === undefined || entry[which] === null) return [];
    const filter = record(entry[which], `${at}.${which}`);
    const names = (key: string): string[] =>
      list(filter[key], `${at}.${which}.${key}`).map((name) => string(name, `${at}.${which}.${key}[]`));
    const [caps, arches] = [names('caps'), names('arches')];
    const has = (name: string): boolean => capabilities.includes(name);
    return [
      arches.length === 0 ? undefined : arches.includes(architecture),
      caps.length === 0 ? undefined : which === 'includes' ? caps.every(has) : caps.some(has),
      filter.minKernel === undefined || filter.minKernel === ''
        ? undefined
        : isAtLeast(kernel, string(filter.minKernel, `${at}.${which}.minKernel`)),
    ];
  };
  return !holds('includes').includes(false) && !holds('excludes').includes(true);
}

function isAtLeast(kernel: string, wanted: string): boolean {
  const least = parseRelease(wanted);
  if (least === undefined) throw invalid(`minKernel is ${JSON.stringify(wanted)}; it must look like "4.8"`);
  return kernelAtLeast(...least, kernel);
}

function parse(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch (cause) {
    throw new TsrunError('USAGE', `decoding seccomp profile failed: ${messageOf(cause)}`, { cause });
  }
}

function invalid(problem: string): TsrunError {
  return new TsrunError('USAGE', `seccomp profile: ${problem}`, {
    hint: 'the format is that of the OCI runtime specification, config-linux.md "Seccomp", and Docker\'s',
  });
}

function record(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${at} must be an object`);
  return value as Record<string, unknown>;
}

function list(value: unknown, at: string): unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${at} must be a list`);
  return value;
}

function string(value: unknown, at: string): string {
  if (typeof value !== 'string') throw invalid(`${at} must be a string`);
  return value;
}

function oneOf<T extends string>(value: unknown, known: readonly T[], at: string): T {
  const found = known.find((candidate) => candidate === value);
  if (found === undefined) throw invalid(`${at} is ${JSON.stringify(value)}; it must be one of ${known.join(', ')}`);
  return found;
}

function integer(value: unknown, at: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff) {
    throw invalid(`${at} must be a whole number from 0 to 65535`);
  }
  return value;
}

function unsigned(value: unknown, at: string): number | bigint {
  if (typeof value === 'bigint' && value >= 0n && value < 1n << 64n) return value;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw invalid(`${at} must be a whole number of at most 64 bits without sign`);
}
