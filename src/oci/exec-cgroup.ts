/** The cgroups that a further process is born in, or enters before it becomes the command. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { birthCgroup, type V1Directory } from '../cgroup/index.ts';
import { TsrunError } from '../error.ts';
import { O_DIRECTORY, O_RDONLY } from '../linux/constants.ts';
import { AT_FDCWD, openat } from '../linux/fs.ts';
import { directoriesOf } from './cgroup.ts';
import type { ContainerRecord } from './store.ts';

export interface ExecCgroups {
  /** Of cgroup v2, to be closed; -1: none. */
  fd: number;
  /** Files of cgroup v1. */
  v1Procs: string[];
}

/** `asked`: values of --cgroup, `[CONTROLLER,…:]PATH` below the container's. Throws `USAGE`, `NOT_FOUND`. */
export function openCgroups(record: ContainerRecord, asked: readonly string[]): ExecCgroups {
  if (record.cgroup === '') {
    if (asked.length === 0) return { fd: -1, v1Procs: [] };
    throw new TsrunError('USAGE', '--cgroup: the container has no cgroup of its own');
  }
  const directories = directoriesOf(record.v1);
  const { everywhere, by } = parse(asked, directories);
  const v1Procs = directories.map(({ path, controllers }) => {
    const own = controllers.map((name) => by.get(name)).find((below) => below !== undefined);
    return join(subgroup(path, own ?? everywhere ?? ''), 'cgroup.procs');
  });
  const path = everywhere === undefined ? birthCgroup(record.cgroup, record.pid) : subgroup(record.cgroup, everywhere);
  return { fd: openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY), v1Procs };
}

function parse(
  asked: readonly string[],
  directories: readonly V1Directory[],
): { everywhere: string | undefined; by: Map<string, string> } {
  let everywhere: string | undefined;
  const by = new Map<string, string>();
  for (const value of asked) {
    const at = value.indexOf(':');
    if (at < 0) {
      everywhere = value;
      continue;
    }
    for (const name of value.slice(0, at).split(',')) {
      if (!directories.some(({ controllers }) => controllers.includes(name))) {
        throw new TsrunError('USAGE', `--cgroup: unknown controller ${name} in ${JSON.stringify(value)}`, {
          hint: 'controllers can be named where they are bound to cgroup v1 (/proc/cgroups)',
        });
      }
      by.set(name, value.slice(at + 1));
    }
  }
  return { everywhere, by };
}

function subgroup(own: string, below: string): string {
  const path = join(own, below).replace(/\/$/, '');
  if (path !== own && !path.startsWith(`${own}/`)) {
    throw new TsrunError('USAGE', `bad sub cgroup path: ${below} is not a sub cgroup path`);
  }
  if (existsSync(path)) return path;
  throw new TsrunError(
    'NOT_FOUND',
    `error adding pid of the command to ${path}/cgroup.procs: no such file or directory`,
  );
}
