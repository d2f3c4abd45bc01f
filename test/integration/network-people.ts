/** What the tests of networks have in common that go by the command line. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { run, tsrunOk } from './tsrun.ts';

export const sleeper = ['busybox', 'sleep', '1000'];
/** Says hello to everybody who connects to port 80; one process, as far as it lasts. */
export const server = ['busybox', 'nc', '-ll', '-p', '80', '-e', 'echo', 'hello'];

/** Removes all containers and all networks of users. */
export async function removeAll(): Promise<void> {
  const list = (name: string): string[] => {
    try {
      return readdirSync(join(inject('root'), name)).filter((entry) => /^[0-9a-f]{64}/.test(entry));
    } catch {
      return [];
    }
  };
  const containers = list('containers');
  if (containers.length > 0) await tsrunOk(['rm', '-f', ...containers]);
  if (list('networks').length > 0) await tsrunOk(['network', 'prune', '-f']);
}

/** Runs a command in the namespaces of a container (`network` alone: with the programs of the host); its stdout. */
export async function inside(container: string, command: string, what: 'all' | 'network' = 'all'): Promise<string> {
  const pid = await tsrunOk(['inspect', '-f', '{{.State.Pid}}', container]);
  const namespaces = what === 'all' ? ['-n', '-m'] : ['-n'];
  return (await run('nsenter', ['-t', pid, ...namespaces, 'sh', '-c', command])).stdout;
}

/** The networks of a container as `inspect` shows them. */
export async function networksOf(container: string): Promise<Record<string, Record<string, unknown>>> {
  return JSON.parse(await tsrunOk(['inspect', '-f', '{{json .NetworkSettings.Networks}}', container]));
}
