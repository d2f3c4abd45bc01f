import { describe, expect, test } from 'vitest';
import { encodeProgram } from '../../../src/program/encode.ts';
import type { Operation, Program } from '../../../src/program/program.ts';
import {
  compileExec,
  compileUnattendedExec,
  type ExecOptions,
  type ExecProgram,
} from '../../../src/runtime/compile/exec.ts';

const base: ExecOptions = {
  process: {
    cwd: '/work',
    user: { uid: 0, gid: 0 },
    args: ['true'],
    env: ['PATH=/bin:/usr/bin'],
    capabilities: { bounding: ['CAP_KILL'] },
  },
  namespaces: ['mount', 'pid', 'network', 'ipc'],
  pidLast: false,
  intoCgroup: true,
  stdin: false,
  target: 'inherited',
  sync: true,
  seccomp: Uint8Array.of(6, 0, 0, 0, 0, 0, 255, 127),
  lenientRlimit: () => true,
};

function compiled(changes: Partial<ExecOptions> = {}, process: Partial<ExecOptions['process']> = {}): ExecProgram {
  return compileExec({ ...base, ...changes, process: { ...base.process, ...process } });
}

function program(changes: Partial<ExecOptions> = {}, process: Partial<ExecOptions['process']> = {}): Program {
  return compiled(changes, process).build();
}

/** The operations of the child, in their order. */
function childOf({ operations }: Program): readonly Operation[] {
  const clone = operations.find(({ call }) => call === 'clone3');
  return operations.slice(clone?.branch?.at);
}

function indexOf(operations: readonly Operation[], call: string, title = /./): number {
  const found = operations.findIndex((operation) => operation.call === call && title.test(operation.title));
  expect(found, `${call} ${title}`).toBeGreaterThanOrEqual(0);
  return found;
}

test('the process cannot be looked into before it exists', () => {
  const { operations } = program();
  expect(indexOf(operations, 'prctl', /not dumpable/)).toBeLessThan(indexOf(operations, 'clone3'));
});

test.each([
  ['pipes', {}],
  ['a terminal', { terminal: true }],
])('with %s every descriptor of the host is closed before the container is joined', (_, process) => {
  const child = childOf(program({}, process));
  const join = indexOf(child, 'setns');
  const closed = child.slice(0, join).filter(({ call }) => call === 'close_range');
  expect(closed.map(({ args }) => args)).toEqual([
    [6, 0xffffffff, 0],
    [3, 3, 0],
  ]);
  const opens = child.slice(0, join).filter(({ call }) => call === 'openat' || call === 'openat2');
  expect(opens.filter(({ title }) => !title.includes('/dev/null'))).toEqual([]);
});

test('the working directory is entered when no descriptor is left that could name one of the host', () => {
  const child = childOf(program());
  const closed = child.findLastIndex(({ call }) => call === 'close_range');
  expect(child[closed]?.args).toEqual([5, 0xffffffff, 0]);
  expect(closed).toBeLessThan(indexOf(child, 'chdir'));
  expect(indexOf(child, 'setns')).toBeLessThan(closed);
});

test('what restricts the command comes after what needs rights, and right before it', () => {
  const child = childOf(
    program({}, { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 10, hard: 10 }], user: { uid: 7, gid: 8 } }),
  );
  const order = [
    indexOf(child, 'setns'),
    indexOf(child, 'prlimit64'),
    indexOf(child, 'chdir'),
    indexOf(child, 'seccomp'),
    indexOf(child, 'setresgid', /8/),
    indexOf(child, 'setresuid', /7/),
    indexOf(child, 'capset'),
    indexOf(child, 'execve'),
  ];
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

test('all namespaces but that of pids are joined by the child in one call', () => {
  const { operations } = program();
  const joins = operations.filter(({ call }) => call === 'setns');
  expect(joins.map(({ args }) => args[1])).toEqual([0x20000000, 0x20000000, 0x20000 | 0x40000000 | 0x8000000]);
});

test('namespaces of the host are not joined', () => {
  const { operations } = program({ namespaces: ['mount'] });
  expect(operations.filter(({ call }) => call === 'setns').map(({ args }) => args[1])).toEqual([0x20000]);
  expect(program({ namespaces: [] }).operations.some(({ call }) => call === 'setns')).toBe(false);
});

test('a terminal comes from the devpts of the container, by no link', () => {
  const child = childOf(program({}, { terminal: true, user: { uid: 5, gid: 5 } }));
  const open = indexOf(child, 'openat2', /multiplexer/);
  expect(indexOf(child, 'setns')).toBeLessThan(open);
  expect(child.some(({ title }) => title.includes('/dev/console'))).toBe(false);
  expect(child[indexOf(child, 'fchown')]?.args[1]).toBe(5);
  // The monitor's own terminal is covered before the container is there to see it.
  expect(
    child
      .slice(0, indexOf(child, 'setns'))
      .filter(({ call }) => call === 'dup3')
      .map(({ args }) => args[1]),
  ).toEqual([0, 1, 2, 5]);
});

test('a monitor that has the pidfd itself fills it into the memory, and hears no messages', () => {
  const own = compiled({ target: 'slot', sync: false });
  const built = own.build();
  const { target } = own;
  expect(target?.width).toBe(4);
  expect(built.errorFd).toBe(-1);
  expect(built.operations.some(({ title }) => title.includes('tell'))).toBe(false);
  const setns = built.operations.filter(({ call }) => call === 'setns');
  expect(setns[0]?.args[0]).toBe(target);
  expect(Buffer.from(built.memory).readInt32LE(target?.offset ?? 0)).toBe(-1);
  expect(
    childOf(built)
      .filter(({ call }) => call === 'close_range')
      .map(({ args }) => args),
  ).toContainEqual([3, 4, 0]);
});

test('the out-of-memory score is set while the proc is still one to be trusted', () => {
  const child = childOf(program({}, { oomScoreAdj: -5 }));
  expect(indexOf(child, 'write', /score -5/)).toBeLessThan(indexOf(child, 'setns'));
});

test('the program encodes', () => {
  expect(encodeProgram(program({ stdin: true }, { terminal: true })).length).toBeGreaterThan(1000);
});

describe('where somebody may trace', () => {
  const late = (changes: Partial<ExecOptions> = {}, process: Partial<ExecOptions['process']> = {}): Program =>
    program({ pidLast: true, ...changes }, process);
  /** From where the process that joins makes the command's. */
  const visible = ({ operations }: Program): readonly Operation[] => {
    const clone = operations.findLast(({ call }) => call === 'clone');
    return operations.slice(clone?.branch?.at);
  };

  test.each([
    ['pipes', {}, ['setsid', 'execve', 'execve', 'fail']],
    ['a terminal', { terminal: true }, ['setsid', 'ioctl', 'execve', 'execve', 'fail']],
  ])('with %s nothing but a session is left to do in the pid namespace', (_, process, calls) => {
    expect(visible(late({}, process)).map(({ call }) => call)).toEqual(calls);
  });

  test('everything else is done by then, the filter too', () => {
    const child = childOf(late({}, { user: { uid: 7, gid: 8 } }));
    const order = [
      indexOf(child, 'madvise'),
      indexOf(child, 'dup3', /failures/),
      indexOf(child, 'setns'),
      child.findLastIndex(({ call }) => call === 'close_range'),
      indexOf(child, 'chdir'),
      indexOf(child, 'seccomp'),
      indexOf(child, 'setresuid', /7/),
      indexOf(child, 'capset'),
      indexOf(child, 'clone'),
      indexOf(child, 'execve'),
    ];
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test('all namespaces are joined in one call, by who is outside of the one of pids', () => {
    const { operations } = late();
    expect(operations.filter(({ call }) => call === 'setns').map(({ args }) => args[1])).toEqual([
      0x20000 | 0x20000000 | 0x40000000 | 0x8000000,
    ]);
  });

  test('a container in the pid namespace of the host is joined as ever', () => {
    expect(late({ namespaces: ['mount'] }).operations).toEqual(program({ namespaces: ['mount'] }).operations);
  });

  test('a scheduler that no fork hands on is set by the monitor', () => {
    const scheduler = { policy: 'SCHED_OTHER' as const, nice: 5 };
    const unattended = { console: false, preserved: 0, seccompFlags: 0, labels: {} };
    const of = (flags: string[]): readonly Operation[] => {
      const { process, ...options } = base;
      const scheduled = { ...process, scheduler: { ...scheduler, flags } };
      return compileUnattendedExec({ ...options, process: scheduled, pidLast: true, unattended }).operations;
    };
    const at = (operations: readonly Operation[]): boolean =>
      indexOf(operations, 'sched_setattr') < indexOf(operations, 'end');
    expect([at(of([])), at(of(['SCHED_FLAG_RESET_ON_FORK']))]).toEqual([false, true]);
  });

  test('the program encodes', () => {
    expect(encodeProgram(late({ stdin: true }, { terminal: true })).length).toBeGreaterThan(1000);
  });
});
