import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { explainExecFailure } from '../../../src/container/exec-failure.ts';
import { errno } from '../../../src/linux/errno.ts';

test('what is no regular file is not opened to explain it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'exec.'));
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', ['-m', '755', fifo]);
  // Waits until somebody opens the other end.
  const writer = spawn('sh', ['-c', ': >"$1"', 'sh', fifo]);
  try {
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(explainExecFailure(process.pid, [fifo], [], errno.EACCES).code).toBe('COMMAND_NOT_EXECUTABLE');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(writer.exitCode).toBe(null);
  } finally {
    writer.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
});
