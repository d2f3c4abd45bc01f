import { expect, test } from 'vitest';
import { GoMap, nilList, nilMap, stringMap, toJson } from '../../../../src/cli/format/value.ts';

test('JSON has structs in their order, maps sorted, and null for what is nil', () => {
  const value = { B: 1, A: stringMap({ y: '2', x: '1' }), L: nilList, M: nilMap, E: [], O: {}, N: null, T: true };
  expect(toJson(value)).toBe('{"B":1,"A":{"x":"1","y":"2"},"L":null,"M":null,"E":[],"O":{},"N":null,"T":true}');
});

test('indented JSON is docker’s', () => {
  expect(toJson([{ A: ['x', 1], B: {}, C: new GoMap([['k', []]], nilList) }], 4)).toBe(
    [
      '[',
      '    {',
      '        "A": [',
      '            "x",',
      '            1',
      '        ],',
      '        "B": {},',
      '        "C": {',
      '            "k": []',
      '        }',
      '    }',
      ']',
    ].join('\n'),
  );
  expect(toJson([], 4)).toBe('[]');
});

test('no control character gets through JSON', () => {
  expect(toJson('\x1b[31m\x7f\u009b\u2028 <&>')).toBe('"\\u001b[31m\\u007f\\u009b\\u2028 <&>"');
  expect(JSON.parse(toJson('\x1b\x7f\u009b\u2028'))).toBe('\x1b\x7f\u009b\u2028');
});

test('a key that is special in JavaScript is data', () => {
  const map = new GoMap([['__proto__', 'x']], '');
  expect(toJson(map)).toBe('{"__proto__":"x"}');
});
