/**
 * Out of lesson 8: proc has settings of the whole machine in it. This one names the program that the kernel runs as root of
 * the host whenever something crashes. It is only opened here, and left as it is.
 */

import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { AT_FDCWD, O_WRONLY } from 'tsrun/linux/constants.ts';

const setting = '/proc/sys/kernel/core_pattern';

export default {
  attack(b) {
    b.call('openat', [AT_FDCWD, b.text(setting), O_WRONLY, 0], { title: 'open a setting of the host for writing' });
    execute(b, ['echo', `I could write ${setting}`]);
  },
} satisfies BreakOut;
