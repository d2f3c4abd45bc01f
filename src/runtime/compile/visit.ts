/**
 * A shell in what a start has made so far: a process of its own that enters the namespaces that are there. Before the root is
 * changed it is a shell of the host, with the caller's rights; behind that it is one of the image, which gets no more than
 * the container itself.
 */
import { CLONE_NEWNET } from '../../linux/constants.ts';
import { type Load, type Program, ProgramBuilder } from '../../program/program.ts';
import type { NamespaceType, Process } from '../spec.ts';
import { becomeCommand } from './become.ts';
import { cloneChild, cloneFlags } from './clone.ts';
import { fdProgram, fdSync, fdTarget, type ProcessOptions } from './context.ts';

export interface VisitOptions {
  /** What `fdTarget` is: the container's first process, with the namespaces of it that are its own, or a network. */
  target: { kind: 'process'; namespaces: readonly NamespaceType[] } | { kind: 'network' } | undefined;
  /** The container's process, where the root is the image's already. */
  container: { process: Process; seccomp: Uint8Array | undefined } | undefined;
  /** Of the host's shell. */
  env: readonly string[];
}

/** A program for `tsrun-monitor run`; it fails with 127 where there is no /bin/sh. */
export function compileVisit({ target, container, env }: VisitOptions): Program {
  const b = new ProgramBuilder();
  b.enter('namespaces');
  if (target !== undefined) {
    const flags = target.kind === 'network' ? CLONE_NEWNET : flagsOf(target.namespaces);
    if (flags !== 0) b.call('setns', [fdTarget, flags], { title: 'enter the namespaces that are there' });
  }
  const [pid, pidfd]: Load[] = [b.slot('pid'), b.slot('pidfd')];
  const child = cloneChild(b, pid as Load, pidfd as Load, { title: 'make the process', flags: 0, intoCgroup: false });
  b.call('end', [], { title: 'wait for it' });
  b.mark(child);
  b.enter('security');
  b.call('close', [fdProgram], { title: 'close the program' });
  b.call('close_range', [fdSync + 1, 0xffffffff, 0], { title: 'close all other descriptors' });
  b.call('fcntl', [fdSync, 2, 1], { title: 'the socket ends with execve' });
  if (container !== undefined) {
    const process = { ...container.process, args: ['/bin/sh'], cwd: '/' };
    const options: ProcessOptions = { init: false, seccomp: container.seccomp, lenientRlimit: () => true };
    becomeCommand({ b, options }, process, 'image');
  } else {
    const words = b.pointers([b.text('/bin/sh')], 'argv');
    const environment = b.pointers(
      env.map((text) => b.text(text)),
      'envp',
    );
    b.enter('exec');
    b.call('execve', [b.text('/bin/sh'), words, environment], { title: 'become the shell' });
  }
  return b.build({ errorFd: fdSync });
}

function flagsOf(types: readonly NamespaceType[]): number {
  return types.reduce((flags, type) => flags | (cloneFlags[type] ?? 0), 0);
}
