/** A bundle's config.json as it will be served: paths made absolute, what cannot be served refused with its name. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { codeOf, messageOf, TsrunError } from '../error.ts';
import { availableCapabilities, capabilityNames } from '../linux/capabilities.ts';
import { checkSysctl } from '../runtime/compile/sysctl.ts';
import { parseExactJson } from '../runtime/json.ts';
import { parseSpec } from '../runtime/parse-spec.ts';
import type { IdMapping, LinuxCapabilities, LinuxNamespace, Mount, Process, Spec } from '../runtime/spec.ts';
import { parseMap } from '../runtime/user-namespace.ts';

/** What is wrong with the configuration but does not stop it. */
export type Warn = (message: string) => void;

/** Reads the configuration of a bundle, `config` below it. Throws `NOT_FOUND`, `USAGE`, `UNSUPPORTED`. */
export function readBundle(bundle: string, config: string, warn: Warn): Spec {
  const path = resolve(bundle, config);
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw cause;
    throw new TsrunError('NOT_FOUND', `JSON specification file ${path} not found`, { cause });
  }
  let value: unknown;
  try {
    value = parseExactJson(source);
  } catch (cause) {
    throw new TsrunError('USAGE', `"${path}" is no JSON: ${messageOf(cause)}`, { cause });
  }
  return normalize(parseSpec(value, ''), bundle, warn);
}

function normalize(spec: Spec, bundle: string, warn: Warn): Spec {
  if (!/^1\.\d+\.\d+/.test(spec.ociVersion)) {
    throw new TsrunError('UNSUPPORTED', `ociVersion ${JSON.stringify(spec.ociVersion)} is not supported`, {
      hint: 'this runtime serves 1.0 to 1.2',
    });
  }
  if (spec.root === undefined) throw new TsrunError('USAGE', 'root must be there');
  const linux = spec.linux ?? {};
  if (linux.intelRdt !== undefined && !existsSync('/sys/fs/resctrl/info')) {
    throw new TsrunError('UNSUPPORTED', 'linux.intelRdt: the resctrl filesystem is not mounted on this machine');
  }
  if (linux.intelRdt !== undefined) throw new TsrunError('UNSUPPORTED', 'linux.intelRdt is not supported');
  const namespaces = (linux.namespaces ?? []).map(namespace);
  const types = namespaces.map(({ type }) => type);
  const mappings = namespaces.some(({ type, path }) => type === 'user' && path === undefined)
    ? { uidMappings: mappingsOf('uid', linux.uidMappings), gidMappings: mappingsOf('gid', linux.gidMappings) }
    : {};
  const twice = types.find((type, index) => types.indexOf(type) !== index);
  if (twice !== undefined) throw new TsrunError('USAGE', `linux.namespaces: duplicated namespace "${twice}"`);
  if (!types.includes('mount') && (spec.hooks?.startContainer ?? []).length > 0) {
    throw new TsrunError('UNSUPPORTED', 'hooks.startContainer needs a mount namespace in linux.namespaces');
  }
  checkOwnNamespaces(spec, types);
  checkMappings(spec, namespaces);
  if (Object.keys(linux.netDevices ?? {}).length > 0 && !types.includes('network')) {
    throw new TsrunError(
      'USAGE',
      'unable to move network devices without a NET namespace: linux.netDevices needs one in linux.namespaces',
    );
  }
  return {
    ...spec,
    ...(spec.process === undefined ? {} : { process: checkProcess(spec.process, isMapped(namespaces), warn) }),
    root: { ...spec.root, path: resolve(bundle, spec.root.path) },
    mounts: (spec.mounts ?? []).map((mount) => normalizeMount(mount, bundle)),
    linux: { ...linux, ...mappings, namespaces },
  };
}

/** Without mappings everybody is who he is outside: all that this process may map at all. */
function mappingsOf(kind: 'uid' | 'gid', given: readonly IdMapping[] | undefined): IdMapping[] {
  if (given !== undefined && given.length > 0) return [...given];
  const own = parseMap(readFileSync(`/proc/self/${kind}_map`, 'latin1'));
  return own.map(({ containerID, size }) => ({ containerID, hostID: containerID, size }));
}

/** Programs in Go write an empty path for none. */
function namespace({ type, path }: LinuxNamespace): LinuxNamespace {
  return path === undefined || path === '' ? { type } : { type, path };
}

function checkOwnNamespaces(spec: Spec, types: readonly string[]): void {
  const { hostname, domainname, linux } = spec;
  if ((hostname || domainname) && !types.includes('uts')) {
    throw new TsrunError('USAGE', 'unable to set hostname or domainname without a private UTS namespace');
  }
  for (const name of Object.keys(linux?.sysctl ?? {})) checkSysctl(name, spec);
}

function checkMappings({ linux }: Spec, namespaces: readonly LinuxNamespace[]): void {
  const user = namespaces.find(({ type }) => type === 'user');
  const mapped = (linux?.uidMappings ?? []).length > 0 || (linux?.gidMappings ?? []).length > 0;
  if (mapped && user === undefined) {
    throw new TsrunError('USAGE', 'linux.uidMappings and gidMappings need a user namespace in linux.namespaces');
  }
  const time = namespaces.find(({ type }) => type === 'time');
  if (Object.keys(linux?.timeOffsets ?? {}).length > 0 && (time === undefined || time.path !== undefined)) {
    throw new TsrunError('USAGE', 'linux.timeOffsets needs a new time namespace in linux.namespaces');
  }
}

function normalizeMount(mount: Mount, bundle: string): Mount {
  const options = mount.options ?? [];
  const bind = mount.type === 'bind' || options.includes('bind') || options.includes('rbind');
  const destination = mount.destination.startsWith('/') ? mount.destination : `/${mount.destination}`;
  if (!bind) return { ...mount, destination };
  if (mount.source === undefined) throw new TsrunError('USAGE', `mount of ${destination}: a bind mount needs a source`);
  return { ...mount, destination, source: resolve(bundle, mount.source) };
}

/** In a user namespace of its own a process has all capabilities, whatever the caller lacks. */
export function isMapped(namespaces: readonly LinuxNamespace[] | undefined): boolean {
  return (namespaces ?? []).some(({ type }) => type === 'user');
}

/**
 * `process` of a container or of an exec: capabilities that are there, and a working directory that is absolute. `mapped`: in
 * a user namespace.
 */
export function checkProcess(process: Process, mapped: boolean, warn: Warn): Process {
  if (!process.cwd.startsWith('/')) throw new TsrunError('USAGE', `Cwd must be an absolute path: "${process.cwd}"`);
  if ((process.args ?? []).length === 0) throw new TsrunError('USAGE', 'args must not be empty');
  for (const entry of process.env ?? []) {
    if (!entry.includes('=') || entry.startsWith('=')) {
      throw new TsrunError('USAGE', `environment variable ${JSON.stringify(entry)} has no name or no "="`);
    }
  }
  const { capabilities } = process;
  return capabilities === undefined
    ? process
    : { ...process, capabilities: knownCapabilities(capabilities, mapped, warn) };
}

/**
 * Names that are unknown or cannot be handed on are passed over, as runc does it: the configuration may be made for a newer
 * kernel, or this machine may be a guest that lacks some.
 */
function knownCapabilities(sets: LinuxCapabilities, mapped: boolean, warn: Warn): LinuxCapabilities {
  const known: LinuxCapabilities = {};
  const available = new Set(mapped ? capabilityNames : availableCapabilities());
  const missing = new Set<string>();
  for (const name of ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'] as const) {
    const set = sets[name];
    if (set === undefined) continue;
    for (const capability of set) if (!available.has(capability)) missing.add(capability);
    known[name] = set.filter((capability) => available.has(capability));
  }
  if (missing.size > 0) warn(`ignoring unknown or unavailable capabilities: [${[...missing].join(' ')}]`);
  return known.ambient === undefined ? known : { ...known, ambient: raisable(known, warn) };
}

/** The kernel takes into the ambient set only what is permitted and can be inherited (man 7 capabilities). */
function raisable({ ambient = [], permitted = [], inheritable = [] }: LinuxCapabilities, warn: Warn): string[] {
  return ambient.filter((capability) => {
    const possible = permitted.includes(capability) && inheritable.includes(capability);
    if (!possible) warn(`can't raise ambient capability ${capability}: it must be permitted and inheritable too`);
    return possible;
  });
}
