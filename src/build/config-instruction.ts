/** Instructions that change nothing but the config of the image. */
import { TsrunError } from '../error.ts';
import type { ImageExecution } from '../image/config.ts';
import { applyInstruction, isConfigInstruction } from '../image/instructions.ts';
import { signalNumber } from '../linux/signals.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import type { Instruction } from './dockerfile/parser.ts';
import { shellOf } from './words.ts';

/** What stands behind its name. */
export function textOf({ flags, rest }: Pick<Instruction, 'flags' | 'rest'>): string {
  return [...flags, rest].join(' ').trim();
}

/** Applies one, which is neither ARG nor MAINTAINER. `expand` puts values in. Throws `USAGE`. */
export function applyToConfig(
  instruction: Instruction,
  execution: ImageExecution,
  expand: (word: string) => string,
): void {
  const { name, rest } = instruction;
  if (name !== 'HEALTHCHECK') new InstructionFlags(instruction, {});
  if (name === 'SHELL') execution.shell = shellOf(rest);
  else if (name === 'STOPSIGNAL') execution.stopSignal = signalOf(expand(rest));
  else if (name === 'ONBUILD') execution.onBuild.push(triggerOf(instruction));
  else {
    const lower = name.toLowerCase();
    if (!isConfigInstruction(lower)) throw new TsrunError('USAGE', `unknown instruction: ${name}`);
    applyInstruction(lower, textOf(instruction), execution, expand);
  }
}

function signalOf(text: string): string {
  if (signalNumber(text) === undefined) throw new TsrunError('USAGE', `Invalid signal: ${text}`);
  return text;
}

/** As it is kept in the image: its here-documents too. */
function triggerOf({ rest, heredocs }: Instruction): string {
  const trigger = /^\S+/.exec(rest)?.[0].toUpperCase() ?? '';
  if (trigger === 'ONBUILD') throw new TsrunError('USAGE', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'MAINTAINER' || trigger === 'FROM') {
    throw new TsrunError('USAGE', `${trigger} isn't allowed as an ONBUILD trigger`);
  }
  return [rest, ...heredocs.map(({ content, name }) => `${content}${name}`)].join('\n');
}
