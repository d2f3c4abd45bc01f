/**
 * The engines that tsrun is compared with. Each gets a directory of its own; what is started is stopped by its pid.
 * All of it runs in the private network and mount namespaces that scripts/bench.sh makes: bridges, addresses and
 * firewall rules of all engines end with them.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { checkout } from '../scripts/images/paths.ts';
import { output } from './harness.ts';

export interface Engine {
  name: string;
  /** The command line up to the subcommand. */
  command: string[];
  env: Record<string, string>;
  /** Flags of `run` that this engine needs here. */
  runFlags: string[];
  pull: (image: string) => string[];
  /** Removes a pulled image with all its names. */
  remove: (image: string) => string[];
  /** Gives a pulled image the short name that the benchmarks use. */
  alias: (image: string) => void;
  stop: () => Promise<void>;
}

export const registryVariable = 'TSRUN_BENCH_REGISTRY';

/** TSRUN_BENCH_ENGINES=podman leaves docker out: for who has less time. */
function isWanted(name: string): boolean {
  return (process.env.TSRUN_BENCH_ENGINES ?? 'docker,podman').split(',').includes(name);
}

function registry(): string {
  const address = process.env[registryVariable];
  if (address === undefined) throw new Error('the registry has not been started');
  return address;
}

/** `storage`: how layers are stored; as it comes if left out. */
export function tsrun(directory: string, storage?: string): Engine {
  const env = {
    ...(storage === undefined ? {} : { TSRUN_STORAGE: storage }),
    TSRUN_ROOT: join(directory, 'root'),
    TSRUN_STATE: join(directory, 'state'),
    TSRUN_MIRRORS: `docker.io=http://${registry()}`,
  };
  // What is installed is the executable alone; bin/tsrun is a shell script around it, for a checkout.
  const executable = join(checkout, 'dist/tsrun');
  const command = [existsSync(executable) ? executable : join(checkout, 'bin/tsrun')];
  return {
    name: 'tsrun',
    command,
    env,
    runFlags: [],
    pull: (image) => [...command, 'pull', '-q', image],
    remove: (image) => [...command, 'rmi', image],
    alias: () => {},
    stop: async () => {},
  };
}

/** dockerd with everything below `directory`. Undefined where docker is not installed. */
export async function docker(directory: string): Promise<Engine | undefined> {
  if (!existsSync('/usr/sbin/dockerd') || !isWanted('docker')) return undefined;
  mkdirSync(directory, { recursive: true });
  const socket = join(directory, 'docker.sock');
  const log = openSync(join(directory, 'dockerd.log'), 'w');
  const daemon = spawn(
    '/usr/sbin/dockerd',
    [
      ...['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'exec')],
      ...['--pidfile', join(directory, 'docker.pid'), '--host', `unix://${socket}`],
    ],
    { stdio: ['ignore', log, log] },
  );
  closeSync(log);
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  const command = ['docker', '--host', `unix://${socket}`];
  const stop = async (): Promise<void> => {
    daemon.kill('SIGTERM');
    await Promise.race([ended, delay(20_000)]);
    if (daemon.exitCode === null) daemon.kill('SIGKILL');
    await ended;
  };
  for (let attempt = 0; ; attempt++) {
    try {
      output([...command, 'version', '--format', '{{.Server.Version}}']);
      break;
    } catch (error) {
      if (attempt < 200 && daemon.exitCode === null) await delay(100);
      else {
        await stop();
        const end = readFileSync(join(directory, 'dockerd.log'), 'utf8').split('\n').slice(-5).join('\n');
        throw new Error(`dockerd did not start: ${end}`, { cause: error });
      }
    }
  }
  return {
    name: 'docker',
    command,
    env: {},
    runFlags: [],
    pull: (image) => [...command, 'pull', '-q', `${registry()}/library/${image}`],
    remove: (image) => [...command, 'rmi', image, `${registry()}/library/${image}`],
    alias: (image) => {
      output([...command, 'tag', `${registry()}/library/${image}`, image]);
    },
    stop,
  };
}

/**
 * podman without its own cgroups: as root in the root cgroup it would move every process of the machine into a cgroup
 * of its own. That needs crun, which refuses to start where cgroup v2 stands beside v1: there podman lives in a mount
 * namespace without v2, which a sleeping process holds. Undefined where it is not installed.
 */
export function podman(directory: string): Engine | undefined {
  if (!existsSync('/usr/bin/podman') || !isWanted('podman')) return undefined;
  mkdirSync(directory, { recursive: true });
  const at = (name: string) => join(directory, name);
  const run = mkdtempSync('/var/tmp/tsrun-podman.'); // podman takes no path of more than 50 characters for it
  const command = ['podman', '--root', at('root'), '--runroot', run, '--tmpdir', at('tmp'), '--runtime', 'crun'];
  command.push('--cgroup-manager', 'cgroupfs', '--storage-driver', 'overlay', '--events-backend', 'file');
  let release = () => {};
  if (existsSync('/sys/fs/cgroup/unified')) {
    const hidden = at('hidden');
    const script = 'umount -l /sys/fs/cgroup/unified && : >"$0" && exec sleep 86400';
    const holder = spawn('unshare', ['--mount', 'sh', '-c', script, hidden], { stdio: 'ignore' });
    command.unshift('nsenter', `--mount=/proc/${holder.pid}/ns/mnt`);
    output(['sh', '-c', 'for i in $(seq 500); do test -e "$0" && exit; sleep 0.01; done; exit 1', hidden]);
    release = () => {
      holder.kill();
    };
  }
  return {
    name: 'podman',
    command,
    env: {},
    // Its defaults raise limits, which a machine may forbid even to root.
    runFlags: ['--cgroups=disabled', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096'],
    pull: (image) => [...command, 'pull', '-q', '--tls-verify=false', `${registry()}/library/${image}`],
    remove: (image) => [...command, 'rmi', image, `${registry()}/library/${image}`],
    alias: (image) => {
      output([...command, 'tag', `${registry()}/library/${image}`, image]);
    },
    stop: async () => {
      release();
      removeTree(run);
    },
  };
}

/** All engines that are installed, `images` pulled into each. */
export async function withEngines<T>(
  directory: string,
  images: readonly string[],
  use: (engines: [Engine, ...Engine[]]) => Promise<T>,
): Promise<T> {
  const engines: [Engine, ...Engine[]] = [tsrun(join(directory, 'tsrun'))];
  try {
    const others = [await docker(join(directory, 'docker')), podman(join(directory, 'podman'))];
    engines.push(...others.filter((engine) => engine !== undefined));
    for (const engine of engines) {
      for (const image of images) {
        output(engine.pull(image), { env: engine.env });
        engine.alias(image);
      }
    }
    return await use(engines);
  } finally {
    for (const engine of engines) await engine.stop();
    removeTree(directory);
  }
}

/** Removes a directory whose mounts have ended, or will with the mount namespace. */
export function removeTree(directory: string): void {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n').reverse()) {
    const point = line.split(' ')[4];
    if (point?.startsWith(`${directory}/`)) output(['umount', '-l', point]);
  }
  rmSync(directory, { recursive: true, force: true });
}

/** Processes whose executable's path or name matches, by pid. */
export function processesOf(pattern: RegExp, read: (pid: string) => string): Set<number> {
  const found = new Set<number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (pattern.test(read(name))) found.add(Number(name));
    } catch {
      // It ended, or is a kernel thread.
    }
  }
  return found;
}
