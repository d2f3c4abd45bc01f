import { expect, test } from 'vitest';
import { parseArguments } from '../../../../src/cli/arguments.ts';
import {
  blockIoOf,
  checkDeviceRule,
  checkWeight,
  parseBytesRate,
  parseDeviceWeight,
  parseOperationsRate,
} from '../../../../src/cli/options/block-io.ts';
import { createFlags } from '../../../../src/cli/run-flags.ts';

test('rates of bytes have units, rates of operations have none', () => {
  expect(parseBytesRate('/dev/sda:1mb')).toEqual({ path: '/dev/sda', rate: 1 << 20 });
  expect(parseBytesRate('/dev/disk/x:0')).toEqual({ path: '/dev/disk/x', rate: 0 });
  expect(parseOperationsRate('/dev/sda:100')).toEqual({ path: '/dev/sda', rate: 100 });
});

test.each([
  [parseBytesRate, 'x', 'bad format: x'],
  [parseBytesRate, 'sda:1', 'bad format for device path: sda:1'],
  [
    parseBytesRate,
    '/dev/sda:1x',
    'invalid rate for device: /dev/sda:1x. The correct format is <device-path>:<number>[<unit>].',
  ],
  [parseBytesRate, '/dev/sda:-1', 'Unit is optional and can be kb, mb, or gb'],
  [
    parseOperationsRate,
    '/dev/sda:1k',
    'The correct format is <device-path>:<number>. Number must be a positive integer',
  ],
  [parseOperationsRate, '/etc/passwd:1', 'bad format for device path: /etc/passwd:1'],
  [parseDeviceWeight, '/dev/sda', 'bad format: /dev/sda'],
  [parseDeviceWeight, '/dev/sda:5', 'invalid weight for device: /dev/sda:5'],
  [parseDeviceWeight, '/dev/sda:1001', 'invalid weight for device: /dev/sda:1001'],
])('%o refuses %j with the words of docker', (parse, text, message) => {
  expect(() => parse(text)).toThrow(message);
});

test('weights are 10 to 1000, or 0 for none', () => {
  expect(parseDeviceWeight('/dev/sda:10')).toEqual({ path: '/dev/sda', weight: 10 });
  expect(parseDeviceWeight('/dev/sda:0')).toEqual({ path: '/dev/sda', weight: 0 });
  expect(() => checkWeight('65535')).not.toThrow();
  expect(() => checkWeight('70000')).toThrow('strconv.ParseUint: parsing "70000": value out of range');
});

test.each(['c 1:11 rwm', 'b *:* r', 'a *:* rwm', 'c 136:* w'])('%j is a rule for devices', (text) => {
  expect(() => checkDeviceRule(text)).not.toThrow();
});

test.each(['x', 'c 1:3', 'x 1:3 r', 'c 1:3 x', 'c 1:3 rwmr', 'c -1:3 r'])('%j is none', (text) => {
  expect(() => checkDeviceRule(text)).toThrow(`invalid device cgroup format '${text}'`);
});

function options(...flags: string[]): ReturnType<typeof blockIoOf> {
  return blockIoOf(parseArguments(flags, { command: 'tsrun run', flags: createFlags, interspersed: true }).flags);
}

test('what is not given is absent', () => {
  expect(options()).toEqual({});
  expect(options('--blkio-weight=0')).toEqual({});
});

test('repeated flags are lists in their order', () => {
  expect(
    options(
      '--device-read-bps=/dev/a:1',
      '--device-read-bps=/dev/b:2',
      '--blkio-weight=300',
      '--device-cgroup-rule=c 1:1 r',
    ),
  ).toEqual({
    blkioWeight: 300,
    deviceReadBps: [
      { path: '/dev/a', rate: 1 },
      { path: '/dev/b', rate: 2 },
    ],
    deviceCgroupRules: ['c 1:1 r'],
  });
});

test('a weight out of range is told as the engine of docker does', () => {
  expect(() => options('--blkio-weight=5')).toThrow('Range of blkio weight is from 10 to 1000');
});
