/** A process that does nothing but hold a new user namespace until somebody lets it go: mappings are given by namespace. */
import { CLONE_NEWNET, CLONE_NEWUSER } from '../../linux/constants.ts';
import { type Program, ProgramBuilder } from '../../program/program.ts';
import { cloneChild, tellPid } from './clone.ts';
import { errorFdOf, fdSync, messageCreated, messageReady } from './context.ts';

/**
 * A process that makes a user namespace for itself, waits for its maps, makes a network namespace in it, tells, and waits
 * until both have been opened. It is run by `tsrun-monitor run`, and clones nothing.
 */
export function compileNamespaceHolder(withNetwork: boolean): Program {
  const b = new ProgramBuilder();
  const tell = (kind: number, title: string): void => {
    const message = Buffer.alloc(16);
    message.writeUInt32LE(kind, 0);
    b.call('write', [fdSync, b.bytes(message, title), 16], { title, expect: { equals: 16 } });
  };
  b.call('unshare', [CLONE_NEWUSER], {
    title: 'new user namespace',
    why: 'root of the container is to be root in it alone',
    hints: { ENOSPC: 'the limit of user namespaces is reached: sysctl user.max_user_namespaces' },
  });
  tell(messageCreated, 'tell: it is there');
  b.call('read', [fdSync, b.reserve(8, 'answer'), 1], {
    title: 'wait until the user namespace has its maps',
    why: 'they are written from outside (man 7 user_namespaces)',
    expect: { equals: 1 },
  });
  if (withNetwork) {
    b.call('unshare', [CLONE_NEWNET], {
      title: 'new network namespace',
      why: 'it belongs to the user namespace, whose root may set it up',
      hints: { ENOSPC: 'the limit of network namespaces is reached: sysctl user.max_net_namespaces' },
    });
  }
  tell(messageReady, 'tell: all is there');
  b.call('read', [fdSync, b.reserve(8, 'end'), 1], { title: 'hold the namespaces until they are open', expect: 'any' });
  b.call('exit_group', [0], { title: 'let them go' });
  return b.build({ errorFd: fdSync });
}

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
