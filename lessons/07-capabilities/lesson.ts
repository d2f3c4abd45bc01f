/** Lesson 7: root in the container is no longer root. Capabilities are taken away, for good. */
import * as kit from 'tsrun/lessons/kit.ts';
import {
  availableCapabilities,
  boundingDrops,
  capabilityNames,
  capabilitySet,
  defaultCapabilities,
  encodeCapset,
} from 'tsrun/linux/capabilities.ts';
import {
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAPBSET_DROP,
  PR_SET_NO_NEW_PRIVS,
} from 'tsrun/linux/constants.ts';

const enterCgroup = kit.newCgroup(); // lesson 6
const b = new kit.ProgramBuilder();
kit.newChild(b, kit.isolated, true);
const root = kit.layeredRoot(b);
kit.mountProc(b, root);
kit.pivotRoot(b, root);

// What docker leaves to a container, as far as this machine has it itself.
const available = availableCapabilities();
const kept = defaultCapabilities.filter((name) => available.includes(name));

// The bounding set first: giving something up there needs CAP_SETPCAP. It limits what any execve can bring back.
for (const number of boundingDrops(kept)) {
  b.call('prctl', [PR_CAPBSET_DROP, number, 0, 0, 0], { title: `never again ${capabilityNames[number] ?? number}` });
}
b.call('prctl', [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], { title: 'nothing is handed on by itself' });

// Then what this process has now. Permitted is what it may use, effective what is asked when it acts.
const set = capabilitySet(kept);
const { header, data } = encodeCapset({ effective: set, permitted: set, inheritable: 0n });
b.call('capset', [b.bytes(header, 'cap_user_header'), b.bytes(data, 'cap_user_data')], { title: 'keep only these' });

// And no program gives more than its caller had, setuid or not.
b.call('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { title: 'no new privileges' });
await kit.inside(b);
await kit.run(b, enterCgroup);
