/** tsrun as a command that a monitor executes at its end. */
import { ownProgram } from '../linux/artifacts.ts';
import type { ContainerStore } from './store.ts';

/** `tsrun ARGS…` on the same directories, with no more of the caller's environment than it needs. */
export function ownCommand(store: ContainerStore, args: readonly string[]): { argv: string[]; envp: string[] } {
  const keep = ['PATH', 'HOME'].flatMap((name) =>
    process.env[name] === undefined ? [] : [`${name}=${process.env[name]}`],
  );
  return {
    argv: [...ownProgram(), ...args],
    envp: [...keep, `TSRUN_ROOT=${store.root}`, `TSRUN_STATE=${store.state}`],
  };
}
