import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { changeMode } from '../../../../src/image/unpack/calls.ts';
import { errno } from '../../../../src/linux/errno.ts';

test('a mode is given to what has the name, and never to what a link there leads to', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsrun-mode.'));
  const fd = openSync(directory, constants.O_RDONLY);
  const mode = (name: string): string => (statSync(join(directory, name)).mode & 0o7777).toString(8);
  try {
    writeFileSync(join(directory, 'file'), '');
    chmodSync(join(directory, 'file'), 0o600);
    execFileSync('mkfifo', ['-m', '600', join(directory, 'fifo')]);
    symlinkSync(join(directory, 'file'), join(directory, 'link'));
    expect(changeMode(fd, 'link', 0o666)).toBe(-errno.EOPNOTSUPP);
    expect(mode('file')).toBe('600');
    // Without opening it: a fifo would wait for somebody at its other end.
    for (const name of ['file', 'fifo']) {
      expect([changeMode(fd, name, 0o1711), mode(name)]).toEqual([0, '1711']);
    }
    expect(changeMode(fd, 'absent', 0o666)).toBe(-errno.ENOENT);
  } finally {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  }
});
