/** Processes of system calls alone, made by this very one. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CallingChild, scratch } from '../../../src/linux/child.ts';
import { CLONE_FS, CLONE_NEWUSER, SOCK_SEQPACKET } from '../../../src/linux/constants.ts';
import { errno } from '../../../src/linux/errno.ts';
import { close } from '../../../src/linux/fs.ts';
import { receive, send, socketPair, waitReadable } from '../../../src/linux/unix-socket.ts';

const blocked = (pid: number | string): string => {
  const digits = /^SigBlk:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  return (BigInt(`0x${digits}`) | (1n << 8n) | (1n << 18n)).toString(16);
};

test('a child makes its calls in order, with all signals blocked, and leaves nothing', () => {
  const [own, theirs] = socketPair(SOCK_SEQPACKET);
  const before = blocked('thread-self');
  const child = new CallingChild(0, [
    ['close_range', theirs + 1, 0xffffffff, 0],
    ['close_range', 0, theirs - 1, 0],
    ['getppid'],
    ['write', theirs, scratch, 1],
    ['read', theirs, scratch, 1],
    ['dup', 0],
  ]);
  close(theirs);
  try {
    expect(child.pid).toBeGreaterThan(0);
    expect(waitReadable(own, 60_000)).toBe(true);
    expect(receive(own, 8)).toHaveLength(1);
    expect(child.result(2)).toBe(process.pid);
    expect(child.result(4)).toBe(0);
    // SIGKILL and SIGSTOP cannot be.
    expect(blocked(child.pid)).toBe('ffffffffffffffff');
    expect(blocked('thread-self')).toBe(before);
    send(own, Uint8Array.of(7));
  } finally {
    close(own);
    child.end();
  }
  expect(child.result(4)).toBe(1);
  expect(child.result(5)).toBe(-errno.EBADF);
  expect(existsSync(`/proc/${child.pid}`)).toBe(false);
});

test('a refusal is an errno, and there is nothing to wait for', () => {
  const child = new CallingChild(CLONE_NEWUSER | CLONE_FS, [['getpid']]);
  expect(child.pid).toBe(-errno.EINVAL);
  child.end();
});
