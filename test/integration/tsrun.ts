/** Runs bin/tsrun as a person would, against the data root and the registry of this test run. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { inject } from 'vitest';
import { checkout } from '../../scripts/images/paths.ts';

/** What a checkout runs. */
export const tsrunPath = join(checkout, 'bin/tsrun');

export interface Result {
  /** Exit status; -1 when a signal ended the command. */
  code: number;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** What the command reads; without it stdin is /dev/null. */
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
  /** Runs on a pseudo-terminal of script(1): stdout then holds both streams, with CR LF. */
  tty?: boolean;
  /** Milliseconds after which the command is killed; 50,000 unless told. Times TSRUN_TEST_SLOWNESS, for emulated processors. */
  timeout?: number;
}

const slowness = Number(process.env.TSRUN_TEST_SLOWNESS || 1);

/** The environment of every command of this test run. */
export function environment(extra: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: process.env.HOME ?? '/root',
    TERM: 'xterm',
    LANG: 'C.UTF-8',
    TSRUN_ROOT: inject('root'),
    TSRUN_STATE: inject('state'),
    TSRUN_MIRRORS: `docker.io=http://${inject('registry')}`,
    // `node`: the tests are for the bundle, and not for the executable.
    ...(process.env.TSRUN_RUNTIME ? { TSRUN_RUNTIME: process.env.TSRUN_RUNTIME } : {}),
    // `large`: the tests are for the executable without its small engine.
    ...(process.env.TSRUN_ENGINE ? { TSRUN_ENGINE: process.env.TSRUN_ENGINE } : {}),
    // Which form of the store a whole run is about.
    ...(process.env.TSRUN_STORAGE ? { TSRUN_STORAGE: process.env.TSRUN_STORAGE } : {}),
    ...extra,
  };
}

/** Runs `tsrun ARGS…` and waits for it. */
export async function tsrun(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return run(tsrunPath, args, options);
}

/** Runs any command with this run's environment and waits for it. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const quoted = [command, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const [file, argv] = options.tty ? ['script', ['-qefc', quoted, '/dev/null']] : [command, [...args]];
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, {
      env: environment(options.env),
      cwd: options.cwd ?? '/',
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      timeout: (options.timeout ?? 50_000) * slowness,
      killSignal: 'SIGKILL',
    });
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout?.on('data', (chunk: Buffer) => output.stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => output.stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({
        code: code ?? -1,
        signal,
        stdout: Buffer.concat(output.stdout).toString(),
        stderr: Buffer.concat(output.stderr).toString(),
      }),
    );
    // A command may end without reading all of it.
    child.stdin?.on('error', () => {});
    if (options.stdin !== undefined) child.stdin?.end(options.stdin);
  });
}

/** As `tsrun`, for set-up: throws with the command's stderr when it fails; returns stdout without its last newline. */
export async function tsrunOk(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tsrun(args, options);
  if (result.code !== 0) {
    throw new Error(`tsrun ${args.join(' ')}: exit ${result.code} ${result.signal ?? ''}\n${result.stderr}`);
  }
  return result.stdout.replace(/\n$/, '');
}
