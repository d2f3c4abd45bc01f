import { expect, test } from 'vitest';
import { abbreviationIn } from '../../../../src/cli/views/time-zone.ts';

interface Zone {
  changes: [time: number, kind: number][];
  kinds: [offset: number, nameAt: number][];
  names: string;
}

/** A block of tzfile(5) with its header. */
function block(version: string, width: number, zone: Zone): Buffer {
  const header = Buffer.alloc(44);
  header.write(`TZif${version}`);
  [0, 0, 0, zone.changes.length, zone.kinds.length, zone.names.length].forEach((count, index) => {
    header.writeUInt32BE(count, 20 + index * 4);
  });
  const times = zone.changes.map(([time]) => {
    const bytes = Buffer.alloc(width);
    if (width === 8) bytes.writeBigInt64BE(BigInt(time));
    else bytes.writeInt32BE(time);
    return bytes;
  });
  const kinds = zone.kinds.map(([offset, nameAt]) => {
    const bytes = Buffer.alloc(6);
    bytes.writeInt32BE(offset);
    bytes[5] = nameAt;
    return bytes;
  });
  return Buffer.concat([
    header,
    ...times,
    Buffer.from(zone.changes.map(([, kind]) => kind)),
    ...kinds,
    Buffer.from(zone.names),
  ]);
}

const berlin: Zone = {
  changes: [
    [-5_000_000_000, 1],
    [1000, 2],
    [2000, 1],
    [3000, 2],
    [4000, 3],
  ],
  kinds: [
    [3208, 0],
    [3600, 4],
    [7200, 8],
    [3600, 13],
  ],
  names: 'LMT\0CET\0CEST\0NEW\0',
};

test('a zone has the name of the last change before a moment, and after all changes the newest of the offset', () => {
  const short = block('\0', 4, { ...berlin, changes: berlin.changes.slice(1) });
  const long = Buffer.concat([block('2', 4, { changes: [], kinds: [[0, 0]], names: 'UTC\0' }), block('2', 8, berlin)]);
  for (const file of [short, long]) {
    expect(abbreviationIn(file, 1500, 7200)).toBe('CEST');
    expect(abbreviationIn(file, 2500, 3600)).toBe('CET');
    expect(abbreviationIn(file, 4000, 3600)).toBe('NEW');
    expect(abbreviationIn(file, 9999, 7200)).toBe('CEST');
    expect(abbreviationIn(file, 9999, 1234)).toBeUndefined();
  }
  expect(abbreviationIn(long, -6_000_000_000, 3208)).toBe('LMT');
});

test('a file that is no zone, or ends early, has no name', () => {
  const whole = block('\0', 4, { ...berlin, changes: [[1000, 2]] });
  for (let length = 0; length < whole.length; length++) {
    expect(abbreviationIn(whole.subarray(0, length), 1500, 7200)).toBeUndefined();
  }
  expect(abbreviationIn(whole, 1500, 7200)).toBe('CEST');
  expect(abbreviationIn(Buffer.alloc(100), 0, 0)).toBeUndefined();
});
