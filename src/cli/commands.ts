/** The table of commands. A command's own module is loaded when it is called: `version` must not pay for `run`. */
import type { CommandEntry, CommandGroup } from './command.ts';

export const groups: readonly CommandGroup[] = [
  { name: 'container', summary: 'Manage containers' },
  { name: 'image', summary: 'Manage images' },
  { name: 'network', summary: 'Manage networks' },
  { name: 'system', summary: 'Manage tsrun' },
  { name: 'volume', summary: 'Manage volumes' },
];

/** Sorted by name, as help lists them. */
export const commands: readonly CommandEntry[] = [
  {
    names: ['create', 'container create'],
    summary: 'Create a new container',
    load: async () => (await import('./commands/create.ts')).create,
  },
  {
    names: ['images', 'image ls', 'image list'],
    summary: 'List images',
    load: async () => (await import('./commands/images.ts')).images,
  },
  {
    names: ['info', 'system info'],
    summary: 'Show what this machine gives to containers',
    load: async () => (await import('./commands/info.ts')).info,
  },
  {
    names: ['inspect'],
    summary: 'Show everything about containers, images and networks',
    load: async () => (await import('./commands/inspect.ts')).inspect,
  },
  {
    names: ['container inspect'],
    summary: 'Show everything about containers',
    load: async () => (await import('./commands/inspect.ts')).containerInspect,
  },
  {
    names: ['image inspect'],
    summary: 'Show everything about images',
    load: async () => (await import('./commands/inspect.ts')).imageInspect,
  },
  {
    names: ['kill', 'container kill'],
    summary: 'Kill running containers, or send them a signal',
    load: async () => (await import('./commands/kill.ts')).kill,
  },
  {
    names: ['logs', 'container logs'],
    summary: 'Show what a container has printed',
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    names: ['network connect'],
    summary: 'Connect a container to a network',
    load: async () => (await import('./commands/network-connect.ts')).networkConnect,
  },
  {
    names: ['network create'],
    summary: 'Create a network',
    load: async () => (await import('./commands/network-create.ts')).networkCreate,
  },
  {
    names: ['network disconnect'],
    summary: 'Take a container from a network',
    load: async () => (await import('./commands/network-connect.ts')).networkDisconnect,
  },
  {
    names: ['network inspect'],
    summary: 'Show everything about networks',
    load: async () => (await import('./commands/inspect.ts')).networkInspect,
  },
  {
    names: ['network ls', 'network list'],
    summary: 'List networks',
    load: async () => (await import('./commands/network-ls.ts')).networkLs,
  },
  {
    names: ['network prune'],
    summary: 'Remove networks that no container is on',
    load: async () => (await import('./commands/network-prune.ts')).networkPrune,
  },
  {
    names: ['network rm', 'network remove'],
    summary: 'Remove networks',
    load: async () => (await import('./commands/network-rm.ts')).networkRm,
  },
  {
    names: ['ps', 'container ls', 'container list', 'container ps'],
    summary: 'List containers',
    load: async () => (await import('./commands/ps.ts')).ps,
  },
  {
    names: ['pull', 'image pull'],
    summary: 'Download an image from a registry',
    load: async () => (await import('./commands/pull.ts')).pull,
  },
  {
    names: ['reap'],
    summary: 'Clean up after a container that has ended (called by its monitor)',
    hidden: true,
    load: async () => (await import('./commands/reap.ts')).reap,
  },
  {
    names: ['rm', 'container rm', 'container remove'],
    summary: 'Remove containers',
    load: async () => (await import('./commands/rm.ts')).rm,
  },
  {
    names: ['rmi', 'image rm', 'image remove'],
    summary: 'Remove images',
    load: async () => (await import('./commands/rmi.ts')).rmi,
  },
  {
    names: ['run', 'container run'],
    summary: 'Create and run a new container from an image',
    load: async () => (await import('./commands/run.ts')).run,
  },
  {
    names: ['start', 'container start'],
    summary: 'Start stopped containers',
    load: async () => (await import('./commands/start.ts')).start,
  },
  {
    names: ['stop', 'container stop'],
    summary: 'Stop running containers',
    load: async () => (await import('./commands/stop.ts')).stop,
  },
  {
    names: ['version'],
    summary: 'Show versions',
    load: async () => (await import('./commands/version.ts')).version,
  },
  {
    names: ['wait', 'container wait'],
    summary: 'Wait until containers stop, then print their exit codes',
    load: async () => (await import('./commands/wait.ts')).wait,
  },
];

/** The command of a name such as `ps` or `container ls`. */
export function findCommand(name: string): CommandEntry | undefined {
  return commands.find((entry) => entry.names.includes(name));
}

/** All names below a group, without the group's own: `ls`, `rm`. */
export function namesInGroup(group: string): string[] {
  const prefix = `${group} `;
  return commands.flatMap((entry) =>
    entry.names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
  );
}
