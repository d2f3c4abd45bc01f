/** The environment of a process as runc has it: each name once, and HOME by /etc/passwd of the root (man 5 passwd). */
import { O_PATH } from '../linux/constants.ts';
import { readTextIn } from '../linux/foreign-file.ts';
import { AT_FDCWD, close, openat } from '../linux/fs.ts';
import type { Process } from '../runtime/spec.ts';

/**
 * The process with HOME in its environment, and of a name that is there twice the last value: getenv(3) would find the first.
 * `root` is a directory of the host, or /proc/PID/root.
 */
export function withHome(process: Process, root: string): Process {
  const last = new Map((process.env ?? []).map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
  const given = last.get('HOME');
  if (given === undefined || given === 'HOME=') {
    last.set('HOME', `HOME=${homeOf(process.user.uid, readPasswd(root))}`);
  }
  return { ...process, env: [...last.values()] };
}

function homeOf(uid: number, passwd: string): string {
  for (const line of passwd.split('\n')) {
    const [, , id, , , home = ''] = line.split(':');
    if (id === String(uid) && home !== '') return home;
  }
  return '/';
}

function readPasswd(directory: string): string {
  let root = -1;
  try {
    root = openat(AT_FDCWD, directory, O_PATH);
    return readTextIn(root, 'etc/passwd') ?? '';
  } catch {
    return '';
  } finally {
    close(root);
  }
}
