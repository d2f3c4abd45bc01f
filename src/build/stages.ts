/** The stages of a Dockerfile: what stands between two FROMs, and which of them another one means. */
import { TsrunError } from '../error.ts';
import { expandWord } from '../image/shell-word.ts';
import type { BuildArguments } from './arguments.ts';
import { argumentsOf } from './dockerfile/arg.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import type { Dockerfile, Instruction } from './dockerfile/parser.ts';
import type { Location } from './dockerfile/source.ts';
import { type NamedContexts, namedContext } from './named-contexts.ts';

export interface Stage {
  index: number;
  /** Behind AS, in small letters. */
  name: string | undefined;
  /** An image, `scratch`, or a stage before this one. */
  base: { kind: 'scratch' } | { kind: 'stage'; stage: Stage } | { kind: 'image'; image: string };
  platform: string | undefined;
  instructions: readonly Instruction[];
  at: Location;
  /** FROM as it stands, for progress. */
  title: string;
}

/** Splits a Dockerfile into its stages, and declares the arguments before them. Throws `USAGE` with the place. */
export function stagesOf(file: Dockerfile, args: BuildArguments, contexts: NamedContexts = new Map()): Stage[] {
  const { source, escapeToken } = file;
  const stages: Stage[] = [];
  let own: Instruction[] = [];
  for (const instruction of file.instructions) {
    if (instruction.name === 'FROM') {
      own = [];
      stages.push(
        source.locate(instruction.at, () => beginStage(instruction, own, stages, { args, escapeToken, contexts })),
      );
    } else if (stages.length > 0) own.push(instruction);
    else if (instruction.name !== 'ARG') {
      throw source.error(instruction.at, `no build stage in current context: ${instruction.name} stands before FROM`);
    } else {
      source.locate(instruction.at, () => {
        for (const { name, value } of argumentsOf(instruction.rest, escapeToken)) {
          const fallback = value === undefined ? undefined : expandWord(value, args.globals(), { escapeToken });
          args.declareGlobal(name, fallback);
        }
      });
    }
  }
  if (stages.length === 0)
    throw new TsrunError('USAGE', `${source.name} has no build stage`, { hint: 'FROM begins one' });
  return stages;
}

function beginStage(
  instruction: Instruction,
  instructions: Instruction[],
  before: readonly Stage[],
  { args, escapeToken, contexts }: { args: BuildArguments; escapeToken: string; contexts: NamedContexts },
): Stage {
  const words = instruction.rest.split(/\s+/);
  const [written = '', as, named] = words;
  if (words.length !== 1 && !(words.length === 3 && as?.toUpperCase() === 'AS')) {
    throw new TsrunError('USAGE', 'FROM requires either one or three arguments', { hint: 'FROM image [AS name]' });
  }
  const name = named?.toLowerCase();
  if (name !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(name)) {
    throw new TsrunError(
      'USAGE',
      `invalid name for build stage: "${named}", name can't start with a number or contain symbols`,
    );
  }
  const expand = (word: string): string => expandWord(word, args.globals(), { escapeToken });
  const base = expand(written);
  if (base === '') {
    throw new TsrunError('USAGE', `base name (${written}) should not be blank`, {
      hint: 'a variable of FROM is declared by an ARG before the first FROM, or given by --build-arg',
    });
  }
  const platform = new InstructionFlags(instruction, { platform: 'string' }).string('platform');
  return {
    index: before.length,
    name,
    base: baseOf(base, before, contexts),
    platform: platform === undefined ? undefined : expand(platform) || undefined,
    instructions,
    at: instruction.at,
    title: `FROM ${instruction.rest.replace(written, base)}`,
  };
}

function baseOf(base: string, before: readonly Stage[], contexts: NamedContexts): Stage['base'] {
  const named = namedContext(contexts, base);
  if (named?.kind === 'image') return named;
  if (named !== undefined) {
    throw new TsrunError('USAGE', `the build context "${base}" is a directory, which no stage can begin with`, {
      hint: `FROM scratch, and COPY --from=${base} . /`,
    });
  }
  if (base === 'scratch') return { kind: 'scratch' };
  const stage = before.findLast((other) => other.name === base.toLowerCase());
  return stage === undefined ? { kind: 'image', image: base } : { kind: 'stage', stage };
}

/** The stage of --target: by name or number; the last one where nothing is asked for. Throws `USAGE`. */
export function targetStage(stages: readonly Stage[], target: string): Stage {
  const stage = target === '' ? stages.at(-1) : findStage(stages, target);
  if (stage !== undefined) return stage;
  const names = stages.flatMap(({ name }) => name ?? []);
  throw new TsrunError('USAGE', `target stage "${target}" could not be found`, {
    hint: names.length === 0 ? 'no stage has a name: FROM image AS name' : `there are ${names.join(', ')}`,
  });
}

/** A stage by its name or its number. */
export function findStage(stages: readonly Stage[], text: string): Stage | undefined {
  if (/^\d+$/.test(text)) return stages[Number(text)];
  return stages.findLast(({ name }) => name === text.toLowerCase());
}

/** What --from means in a stage: a stage before it, or an image. Throws `USAGE` for a number that no stage before it has. */
export function sourceOf(stages: readonly Stage[], current: Stage, from: string): Stage | string {
  const before = stages.slice(0, current.index);
  const stage = findStage(before, from);
  if (stage !== undefined) return stage;
  if (/^\d+$/.test(from)) {
    throw new TsrunError(
      'USAGE',
      `invalid from flag value ${from}: ${Number(from) === current.index ? 'refers to current build stage' : 'index out of bounds'}`,
    );
  }
  if (current.name === from.toLowerCase()) {
    throw new TsrunError('USAGE', `invalid from flag value ${from}: refers to current build stage`);
  }
  if (from === '' || from.includes('$')) {
    throw new TsrunError('USAGE', `invalid from flag value "${from}"`, {
      hint: 'variables are not put in here: FROM $image AS name, and then --from=name',
    });
  }
  return from;
}
