/** Out of lesson 2: what was laid over something can be taken off again. Root may. */
import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { MNT_DETACH } from 'tsrun/linux/constants.ts';

export default {
  attack(b) {
    b.call('umount2', [b.text('/etc'), MNT_DETACH], { title: 'take the cover off /etc' });
    execute(b, ['head', '-n', '1', '/etc/passwd']);
  },
} satisfies BreakOut;
