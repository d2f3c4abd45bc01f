/** RUN: the command with its here-documents and mounts, and the layer of what it has changed. */

import { containerChanges } from '../container/changes.ts';
import { writeLayerOfChanges } from '../container/layer-of-changes.ts';
import { TsrunError } from '../error.ts';
import { parseArray, splitOnce } from '../image/instructions.ts';
import type { ReadableLayers } from '../image/readable-layers.ts';
import { expandWord } from '../image/shell-word.ts';
import { cacheKey, type Made } from './cache.ts';
import { makeClockedLayer } from './copy-step.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import { heredocText, parseHeredocWord } from './dockerfile/heredoc.ts';
import type { Instruction } from './dockerfile/parser.ts';
import { parseRunMount, type RunMount } from './dockerfile/run-mount.ts';
import { MountPoints } from './mount-points.ts';
import type { StepProgress } from './progress.ts';
import { type CommandRequest, type EndedCommand, runCommand } from './run-container.ts';
import { type MountRequest, mountKey, type PreparedMounts, prepareMounts } from './run-mounts.ts';
import { type StageState, topOf, variablesOf } from './stage-state.ts';
import type { Stage } from './stages.ts';
import { shellCommand } from './words.ts';
import { type BuildWorld, openLayers, openSource } from './world.ts';

/** What a RUN asks for. */
export interface RunRequest {
  args: string[];
  mounts: RunMount[];
  network: string | undefined;
  /** A here-document that names its interpreter: a file that the command finds at its first argument. */
  script: string | undefined;
}

/** Reads a RUN. Throws `USAGE`, `UNSUPPORTED`. */
export function parseRun(
  instruction: Instruction,
  escapeToken: string,
  state: StageState,
  { allowsHostNetwork }: Pick<BuildWorld, 'allowsHostNetwork'>,
): RunRequest {
  const flags = new InstructionFlags(instruction, { mount: 'list', network: 'string', security: 'string' });
  const variables = variablesOf(state);
  const expand = (word: string): string => expandWord(word, variables, { escapeToken });
  const mounts = flags.strings('mount').map((text) => parseRunMount(text, expand));
  const network = flags.string('network');
  if (network !== undefined && !['default', 'none', 'host'].includes(network)) {
    throw new TsrunError('USAGE', `unsupported network mode: "${network}"`, { hint: 'there are default, none, host' });
  }
  if (network === 'host' && !allowsHostNetwork) {
    throw new TsrunError('USAGE', 'granting entitlement network.host is not allowed by build configuration', {
      hint: 'services of 127.0.0.1 can be reached from there: if you trust the Dockerfile, build with --allow network.host',
    });
  }
  const security = flags.string('security');
  if (security !== undefined && security !== 'sandbox') {
    throw new TsrunError('UNSUPPORTED', `tsrun build has no --security=${security}`, {
      hint: 'commands of a build run with the isolation of tsrun run',
    });
  }
  const { rest, heredocs } = instruction;
  const exec = parseArray(rest);
  if (exec !== undefined) return { args: exec, mounts, network, script: undefined };
  const text = scriptOf(rest, heredocs);
  const [first] = heredocs;
  if (text.startsWith('#!') && first !== undefined && text === heredocText(first)) {
    return { args: [`/dev/pipes/${first.name.replaceAll('/', '_')}`], mounts, network, script: text };
  }
  return { args: shellCommand(text, state.execution.shell), mounts, network, script: undefined };
}

/** A here-document alone is the script; otherwise the shell gets what stands there and reads it itself. */
function scriptOf(rest: string, heredocs: Instruction['heredocs']): string {
  const [first] = heredocs;
  if (first === undefined) return rest;
  if (heredocs.length === 1 && parseHeredocWord(rest) !== undefined) return heredocText(first);
  return `${rest}\n${heredocs.map(({ content, name }) => `${content}${name}`).join('\n')}`;
}

/** The environment of commands: ARGs, and over them what the image has. */
function environmentOf({ args, execution }: StageState): string[] {
  const own = new Set(execution.env.map((entry) => splitOnce(entry)[0]));
  const declared = [...args].filter(([name]) => !own.has(name)).map(([name, value]) => `${name}=${value}`);
  return [...declared, ...execution.env];
}

export class RunStep {
  private readonly env: string[];
  private readonly sources: { files: MountRequest['files']; close(): void }[] = [];
  private requests: MountRequest[] = [];
  private clock: number;

  constructor(
    private readonly world: BuildWorld,
    private readonly stage: Stage,
    private readonly state: StageState,
    private readonly request: RunRequest,
  ) {
    this.env = environmentOf(state);
    this.clock = state.clock;
  }

  /** Opens what the mounts read; answers the key of the cache. */
  async open(): Promise<string> {
    for (const mount of this.request.mounts) {
      const reads = mount.type === 'bind' || (mount.type === 'cache' && mount.from !== undefined);
      if (!reads) {
        this.requests.push({ mount, files: undefined });
        continue;
      }
      const source = await openSource(this.world, this.stage, mount.from);
      this.sources.push(source);
      this.requests.push({ mount, files: source.files });
      this.clock = Math.max(this.clock, source.clock);
    }
    const { user, workingDir } = this.state.execution;
    const { args, script } = this.request;
    const mounts = this.requests.map(mountKey);
    return cacheKey([
      'run',
      topOf(this.state),
      this.time,
      args,
      script,
      this.env,
      user,
      workingDir,
      mounts,
      this.network,
    ]);
  }

  /** Seconds since 1970: nothing in the layer is newer. */
  private get time(): number {
    return this.world.epoch ?? this.clock;
  }

  close(): void {
    for (const source of this.sources.splice(0)) source.close();
  }

  private get network(): string {
    const { network } = this.request;
    return network === undefined || network === 'default' ? this.world.network : network;
  }

  /** Runs it. Throws `PROGRAM` where the command fails. */
  async make(step: StepProgress): Promise<Made> {
    const { world, state } = this;
    if (state.layers.length === 0) {
      throw new TsrunError('USAGE', 'RUN needs a command, and nothing has been put into scratch yet', {
        hint: 'COPY something into it before, or begin with another image',
      });
    }
    const layers = openLayers(world, state);
    try {
      const prepared = await prepareMounts(this.requests, {
        cache: world.cache.directory,
        scratch: world.scratch('disk'),
        secretScratch: world.scratch('secret'),
        secrets: world.secrets,
        script:
          this.request.script === undefined
            ? undefined
            : { path: this.request.args[0] ?? '', text: this.request.script },
        workingDir: state.execution.workingDir,
        signal: world.signal,
      });
      try {
        return await this.runOver(layers, prepared, step);
      } finally {
        prepared.close();
      }
    } finally {
      layers.close();
    }
  }

  private async runOver(layers: ReadableLayers, prepared: PreparedMounts, step: StepProgress): Promise<Made> {
    const { request } = this;
    const points = new MountPoints(
      layers.paths,
      prepared.mounts.map(({ target }) => target),
    );
    const ended = await runCommand(this.world.containers, layers, this.command(prepared, step));
    try {
      if (ended.status !== 0) {
        const shown = JSON.stringify(request.args.join(' '));
        throw new TsrunError('PROGRAM', `process ${shown} did not complete successfully: exit code: ${ended.status}`, {
          hint: 'what it has printed stands above; what the steps before it made is kept, and not made again',
        });
      }
      points.removeFrom(ended.container.directory);
      return { layer: await this.layerOf(ended, layers, step), clock: this.time };
    } finally {
      ended.discard();
    }
  }

  private command({ mounts, env }: PreparedMounts, step: StepProgress): CommandRequest {
    const { world, state, request } = this;
    const { workingDir, user } = state.execution;
    const proxies = [...world.args.proxies()].map(([name, value]) => `${name}=${value}`);
    return {
      args: request.args,
      env: [...proxies, ...this.env, ...env],
      workingDir: workingDir || '/',
      user,
      mounts,
      network: this.network,
      image: { id: state.base?.id ?? `sha256:${'0'.repeat(64)}`, name: state.base?.name ?? 'scratch' },
      chainIds: state.layers.map(({ chainId }) => chainId),
      owner: world.owner,
      signal: world.signal,
      onOutput: (bytes) => step.output(bytes),
      onNotice: (line) => world.progress.warn(line),
    };
  }

  private async layerOf(ended: EndedCommand, layers: ReadableLayers, step: StepProgress): Promise<Made['layer']> {
    const { directory } = ended.container;
    const changes = containerChanges(directory, layers.paths, { everyFile: true });
    if (changes.length === 0) return undefined;
    return makeClockedLayer(
      this.world,
      this.state,
      this.time,
      (writer) => writeLayerOfChanges(writer, directory, changes),
      step,
    );
  }
}
