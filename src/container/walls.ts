/**
 * `--without`: the walls between a container and the machine, one by one, and how a run does without one. What each of them
 * holds back is shown in docs/walls.md.
 */
import { TsrunError } from '../error.ts';
import type { RunOptions } from './run-options.ts';

export const walls = [
  'pid',
  'net',
  'mount',
  'ipc',
  'uts',
  'cgroup',
  'userns',
  'pivot_root',
  'seccomp',
  'caps',
  'masks',
  'devices',
  'fds',
] as const;
export type Wall = (typeof walls)[number];

/** What a container can do without a wall; also keys of explain's catalogue. */
const consequences: Readonly<Record<Wall, string>> = {
  pid: '--without pid: the container sees all processes of this machine and can signal them',
  net: '--without net: the container has the interfaces, addresses and ports of this machine',
  mount: '--without mount: what the container mounts appears on this machine, and its root can be walked out of',
  ipc: '--without ipc: the container shares shared memory, semaphores and message queues with this machine',
  uts: '--without uts: the container has the name of this machine, and with CAP_SYS_ADMIN changes it',
  cgroup: '--without cgroup: the container sees the names of all cgroups and where among them it is',
  userns: '--without userns: root in the container is root of this machine, held by the other walls alone',
  pivot_root: '--without pivot_root: the root of the container is a chroot, which root walks out of',
  seccomp: '--without seccomp: the container can make every system call that the kernel has',
  caps: '--without caps: root in the container has all capabilities that root of this machine has',
  masks:
    '--without masks: the container can read what tells about this machine in /proc and /sys, and change its settings',
  devices:
    '--without devices: the container can open every device whose number it knows: disks, memory, the log of the kernel',
  fds: '--without fds: the container inherits open directories of this machine, and walks out by /proc/self/fd',
};

/** Names of walls from `--without`: separated by commas, each once. Throws a plain `Error` for one that there is not. */
export function parseWalls(texts: readonly string[]): Wall[] {
  const found = new Set<Wall>();
  for (const word of texts.flatMap((text) => text.split(',')).map((text) => text.trim())) {
    const wall = walls.find((known) => known === word);
    if (wall === undefined) throw new Error(`there is no wall "${word}"; there are ${walls.join(', ')}`);
    found.add(wall);
  }
  return [...found];
}

/** The options of a run that does without some walls. Throws `USAGE` where another option wants to have one. */
export function withoutWalls(options: RunOptions, without: readonly Wall[]): RunOptions {
  if (without.length === 0) return options;
  const changed: RunOptions = { ...options, without: [...without] };
  const has = (wall: Wall): boolean => without.includes(wall);
  const conflict = (wall: Wall, flag: string, isWanted: boolean): void => {
    if (has(wall) && isWanted) throw new TsrunError('USAGE', `conflicting options: --without ${wall} and ${flag}`);
  };
  const isNetworked = options.network !== 'default' && options.network !== 'host';
  conflict('pid', '--pid', options.pidMode.startsWith('container:'));
  conflict('net', '--network', isNetworked || options.endpoints !== undefined);
  conflict('ipc', '--ipc', options.ipcMode !== '' && options.ipcMode !== 'host');
  conflict('uts', '--hostname', options.hostname !== undefined);
  conflict('cgroup', '--cgroupns', options.cgroupns === 'private');
  conflict('userns', '--userns', (options.userns ?? 'host') !== 'host');
  conflict('caps', '--cap-drop', options.capDrop.length > 0);
  conflict('mount', '--restart', options.restart.name !== 'no');
  conflict('mount', '--userns', (options.userns ?? 'host') !== 'host');
  if (has('pid')) changed.pidMode = 'host';
  if (has('net')) changed.network = 'host';
  if (has('ipc')) changed.ipcMode = 'host';
  if (has('uts')) changed.utsMode = 'host';
  if (has('cgroup')) changed.cgroupns = 'host';
  if (has('userns')) changed.userns = 'host';
  if (has('caps')) changed.capAdd = ['ALL'];
  const opened = [
    ...(has('seccomp') ? ['seccomp=unconfined'] : []),
    ...(has('masks') ? ['systempaths=unconfined'] : []),
  ];
  changed.securityOpt = [...options.securityOpt, ...opened];
  return changed;
}

export function isWithout({ without }: Pick<RunOptions, 'without'>, wall: Wall): boolean {
  return without?.includes(wall) === true;
}

/** The root of the container is not that of its mount namespace: who joins that stands on the host. */
export function hasForeignRoot(options: Pick<RunOptions, 'without'>): boolean {
  return isWithout(options, 'mount') || isWithout(options, 'pivot_root');
}

/** What somebody who starts the container is to know; one line for each wall that is not there. */
export function missingWalls({ without = [] }: Pick<RunOptions, 'without'>): string[] {
  return without.map((wall) => consequences[wall]);
}
