/**
 * The one lock of everything that several containers share: the bridge, the addresses, the table of nf_tables, foreign
 * firewalls. A file in the state directory, locked with flock(2), which a killed process loses by itself.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { LOCK_EX, O_CREAT, O_NOFOLLOW, O_RDWR } from '../linux/constants.ts';
import { syscall } from '../linux/ffi.ts';
import { AT_FDCWD, check, close, openat, uninterrupted } from '../linux/fs.ts';
import { stateDirectory } from '../linux/paths.ts';

let holding = false;

/** Runs `work` while no other process works on the network. Waits for as long as another one does. Does not nest. */
export function withNetworkLock<T>(work: () => T): T {
  if (holding) throw new Error('the network lock is held already');
  const directory = stateDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'network.lock');
  const fd = openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    check(
      uninterrupted(() => syscall('flock', fd, LOCK_EX)),
      'flock',
      path,
    );
    holding = true;
    return work();
  } finally {
    holding = false;
    close(fd);
  }
}
