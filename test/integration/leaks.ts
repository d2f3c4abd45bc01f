/**
 * What a container could leave behind on the host, as the kernel tells it: mounts, network namespaces, interfaces,
 * cgroups, nft elements, processes, and files of the store. Independent of src/: it judges it.
 *
 * On a machine that others use (the default) only what can be told to be this run's counts; with CI=true everything
 * that is new counts.
 */
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { environment, tsrunPath } from './tsrun.ts';

/** Kind of object -> identity -> how to name it to a person. */
export type Snapshot = Map<string, Map<string, string>>;

/** Kernel teardown (network namespaces above all) is asynchronous: how long it may take, in milliseconds. */
const patience = 5000;

const wholeMachine = process.env.CI === 'true';

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function tryLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function tryList(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

interface ProcessEntry {
  pid: number;
  parent: number;
  startTime: string;
  description: string;
  ours: boolean;
}

/** A monitor keeps the directory of its container open. */
function holdsFileOf(pid: number, directory: string): boolean {
  return tryList(`/proc/${pid}/fd`).some((fd) => tryLink(`/proc/${pid}/fd/${fd}`).startsWith(directory));
}

/** All processes but this one and `except`. `ours` are those with this run's environment, its monitors, and what runs below one of them. */
function listProcesses(except?: number): ProcessEntry[] {
  const state = inject('state');
  const entries = new Map<number, ProcessEntry>();
  for (const name of tryList('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || pid === except) continue;
    // The name in field 2 may hold spaces and parentheses: fields count from the last one.
    const stat = tryRead(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (stat === '' || fields[0] === 'Z') continue;
    const commandLine = tryRead(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
    const executable = tryLink(`/proc/${pid}/exe`);
    const ours =
      tryRead(`/proc/${pid}/environ`).split('\0').includes(`TSRUN_STATE=${state}`) ||
      (executable.startsWith('/memfd:tsrun') && (wholeMachine || holdsFileOf(pid, dirname(state)))) ||
      (wholeMachine && tryRead(`/proc/${pid}/cgroup`).includes('/tsrun/'));
    entries.set(pid, {
      pid,
      parent: Number(fields[1]),
      startTime: fields[19] ?? '',
      description: `process ${pid} ${executable.replace(' (deleted)', '')} \`${commandLine.slice(0, 120)}\``,
      ours,
    });
  }
  const isOurs = (entry: ProcessEntry): boolean => {
    for (let at: ProcessEntry | undefined = entry; at !== undefined; at = entries.get(at.parent)) {
      if (at.ours || at.parent === process.pid) return true;
    }
    return false;
  };
  return [...entries.values()].map((entry) => ({ ...entry, ours: isOurs(entry) }));
}

function mounts(): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of tryRead('/proc/self/mountinfo').split('\n')) {
    const [id, , , root, point] = line.split(' ');
    // The first `ip netns add` of a machine makes /run/netns a mount of its own, which stays.
    if (id === undefined || point === undefined || point === '/run/netns') continue;
    if (!wholeMachine && !line.includes(dirname(inject('root')))) continue;
    found.set(`${id} ${point}`, `mount on ${point} (${root}, ${line.split(' - ')[1] ?? ''})`);
  }
  return found;
}

/** Network namespaces that a process lives in or holds open. */
function networkNamespaces(processes: readonly ProcessEntry[]): Map<string, string> {
  const own = tryLink('/proc/self/ns/net');
  const found = new Map<string, string>();
  for (const entry of processes) {
    if (!wholeMachine && !entry.ours) continue;
    const links = [tryLink(`/proc/${entry.pid}/ns/net`)];
    if (entry.ours) links.push(...tryList(`/proc/${entry.pid}/fd`).map((fd) => tryLink(`/proc/${entry.pid}/fd/${fd}`)));
    for (const link of links) {
      if (link.startsWith('net:[') && link !== own)
        found.set(link, `network namespace ${link} of ${entry.description}`);
    }
  }
  return found;
}

/** Bridges of networks that are in the store: they stay as long as their network does. */
function standingBridges(): Set<string> {
  const records = tryList(join(inject('root'), 'networks')).map((name) =>
    /^([0-9a-f]{12})[0-9a-f]{52}\.json$/.exec(name),
  );
  return new Set(records.flatMap((match) => (match === null ? [] : [`br-${match[1]}`])));
}

/** The host's ends of containers' cables carry the data root in their alias. */
function interfaces(): Map<string, string> {
  const isOurs = (name: string): boolean => {
    const alias = tryRead(`/sys/class/net/${name}/ifalias`);
    return wholeMachine || alias.includes(inject('root')) || (alias === '' && /^(tsrun|veth)/.test(name));
  };
  const names = tryList('/sys/class/net').filter((name) => name !== 'tsrun0' && isOurs(name));
  return new Map(names.map((name) => [name, `network interface ${name}`]));
}

function cgroups(): Map<string, string> {
  const found = new Map<string, string>();
  const containers = new Set(tryList(join(inject('root'), 'containers')));
  const isPopulated = (path: string) => tryRead(join(path, 'cgroup.events')).includes('populated 1');
  const walk = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const child = join(path, entry.name);
      // Those of others have processes; one that was left has none, or its container is still in the store.
      const isOurs = child.includes('tsrun') && (containers.has(entry.name) || !isPopulated(child));
      if (wholeMachine || isOurs) found.set(child, `cgroup ${child}`);
      try {
        walk(child);
      } catch {
        // It went away meanwhile.
      }
    }
  };
  for (const line of tryRead('/proc/self/mountinfo').split('\n')) {
    if (line.includes(' - cgroup2 ')) walk(line.split(' ')[4] ?? '/sys/fs/cgroup');
  }
  // The parent of all containers' cgroups stays.
  for (const path of [...found.keys()]) if (/\/tsrun(\.slice)?$/.test(path)) found.delete(path);
  return found;
}

/** Lists elements of the maps of `table inet tsrun`, which are published ports, by a process of its own. */
function listFirewallElements(): { pid: number | undefined; found: Promise<Map<string, string>> } {
  const listing = promisify(execFile)('nft', ['-j', 'list', 'table', 'inet', 'tsrun']);
  // There may be no table.
  const found = listing.then(({ stdout }) => firewallElements(stdout)).catch(() => new Map<string, string>());
  return { pid: listing.child.pid, found };
}

function firewallElements(listing: string): Map<string, string> {
  const found = new Map<string, string>();
  const listed: { nftables: Record<string, { name?: string; elem?: unknown[] } | undefined>[] } = JSON.parse(listing);
  for (const object of listed.nftables) {
    // The sets name the bridge and its subnet: they stay with it, as the table does.
    const collection = object.map;
    for (const element of collection?.elem ?? []) {
      const text = `${collection?.name} ${JSON.stringify(element)}`;
      found.set(text, `nft element ${text}`);
    }
  }
  return found;
}

/** Containers in the store, their state, and temporary files with tsrun in their name. */
function files(): Map<string, string> {
  const paths = [
    ...['containers', 'names'].map((name) => join(inject('root'), name)),
    ...['containers'].map((name) => join(inject('state'), name)),
  ].flatMap((directory) => tryList(directory).map((name) => join(directory, name)));
  const temporary = tryList(tmpdir()).filter((name) => name.includes('tsrun'));
  paths.push(...temporary.map((name) => join(tmpdir(), name)));
  return new Map(paths.map((path) => [path, `file ${path}`]));
}

/** Everything that counts, as it is now. */
export async function snapshot(): Promise<Snapshot> {
  // Meanwhile the rest is looked at.
  const elements = listFirewallElements();
  const processes = listProcesses(elements.pid);
  const ours = processes.filter((entry) => entry.ours);
  return new Map([
    ['processes', new Map(ours.map((entry) => [`${entry.pid} ${entry.startTime}`, entry.description]))],
    ['mounts', mounts()],
    ['network namespaces', networkNamespaces(processes)],
    ['interfaces', interfaces()],
    ['cgroups', cgroups()],
    ['nft elements', await elements.found],
    ['files', files()],
  ]);
}

/** What is there now and was not before. */
export async function newSince(before: Snapshot): Promise<string[]> {
  return added(before, await snapshot());
}

function added(before: Snapshot, after: Snapshot): string[] {
  return [...after].flatMap(([kind, now]) =>
    [...now].filter(([identity]) => before.get(kind)?.has(identity) !== true).map(([, description]) => description),
  );
}

/**
 * Ends what a failed test has left, as far as it is this run's: the tests after it are to be judged by what they do
 * themselves.
 */
function cleanUp(before: Snapshot): void {
  const started = listProcesses().filter(
    (entry) => entry.ours && before.get('processes')?.has(`${entry.pid} ${entry.startTime}`) !== true,
  );
  for (const { pid } of started) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
  const containers = tryList(join(inject('root'), 'containers')).filter(
    (id) => before.get('files')?.has(join(inject('root'), 'containers', id)) !== true,
  );
  if (containers.length > 0) {
    spawnSync(tsrunPath, ['rm', '-f', ...containers], { env: environment(), stdio: 'ignore', timeout: 20_000 });
  }
}

/**
 * Fails with a list of what is new since `before`, after it had a bounded time to go away. Between the tests of a file its
 * networks may stand; at its end nothing may. Returns what there is.
 */
export async function assertNothingLeft(before: Snapshot, mayStand: 'networks' | 'nothing'): Promise<Snapshot> {
  let now = await snapshot();
  const left = (): string[] => {
    const bridges = mayStand === 'networks' ? standingBridges() : new Set<string>();
    return added(before, now).filter((line) => !bridges.has(line.replace('network interface ', '')));
  };
  const deadline = Date.now() + patience;
  while (left().length > 0 && Date.now() < deadline) {
    await delay(50);
    now = await snapshot();
  }
  if (left().length === 0) return now;
  const lines = left();
  cleanUp(before);
  throw new Error(`left behind:\n  ${lines.join('\n  ')}`);
}
