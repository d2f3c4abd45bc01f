import { expect, test } from 'vitest';
import { signalName, signalNumber } from '../../../src/linux/signals.ts';

test.each([
  ['9', 9],
  ['KILL', 9],
  ['sigterm', 15],
  ['SIGRTMIN', 34],
  ['RTMIN+1', 35],
  ['SIGRTMAX-14', 50],
  ['rtmax', 64],
])('%s is signal %i', (text, number) => {
  expect(signalNumber(text)).toBe(number);
});

test.each(['0', '65', '', 'FOO', 'SIGRTMIN+31', 'SIGRTMAX-31', '-9'])('%j is no signal', (text) => {
  expect(signalNumber(text)).toBeUndefined();
});

test('every signal has a name that means it', () => {
  for (let number = 1; number <= 64; number++) {
    if (number === 32 || number === 33) continue;
    expect(signalNumber(signalName(number))).toBe(number);
  }
});
