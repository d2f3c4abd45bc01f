import { spawnSync } from 'node:child_process';
import { readSync } from 'node:fs';
import { expect, test } from 'vitest';
import { titles } from '../../../../src/cli/explain/translate.ts';
import { renderLine, renderSums, sumByPhase } from '../../../../src/cli/trace/render.ts';
import { ProgramTrace, type TracedStep } from '../../../../src/cli/trace/traced.ts';
import { artifact } from '../../../../src/linux/artifacts.ts';
import { SOCK_SEQPACKET } from '../../../../src/linux/constants.ts';
import { close, memoryFile, sealedMemfd } from '../../../../src/linux/fs.ts';
import { send, socketPair } from '../../../../src/linux/unix-socket.ts';
import { encodeProgram, traceSize } from '../../../../src/program/encode.ts';
import { type Program, ProgramBuilder } from '../../../../src/program/program.ts';
import { cloneChild } from '../../../../src/runtime/compile/clone.ts';

/** Runs a program by the real machine and reads what it noted. */
function traced(program: Program, executed: boolean): TracedStep[] {
  const fd = 5;
  const memory = memoryFile('trace', program.operations.length * traceSize);
  const file = sealedMemfd('program', encodeProgram({ ...program, trace: { fd, untimedFilter: false } }));
  const [ours, theirs] = socketPair(SOCK_SEQPACKET);
  try {
    send(ours, Uint8Array.of(1));
    spawnSync(artifact('tsrun-monitor'), ['run'], {
      stdio: ['ignore', 'ignore', 'ignore', file, theirs, memory],
      timeout: 10_000,
    });
    const bytes = Buffer.alloc(program.operations.length * traceSize);
    readSync(memory, bytes, 0, bytes.length, 0);
    const trace = new ProgramTrace(program, 0);
    const steps = trace.read(bytes, executed);
    expect(trace.read(bytes, executed)).toEqual([]);
    return steps;
  } finally {
    for (const each of [memory, file, ours, theirs]) close(each);
  }
}

function forked(child: (b: ProgramBuilder) => void): Program {
  const b = new ProgramBuilder();
  b.enter('namespaces');
  const pid = b.slot('pid');
  const label = cloneChild(b, pid, b.slot('pidfd'), { title: 'make it', flags: 0, intoCgroup: false });
  b.call('end', [], { title: 'end' });
  b.mark(label);
  b.enter('exec');
  child(b);
  b.call('fail', [], { title: 'run it' });
  return b.build({ errorFd: 4 });
}

const pathOf = (b: ProgramBuilder, path: string): [number, ReturnType<ProgramBuilder['text']>, number, number] => [
  -100,
  b.text(path),
  0,
  0,
];

test('results of both sides are noted, values that were stored are shown, and the execve that worked', () => {
  const steps = traced(
    forked((b) => {
      const fd = b.slot('the root');
      b.call('openat', pathOf(b, '/nowhere'), { title: 'try', tolerate: ['ENOENT'] });
      b.call('openat', pathOf(b, '/'), { title: 'open', store: fd });
      b.call('fchdir', [fd], { title: 'go' });
      const none = b.pointers([], 'none');
      b.call('execve', [b.text('/no/true'), none, none], { title: 'run', tolerate: ['ENOENT'], remember: true });
      b.call('execve', [b.text('/bin/true'), b.pointers([b.text('true')], 'argv'), none], { title: 'run' });
    }),
    true,
  );
  expect(steps.map(({ side }) => side)).toEqual(['monitor', ...Array(5).fill('container')]);
  expect(steps[0]?.result).toMatch(/^clone3\(\{flags=CLONE_PIDFD,.*\}, 88\) = [1-9]\d*$/);
  expect(steps[1]?.result).toBe('openat(AT_FDCWD, "/nowhere", O_RDONLY) = -1 ENOENT (tolerated)');
  const fd = / = (\d+)$/.exec(steps[2]?.result ?? '')?.[1];
  expect(steps[3]?.result).toBe(`fchdir(${fd}) = 0`);
  expect(steps[4]?.result).toContain('= -1 ENOENT (tolerated)');
  expect(steps[5]).toMatchObject({
    result: 'execve("/bin/true", ["true"], {envp} /* 0 vars */) = 0',
    duration: undefined,
  });
  for (const { duration } of steps.slice(1, 5)) expect(duration).toBeGreaterThanOrEqual(0);
  const times = steps.map(({ start }) => start);
  expect(times.slice(1)).toEqual([...times.slice(1)].sort((a, b) => a - b));
});

test('what fails is the last that is told', () => {
  const steps = traced(
    forked((b) => {
      b.call('openat', pathOf(b, '/nowhere'), { title: 'open' });
      b.call('fchdir', [0], { title: 'never' });
    }),
    false,
  );
  expect(steps.map(({ title }) => title)).toEqual(['make it', 'open']);
  expect(steps[1]?.result).toBe('openat(AT_FDCWD, "/nowhere", O_RDONLY) = -1 ENOENT');
});

const step = (phase: TracedStep['phase'], start: number, duration: number, side: TracedStep['side'] = 'command') => ({
  ...{ side, phase, title: 't', result: '', start, duration },
});

test('a step within another counts once, and the program stands beside the host', () => {
  const sums = sumByPhase([
    step('teardown', 10, 5),
    step('network', 11, 2),
    step('network', 11.5, 1),
    step('mounts', 3, 0.5, 'container'),
    step('image', 0, 1),
  ]);
  expect(sums).toEqual([
    { phase: 'image', steps: 1, host: 1, program: 0 },
    { phase: 'mounts', steps: 1, host: 0, program: 0.5 },
    { phase: 'teardown', steps: 1, host: 3, program: 0 },
    { phase: 'network', steps: 2, host: 2, program: 0 },
  ]);
  const lines = renderSums(sums, 9.5);
  expect(lines).toContain('total            5        6.00        0.50');
  expect(lines.at(-1)).toBe('9.50 ms from the start of tsrun until the command ran');
});

test('the same in Russian', () => {
  const words = { language: 'ru', translate: (title: string) => titles.translate(title, 'ru') } as const;
  const open = { ...step('mounts', 12.3456, 0.5, 'container'), title: 'open the new root' };
  expect(renderLine({ ...open, result: 'openat(5) = -1 ENOENT (tolerated)' }, words)).toBe(
    '   12.346    0.500 мс  контейнер  монтир.     открыть новый корень: openat(5) = -1 ENOENT (допустимо)',
  );
  const lines = renderSums(sumByPhase([step('network', 1, 2)]), 9.5, 'ru');
  expect(lines[1]).toBe('сеть             1        2.00        0.00');
  expect(lines.at(-1)).toBe('9.50 мс от запуска tsrun до запуска команды');
});

test('a line has times, side, phase, title and result', () => {
  expect(renderLine({ ...step('mounts', 12.3456, 0.5, 'container'), title: 'go', result: 'fchdir(3) = 0' })).toBe(
    '   12.346    0.500 ms  container  mounts      go: fchdir(3) = 0',
  );
});
