/** RUN: the command with its here-documents and mounts, and the layer of what it has changed. */

import { TsrunError } from '../error.ts';
import { cacheKey, type Made } from '../image/build-cache.ts';
import { parseArray, splitOnce } from '../image/instructions.ts';
import { expandWord } from '../image/shell-word.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import { heredocText, parseHeredocWord } from './dockerfile/heredoc.ts';
import type { Instruction } from './dockerfile/parser.ts';
import { parseRunMount, type RunMount } from './dockerfile/run-mount.ts';
import { limitsKey } from './limits.ts';
import { type MountRequest, mountKey } from './mount-key.ts';
import type { StepProgress } from './progress.ts';
import { type StageState, topOf, variablesOf } from './stage-state.ts';
import type { Stage } from './stages.ts';
import { shellCommand } from './words.ts';
import { type BuildWorld, openSource, readySource } from './world.ts';

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
  state: Pick<StageState, 'args' | 'execution'>,
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

  async ready(): Promise<void> {
    for (const mount of this.request.mounts) {
      if ('from' in mount && mount.from !== undefined) await readySource(this.world, this.stage, mount.from);
    }
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
      ...limitsKey(this.world.limits),
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
    // What starts containers takes longer to load than a build that finds all in its cache.
    const { makeRun } = await import('./run-make.ts');
    const { world, state, request, requests, env, time, network } = this;
    return makeRun({ world, state, request, requests, env, time, network }, step);
  }
}
