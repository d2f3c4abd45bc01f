import { expect, test } from 'vitest';
import { processTable, select } from '../../../src/container/top.ts';

const text = `  PID TTY          TIME COMMAND
    1 ?        00:00:01 init
   70 pts/0    00:00:00 sh -c a  b
    - -        00:00:00 -
   71 ?        00:00:00 other
`;

test('the lines of the pids stay, threads with them, and the last column keeps its words', () => {
  expect(select(text, new Set(['70']))).toEqual({
    titles: ['PID', 'TTY', 'TIME', 'COMMAND'],
    rows: [
      ['70', 'pts/0', '00:00:00', 'sh -c a b'],
      ['-', '-', '00:00:00', '-'],
    ],
  });
});

test('without a column of pids nothing can be chosen', () => {
  expect(() => select('USER COMMAND\nroot init\n', new Set(['1']))).toThrow("Couldn't find PID field in ps output");
});

test('another column may not be titled PID', () => {
  expect(() => processTable(['-o', 'ppid=PID'], [1])).toThrow('specifying "ppid=PID" is not allowed');
});

test('ps itself says what it does not understand', () => {
  expect(() => processTable(['--bogus'], [1])).toThrow(/unknown gnu long option/);
});

test('options that do not go together with a list of pids still work', () => {
  const { titles, rows } = processTable(['f', '-ef'], [process.pid]);
  expect(titles).toContain('PID');
  expect(rows).toHaveLength(1);
});
