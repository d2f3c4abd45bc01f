/** Lesson 9, solved: root of the container is nobody on the host. */
import { writeFileSync } from 'node:fs';
import * as kit from 'tsrun/lessons/kit.ts';
import { CLONE_NEWUSER } from 'tsrun/linux/constants.ts';

const enterCgroup = kit.newCgroup();
const b = new kit.ProgramBuilder();
kit.newChild(b, kit.isolated | CLONE_NEWUSER, true);
// Until its numbers are mapped the child is nobody; from here on it is root of its namespace.
b.call('setresgid', [0, 0, 0], { title: 'be group 0 of the new namespace' });
b.call('setresuid', [0, 0, 0], { title: 'be user 0 of the new namespace' });
const root = kit.layeredRoot(b);
kit.mountProc(b, root);
kit.pivotRoot(b, root);

kit.maskProc(b);
kit.dropCapabilities(b);
kit.refuseCalls(b);
await kit.inside(b);
await kit.run(b, (pid) => {
  enterCgroup(pid);
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${map}`, '0 100000 65536\n');
});
