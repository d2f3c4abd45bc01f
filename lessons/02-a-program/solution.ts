/** Lesson 2, solved: the program ends as its command did. */
import { constants } from 'node:os';
import { inside, ProgramBuilder } from 'tsrun/lessons/kit.ts';
import { CLONE_NEWNS, MS_PRIVATE, MS_REC } from 'tsrun/linux/constants.ts';
import { fdSync, runProgram } from 'tsrun/program/run.ts';

const b = new ProgramBuilder();
const SIGCHLD = 17n;
const args = b.reserve(88, 'struct clone_args');
b.at(args).writeBigUInt64LE(BigInt(CLONE_NEWNS), 0);
b.at(args).writeBigUInt64LE(SIGCHLD, 32);
const child = b.label();
b.call('clone3', [args, 88], { title: 'make a child in a new mount namespace', branch: child });
b.call('end', [], { title: 'the parent waits, and ends with the status of its child' });

b.mark(child);
b.call('mount', [0, b.text('/'), 0, MS_REC | MS_PRIVATE, 0], { title: 'keep our mounts to ourselves' });
b.call('mount', [b.text('tmpfs'), b.text('/etc'), b.text('tmpfs'), 0, 0], { title: 'hide /etc' });
b.call('mkdirat', [-100, b.text('/etc/lesson'), 0o755], { title: 'the sign of this lesson' });
await inside(b);

const status = await runProgram(b.build({ errorFd: fdSync }));
if (status > 128) {
  const name = Object.entries(constants.signals).find(([, number]) => number === status - 128)?.[0];
  console.error(`the command was ended by ${name ?? `signal ${status - 128}`}`);
}
process.exit(status);
