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
    names: ['container prune'],
    summary: 'Remove all stopped containers',
    load: async () => (await import('./commands/container-prune.ts')).containerPrune,
  },
  {
    names: ['create', 'container create'],
    summary: 'Create a new container',
    load: async () => (await import('./commands/create.ts')).create,
  },
  {
    names: ['events', 'system events'],
    summary: 'Show what happens, as it happens',
    load: async () => (await import('./commands/events.ts')).events,
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
    summary: 'Show everything about containers and images',
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
    names: ['pause', 'container pause'],
    summary: 'Pause all processes of containers',
    load: async () => (await import('./commands/pause.ts')).pause,
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
    names: ['rename', 'container rename'],
    summary: 'Rename a container',
    load: async () => (await import('./commands/rename.ts')).rename,
  },
  {
    names: ['restart', 'container restart'],
    summary: 'Restart containers',
    load: async () => (await import('./commands/restart.ts')).restart,
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
    names: ['system start-all'],
    summary: 'Start the containers whose restart policy wants it',
    load: async () => (await import('./commands/system-all.ts')).startAll,
  },
  {
    names: ['system stop-all'],
    summary: 'Stop all containers, as before a shutdown',
    load: async () => (await import('./commands/system-all.ts')).stopAll,
  },
  {
    names: ['unpause', 'container unpause'],
    summary: 'Let all processes of paused containers go on',
    load: async () => (await import('./commands/pause.ts')).unpause,
  },
  {
    names: ['update', 'container update'],
    summary: 'Change limits and restart policy of containers',
    load: async () => (await import('./commands/update.ts')).update,
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
