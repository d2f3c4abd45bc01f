/** Lesson 4: the old root is taken away, and the new one is put together from layers. */
import * as kit from 'tsrun/lessons/kit.ts';
import { MNT_DETACH } from 'tsrun/linux/constants.ts';

const b = new kit.ProgramBuilder();
kit.newChild(b); // lesson 2
kit.mountAt(b, 'tmpfs', kit.place); // lesson 3

// Two layers as an image has them, a directory for the changes of this container, and one that overlayfs works in.
for (const name of ['base', 'base/etc', 'base/tmp', 'app', 'app/etc', 'upper', 'work', 'root']) {
  kit.makeDirectory(b, `${kit.place}/${name}`);
}
kit.putFile(b, `${kit.place}/base/etc/issue`, 'A system of one layer\n');
kit.putFile(b, `${kit.place}/base/etc/motd`, 'motd of the base layer\n');
kit.putFile(b, `${kit.place}/app/etc/motd`, 'motd of the app layer, which lies above\n');

// The leftmost layer is the uppermost.
const lower = [`${kit.place}/app`, `${kit.place}/base`].join(':');
const root = `${kit.place}/root`;
kit.mountAt(b, 'overlay', root, `lowerdir=${lower},upperdir=${kit.place}/upper,workdir=${kit.place}/work`);
kit.bindPrograms(b, root); // lesson 3

b.call('chdir', [b.text(root)], { title: 'go into the new root' });
b.call('pivot_root', [b.text('.'), b.text('.')], { title: 'make it the root; the old one now lies on top of it' });
b.call('umount2', [b.text('.'), MNT_DETACH], { title: 'take the old root away, with all that is mounted in it' });
b.call('chdir', [b.text('/')], { title: 'stand in the new root' });
await kit.inside(b);
await kit.run(b);
