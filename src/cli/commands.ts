/** The table of commands. A command's own module is loaded when it is called: `version` must not pay for `run`. */
import type { CommandEntry, CommandGroup } from './command.ts';
import { networkCommands } from './network-commands.ts';
import { registryCommands } from './registry-commands.ts';

export const groups: readonly CommandGroup[] = [
  { name: 'builder', summary: 'Manage builds' },
  { name: 'buildx', summary: 'The same, as docker names it' },
  { name: 'container', summary: 'Manage containers' },
  { name: 'explain', summary: 'Show what a command would do, step by step, without doing it' },
  { name: 'image', summary: 'Manage images' },
  { name: 'manifest', summary: 'Manage manifest lists: images of several platforms under one name' },
  { name: 'network', summary: 'Manage networks' },
  { name: 'system', summary: 'Manage tsrun' },
  { name: 'volume', summary: 'Manage volumes' },
  { name: 'why', summary: 'Say why something of a container is as it is' },
];

/** In no order: `sortedCommands` has them as help lists them. */
const commands: readonly CommandEntry[] = [
  ...networkCommands,
  ...registryCommands,
  {
    names: ['__complete'],
    summary: 'Say what can come next on a command line (called by the scripts of completion)',
    hidden: true,
    load: async () => (await import('./commands/complete.ts')).complete,
  },
  {
    names: ['attach', 'container attach'],
    summary: 'Attach local standard input, output, and error streams to a running container',
    load: async () => (await import('./commands/attach.ts')).attach,
  },
  {
    names: ['build', 'image build', 'builder build', 'buildx build'],
    summary: 'Build an image from a Dockerfile',
    load: async () => (await import('./commands/build.ts')).buildImage,
  },
  {
    names: ['builder prune', 'buildx prune'],
    summary: 'Remove build cache',
    load: async () => (await import('./commands/prune.ts')).builderPrune,
  },
  {
    names: ['commit', 'container commit'],
    summary: "Create a new image from a container's changes",
    load: async () => (await import('./commands/commit.ts')).commit,
  },
  {
    names: ['completion'],
    summary: 'Print the script that makes a shell complete command lines',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
  {
    names: ['container inspect'],
    summary: 'Show everything about containers',
    load: async () => (await import('./commands/inspect.ts')).containerInspect,
  },
  {
    names: ['container prune'],
    summary: 'Remove all stopped containers',
    load: async () => (await import('./commands/prune.ts')).containerPrune,
  },
  {
    names: ['cp', 'container cp'],
    summary: 'Copy files and directories between a container and the host',
    load: async () => (await import('./commands/cp.ts')).cp,
  },
  {
    names: ['create', 'container create'],
    summary: 'Create a new container',
    load: async () => (await import('./commands/create.ts')).create,
  },
  {
    names: ['diff', 'container diff'],
    summary: "Show changes to files or directories in a container's filesystem",
    load: async () => (await import('./commands/diff.ts')).diff,
  },
  {
    names: ['doctor', 'system doctor'],
    summary: 'Examine this machine, and say what to do where containers would not work',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    names: ['events', 'system events'],
    summary: 'Show what happens, as it happens',
    load: async () => (await import('./commands/events.ts')).events,
  },
  {
    names: ['exec', 'container exec'],
    summary: 'Run a command in a running container',
    load: async () => (await import('./commands/exec.ts')).exec,
  },
  {
    names: ['explain exec'],
    summary: 'Show how a command would come to run in a container',
    load: async () => (await import('./commands/explain.ts')).explainExec,
  },
  {
    names: ['explain rm'],
    summary: 'Show how a container would be removed',
    load: async () => (await import('./commands/explain.ts')).explainRm,
  },
  {
    names: ['explain run'],
    summary: 'Show how a container would be made and started',
    load: async () => (await import('./commands/explain.ts')).explainRun,
  },
  {
    names: ['explain stop'],
    summary: 'Show how a container would be stopped',
    load: async () => (await import('./commands/explain.ts')).explainStop,
  },
  {
    names: ['export', 'container export'],
    summary: "Export a container's filesystem as a tar archive",
    load: async () => (await import('./commands/export.ts')).exportContainer,
  },
  {
    names: ['history', 'image history'],
    summary: 'Show the history of an image',
    load: async () => (await import('./commands/history.ts')).history,
  },
  {
    names: ['image inspect'],
    summary: 'Show everything about images',
    load: async () => (await import('./commands/inspect.ts')).imageInspect,
  },
  {
    names: ['image prune'],
    summary: 'Remove unused images',
    load: async () => (await import('./commands/prune.ts')).imagePrune,
  },
  {
    names: ['images', 'image ls', 'image list'],
    summary: 'List images',
    load: async () => (await import('./commands/images.ts')).images,
  },
  {
    names: ['import', 'image import'],
    summary: 'Import the contents of a tar archive as the filesystem of a new image',
    load: async () => (await import('./commands/import.ts')).importImage,
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
    names: ['kill', 'container kill'],
    summary: 'Kill running containers, or send them a signal',
    load: async () => (await import('./commands/kill.ts')).kill,
  },
  {
    names: ['learn'],
    summary: 'Learn how containers work, in ten lessons',
    load: async () => (await import('./commands/learn.ts')).learn,
  },
  {
    names: ['learn breakout'],
    summary: 'Try to break out of the container of a lesson',
    load: async () => (await import('./commands/learn.ts')).learnBreakout,
  },
  {
    names: ['learn check'],
    summary: 'Say whether the task of a lesson is solved',
    load: async () => (await import('./commands/learn.ts')).learnCheck,
  },
  {
    names: ['learn run'],
    summary: 'Run the program of a lesson',
    load: async () => (await import('./commands/learn.ts')).learnRun,
  },
  {
    names: ['load', 'image load'],
    summary: 'Load images from a tar archive or stdin',
    load: async () => (await import('./commands/load.ts')).load,
  },
  {
    names: ['logs', 'container logs'],
    summary: 'Show what a container has printed',
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    names: ['oci'],
    summary: 'Be an OCI runtime: the command line of tsrun-oci',
    load: async () => (await import('./commands/oci.ts')).oci,
  },
  {
    names: ['pause', 'container pause'],
    summary: 'Pause all processes of containers',
    load: async () => (await import('./commands/pause.ts')).pause,
  },
  {
    names: ['port', 'container port'],
    summary: 'List port mappings or a specific mapping for the container',
    load: async () => (await import('./commands/port.ts')).port,
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
    names: ['reap-exec'],
    summary: 'Note how a command in a container has ended (called by its monitor)',
    hidden: true,
    load: async () => (await import('./commands/reap-exec.ts')).reapExec,
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
    names: ['save', 'image save'],
    summary: 'Save images to a tar archive (by default to stdout)',
    load: async () => (await import('./commands/save.ts')).save,
  },
  {
    names: ['search'],
    summary: 'Search an image on Docker Hub (not supported)',
    load: async () => (await import('./commands/search.ts')).search,
  },
  {
    names: ['start', 'container start'],
    summary: 'Start stopped containers',
    load: async () => (await import('./commands/start.ts')).start,
  },
  {
    names: ['stats', 'container stats'],
    summary: 'Show what containers use, as it changes',
    load: async () => (await import('./commands/stats.ts')).stats,
  },
  {
    names: ['stop', 'container stop'],
    summary: 'Stop running containers',
    load: async () => (await import('./commands/stop.ts')).stop,
  },
  {
    names: ['system df'],
    summary: 'Show what images, containers, volumes and the build cache take on disk',
    load: async () => (await import('./commands/system-df.ts')).systemDf,
  },
  {
    names: ['system prune'],
    summary: 'Remove unused data',
    load: async () => (await import('./commands/system-prune.ts')).systemPrune,
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
    names: ['tag', 'image tag'],
    summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    load: async () => (await import('./commands/tag.ts')).tag,
  },
  {
    names: ['top', 'container top'],
    summary: 'Show the processes of a container',
    load: async () => (await import('./commands/top.ts')).top,
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
  {
    names: ['why exit'],
    summary: 'Say what the exit code of a container means',
    load: async () => (await import('./commands/why.ts')).whyExitCommand,
  },
  {
    names: ['why limit'],
    summary: 'Say which limits a container has met',
    load: async () => (await import('./commands/why.ts')).whyLimitCommand,
  },
  {
    names: ['why path'],
    summary: 'Say where a file of a container comes from',
    load: async () => (await import('./commands/why.ts')).whyPathCommand,
  },
  {
    names: ['why port'],
    summary: 'Show the way to a published port',
    load: async () => (await import('./commands/why.ts')).whyPortCommand,
  },
  {
    names: ['xray'],
    summary: 'Show a container beside the host: what it sees, what it may do, what leads to it',
    load: async () => (await import('./commands/xray.ts')).xrayCommand,
  },
];

/** All commands by their first names; only who lists them has to sort them. */
export function sortedCommands(): CommandEntry[] {
  return [...commands].sort((a, b) => ((a.names[0] ?? '') < (b.names[0] ?? '') ? -1 : 1));
}

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
