/** Lesson 5: a pid namespace. The processes of the host have no number here, and the first process has duties. */
import * as kit from 'tsrun/lessons/kit.ts';
import { CLONE_NEWPID } from 'tsrun/linux/constants.ts';

const b = new kit.ProgramBuilder();
// A pid namespace is never entered by its maker: the child is born in it, and is its number 1.
kit.newChild(b, CLONE_NEWPID);
const root = kit.layeredRoot(b); // lesson 4

// Which processes proc shows is decided when it is mounted: those of the pid namespace of who mounts it.
kit.mountAt(b, 'proc', `${root}/proc`);
kit.pivotRoot(b, root); // lesson 4

// The command takes over the process, and with it number 1.
await kit.inside(b);
await kit.run(b);
