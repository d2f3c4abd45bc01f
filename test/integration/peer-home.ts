/** Namespaces in which daemons and engines of others live while a test talks to them: all that they make ends with these. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Result, run } from './tsrun.ts';

export function isInstalled(command: string): boolean {
  return ['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some((directory) => existsSync(join(directory, command)));
}

export class PeerHome {
  readonly directory = mkdtempSync('/var/tmp/tsrun-peers.');
  readonly #home: ChildProcess;

  private constructor(home: ChildProcess) {
    this.#home = home;
  }

  static async start(): Promise<PeerHome> {
    // Mounts, interfaces, nftables and processes of the peers are in namespaces that end with their first process.
    const flags = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
    const script = 'mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && exec sleep infinity';
    const home = spawn('unshare', [...flags, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve, reject) => {
      home.stdout?.once('data', () => resolve());
      home.once('exit', () => reject(new Error('no namespaces for the peers')));
    });
    return new PeerHome(home);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#home.once('exit', resolve));
    this.#home.kill('SIGKILL');
    await ended;
    for (let attempt = 0; attempt < 50; attempt++) {
      try {
        rmSync(this.directory, { recursive: true, force: true });
        return;
      } catch {
        // A namespace that is going away still holds its mounts.
        await delay(100);
      }
    }
  }

  /** The first process of the namespaces: the child of unshare. */
  #inside(command: readonly string[]): string[] {
    const pid = readFileSync(`/proc/${this.#home.pid}/task/${this.#home.pid}/children`, 'latin1').trim();
    return ['-t', pid, '--net', '--mount', '--pid', ...command];
  }

  /** Runs a command inside and waits for it. */
  run(command: readonly string[], tty = false): Promise<Result> {
    return run('nsenter', this.#inside(command), { tty });
  }

  /** Starts a daemon and waits until `ready` answers. */
  async daemon(command: readonly string[], ready: readonly string[]): Promise<ChildProcess> {
    const log = join(this.directory, `${command[0]?.split('/').at(-1)}.log`);
    const quoted = command.map((word) => `'${word}'`).join(' ');
    const child = spawn('nsenter', this.#inside(['sh', '-c', `exec ${quoted} >'${log}' 2>&1`]), { stdio: 'ignore' });
    // Not by expect.poll: hooks start daemons too.
    const end = Date.now() + 60_000;
    while ((await this.run(ready)).code !== 0) {
      const ended = child.exitCode !== null;
      if (ended || Date.now() > end) {
        if (!ended) await stopDaemon(child);
        throw new Error(
          `${command[0]} ${ended ? 'has ended' : 'does not answer'}:\n${readFileSync(log, 'utf8').slice(-2000)}`,
        );
      }
      await delay(300);
    }
    return child;
  }
}

/** Ends a daemon in good order. */
export async function stopDaemon(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

/** Removes cgroups that others have made at the top and left, in every hierarchy of cgroup v2. */
export async function removePeerCgroups(names: readonly string[]): Promise<void> {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    if (!/ - cgroup2? /.test(line)) continue;
    for (const name of names) {
      const path = join(line.split(' ')[4] ?? '', name);
      for (let attempt = 0; attempt < 50 && existsSync(path); attempt++) {
        try {
          execFileSync('find', [path, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+'], { stdio: 'ignore' });
        } catch {
          await delay(100);
        }
      }
    }
  }
}
