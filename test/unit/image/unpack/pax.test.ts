import { expect, test } from 'vitest';
import { noRecords, parsePax, paxName, paxNumber, paxTime, paxXattrs } from '../../../../src/image/unpack/pax.ts';
import { paxRecord } from '../../../fixtures/archives.ts';

function records(...list: [string, string | Buffer][]) {
  const result = noRecords();
  parsePax(Buffer.concat(list.map(([key, value]) => paxRecord(key, value))), result);
  return result;
}

test('values may hold newlines, equal signs, NULs and any bytes', () => {
  const value = Buffer.from([0x0a, 0x3d, 0x00, 0xff, 0x0a]);
  const read = records(['SCHILY.xattr.user.x', value], ['comment', '12 a=b\n']);
  expect(paxXattrs(read)).toEqual(new Map([['user.x', value]]));
  expect(paxName(read, 'comment')).toBe('12 a=b\n');
});

test('the last record of a key counts, and an empty one takes it back', () => {
  expect(paxName(records(['path', 'a'], ['path', 'b']), 'path')).toBe('b');
  expect(paxName(records(['path', 'a'], ['path', '']), 'path')).toBeUndefined();
  expect(paxNumber(records(['size', '']), 'size')).toBeUndefined();
});

test.each([
  ['0', 0, 0],
  ['1700000000.123456789', 1_700_000_000, 123_456_789],
  ['1700000000.1234567891', 1_700_000_000, 123_456_789],
  ['1.5', 1, 500_000_000],
  ['7.', 7, 0],
  ['-1', -1, 0],
  ['-0.25', -1, 750_000_000],
  ['-2.000000001', -3, 999_999_999],
])('the time %s', (text, seconds, nanoseconds) => {
  expect(paxTime(records(['mtime', text]), 'mtime')).toEqual({ seconds, nanoseconds });
});

test.each(['', 'x', '1e9', '1.5.5', '--1', '1,5', '99999999999999999999', ' 1'])('%j is no time', (text) => {
  const read = records(['mtime', text]);
  if (text === '') expect(paxTime(read, 'mtime')).toBeUndefined();
  else expect(() => paxTime(read, 'mtime')).toThrow('mtime is not a time');
});

test.each(['-1', '1.5', 'abc', '0x10', '9007199254740992', '+1'])('%j is no size', (text) => {
  expect(() => paxNumber(records(['size', text]), 'size')).toThrow('size is not a number');
});

test.each([
  ['no length', 'path=x\n'],
  ['nothing but digits', '123456'],
  ['a length beyond the end', '99 path=x\n'],
  ['a length that is too short', '5 path=x\n'],
  ['a length of 0', '0 path=x\n'],
  ['no newline at its end', '9 path=xy'],
  ['no equal sign', '7 path\n'],
  ['no key', '5 =x\n'],
  ['a NUL in its key', '9 pa\0h=x\n'],
  ['a negative length', '-9 path=x\n'],
  ['a blank before its length', ' 10 path=x\n'],
])('a record with %s is refused', (_, text) => {
  expect(() => parsePax(Buffer.from(text), noRecords())).toThrow('malformed extended header');
});

test('LIBARCHIVE.xattr is URL-encoded base64, and SCHILY.xattr goes before it', () => {
  const read = records(
    ['SCHILY.xattr.user.both', 'schily'],
    ['LIBARCHIVE.xattr.user.both', Buffer.from('libarchive').toString('base64')],
    ['LIBARCHIVE.xattr.user.a%3Db%20c', Buffer.from([0, 255]).toString('base64')],
  );
  expect(paxXattrs(read)).toEqual(
    new Map([
      ['user.both', Buffer.from('schily')],
      ['user.a=b c', Buffer.from([0, 255])],
    ]),
  );
});

test('without such records there are no attributes', () => {
  expect(paxXattrs(records(['path', 'x']))).toBeUndefined();
});

test('sparse offsets and lengths must come in pairs', () => {
  expect(records(['GNU.sparse.offset', '0'], ['GNU.sparse.numbytes', '5']).sparsePairs).toEqual([0, 5]);
  expect(() => records(['GNU.sparse.offset', '0'], ['GNU.sparse.offset', '5'])).toThrow('do not pair');
  expect(() => records(['GNU.sparse.numbytes', '0'])).toThrow('do not pair');
});
