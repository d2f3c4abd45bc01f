import { constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errno, SyscallError } from '../../../src/linux/errno.ts';
import { addressOf, syscall } from '../../../src/linux/ffi.ts';
import { close, mkdirat, openat, openat2, sealedMemfd } from '../../../src/linux/fs.ts';

test('numbers come back as the kernel gave them, errors as negative errnos', () => {
  expect(syscall('getpid')).toBe(process.pid);
  expect(syscall('close', 99_999)).toBe(-errno.EBADF);
});

test('text is passed as a string, bytes as their address', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-ffi-'));
  try {
    expect(mkdirat(-100, join(directory, 'ä'), 0o700)).toBe(true);
    expect(mkdirat(-100, join(directory, 'ä'), 0o700)).toBe(false);
    const fd = openat(-100, directory, constants.O_DIRECTORY);
    const inner = openat2(fd, 'ä/../ä', constants.O_DIRECTORY, 0x10);
    expect(inner).toBeGreaterThan(fd);
    expect(() => openat2(fd, '../..', constants.O_DIRECTORY, 0x08)).toThrow(SyscallError);
    close(inner);
    close(fd);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a string with a NUL byte is refused before the kernel sees half of it', () => {
  expect(() => openat(-100, 'a\0b', 0)).toThrow(/NUL/);
});

test('the address of a buffer stays the same while it lives', () => {
  const bytes = Buffer.alloc(32);
  const first = addressOf(bytes);
  for (let i = 0; i < 1000; i++) Buffer.alloc(4096);
  expect(addressOf(bytes)).toBe(first);
});

test('a sealed memfd cannot be written any more', () => {
  const fd = sealedMemfd('test', Buffer.from('hello'));
  expect(syscall('pwrite64', fd, Buffer.from('x'), 1, 0)).toBe(-errno.EPERM);
  close(fd);
});
