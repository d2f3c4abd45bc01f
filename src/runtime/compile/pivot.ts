/** The change of the root: pivot_root, or what stands in for it. */
import { MNT_DETACH, MOUNT_ATTR_RDONLY } from '../../linux/constants.ts';
import { type Context, setAttributes } from './context.ts';
import { layOverRoot, rootPropagation } from './handover.ts';

/** Without a mount namespace of its own: the root of the host cannot be taken away from others. */
export function changeRoot(c: Context): void {
  goToRoot(c);
  c.b.call('chroot', [c.b.text('.')], { title: 'make it the root', shell: 'chroot .' });
  c.b.call('chdir', [c.b.text('/')], { title: 'stand in the new root', shell: 'cd /' });
}

function goToRoot(c: Context): void {
  const { b } = c;
  b.enter('rootfs');
  if (c.spec.root?.readonly === true) {
    setAttributes(
      c,
      c.root,
      { set: MOUNT_ATTR_RDONLY, recursive: false },
      {
        title: 'make the root read-only',
        why: 'asked for; mounts below it keep their own flags',
        shell: 'mount -o remount,bind,ro "$ROOT"',
      },
    );
  }
  b.call('fchdir', [c.root], { title: 'go into the new root', shell: 'cd "$ROOT"' });
}

/** pivot_root with both names the same: the old root lies on the new one, and is taken away (man 2 pivot_root, NOTES). */
export function pivot(c: Context): void {
  const { b } = c;
  goToRoot(c);
  if (c.options.handover?.noPivot !== undefined) {
    layOverRoot(c, c.options.handover.noPivot);
    return;
  }
  if (c.options.chroot === true) {
    onlyChroot(c);
    return;
  }
  b.call('pivot_root', [b.text('.'), b.text('.')], {
    title: 'make it the root; the old one lies on top of it',
    why: 'unlike chroot, after this the old root can be taken away for good',
    shell: 'pivot_root . .',
  });
  b.call('umount2', [b.text('.'), MNT_DETACH], {
    title: 'take the old root away',
    why: 'with it goes every path to the host',
    shell: 'umount -l .',
  });
  b.call('chdir', [b.text('/')], { title: 'stand in the new root', shell: 'cd /' });
  if (c.options.handover !== undefined) rootPropagation(c);
}

/** --without pivot_root: what stays mounted around the new root can be walked to. */
function onlyChroot({ b }: Context): void {
  b.call('chroot', [b.text('.')], {
    title: 'make it the root by chroot alone',
    why: 'asked for by --without: the old root stays, and whoever may call chroot once more walks out of this one',
    shell: 'chroot .',
  });
  b.call('chdir', [b.text('/')], { title: 'stand in the new root', shell: 'cd /' });
}
