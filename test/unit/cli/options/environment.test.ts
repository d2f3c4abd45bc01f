import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkEnvironment, checkLabel, environmentOf, labelsOf } from '../../../../src/cli/options/environment.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsrun-env-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
function file(content: string | Uint8Array): string {
  const path = join(directory, String(files++));
  writeFileSync(path, content);
  return path;
}

test('files come first, then flags; names alone are looked up', () => {
  const path = file('\ufeff# comment\n\nA=1\n  B=two words \nHOME\nUNSET\nEMPTY=\nQ="quoted"\r\n');
  expect(environmentOf([], ['constructor', 'toString'], { toString: 'text' } as unknown as NodeJS.ProcessEnv)).toEqual([
    'constructor',
    'toString=text',
  ]);
  expect(environmentOf([path], ['A=2', 'HOME', 'GONE', 'X='], { HOME: '/root' })).toEqual([
    'A=1',
    'B=two words ',
    'HOME=/root',
    'EMPTY=',
    'Q="quoted"',
    'A=2',
    'HOME=/root',
    'GONE',
    'X=',
  ]);
});

test('labels without a value are empty, and the last one counts', () => {
  const path = file('a=1\nb\n');
  expect(labelsOf([path], ['a=2', 'c', 'd=x=y', '__proto__=z'])).toEqual(
    Object.fromEntries([
      ['a', '2'],
      ['b', ''],
      ['c', ''],
      ['d', 'x=y'],
      ['__proto__', 'z'],
    ]),
  );
});

test.each<[string | Uint8Array, string]>([
  ['A B=c\n', "poorly formatted environment: variable 'A B' contains whitespaces"],
  ['export A=1\n', "poorly formatted environment: variable 'export A' contains whitespaces"],
  ['=c\n', "poorly formatted environment: no variable name on line '=c'"],
  [Buffer.from('A=1\n\xff=1\n', 'latin1'), 'contains invalid utf8 bytes at line 2: [255 61 49]'],
])('%j is refused', (content, message) => {
  expect(() => environmentOf([file(content)], [], {})).toThrow(message);
});

test('a file that is not there is named', () => {
  expect(() => environmentOf([join(directory, 'nope')], [], {})).toThrow(
    `open ${directory}/nope: no such file or directory`,
  );
});

test('names must not be empty', () => {
  expect(() => checkEnvironment('')).toThrow('invalid environment variable: ');
  expect(() => checkEnvironment('=x')).toThrow('invalid environment variable: =x');
  expect(() => checkLabel('=x')).toThrow("invalid label '=x': empty name");
  checkEnvironment('A');
  checkLabel('a=b');
});
