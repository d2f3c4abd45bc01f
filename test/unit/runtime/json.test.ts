import { expect, test } from 'vitest';
import { parseExactJson, stringifyExactJson } from '../../../src/runtime/json.ts';

test('whole numbers beyond 2^53 survive', () => {
  const text =
    '{"a":18446744073709551615,"b":[9007199254740993,-9223372036854775808],"c":1.5e300,"d":9007199254740991}';
  const value = parseExactJson(text);
  expect(value).toEqual({
    a: 18446744073709551615n,
    b: [9007199254740993n, -9223372036854775808n],
    c: 1.5e300,
    d: 9007199254740991,
  });
  expect(stringifyExactJson(value)).toBe(
    '{"a":18446744073709551615,"b":[9007199254740993,-9223372036854775808],"c":1.5e+300,"d":9007199254740991}',
  );
});

test('digits in strings and fractions are left alone', () => {
  const text = '{"12345678901234567890":"18446744073709551615 \\"99999999999999999999\\"","x":0.12345678901234567890}';
  expect(parseExactJson(text)).toEqual(JSON.parse(text));
});

test('what is no JSON throws a SyntaxError', () => {
  expect(() => parseExactJson('{"a":99999999999999999999')).toThrow(SyntaxError);
});

test('indentation is that of JSON.stringify', () => {
  expect(stringifyExactJson({ a: [1n] }, 2)).toBe('{\n  "a": [\n    1\n  ]\n}');
});
