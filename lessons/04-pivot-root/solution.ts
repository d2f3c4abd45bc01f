/** Lesson 4, solved: a third layer, which adds one file and takes another away. */

import {
  bindPrograms,
  inside,
  makeDirectory,
  mountAt,
  newChild,
  ProgramBuilder,
  place,
  putFile,
  run,
} from 'tsrun/lessons/kit.ts';
import { AT_FDCWD, MNT_DETACH, S_IFCHR } from 'tsrun/linux/constants.ts';

const b = new ProgramBuilder();
newChild(b); // lesson 2
mountAt(b, 'tmpfs', place); // lesson 3

// Two layers as an image has them, a directory for the changes of this container, and one that overlayfs works in.
for (const name of ['base', 'base/etc', 'base/tmp', 'app', 'app/etc', 'top', 'top/etc', 'upper', 'work', 'root']) {
  makeDirectory(b, `${place}/${name}`);
}
putFile(b, `${place}/base/etc/issue`, 'A system of one layer\n');
putFile(b, `${place}/base/etc/motd`, 'motd of the base layer\n');
putFile(b, `${place}/app/etc/motd`, 'motd of the app layer, which lies above\n');
putFile(b, `${place}/top/etc/version`, '3\n');
b.call('mknodat', [AT_FDCWD, b.text(`${place}/top/etc/issue`), S_IFCHR, 0], { title: 'a whiteout: no /etc/issue' });

// The leftmost layer is the uppermost.
const lower = [`${place}/top`, `${place}/app`, `${place}/base`].join(':');
const root = `${place}/root`;
mountAt(b, 'overlay', root, `lowerdir=${lower},upperdir=${place}/upper,workdir=${place}/work`);
bindPrograms(b, root); // lesson 3

b.call('chdir', [b.text(root)], { title: 'go into the new root' });
b.call('pivot_root', [b.text('.'), b.text('.')], { title: 'make it the root; the old one now lies on top of it' });
b.call('umount2', [b.text('.'), MNT_DETACH], { title: 'take the old root away, with all that is mounted in it' });
b.call('chdir', [b.text('/')], { title: 'stand in the new root' });
await inside(b);
await run(b);
