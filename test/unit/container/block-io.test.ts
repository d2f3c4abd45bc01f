import { expect, test } from 'vitest';
import { blockIo, deviceCgroupRule, deviceNumber } from '../../../src/container/block-io.ts';
import { runOptions } from '../../fixtures/run-options.ts';

test('numbers of devices are taken apart as glibc put them together', () => {
  expect(deviceNumber(0x801)).toEqual({ major: 8, minor: 1 });
  expect(deviceNumber(0x12305)).toEqual({ major: 0x123, minor: 5 });
  // makedev(259, 0x12345)
  expect(deviceNumber(0x12310345)).toEqual({ major: 259, minor: 0x12345 });
});

test('no limit is no object', () => {
  expect(blockIo(runOptions())).toBeUndefined();
});

test('a weight needs no disk', () => {
  expect(blockIo(runOptions({ blkioWeight: 100 }))).toEqual({ weight: 100 });
});

test('a path without a disk is refused, with where disks are listed', () => {
  expect(() => blockIo(runOptions({ deviceReadBps: [{ path: '/dev/no such', rate: 1 }] }))).toThrow(
    'stat /dev/no such: no such file or directory',
  );
  expect(() => blockIo(runOptions({ deviceReadBps: [{ path: '/dev/null', rate: 1 }] }))).toThrow('it is no disk');
});

test('a rule without numbers is for all of the type', () => {
  expect(deviceCgroupRule('c 1:11 rw')).toEqual({ allow: true, type: 'c', major: 1, minor: 11, access: 'rw' });
  expect(deviceCgroupRule('b *:* r')).toEqual({ allow: true, type: 'b', access: 'r' });
  expect(deviceCgroupRule('a *:* rwm')).toEqual({ allow: true, type: 'a', access: 'rwm' });
});
