/**
 * Mistakes in instructions that can be seen without building anything, in all stages: nobody should wait for commands to
 * hear of them. What has variables in it is known only where it is reached, and so is what tsrun does not support.
 */
import { TsrunError } from '../error.ts';
import { emptyExecution } from '../image/config-json.ts';
import { applyToConfig, textOf } from './config-instruction.ts';
import { parseCopy } from './copy.ts';
import { argumentsOf } from './dockerfile/arg.ts';
import { InstructionFlags } from './dockerfile/flags.ts';
import type { Dockerfile, Instruction } from './dockerfile/parser.ts';
import { parseRun } from './run-step.ts';

/** Throws `USAGE` with the place of the first. */
export function checkInstructions({ instructions, source, escapeToken }: Dockerfile): void {
  for (const instruction of instructions) {
    try {
      if (!hasVariables(instruction)) check(instruction, escapeToken);
    } catch (error) {
      if (error instanceof TsrunError && error.code === 'USAGE') throw source.located(instruction.at, error);
    }
  }
}

function hasVariables(instruction: Instruction): boolean {
  const { name, flags, heredocs } = instruction;
  // A command's are the shell's.
  const text = name === 'RUN' ? flags.join(' ') : textOf(instruction) + heredocs.map(({ content }) => content).join('');
  return text.includes('$');
}

function check(instruction: Instruction, escapeToken: string): void {
  const { name, rest } = instruction;
  const execution = emptyExecution();
  // Stages have been looked at before.
  if (name === 'FROM' || name === 'MAINTAINER') return;
  if (name === 'ARG') {
    new InstructionFlags(instruction, {});
    argumentsOf(rest, escapeToken);
  } else if (name === 'RUN') {
    parseRun(instruction, escapeToken, { args: new Map(), execution }, { allowsHostNetwork: true });
  } else if (name === 'COPY' || name === 'ADD') parseCopy(instruction, escapeToken, new Map());
  else applyToConfig(instruction, execution, (word) => word);
}
