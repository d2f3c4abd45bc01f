/** Builds one stage: its instructions one after the other, each a step with a layer or a change of the config. */

import { cacheKey, type Made } from '../image/build-cache.ts';
import type { HistoryEntry } from '../image/config.ts';
import { emptyExecution } from '../image/config-json.ts';
import { parsePlatform } from '../image/platform.ts';
import { expandWord } from '../image/shell-word.ts';
import { formatClock } from './clock.ts';
import { applyToConfig, textOf } from './config-instruction.ts';
import { parseCopy, sourceText } from './copy.ts';
import { CopyStep } from './copy-step.ts';
import { argumentsOf } from './dockerfile/arg.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import { type Instruction, parseTrigger } from './dockerfile/parser.ts';
import type { DockerfileSource } from './dockerfile/source.ts';
import { prefetchSources } from './prefetch.ts';
import type { StepProgress } from './progress.ts';
import { parseRun, RunStep } from './run-step.ts';
import { continueState, type StageState, topOf, variablesOf } from './stage-state.ts';
import type { Stage } from './stages.ts';
import { makeWorkingDirectory } from './working-directory.ts';
import type { BuildWorld } from './world.ts';

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Instructions that are shown as steps; the others take no time. */
const shown = new Set(['RUN', 'COPY', 'ADD', 'WORKDIR']);

/** Something that is opened for its key, and made where the cache does not have it. */
export interface LayerStep {
  /** Waits for the stages that it reads from: until then it has not begun. */
  ready?(): Promise<void>;
  open(step: StepProgress): Promise<string>;
  make(step: StepProgress): Promise<Made>;
  close(): void;
}

export class StageBuilder {
  private state!: StageState;
  private steps = 0;
  private readonly total: number;

  constructor(
    private readonly world: BuildWorld,
    private readonly stage: Stage,
  ) {
    this.total = 1 + stage.instructions.filter(({ name }) => shown.has(name)).length;
  }

  async run(): Promise<StageState> {
    prefetchSources(this.world, this.stage);
    try {
      this.state = await this.begin();
    } catch (error) {
      throw this.world.file.source.located(this.stage.at, error);
    }
    const { onBuild } = this.state.execution;
    this.state.execution.onBuild = [];
    for (const trigger of onBuild) {
      const { source, instruction } = parseTrigger(trigger, this.state.base?.name ?? 'the image');
      await this.instruction(instruction, source, true);
    }
    for (const instruction of this.stage.instructions)
      await this.instruction(instruction, this.world.file.source, false);
    return this.state;
  }

  private async begin(): Promise<StageState> {
    const { world, stage } = this;
    const { base } = stage;
    this.steps = 1;
    if (base.kind === 'stage') return continueState(await world.stage(base.stage));
    const platform = stage.platform === undefined ? world.platform : parsePlatform(stage.platform);
    const state =
      base.kind === 'scratch'
        ? scratchState(platform, world.epoch)
        : continueState(await world.image(base.image, platform));
    const { env } = state.execution;
    if (!env.some((entry) => entry.startsWith('PATH='))) env.push(defaultPath);
    return state;
  }

  private async instruction(instruction: Instruction, source: DockerfileSource, isTrigger: boolean): Promise<void> {
    try {
      if (!isTrigger && shown.has(instruction.name)) this.steps++;
      await this.dispatch(instruction, isTrigger);
    } catch (error) {
      throw source.located(instruction.at, error);
    }
  }

  private async dispatch(instruction: Instruction, isTrigger: boolean): Promise<void> {
    const { name } = instruction;
    const title = this.titleOf(instruction, isTrigger);
    if (name === 'RUN') await this.runCommand(instruction, title);
    else if (name === 'COPY' || name === 'ADD') await this.copy(instruction, title);
    else if (name === 'WORKDIR') await this.workDir(instruction, title);
    else this.configure(instruction);
  }

  /** `[builder 2/5] RUN make`. */
  private titleOf({ name, flags, rest, heredocs }: Instruction, isTrigger: boolean): string {
    const { world, stage } = this;
    const where = stage.name ?? (world.stages.length > 1 ? `stage-${stage.index}` : '');
    const count = isTrigger ? 'ONBUILD' : `${this.steps}/${this.total}`;
    const more = heredocs.length === 0 ? '' : ' …';
    return `[${where === '' ? '' : `${where} `}${count}] ${[name, ...flags, rest].join(' ')}${more}`;
  }

  private get escapeToken(): string {
    return this.world.file.escapeToken;
  }

  private expand(word: string): string {
    return expandWord(word, variablesOf(this.state), { escapeToken: this.escapeToken });
  }

  private async runCommand(instruction: Instruction, title: string): Promise<void> {
    const request = parseRun(instruction, this.escapeToken, this.state, this.world);
    const made = await this.layer(title, new RunStep(this.world, this.stage, this.state, request));
    const { args } = this.state;
    const declared = [...args].map(([key, value]) => `${key}=${value}`);
    const prefix = declared.length === 0 ? '' : `|${declared.length} ${declared.join(' ')} `;
    this.note(`RUN ${prefix}${request.args.join(' ')}`, made);
  }

  private async copy(instruction: Instruction, title: string): Promise<void> {
    const request = parseCopy(instruction, this.escapeToken, variablesOf(this.state));
    const made = await this.layer(title, new CopyStep(this.world, this.stage, this.state, request));
    this.note(
      `${instruction.name} ${[...instruction.flags, ...request.sources.map(sourceText), ...request.texts.map(({ name }) => name), request.destination].join(' ')}`,
      made,
    );
  }

  private async workDir(instruction: Instruction, title: string): Promise<void> {
    this.configure(instruction, false);
    const { workingDir, user } = this.state.execution;
    const made = await this.layer(title, {
      open: async () => cacheKey(['workdir', topOf(this.state), this.state.clock, workingDir, user]),
      make: () => makeWorkingDirectory(this.world, this.state, workingDir),
      close: () => {},
    });
    this.note(`WORKDIR ${workingDir}`, made);
  }

  /** Takes a layer from the cache or makes it, and puts it on the stage. */
  private async layer(title: string, work: LayerStep): Promise<Made> {
    const { world } = this;
    await work.ready?.();
    const step = world.progress.begin(title);
    try {
      const key = await work.open(step);
      const known = world.noCache(this.stage) ? undefined : world.cache.find(key);
      const made = known ?? (await world.once(key, title, () => work.make(step)));
      step.done(known === undefined ? 'done' : 'cached');
      if (made.layer !== undefined) this.state.layers.push(made.layer);
      this.state.clock = world.epoch ?? made.clock;
      return made;
    } catch (error) {
      step.failed(error);
      throw error;
    } finally {
      work.close();
    }
  }

  private note(createdBy: string, made: Made | undefined): void {
    const entry: HistoryEntry = {
      created: formatClock(this.state.clock),
      createdBy,
      author: '',
      comment: '',
      emptyLayer: made?.layer === undefined,
    };
    this.state.history.push(entry);
  }

  /** What changes the config alone. */
  private configure(instruction: Instruction, note = true): void {
    const { name, rest } = instruction;
    const { state } = this;
    const { execution } = state;
    const text = textOf(instruction);
    if (name === 'ARG') this.declare(instruction);
    else if (name === 'MAINTAINER') state.author = rest;
    else {
      applyToConfig(instruction, execution, (word) => this.expand(word));
      if (name === 'CMD') state.ownCommand = true;
      if (name === 'ENTRYPOINT' && !state.ownCommand) execution.cmd = [];
    }
    if (note) this.note(`${name} ${text}`, undefined);
  }

  private declare(instruction: Instruction): void {
    new InstructionFlags(instruction, {});
    for (const { name, value } of argumentsOf(instruction.rest, this.escapeToken)) {
      const given = this.world.args.declare(name, value === undefined ? undefined : this.expand(value));
      if (given !== undefined) this.state.args.set(name, given);
    }
  }
}

function scratchState(platform: StageState['platform'], epoch: number | undefined): StageState {
  return {
    layers: [],
    execution: emptyExecution(),
    history: [],
    author: '',
    platform,
    clock: epoch ?? 0,
    args: new Map(),
    base: undefined,
    ownCommand: false,
  };
}
