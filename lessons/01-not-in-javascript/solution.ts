/** Lesson 1, solved: unshare, then start the same program again. A new process begins with its maker's namespaces, all threads. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { self } from 'tsrun/lessons/kit.ts';
import { CLONE_NEWNS, MS_PRIVATE, MS_REC } from 'tsrun/linux/constants.ts';
import { syscall } from 'tsrun/linux/ffi.ts';
import { check } from 'tsrun/linux/fs.ts';

if (process.argv[2] === 'inside') {
  console.log(
    `inside: ${readdirSync('/proc/self/task').length} threads, and /etc has ${readdirSync('/etc').length} files`,
  );
  readFileSync(0); // until somebody ends our stdin
} else {
  check(syscall('unshare', CLONE_NEWNS), 'unshare');
  check(syscall('mount', 0, '/', 0, MS_REC | MS_PRIVATE, 0), 'mount');
  check(syscall('mount', 'tmpfs', '/etc', 'tmpfs', 0, 0), 'mount');
  const [file = '', ...args] = self();
  process.exit(spawnSync(file, [...args, 'inside'], { stdio: 'inherit' }).status ?? 128);
}
