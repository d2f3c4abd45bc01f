/** Lesson 5, solved: number 1 is an init, which starts the command, hands on signals and buries the dead. */
import * as kit from 'tsrun/lessons/kit.ts';
import { AT_EMPTY_PATH, AT_FDCWD, CLONE_NEWPID, O_CLOEXEC, O_RDONLY } from 'tsrun/linux/constants.ts';

const b = new kit.ProgramBuilder();
kit.newChild(b, CLONE_NEWPID);
// While the proc of the host is still there: the machine that runs this list can be an init too.
const machine = b.slot('the machine');
b.call('openat', [AT_FDCWD, b.text('/proc/self/exe'), O_RDONLY | O_CLOEXEC, 0], {
  title: 'open the machine itself',
  store: machine,
});
const root = kit.layeredRoot(b);
kit.mountAt(b, 'proc', `${root}/proc`);
kit.pivotRoot(b, root);
kit.closeOurs(b);
const { argv, envp } = kit.vectors(b, ['tsrun-init', ...kit.commandWords()]);
b.call('execveat', [machine, b.text(''), argv, envp, AT_EMPTY_PATH], { title: 'become init' });
b.call('fail', [], { title: 'become init' });
await kit.run(b);
