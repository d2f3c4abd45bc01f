/** A process that does nothing but hold a new user namespace until somebody lets it go: mappings are given by namespace. */
import { CLONE_NEWUSER } from '../../linux/constants.ts';
import { type Program, ProgramBuilder } from '../../program/program.ts';
import { cloneChild, tellPid } from './clone.ts';
import { errorFdOf, fdSync } from './context.ts';

export function compileHolder(): Program {
  const b = new ProgramBuilder();
  const pid = b.slot('pid');
  const child = cloneChild(b, pid, b.slot('pidfd'), {
    flags: CLONE_NEWUSER,
    intoCgroup: false,
    title: 'make a process in a new user namespace',
    why: 'an idmapped mount gets its mapping from a user namespace (man 2 mount_setattr)',
    hints: { ENOSPC: 'the limit of user namespaces is reached: sysctl user.max_user_namespaces' },
  });
  tellPid(b, pid);
  b.call('end', [], { title: 'the parent is done' });
  b.mark(child);
  b.call('read', [fdSync, b.reserve(8, 'answer'), 1], { title: 'hold the user namespace', expect: 'any' });
  b.call('exit_group', [0], { title: 'let it go' });
  return b.build({ errorFd: errorFdOf(0) });
}
