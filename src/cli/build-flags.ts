/** The flags of `build`: those of docker's classic builder and of buildx. What they mean together is options/build-options.ts. */
import type { Flag } from './flag.ts';
import { parseAnnotation, parseBuildArgument, parseBuildContext, parseBuildLabel } from './options/build-options.ts';
import { parseOutput } from './options/build-output.ts';
import { parseMemorySwap, parseUlimit } from './options/limits.ts';
import { parseExtraHost } from './options/network.ts';
import { parseBytes } from './units.ts';

const progressModes = ['auto', 'plain', 'tty', 'quiet'];

const shownFlags: readonly Flag[] = [
  { name: 'add-host', type: 'list', description: 'Add a line to /etc/hosts of RUN (host:ip)', check: parseExtraHost },
  {
    name: 'allow',
    type: 'list',
    description: 'Let the Dockerfile ask for it: network.host, for RUN --network=host',
    check: (text) => {
      if (text !== 'network.host') throw new Error(`invalid entitlement ${text}: there is network.host`);
    },
  },
  {
    name: 'annotation',
    type: 'list',
    description: "Set an annotation of the image's manifest, NAME=VALUE",
    check: parseAnnotation,
  },
  {
    name: 'build-arg',
    type: 'list',
    description: 'Set an ARG of the Dockerfile, NAME=VALUE or NAME',
    check: parseBuildArgument,
  },
  {
    name: 'build-context',
    type: 'list',
    description: 'A name for --from: NAME=DIRECTORY, or NAME=docker-image://IMAGE, also for FROM',
    check: (text) => void parseBuildContext(text),
  },
  { name: 'cpu-period', type: 'int', description: 'Period of the CPU quota of RUN, in microseconds' },
  { name: 'cpu-quota', type: 'int', description: 'CPU time of RUN in each period, in microseconds' },
  {
    name: 'cpu-shares',
    short: 'c',
    type: 'int',
    description: 'Share of the CPUs when they are busy (relative weight)',
  },
  { name: 'cpuset-cpus', type: 'string', description: 'CPUs that RUN may use (0-3, 0,1)' },
  { name: 'cpuset-mems', type: 'string', description: 'Memory nodes that RUN may use (0-3, 0,1)' },
  {
    name: 'file',
    short: 'f',
    type: 'string',
    description: 'Name of the Dockerfile',
    shownDefault: '"PATH/Dockerfile"',
  },
  { name: 'iidfile', type: 'string', description: 'Write the image ID to a file' },
  { name: 'label', type: 'list', description: 'Set a label of the image, NAME=VALUE', check: parseBuildLabel },
  { name: 'memory', short: 'm', type: 'bytes', description: 'Memory limit of RUN', check: parseBytes },
  {
    name: 'memory-swap',
    type: 'bytes',
    description: "Limit of memory and swap together; '-1' for as much swap as there is",
    check: parseMemorySwap,
  },
  { name: 'metadata-file', type: 'string', description: 'Write what was built to a file, as JSON' },
  { name: 'network', type: 'string', description: 'Network of the RUN instructions', shownDefault: '"default"' },
  { name: 'no-cache', type: 'bool', description: 'Use nothing that was built before' },
  { name: 'no-cache-filter', type: 'list', description: 'Use nothing that was built before in these stages' },
  {
    name: 'output',
    short: 'o',
    type: 'list',
    description: 'What to make: DIRECTORY, or type=local|tar|oci|docker|image|registry,dest=PATH',
    check: (text) => void parseOutput(text),
  },
  { name: 'platform', type: 'string', description: 'Platform of the image, such as linux/arm64' },
  {
    name: 'progress',
    type: 'string',
    description: 'How the build is shown: auto, plain, tty, quiet',
    shownDefault: '"auto"',
    check: checkProgress,
  },
  { name: 'pull', type: 'bool', description: 'Pull the base images although they are there' },
  { name: 'push', type: 'bool', description: 'Push the image under its names' },
  { name: 'quiet', short: 'q', type: 'bool', description: 'Print nothing but the image ID' },
  { name: 'secret', type: 'list', description: 'A secret for RUN --mount=type=secret: id=ID[,src=FILE|env=NAME]' },
  { name: 'shm-size', type: 'bytes', description: 'Size of /dev/shm of RUN', check: parseBytes },
  { name: 'tag', short: 't', type: 'list', description: 'Name of the image, NAME[:TAG]' },
  { name: 'target', type: 'string', description: 'Build this stage and what it needs' },
  { name: 'ulimit', type: 'ulimit', description: 'Limits of RUN as ulimit has them (nofile=1024)', check: parseUlimit },
];

/** Throws an `Error` for what is none. */
export function checkProgress(text: string): void {
  if (!progressModes.includes(text))
    throw new Error(`invalid progress mode ${text}: there are ${progressModes.join(', ')}`);
}

/** What docker's scripts say and what is so in any case. */
const idle: readonly (readonly [name: string, type: Flag['type']])[] = [
  ['builder', 'string'],
  ['compress', 'bool'],
  ['disable-content-trust', 'bool'],
  ['force-rm', 'bool'],
  ['isolation', 'string'],
  ['load', 'bool'],
  ['rm', 'bool'],
  ['cache-from', 'list'],
  ['cache-to', 'list'],
];

/** A value that asks for nothing is taken of each; of the others `reason` is told. */
interface Refusal {
  type: Flag['type'];
  reason: string;
  takes?: (value: string) => boolean;
}

const isNo = (value: string): boolean => /^(0|f|false)$/i.test(value);

/** Docker's flags that tsrun knows and refuses: a reason is more useful than "unknown flag". */
const refused: Readonly<Record<string, Refusal>> = {
  attest: {
    type: 'list',
    reason: 'attestations are not made',
    takes: (value) => value.split(',').includes('disabled=true'),
  },
  call: { type: 'string', reason: 'a build can only build', takes: (value) => value === 'build' },
  'cgroup-parent': { type: 'string', reason: 'containers have their cgroups below tsrun' },
  check: {
    type: 'bool',
    reason: 'Dockerfiles are not judged; what is wrong in one is shown when it is built',
    takes: isNo,
  },
  provenance: { type: 'string', reason: 'attestations are not made', takes: isNo },
  sbom: { type: 'string', reason: 'attestations are not made', takes: isNo },
  'security-opt': {
    type: 'list',
    reason: 'commands of a build have the isolation of tsrun run; docker has it on Windows only',
  },
  squash: {
    type: 'bool',
    reason: 'write a last stage of one layer: FROM scratch, COPY --from=STAGE / /',
    takes: isNo,
  },
  ssh: {
    type: 'list',
    reason: 'hand a key over as a secret: --secret id=key,src=FILE and RUN --mount=type=secret,id=key',
  },
};

/** Why the value of a flag is refused; undefined where it is not. */
export function buildRefusal(name: string, value: string): string | undefined {
  const refusal = refused[name];
  return refusal === undefined || refusal.takes?.(value) === true ? undefined : refusal.reason;
}

export const refusedBuildFlags: readonly string[] = Object.keys(refused);

const hidden = (name: string, type: Flag['type']): Flag => ({ name, type, description: '', hidden: true });

export const buildFlags: readonly Flag[] = [
  ...shownFlags,
  ...idle.map(([name, type]) => hidden(name, type)),
  ...Object.entries(refused).map(([name, { type }]) => hidden(name, type)),
];
