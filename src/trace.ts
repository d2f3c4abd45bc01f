/**
 * One stream of steps that the host's side took: feeds `--timing`, debug logs, `explain` and tests.
 * A step has the same form as an operation of the start program: a title, why it is there, its shell equivalent.
 */

/** Milliseconds since the process started. (performance.now() would load node:perf_hooks, which takes two of them.) */
function now(): number {
  return process.uptime() * 1000;
}

export type Phase =
  | 'image'
  | 'rootfs'
  | 'cgroup'
  | 'network'
  | 'monitor'
  | 'namespaces'
  | 'mounts'
  | 'devices'
  | 'console'
  | 'identity'
  | 'security'
  | 'exec'
  | 'teardown';

export interface Step {
  phase: Phase;
  /** What happens, as one would say it: `create veth pair vethab12 <-> eth0`. */
  title: string;
  /** Why it is there. */
  why?: string | undefined;
  /** The command that a shell would use for it. */
  shell?: string | undefined;
}

export interface TraceEvent extends Step {
  /** Milliseconds since the process started, and how long the step took. */
  start: number;
  duration: number;
  error?: unknown;
}

let sink: ((event: TraceEvent) => void) | undefined;

/** Sends every further step to `listener`; without a listener steps cost nothing but the call. */
export function onTrace(listener: ((event: TraceEvent) => void) | undefined): void {
  sink = listener;
}

/** Runs one synchronous step and reports it. */
export function step<T>(info: Step, run: () => T): T {
  if (sink === undefined) return run();
  const start = now();
  try {
    const result = run();
    sink({ ...info, start, duration: now() - start });
    return result;
  } catch (error) {
    sink({ ...info, start, duration: now() - start, error });
    throw error;
  }
}

/** Runs one asynchronous step and reports it. */
export async function stepAsync<T>(info: Step, run: () => Promise<T>): Promise<T> {
  if (sink === undefined) return run();
  const start = now();
  try {
    const result = await run();
    sink({ ...info, start, duration: now() - start });
    return result;
  } catch (error) {
    sink({ ...info, start, duration: now() - start, error });
    throw error;
  }
}
