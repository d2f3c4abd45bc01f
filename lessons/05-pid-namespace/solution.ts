/** Lesson 5, solved: number 1 is an init, which starts the command, hands on signals and buries the dead. */

import {
  closeOurs,
  commandWords,
  layeredRoot,
  mountAt,
  newChild,
  ProgramBuilder,
  pivotRoot,
  run,
  vectors,
} from 'tsrun/lessons/kit.ts';
import { AT_EMPTY_PATH, AT_FDCWD, CLONE_NEWPID, O_CLOEXEC, O_RDONLY } from 'tsrun/linux/constants.ts';

const b = new ProgramBuilder();
newChild(b, CLONE_NEWPID);
// While the proc of the host is still there: the machine that runs this list can be an init too.
const machine = b.slot('the machine');
b.call('openat', [AT_FDCWD, b.text('/proc/self/exe'), O_RDONLY | O_CLOEXEC, 0], {
  title: 'open the machine itself',
  store: machine,
});
const root = layeredRoot(b);
mountAt(b, 'proc', `${root}/proc`);
pivotRoot(b, root);
closeOurs(b);
const { argv, envp } = vectors(b, ['tsrun-init', ...commandWords()]);
b.call('execveat', [machine, b.text(''), argv, envp, AT_EMPTY_PATH], { title: 'become init' });
b.call('fail', [], { title: 'become init' });
await run(b);
