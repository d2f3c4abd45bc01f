import { expect, test } from 'vitest';
import { encodeProgram } from '../../../src/program/encode.ts';
import { type Program, ProgramBuilder } from '../../../src/program/program.ts';
import { withStops } from '../../../src/program/stops.ts';

/** A program with a maker's side and a child's, in which phases change. */
function program(): Program {
  const b = new ProgramBuilder();
  b.enter('console');
  b.call('umask', [0], { title: 'first' });
  b.call('umask', [1], { title: 'second' });
  b.enter('namespaces');
  const child = b.label();
  b.call('clone3', [b.reserve(88, 'clone_args'), 88], { title: 'make it', branch: child });
  b.enter('console');
  b.call('umask', [2], { title: 'behind it' });
  b.call('end', [], { title: 'end' });
  b.mark(child);
  b.call('umask', [3], { title: 'child' });
  b.enter('security');
  b.call('seccomp', [1, 0, b.text('odd')], { title: 'filter' });
  b.enter('exec');
  b.call('execve', [b.text('/bin/true'), 0, 0], { title: 'run' });
  return b.build({ errorFd: 4 });
}

const options = { fd: 4, kind: 6, untilFilter: false };

test("a stop is where another phase begins on the child's side; the maker's side never stops", () => {
  const { program: stopped, maker, stops } = withStops(program(), options);
  expect(maker.map(({ title }) => title)).toEqual(['first', 'second', 'make it', 'behind it', 'end']);
  expect(stops.map((operations) => operations.map(({ title }) => title))).toEqual([['child'], ['filter'], ['run']]);
  const titles = stopped.operations.map(({ title }) => title);
  const stop = ['tell that it stops', 'wait until it may go on'];
  expect(titles.slice(maker.length)).toEqual([...stop, 'child', ...stop, 'filter', ...stop, 'run']);
});

test('the child begins with its first stop, and what lies in memory keeps its place', () => {
  const before = program();
  const { program: stopped, stops } = withStops(before, options);
  const clone = stopped.operations.find(({ call }) => call === 'clone3');
  expect(stopped.operations[clone?.branch?.at ?? 0]?.title).toBe('tell that it stops');
  expect(Buffer.from(stopped.memory).subarray(0, before.memory.length)).toEqual(Buffer.from(before.memory));
  expect(encodeProgram(stopped).length).toBeGreaterThan(encodeProgram(before).length);
  const told = stopped.operations
    .filter(({ title }) => title === 'tell that it stops')
    .map(({ args }) => {
      const [, place] = args;
      const at = typeof place === 'object' ? place.offset : -1;
      return [0, 4].map((offset) => Buffer.from(stopped.memory).readUInt32LE(at + offset));
    });
  expect(told).toEqual(stops.map((_, index) => [6, index]));
});

test('behind a filter that may refuse to write there is no stop', () => {
  const { stops } = withStops(program(), { ...options, untilFilter: true });
  expect(stops.at(-1)?.map(({ title }) => title)).toEqual(['filter', 'run']);
});
