import { expect, test } from 'vitest';
import { quote, sprint, sprintf, sprintln } from '../../../../src/cli/format/printf.ts';
import { nilList, stringMap, type Value } from '../../../../src/cli/format/value.ts';

test.each<[string, Value[], string]>([
  ['%s', ['a'], 'a'],
  ['%5s|%-5s|', ['a', 'b'], '    a|b    |'],
  ['%.2s', ['abc'], 'ab'],
  ['%q', ['a"b\n'], '"a\\"b\\n"'],
  ['%x %X', ['hi', 'hi'], '6869 6869'],
  ['%d %5d %-5d| %05d %+d', [1, 2, 3, 4, 5], '1     2 3    | 00004 +5'],
  ['%x %X %#x %o %b %c', [255, 255, 255, 8, 5, 65], 'ff FF 0xff 10 101 A'],
  ['%f %.2f %8.3f %e %g', [1.5, 1.234, 3.1472, 1234.5, 0.5], '1.500000 1.23    3.147 1.234500e+03 0.5'],
  ['%t %v %T', [true, false, 'x'], 'true false string'],
  ['%v %v %v', [['a', 1], stringMap({ b: '2', a: '1' }), { X: 1, Y: 'z' }], '[a 1] map[a:1 b:2] {1 z}'],
  ['%+v', [{ X: 1, Y: 'z' }], '{X:1 Y:z}'],
  ['%s %q', [['a', 'b'], ['c']], '[a b] ["c"]'],
  ['%v %v', [null, nilList], '<nil> []'],
  ['100%%', [], '100%'],
  ['%d', ['a'], '%!d(string=a)'],
  ['%s', [1], '%!s(int=1)'],
  ['%z', [1], '%!z(int=1)'],
  ['%s %v', ['a'], 'a %!v(MISSING)'],
  ['x', [1, 'a'], 'x%!(EXTRA int=1, string=a)'],
  ['%', [], '%!(NOVERB)'],
  ['%*d', [5, 42], '   42'],
])('%j with %j', (format, args, expected) => {
  expect(sprintf(format, args)).toBe(expected);
});

test('print puts spaces between what is no text, println between all', () => {
  expect(sprint(['a', 'b', 1, 2, 'c', true, false])).toBe('ab1 2c' + 'true false');
  expect(sprintln(['a', 1, true])).toBe('a 1 true\n');
});

test('quoted text is safe to show', () => {
  expect(quote('sh -c "x"\x1b\u009b\u202e é…')).toBe('"sh -c \\"x\\"\\x1b\\u009b\\u202e é…"');
});
