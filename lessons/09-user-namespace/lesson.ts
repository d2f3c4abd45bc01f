/** Lesson 9: what of proc belongs to the whole machine is read-only or hidden. */
import * as kit from 'tsrun/lessons/kit.ts';
import { AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MS_BIND, MS_REC } from 'tsrun/linux/constants.ts';

const enterCgroup = kit.newCgroup();
const b = new kit.ProgramBuilder();
kit.newChild(b, kit.isolated, true); // tells its pid, and waits for the last line of this file
const root = kit.layeredRoot(b);
kit.mountProc(b, root);
kit.pivotRoot(b, root);

// A mark on a mount needs a mount: each of these is laid over itself, and that mount is made read-only.
const readOnly = Buffer.alloc(32); // struct mount_attr
readOnly.writeBigUInt64LE(BigInt(MOUNT_ATTR_RDONLY), 0);
const attributes = b.bytes(readOnly, 'struct mount_attr');
for (const path of ['/proc/sys', '/proc/sysrq-trigger', '/proc/irq', '/proc/bus', '/proc/fs']) {
  const title = `make ${path} read-only`;
  const place = b.text(path);
  b.call('mount', [place, place, 0, MS_BIND | MS_REC, 0], { title: `lay ${path} over itself`, tolerate: ['ENOENT'] });
  b.call('mount_setattr', [AT_FDCWD, place, AT_RECURSIVE, attributes, 32], { title, tolerate: ['ENOENT'] });
}
// What tells too much is covered by /dev/null: the memory of the kernel, the keys of its users, its timers.
for (const path of ['/proc/kcore', '/proc/keys', '/proc/timer_list']) {
  b.call('mount', [b.text('/dev/null'), b.text(path), 0, MS_BIND, 0], { title: `hide ${path}`, tolerate: ['ENOENT'] });
}

kit.dropCapabilities(b);
kit.refuseCalls(b);
await kit.inside(b);
await kit.run(b, (pid) => enterCgroup(pid));
