/** What an explanation is made of: the steps that a command would take, in order. No language, no layout. */
import type { CgroupPlan } from '../../cgroup/plan.ts';
import type { Operation, Program } from '../../program/program.ts';
import { straceCall } from '../../program/strace.ts';
import type { Spec } from '../../runtime/spec.ts';
import type { Phase, Step } from '../../trace.ts';
import type { ContainerRecord } from '../record.ts';
import type { NetworkPlan } from './network-plan.ts';

/**
 * Who takes a step: the command line, the monitor (the parent of the container), the container's own first process before it
 * is the command, or whoever cleans up.
 */
export type Side = 'command' | 'monitor' | 'container' | 'cleanup';

export interface ExplainedStep {
  side: Side;
  phase: Phase;
  title: string;
  /** Empty where there is nothing to say. */
  why: string;
  /** The system call as strace would write it; absent for steps that are no single call. */
  call?: string;
  /** What a shell would do; empty where there is nothing for it. */
  shell: string;
  /** Neither traced nor one call: what C loops and other programs do, told for the sake of the picture. */
  isNote: boolean;
}

export interface Explanation {
  /** `run`, `exec`, `stop`, `rm`. */
  command: string;
  /** What it is done to: an image's or a container's name. */
  subject: string;
  steps: ExplainedStep[];
  /** The image is not here: a stand-in of a usual one is explained instead. */
  isStandIn: boolean;
  /** What is to be known beside the steps: why the real command would refuse. English; keys of the catalogue. */
  remarks: string[];
  /** Of a run: what a script needs. */
  start?: StartPlan;
}

/** What a start is made of, beside its steps. */
export interface StartPlan {
  record: ContainerRecord;
  spec: Spec;
  program: Program;
  seccomp: Uint8Array | undefined;
  network: NetworkPlan;
  cgroup: CgroupPlan;
  /** The container's directory and its mount point, which a script has elsewhere. */
  directory: string;
  mountPoint: string;
  /** Content of /etc/hosts and its like. */
  files: Readonly<Record<string, string>>;
}

/** A step of the host's side. */
export function hostStep(step: Step, side: Side = 'command'): ExplainedStep {
  return { side, phase: step.phase, title: step.title, why: step.why ?? '', shell: step.shell ?? '', isNote: false };
}

/** What is told but not traced. */
export function note(side: Side, phase: Phase, title: string, why: string): ExplainedStep {
  return { side, phase, title, why, shell: '', isNote: true };
}

/** Which side an operation of a program belongs to, by its place. */
export function sidesOf(operations: readonly Operation[]): ('monitor' | 'container')[] {
  const child = operations.find(({ branch }) => branch !== undefined)?.branch?.at ?? operations.length;
  return operations.map((_, index) => (index < child ? 'monitor' : 'container'));
}

/** The steps of a program. */
export function programSteps(program: Program): ExplainedStep[] {
  const sides = sidesOf(program.operations);
  return program.operations.map((operation, index) => {
    const call = straceCall(operation, program);
    const { phase, title, why, shell } = operation;
    const isCall = operation.call !== 'end' && operation.call !== 'fail';
    return { side: sides[index] ?? 'container', phase, title, why, shell, isNote: false, ...(isCall ? { call } : {}) };
  });
}
