/** Lesson 1: a namespace is entered by a thread, and a JavaScript engine has many. Run it, and compare with the page. */
import { openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { runHere } from 'tsrun/lessons/kit.ts';
import { CLONE_NEWNS, CLONE_NEWUSER, F_DUPFD_CLOEXEC, MS_PRIVATE, MS_REC } from 'tsrun/linux/constants.ts';
import { errnoName } from 'tsrun/linux/errno.ts';
import { syscall } from 'tsrun/linux/ffi.ts';
import { check } from 'tsrun/linux/fs.ts';

const secret = '/etc/passwd';
const threads = () => readdirSync('/proc/self/task');
const namespaceOf = (thread: string) => readlinkSync(`/proc/self/task/${thread}/ns/mnt`);
const attempt = (read: () => unknown) => {
  try {
    return read() === undefined ? 'nothing' : 'the file of the host';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

// From here on the engine's pool of threads is there, as in any program that reads files.
await readFile(secret);
console.log(`threads of this process: ${threads().length}`);

// A user namespace is for a process with one thread only.
console.log(`unshare(CLONE_NEWUSER): ${errnoName(syscall('unshare', CLONE_NEWUSER))}`);

// A mount namespace: the thread that calls gets one. It hides /etc behind an empty file system.
check(syscall('unshare', CLONE_NEWNS), 'unshare');
check(syscall('mount', 0, '/', 0, MS_REC | MS_PRIVATE, 0), 'mount');
check(syscall('mount', 'tmpfs', '/etc', 'tmpfs', 0, 0), 'mount');
const own = readlinkSync('/proc/thread-self/ns/mnt');
console.log(`threads in the new mount namespace: ${threads().filter((thread) => namespaceOf(thread) === own).length}`);
console.log(`readFileSync: ${attempt(() => readFileSync(secret))}`);
console.log(
  `readFile:     ${await readFile(secret).then(
    () => 'the file of the host',
    (error) => error.code,
  )}`,
);
await runHere();

// fork(2) copies the thread that calls, and no other: who waits for the others waits for ever, or worse.
const SIGCHLD = 17;
const stderr = syscall('fcntl', 2, F_DUPFD_CLOEXEC, 10);
syscall('dup3', openSync('/dev/null', 'w'), 2, 0); // the child's last words are long
const pid = check(syscall('clone', SIGCHLD, 0, 0, 0, 0), 'clone');
if (pid === 0) readFile('/proc/self/stat').then(() => syscall('exit_group', 0));
else {
  syscall('dup3', stderr, 2, 0);
  console.log(`threads of the child that fork made: ${readdirSync(`/proc/${pid}/task`).length}`);
  const status = Buffer.alloc(4);
  const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  let ended = 0;
  for (let tries = 0; tries < 100 && ended === 0; tries++, wait()) ended = syscall('wait4', pid, status, 1, 0);
  const signal = (status[0] ?? 0) & 0x7f;
  console.log(`its readFile, a second later: ${ended === 0 ? 'still waits' : signal ? `signal ${signal}` : 'is done'}`);
  if (ended === 0 && syscall('kill', pid, 9) === 0) syscall('wait4', pid, 0, 0, 0);
}
