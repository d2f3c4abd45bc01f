import './host.ts';
import { expect, test } from 'vitest';
import { errno } from '../../../src/linux/errno.ts';
import { type CommonSyscall, numbersOf } from '../../../src/linux/syscalls.ts';

const calls = await import('../../../src/node/file-calls.ts');

test('has the numbers of src/linux', () => {
  expect(calls.nr).toEqual(numbersOf(...(Object.keys(calls.nr) as CommonSyscall[])));
  const { EPERM, ENOENT, EINTR, EACCES, EEXIST, ENOTDIR, EISDIR, ENOSPC, ENOTEMPTY } = calls;
  const own = { EPERM, ENOENT, EINTR, EACCES, EEXIST, ENOTDIR, EISDIR, ENOSPC, ENOTEMPTY };
  for (const [name, value] of Object.entries(own)) expect([name, -value]).toEqual([name, errno[name as 'EPERM']]);
});

test('tells every error by the name that src/linux has', () => {
  for (const [name, value] of Object.entries(errno)) {
    const { code, message, errno: number } = calls.failure(-value, 'open', '/a') as NodeJS.ErrnoException;
    // libuv's name of the two that Linux has one number for.
    expect([code, number]).toEqual([name === 'EOPNOTSUPP' ? 'ENOTSUP' : name, -value]);
    expect(message).toMatch(new RegExp(`^${code}: [a-z0-9/ -]+, open '/a'$`));
  }
});
