/** Lesson 7, solved: an ordinary user with one single capability, which execve does not take away. */
import * as kit from 'tsrun/lessons/kit.ts';
import { boundingDrops, capabilityNumber, capabilitySet, encodeCapset } from 'tsrun/linux/capabilities.ts';
import {
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
} from 'tsrun/linux/constants.ts';

const enterCgroup = kit.newCgroup();
const b = new kit.ProgramBuilder();
kit.newChild(b, kit.isolated, true);
const root = kit.layeredRoot(b);
kit.mountProc(b, root);
kit.pivotRoot(b, root);

const name = 'CAP_NET_BIND_SERVICE';
const set = capabilitySet([name]);
for (const number of boundingDrops([name])) {
  b.call('prctl', [PR_CAPBSET_DROP, number, 0, 0, 0], { title: `drop capability ${number} for good` });
}
b.call('prctl', [PR_SET_KEEPCAPS, 1, 0, 0, 0], { title: 'keep capabilities when the user changes' });
b.call('setgroups', [0, 0], { title: 'no further groups' });
b.call('setresgid', [1000, 1000, 1000], { title: 'group 1000; as long as we may' });
b.call('setresuid', [1000, 1000, 1000], { title: 'user 1000' });
const { header, data } = encodeCapset({ effective: set, permitted: set, inheritable: set });
b.call('capset', [b.bytes(header, 'cap_user_header'), b.bytes(data, 'cap_user_data')], { title: 'only this one' });
b.call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capabilityNumber(name) ?? 0, 0, 0], {
  title: 'hand it on through execve',
});
b.call('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { title: 'no new privileges' });
await kit.inside(b);
await kit.run(b, enterCgroup);
