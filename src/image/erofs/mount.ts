/**
 * Mounts an EROFS image of a file, with the layer's archive as its second device (Linux 6.12 has both; kernel,
 * Documentation/filesystems/erofs.rst): the mount is attached nowhere, and ends with its descriptor (man 2 fsmount).
 */
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_RDONLY,
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
