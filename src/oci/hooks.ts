/** Hooks on the host's side (OCI runtime-spec config.md, "POSIX-platform Hooks"): the state on stdin, an end in time. */
import { messageOf, TsrunError } from '../error.ts';
import type { Hook, State } from '../runtime/spec.ts';

const lastWords = 2048;

/**
 * Runs the hooks one after the other, in `cwd`. Throws `PROGRAM` with what the first one that failed said.
 */
export function runHooks(kind: string, hooks: readonly Hook[] | undefined, state: State, cwd: string): void {
  (hooks ?? []).forEach((hook, index) => {
    // Hardly anybody has one, and an import would be paid for by every start.
    const { spawnSync } = process.getBuiltinModule('node:child_process');
    const { status, signal, error, stdout, stderr } = spawnSync(hook.path, (hook.args ?? []).slice(1), {
      argv0: hook.args?.[0] ?? hook.path,
      cwd,
      env: environment(hook),
      input: JSON.stringify(state),
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(hook.timeout === undefined ? {} : { timeout: hook.timeout * 1000, killSignal: 'SIGKILL' }),
    });
    // A hook need not read its stdin.
    if (status === 0 && signal === null) return;
    throw hookFailed(kind, index, hook, how(status, signal, error, hook), `${stderr ?? ''}${stdout ?? ''}`);
  });
}

/** `NAME=value` as an object; a hook that is given none has that of the runtime, as with runc and crun. */
function environment({ env }: Hook): NodeJS.ProcessEnv {
  if (env === undefined) return process.env;
  return Object.fromEntries(
    env.map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

function how(status: number | null, signal: string | null, error: unknown, hook: Hook): string {
  if (error !== undefined && /ETIMEDOUT/.test(messageOf(error))) {
    return `hook ran past specified timeout of ${hook.timeout ?? 0}s`;
  }
  if (status !== null) return `exit status ${status}`;
  return signal === null ? messageOf(error) : `signal: ${signal}`;
}

/** The error of a hook; what it wrote tells most. */
export function hookFailed(kind: string, index: number, hook: Hook, reason: string, output: string): TsrunError {
  const said = output.trim().slice(-lastWords);
  return new TsrunError(
    'PROGRAM',
    `error running ${kind} hook #${index}: ${hook.path}: ${reason}${said === '' ? '' : `, output: ${said}`}`,
  );
}
