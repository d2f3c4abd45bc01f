/**
 * Starting a process of its own session with every descriptor laid out. Not by an import of node:child_process: what it adds in
 * JavaScript takes longer than the start itself, and the executable's engine has the same below it.
 */
import { smallEngine } from './small-engine.ts';
import { spawnBySmall } from './spawn-small.ts';

/** What is used of a process, whichever engine started it. */
export interface Spawned {
  readonly pid: number;
  /** Its end was noticed by the event loop. */
  readonly ended: boolean;
  /** Settles with `ended`. Without `ref` nothing waits for it. */
  readonly end: Promise<void>;
  kill(signal: 'SIGKILL'): void;
  /** Holds the event loop until the end. */
  ref(): void;
}

export interface SpawnOptions {
  argv0: string;
  /** Descriptors of this process for 0, 1, … of the new one; 'ignore' stands for /dev/null, from 3 on for none. */
  stdio: readonly (number | 'ignore')[];
}

/** https://bun.sh/docs/api/spawn */
interface BunProcess {
  readonly pid: number;
  kill(signal: string): void;
  ref(): void;
  unref(): void;
}

interface Spawner {
  spawn(options: object): BunProcess;
}

declare const Bun: Spawner | undefined;

/**
 * Runs a file with an empty environment in the root directory. undefined where no process could be made: a limit of
 * processes or descriptors is reached, or the file is none to run.
 */
export function spawnDetached(file: string, args: readonly string[], options: SpawnOptions): Spawned | undefined {
  let ended = false;
  let settle: () => void = () => {};
  const end = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const onExit = (): void => {
    ended = true;
    settle();
  };
  const child = start(file, args, options, onExit);
  return (
    child && {
      pid: child.pid,
      get ended() {
        return ended;
      },
      end,
      kill: (signal) => child.kill(signal),
      ref: () => child.ref(),
    }
  );
}

function start(file: string, args: readonly string[], options: SpawnOptions, onExit: () => void): Start {
  if (smallEngine !== undefined) return spawnBySmall(smallEngine, file, args, options, onExit);
  return typeof Bun === 'undefined' ? byNode(file, args, options, onExit) : byBun(Bun, file, args, options, onExit);
}

type Start = Pick<Spawned, 'pid' | 'kill' | 'ref'> | undefined;

function byBun(
  bun: Spawner,
  file: string,
  args: readonly string[],
  { argv0, stdio }: SpawnOptions,
  onExit: () => void,
): Start {
  try {
    const child = bun.spawn({ cmd: [file, ...args], argv0, cwd: '/', detached: true, env: {}, stdio, onExit });
    child.unref();
    return child;
  } catch {
    return undefined;
  }
}

function byNode(file: string, args: readonly string[], { argv0, stdio }: SpawnOptions, onExit: () => void): Start {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const child = spawn(file, args, { argv0, cwd: '/', detached: true, env: {}, stdio: [...stdio] });
  child.on('error', () => {});
  child.once('exit', onExit);
  child.unref();
  const { pid } = child;
  if (pid === undefined) return undefined;
  return { pid, kill: (signal) => void child.kill(signal), ref: () => child.ref() };
}
