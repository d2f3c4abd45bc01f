import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { CommandLineError } from '../../../src/cli/arguments.ts';
import { beginInterruption, endInterruption, interruptedBy } from '../../../src/cli/interrupt.ts';
import { report } from '../../../src/cli/report.ts';
import { TsrunError } from '../../../src/error.ts';
import { SyscallError } from '../../../src/linux/errno.ts';

function reported(error: unknown, failure: number): { code: number; lines: string[] } {
  const lines: string[] = [];
  const code = report(error, 'tsrun x', failure, (line) => lines.push(line));
  return { code, lines };
}

test('an error of the engine: 125 in run, 1 elsewhere, and its hint below it', () => {
  const error = new TsrunError('CONFLICT', 'port 80 is taken', { hint: 'stop web' });
  expect(reported(error, 125)).toEqual({ code: 125, lines: ['tsrun: port 80 is taken', '  stop web'] });
  expect(reported(error, 1).code).toBe(1);
});

test('codes that say more than "failed" stay', () => {
  expect(reported(new TsrunError('COMMAND_NOT_FOUND', 'x'), 125).code).toBe(127);
  expect(reported(new TsrunError('COMMAND_NOT_EXECUTABLE', 'x'), 125).code).toBe(126);
  expect(reported(new TsrunError('USAGE', 'x', { exitCode: 64 }), 1).code).toBe(64);
});

test('what is not found has docker’s prefix, but in run', () => {
  const error = new TsrunError('NOT_FOUND', 'No such container: web');
  expect(reported(error, 1).lines).toEqual(['Error: No such container: web']);
  expect(reported(error, 125).lines).toEqual(['tsrun: No such container: web']);
});

test('a mistake without a hint of its own leads to the help', () => {
  expect(reported(new TsrunError('USAGE', 'invalid mode: x'), 125).lines).toEqual([
    'tsrun: invalid mode: x',
    "See 'tsrun x --help'.",
  ]);
});

test('a wrong command line is told as docker tells it', () => {
  const error = new CommandLineError('unknown flag: --x', { hint: "See 'tsrun x --help'.", exitCode: 125 });
  expect(reported(error, 1)).toEqual({ code: 125, lines: ['unknown flag: --x', "See 'tsrun x --help'."] });
});

test.each([
  ['ENOSPC', 28, 'the disk is full'],
  ['EROFS', 30, 'the filesystem is read-only'],
])('%s is no fault of tsrun, whoever met it', (code, number, advice) => {
  const met = [
    Object.assign(new Error(`${code}: no`), { code }),
    new SyscallError('write', number, '/x'),
    new TsrunError('SYSCALL', 'cannot write the record', { cause: Object.assign(new Error(code), { code }) }),
  ];
  for (const error of met) {
    const { code: exit, lines } = reported(error, 1);
    expect(exit).toBe(1);
    expect(lines[1]).toContain(advice);
    expect(lines.join('\n')).not.toContain('fault of tsrun');
  }
});

test('of a full file that is not in the store nothing is advised', () => {
  const cause = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  const error = new TsrunError('NO_SPACE', 'cannot write to stdout: ENOSPC', { cause });
  expect(reported(error, 1).lines).toEqual(['tsrun: cannot write to stdout: ENOSPC']);
});

test('who lacks the right is told to be root, unless he is', () => {
  const spy = vi.spyOn(process, 'geteuid');
  const error = new SyscallError('openat', 13, '/var/lib/tsrun/images.lock');
  try {
    spy.mockReturnValue(1000);
    expect(reported(error, 1).lines).toEqual([`tsrun: ${error.message}`, '  tsrun needs root: run it with sudo']);
    spy.mockReturnValue(0);
    expect(reported(error, 1).lines[1]).not.toContain('sudo');
  } finally {
    spy.mockRestore();
  }
});

test('anything else is a fault of tsrun', () => {
  const {
    code,
    lines: [first, second],
  } = reported(new RangeError('boom'), 1);
  expect(code).toBe(1);
  expect(first).toBe('tsrun: boom');
  expect(second).toContain('fault of tsrun');
});

test('who was interrupted ends as such, whatever failed of it', async () => {
  beginInterruption();
  try {
    process.emit('SIGINT', 'SIGINT');
    const error = new TsrunError('UNAUTHORIZED', 'the credential helper failed');
    expect(reported(error, 1)).toEqual({ code: 130, lines: ['tsrun: the credential helper failed'] });
    expect(reported(new TsrunError('INTERRUPTED', 'interrupted'), 1)).toEqual({ code: 130, lines: [] });
    // Handed on to a container it is not this command's any more.
    await once(process, 'SIGINT');
    expect(interruptedBy()).toBeUndefined();
    expect(reported(error, 1).code).toBe(1);
  } finally {
    endInterruption();
  }
});
