/** The overlay of a stopped container, mounted nowhere (man 2 fsmount, Documentation/filesystems/overlayfs.rst). */
import { join } from 'node:path';
import { TsrunError } from '../../error.ts';
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from '../../linux/constants.ts';
import { syscall } from '../../linux/ffi.ts';
import { AT_FDCWD, check, close, openat } from '../../linux/fs.ts';
import { appendsLayers } from '../../linux/release.ts';

/** fsconfig refuses strings of 256 bytes and more (fs/fsopen.c). */
const longestString = 255;

/**
 * A detached mount of the layers, lowest first, below the upper directory of the container in `directory`. Its owner closes
 * the descriptor. `append` tells whether the kernel takes layers one by one.
 */
export function detachedOverlay(directory: string, layers: readonly string[], append = appendsLayers()): number {
  const context = check(syscall('fsopen', 'overlay', FSOPEN_CLOEXEC), 'fsopen', 'overlay');
  const handles: number[] = [];
  try {
    const open = (path: string): number => {
      const fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY);
      handles.push(fd);
      return fd;
    };
    const set = (key: string, value: string): number =>
      check(syscall('fsconfig', context, FSCONFIG_SET_STRING, key, value, 0), 'fsconfig', key);
    const lowers = [...layers].reverse().map(open);
    const upper = open(join(directory, 'upper'));
    const work = open(join(directory, 'work'));
    const create = (): number =>
      check(syscall('fsconfig', context, FSCONFIG_CMD_CREATE, 0, 0, 0), 'fsconfig', 'overlay');
    // Paths may be too long for a string, descriptors never are.
    if (append) {
      for (const fd of lowers) set('lowerdir+', `/proc/self/fd/${fd}`);
      set('upperdir', `/proc/self/fd/${upper}`);
      set('workdir', `/proc/self/fd/${work}`);
      create();
    } else {
      const all = lowers.join(':');
      if (all.length > longestString) {
        throw new TsrunError('UNSUPPORTED', `a stopped container of ${layers.length} layers needs Linux 6.8 here`, {
          hint: 'start it first: tsrun start',
        });
      }
      inDirectory('/proc/self/fd', () => {
        set('lowerdir', all);
        set('upperdir', String(upper));
        set('workdir', String(work));
        create();
      });
    }
    return check(syscall('fsmount', context, FSMOUNT_CLOEXEC, 0), 'fsmount', 'overlay');
  } finally {
    for (const fd of handles) close(fd);
    close(context);
  }
}

/**
 * Runs something synchronous in a working directory, so that one string holds the names of about 80 layers: as /proc/self/fd/N
 * each would take 18 bytes. By descriptor there and back, since the directory that a person is in may be gone.
 */
function inDirectory(path: string, action: () => void): void {
  const before = openat(AT_FDCWD, '.', O_PATH | O_DIRECTORY);
  try {
    check(syscall('chdir', path), 'chdir', path);
    try {
      action();
    } finally {
      check(syscall('fchdir', before), 'fchdir');
    }
  } finally {
    close(before);
  }
}
