/**
 * The root of a container that runs, through /proc/PID/root: what its processes see now, and never more (man 2 openat2,
 * RESOLVE_IN_ROOT). Everything in it is the container's to choose: links, fifos and devices where a file was.
 */
import { O_PATH } from '../linux/constants.ts';
import { readTextIn } from '../linux/foreign-file.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import type { AccountFiles } from './users.ts';

export class RunningRoot implements AccountFiles {
  private readonly root: number;

  /** Throws `SyscallError` where the process has ended. */
  constructor(pid: number) {
    this.root = openat(AT_FDCWD, `/proc/${pid}/root`, O_PATH);
  }

  readText(path: string): string | undefined {
    return readTextIn(this.root, path);
  }

  close(): void {
    close(this.root);
  }
}
