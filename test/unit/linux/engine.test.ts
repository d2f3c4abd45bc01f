/** What stands in for parts of the engine's library that take long to load answers what they answer. */
import { createHash as nodeHash } from 'node:crypto';
import { isIP } from 'node:net';
import { constants, hostname, release, version } from 'node:os';
import { describe, expect, test } from 'vitest';
import { createHash, sha256 } from '../../../src/linux/hash.ts';
import { ipFamily } from '../../../src/linux/ip-address.ts';
import { randomBelow, randomBytes, randomHex } from '../../../src/linux/random.ts';
import { signals } from '../../../src/linux/signals.ts';
import { uname } from '../../../src/linux/uname.ts';

test('signals are those of this system', () => {
  expect(signals).toEqual(constants.signals);
});

test('uname says what node:os says', () => {
  expect(uname()).toMatchObject({
    sysname: 'Linux',
    nodename: hostname(),
    release: release(),
    version: version(),
    machine: process.arch === 'x64' ? 'x86_64' : 'aarch64',
  });
});

test('hashes', () => {
  const text = 'abc';
  expect(sha256(text)).toEqual(nodeHash('sha256').update(text).digest());
  expect(createHash('sha512').update('a').update(Buffer.from('bc')).digest('hex')).toBe(
    nodeHash('sha512').update(text).digest('hex'),
  );
});

test('random numbers', () => {
  expect(randomHex(32)).toMatch(/^[0-9a-f]{64}$/);
  expect(randomBytes(16).equals(randomBytes(16))).toBe(false);
  const seen = new Set(Array.from({ length: 300 }, () => randomBelow(3)));
  expect([...seen].sort()).toEqual([0, 1, 2]);
  expect(randomBelow(1)).toBe(0);
});

describe('ipFamily agrees with node:net', () => {
  const texts = ['1.2.3.4', '0.0.0.0', '255.255.255.255', '::', '::1', 'fd00::1', '1:2:3:4:5:6:7:8', '::ffff:1.2.3.4'];
  const zones = ['fe80::1%eth0', 'fe80::1%1'];
  const wrong = [
    '',
    'a',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1::2::3',
    ':::',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    '1.2.3.4%eth0',
    'fe80::%',
  ];
  test.each([...texts, ...zones, ...wrong])('%j', (text) => {
    expect(ipFamily(text)).toBe(isIP(text));
  });
});
