/**
 * Mounts an EROFS image of a file, with the layer's archive as its second device (Linux 6.12 has both; kernel,
 * Documentation/filesystems/erofs.rst): the mount is attached nowhere, and ends with its descriptor (man 2 fsmount).
 */
import {
  AT_EMPTY_PATH,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../linux/constants.ts';
import { syscall } from '../../linux/ffi.ts';
import { check, close } from '../../linux/fs.ts';

/** fsconfig refuses strings of 256 bytes and more (fs/fsopen.c). */
export const mountPathMax = 255;

/** Returns the mount's descriptor, the caller's to close. Throws `SyscallError`. */
export function mountErofs(metadata: string, archive: string): number {
  const context = check(syscall('fsopen', 'erofs', FSOPEN_CLOEXEC), 'fsopen', 'erofs');
  try {
    const set = (key: string, value: string): void => {
      check(syscall('fsconfig', context, FSCONFIG_SET_STRING, key, value, 0), 'fsconfig', `${key}=${value}`);
    };
    set('source', metadata);
    set('device', archive);
    check(syscall('fsconfig', context, FSCONFIG_CMD_CREATE, 0, 0, 0), 'fsconfig', metadata);
    return check(syscall('fsmount', context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY), 'fsmount', metadata);
  } finally {
    close(context);
  }
}

/**
 * Another mount of the same filesystem, attached nowhere either (man 2 open_tree; Linux 6.15 for what is attached nowhere).
 * The kernel takes only what was mounted in the caller's mount namespace. Throws `SyscallError`.
 */
export function cloneMount(fd: number): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  return check(syscall('open_tree', fd, '', flags), 'open_tree');
}
