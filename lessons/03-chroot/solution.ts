/** Lesson 3, solved: the devices that programs expect, and a /tmp with an end. */
import { bindPrograms, inside, ProgramBuilder, place, run } from 'tsrun/lessons/kit.ts';
import { AT_FDCWD, CLONE_NEWNS, MS_BIND, MS_NODEV, MS_NOSUID, MS_PRIVATE, MS_REC } from 'tsrun/linux/constants.ts';

const b = new ProgramBuilder();
const args = b.reserve(88, 'struct clone_args');
b.at(args).writeBigUInt64LE(BigInt(CLONE_NEWNS), 0);
b.at(args).writeBigUInt64LE(17n, 32);
const child = b.label();
b.call('clone3', [args, 88], { title: 'make a child in a new mount namespace', branch: child });
b.call('end', [], { title: 'the parent waits' });

b.mark(child);
b.call('mount', [0, b.text('/'), 0, MS_REC | MS_PRIVATE, 0], { title: 'keep our mounts to ourselves' });

// An empty tree in memory; nobody but this child ever sees it.
b.call('mount', [b.text('tmpfs'), b.text(place), b.text('tmpfs'), 0, b.text('mode=755')], { title: 'an empty root' });
for (const name of ['etc', 'tmp', 'dev']) {
  b.call('mkdirat', [AT_FDCWD, b.text(`${place}/${name}`), 0o755], { title: `make /${name}` });
}
// A program needs its libraries: /usr of the host, read-only, and the links that lead there.
bindPrograms(b, place);
for (const name of ['null', 'zero', 'full', 'random', 'urandom']) {
  const path = b.text(`${place}/dev/${name}`);
  b.call('mknodat', [AT_FDCWD, path, 0o100666, 0], { title: `a file to lay ${name} on` });
  b.call('mount', [b.text(`/dev/${name}`), path, 0, MS_BIND, 0], { title: `bind /dev/${name}` });
}
const options = b.text('mode=1777,size=16m');
b.call('mount', [b.text('tmpfs'), b.text(`${place}/tmp`), b.text('tmpfs'), MS_NOSUID | MS_NODEV, options], {
  title: 'a /tmp that cannot fill the memory',
});

b.call('chroot', [b.text(place)], { title: 'paths begin here from now on' });
b.call('chdir', [b.text('/')], { title: 'and so do relative ones' });
await inside(b);
await run(b);
