/** What the kernel shows at a stop, in lines; of mounts, network and cgroup only what differs from the stop before. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { MadeSoFar } from '../../container/start.ts';
import { type NetworkView, readNetwork, readNetworkOf } from '../../container/xray/interfaces.ts';
import { readMounts } from '../../container/xray/mounts.ts';
import { namespacesOf } from '../../container/xray/namespaces.ts';
import { readProcess } from '../../container/xray/processes.ts';
import { securityOf } from '../../container/xray/security.ts';
import type { StepWords } from './words.ts';

/** Of the many files of a cgroup those that a limit or a glance needs. */
const cgroupFiles =
  /^(cgroup\.procs|memory\.(current|max|high|low|swap\.max)|cpu\.(max|weight)|cpuset\.cpus|pids\.(current|max)|io\.(max|weight))$/;
/** So many lines of one kind are shown; what is more is counted. */
const fewLines = 12;

/** The one that looks again and again. */
export class KernelLook {
  private mounts: string[] | undefined;
  private network = '';
  private cgroup = '';
  private rights = '';

  constructor(private readonly words: StepWords) {}

  lines(made: MadeSoFar): string[] {
    const { words } = this;
    const process = made.pid === 0 ? undefined : readProcess(made.pid);
    const found = [
      ...(process === undefined ? [] : [words.process(process.pid, process.innerPid), ...this.namespaces(made.pid)]),
      ...(process === undefined ? [] : this.rightsLines(made.pid)),
      ...(process === undefined ? [] : this.mountLines(made)),
      ...this.networkLines(made),
      ...this.cgroupLines(made.cgroup),
    ];
    return found.length === 0 ? [words.nothingYet] : found;
  }

  private namespaces(pid: number): string[] {
    const all = namespacesOf(pid);
    const text = (own: boolean): string =>
      all
        .filter(({ id, hostId }) => (id !== hostId) === own)
        .map(({ type, id }) => `${type} ${id}`)
        .join(', ') || this.words.none;
    return [this.words.namespaces(text(true), text(false))];
  }

  private rightsLines(pid: number): string[] {
    const { uid, gid, capabilities, filters, noNewPrivileges } = securityOf(pid);
    const { effective, bounding } = capabilities;
    const before = this.rights;
    this.rights = JSON.stringify([uid, gid, effective, bounding, filters, noNewPrivileges]);
    if (before === this.rights) return [];
    return [this.words.rights({ uid, gid, effective: effective.length, bounding: bounding.length, filters })];
  }

  /** The root that is being put together is named once: its path is long. */
  private mountLines({ pid, directory = '' }: MadeSoFar): string[] {
    const root = new RegExp(`^/\\S*/containers/${basename(directory)}(?=[/ ])`);
    const before = this.mounts;
    const now = readMounts(pid).map(
      ({ id, point, type, source, options }) => `${id} ${point} ${type} ${source} ${options.join(',')}`,
    );
    this.mounts = now;
    if (before === undefined) return [this.words.mounts(now.length, 0, 0)];
    const added = now.filter((line) => !before.includes(line));
    const gone = before.filter((line) => !now.includes(line));
    if (added.length === 0 && gone.length === 0) return [this.words.sameMounts(now.length)];
    const short = (line: string): string => line.slice(line.indexOf(' ') + 1).replace(root, 'ROOT');
    const told = (sign: string, lines: readonly string[]): string[] =>
      this.few(lines.map((line) => `  ${sign} ${short(line)}`));
    const place = added
      .map((line) => root.exec(line.slice(line.indexOf(' ') + 1))?.[0])
      .find((path) => path !== undefined);
    return [
      this.words.mounts(now.length, added.length, gone.length),
      ...(place === undefined ? [] : [`  ROOT: ${place}`]),
      ...told('+', added),
      ...told('-', gone),
    ];
  }

  private few(lines: readonly string[]): string[] {
    if (lines.length <= fewLines) return [...lines];
    return [...lines.slice(0, fewLines), `    ${this.words.more(lines.length - fewLines)}`];
  }

  private networkLines({ pid, netns }: MadeSoFar): string[] {
    const { words } = this;
    const view: NetworkView | undefined = netns >= 0 ? readNetwork(netns) : pid === 0 ? undefined : readNetworkOf(pid);
    if (view === undefined) return [];
    const lines = [
      ...view.interfaces.map(({ name, up, addresses }) => [`  ${name}`, up ? 'up' : 'down', ...addresses].join(' ')),
      ...view.routes.map(({ destination, gateway, interface: name }) => `  ${words.route(destination, gateway, name)}`),
    ];
    const before = this.network;
    this.network = lines.join('\n');
    return before === this.network ? [`${words.network}: ${words.unchanged}`] : [words.network, ...this.few(lines)];
  }

  private cgroupLines(path: string): string[] {
    if (path === '') return [];
    const lines = cgroupContent(path).map(([file, value]) => `  ${file} = ${value}`);
    const before = this.cgroup;
    this.cgroup = lines.join('\n');
    const { words } = this;
    if (before === this.cgroup) return [`${words.cgroup}: ${words.unchanged}`];
    return [`${words.cgroup} ${path}`, ...this.few(lines)];
  }
}

function cgroupContent(path: string): [file: string, value: string][] {
  try {
    return readdirSync(path)
      .filter((name) => cgroupFiles.test(name))
      .sort()
      .flatMap((name): [string, string][] => {
        const value = readFileSync(join(path, name), 'latin1').trim().replaceAll('\n', ' ');
        return value === '' ? [] : [[name, value]];
      });
  } catch {
    return []; // it has gone
  }
}
