/**
 * A random mixture of commands on a few containers, networks, volumes and tags, so that they meet. Each is a command of
 * the command line; which of them fails does not matter (most do: the name is taken, the container is gone), as long as
 * it fails as a command does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { findCommand } from '../../src/cli/commands.ts';
import { environment, tsrunPath } from './tsrun.ts';

/** Numbers that follow from a seed (mulberry32), so that a run can be repeated as far as the machine allows. */
export class Random {
  constructor(private state: number) {}

  /** From 0 to 1, without 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }
}

/** Ends soon after SIGTERM, prints now and then, and makes a child. */
const service = 'trap "exit 3" TERM; while :; do echo tick; sleep 0.2 & wait $!; done';

type Words = (random: Random) => string[];

const container = (random: Random): string => `crash-${random.below(6)}`;
const network = (random: Random): string => `crash-net-${random.below(2)}`;
const volume = (random: Random): string => `crash-vol-${random.below(2)}`;
const port = (random: Random): string => `${23_000 + random.below(4)}:80`;

/** What is called how often; a command that does not exist is passed over. */
const mixture: readonly (readonly [weight: number, words: Words])[] = [
  [6, (random) => ['run', '-d', '--name', container(random), 'busybox', 'sh', '-c', service]],
  [4, (random) => ['run', '-d', '-p', port(random), '--name', container(random), 'busybox', 'sh', '-c', service]],
  [2, (random) => ['run', '-d', '--restart', 'always', '--name', container(random), 'busybox', 'sleep', '0.3']],
  [2, (random) => ['run', '-d', '--network', network(random), '--name', container(random), 'busybox', 'sleep', '60']],
  [
    2,
    (random) => ['run', '-d', '-v', `${volume(random)}:/data`, '--name', container(random), 'busybox', 'sleep', '60'],
  ],
  [3, () => ['run', '--rm', 'busybox', 'true']],
  [2, (random) => ['run', '--rm', '-v', `${volume(random)}:/etc`, 'busybox', 'sh', '-c', 'echo x >>/etc/x']],
  [2, (random) => ['create', '--name', container(random), 'busybox', 'sleep', '60']],
  [4, (random) => ['start', container(random)]],
  [3, (random) => ['stop', '-t', '1', container(random)]],
  [2, (random) => ['kill', container(random)]],
  [2, (random) => ['restart', '-t', '1', container(random)]],
  [6, (random) => ['rm', '-f', container(random)]],
  [1, (random) => ['rm', container(random)]],
  [2, (random) => ['exec', container(random), 'true']],
  [1, (random) => ['rename', container(random), container(random)]],
  [1, (random) => ['pause', container(random)]],
  [2, (random) => ['unpause', container(random)]],
  [1, (random) => ['update', '--restart', 'no', container(random)]],
  [1, (random) => ['commit', container(random), `crash-image:${random.below(2)}`]],
  [1, (random) => ['cp', '/etc/passwd', `${container(random)}:/tmp/passwd`]],
  [2, () => ['pull', '-q', 'tsrun/layers']],
  [2, () => ['rmi', '-f', 'tsrun/layers']],
  [1, (random) => ['tag', 'busybox', `crash-image:${random.below(2)}`]],
  [1, (random) => ['rmi', `crash-image:${random.below(2)}`]],
  [2, (random) => ['network', 'create', network(random)]],
  [1, (random) => ['network', 'connect', network(random), container(random)]],
  [1, (random) => ['network', 'disconnect', '-f', network(random), container(random)]],
  [1, (random) => ['network', 'rm', network(random)]],
  [1, (random) => ['volume', 'create', volume(random)]],
  [1, (random) => ['volume', 'rm', volume(random)]],
  [1, () => ['ps', '-a']],
  [1, (random) => ['logs', '--tail', '3', container(random)]],
];

function exists([first = '', second = '']: readonly string[]): boolean {
  return findCommand(first) !== undefined || findCommand(`${first} ${second}`) !== undefined;
}

/** The next command line. */
export function nextCommand(random: Random): string[] {
  for (;;) {
    const total = mixture.reduce((sum, [weight]) => sum + weight, 0);
    let at = random.below(total);
    const chosen = mixture.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    const words = chosen?.[1](random) ?? [];
    if (exists(words)) return words;
  }
}

/** A command under way. */
export interface Running {
  words: string[];
  child: ChildProcess;
  ended: Promise<{ code: number | null; stderr: string }>;
}

/** Starts a command in a process group of its own. */
export function begin(words: string[], extra: Record<string, string> = {}): Running {
  const child = spawn(tsrunPath, words, {
    env: environment(extra),
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    // `close` says that all of stderr has been read; what a container inherits of it may stay open.
    child.once('close', (code) => resolve({ code, stderr }));
    child.once('exit', (code) => setTimeout(() => resolve({ code, stderr }), 200).unref());
    child.once('error', (error) => resolve({ code: null, stderr: error.message }));
  });
  return { words, child, ended };
}

/** Pids of this run's monitors: they hold the directory of their container. */
export function monitors(): number[] {
  return processes((pid) => {
    if (!readlinkSync(`/proc/${pid}/exe`).startsWith('/memfd:tsrun-monitor')) return false;
    return readdirSync(`/proc/${pid}/fd`).some((fd) =>
      readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(join(inject('root'), 'containers')),
    );
  });
}

/** Pids of `tsrun reap` and of other commands of this run that nobody here has started. */
export function reapers(): number[] {
  return processes((pid) => {
    if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('reap')) return false;
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .includes(`TSRUN_ROOT=${inject('root')}`);
  });
}

function processes(wanted: (pid: number) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return wanted(pid);
      } catch {
        return false; // it ended
      }
    });
}

/** SIGKILL; false when there is no such process any more. */
export function killHard(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}
