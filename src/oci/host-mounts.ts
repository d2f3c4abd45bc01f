/** Mounts of a container without a mount namespace of its own: they are the host's, and go when the container is deleted. */
import { readFileSync } from 'node:fs';
import { MNT_DETACH } from '../linux/constants.ts';
import { syscall } from '../linux/ffi.ts';
import { parseMountinfo } from '../linux/mountinfo.ts';
import type { Spec } from '../runtime/spec.ts';

/** Whether the configuration lets the container share the mounts of whoever makes it. */
export function sharesMounts({ linux }: Spec): boolean {
  return !(linux?.namespaces ?? []).some(({ type }) => type === 'mount');
}

/** Takes away what is mounted at the root and below it, youngest first. What is not there any more is no error. */
export function unmountRoot(rootfs: string): void {
  const points = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).map(({ mountPoint }) => mountPoint);
  for (const path of points.reverse()) {
    if (path !== rootfs && !path.startsWith(`${rootfs}/`)) continue;
    syscall('umount2', Buffer.from(`${path}\0`), MNT_DETACH);
  }
}
