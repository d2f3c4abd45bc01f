/** Lesson 2: what the child has to do is written down as a list of system calls, and a small program in C carries it out. */
import { inside, ProgramBuilder } from 'tsrun/lessons/kit.ts';
import { CLONE_NEWNS, MS_PRIVATE, MS_REC } from 'tsrun/linux/constants.ts';
import { renderProgram } from 'tsrun/program/render.ts';
import { fdSync, runProgram } from 'tsrun/program/run.ts';

const b = new ProgramBuilder();

// struct clone_args of clone3(2): flags at 0, the signal at the child's end at 32.
const SIGCHLD = 17n;
const args = b.reserve(88, 'struct clone_args');
b.at(args).writeBigUInt64LE(BigInt(CLONE_NEWNS), 0);
b.at(args).writeBigUInt64LE(SIGCHLD, 32);

// In the child clone3 returns 0: it goes on at the label. The parent goes on with the next line.
const child = b.label();
b.call('clone3', [args, 88], { title: 'make a child in a new mount namespace', branch: child });
b.call('end', [], { title: 'the parent waits, and ends with the status of its child' });

b.mark(child);
b.call('mount', [0, b.text('/'), 0, MS_REC | MS_PRIVATE, 0], { title: 'keep our mounts to ourselves' });
b.call('mount', [b.text('tmpfs'), b.text('/etc'), b.text('tmpfs'), 0, 0], { title: 'hide /etc' });
await inside(b); // close what is ours, then execve

const program = b.build({ errorFd: fdSync });
if (process.env.SHOW) console.log(renderProgram(program, 'text'));
const status = await runProgram(program);
console.error(`the command ended with ${status}`);
process.exit(status);
