import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { TsrunError } from '../../../src/error.ts';
import {
  availableCapabilities,
  boundingDrops,
  capabilityNames,
  capabilityNumber,
  capabilitySet,
  containerCapabilities,
  defaultCapabilities,
  encodeCapset,
  lastCapability,
  namesOfSet,
} from '../../../src/linux/capabilities.ts';

const all = capabilityNames;

test('numbers are those of linux/capability.h', () => {
  expect(all).toHaveLength(41);
  expect(capabilityNumber('CAP_CHOWN')).toBe(0);
  expect(capabilityNumber('CAP_NET_RAW')).toBe(13);
  expect(capabilityNumber('CAP_SYS_ADMIN')).toBe(21);
  expect(capabilityNumber('CAP_SETFCAP')).toBe(31);
  expect(capabilityNumber('CAP_CHECKPOINT_RESTORE')).toBe(40);
  expect(capabilityNumber('SYS_ADMIN')).toBeUndefined();
});

test('the default set is the one that Docker gives', () => {
  expect(defaultCapabilities).toHaveLength(14);
  expect(capabilitySet(defaultCapabilities).toString(16)).toBe('a80425fb');
});

test('sets and names are two views of the same', () => {
  expect(namesOfSet(0xa80425fbn).sort()).toEqual([...defaultCapabilities].sort());
  expect(capabilitySet(all)).toBe((1n << 41n) - 1n);
  expect(() => capabilitySet(['CAP_FLY'])).toThrow('unknown capability: "CAP_FLY"');
});

test('the kernel says which number is the last, and what this process may hand on', () => {
  expect(lastCapability()).toBe(Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8')));
  const bounding = /^CapBnd:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const permitted = /^CapPrm:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const known = (1n << 41n) - 1n;
  expect(capabilitySet(availableCapabilities())).toBe(BigInt(`0x${bounding}`) & BigInt(`0x${permitted}`) & known);
});

test('capabilities that are newer than this list are dropped from the bounding set too', () => {
  expect(boundingDrops(['CAP_CHOWN', 'CAP_KILL'], 6)).toEqual([1, 2, 3, 4, 6]);
  expect(boundingDrops(all, 43)).toEqual([41, 42, 43]);
});

const choose = (add: string[], drop: string[], available: readonly string[] = all): string[] =>
  containerCapabilities({ add, drop, available });
const without = (...names: string[]): string[] =>
  all.filter((name) => defaultCapabilities.includes(name) && !names.includes(name));

test('adding and dropping takes names in any case, with and without CAP_', () => {
  expect(choose([], [])).toEqual(without());
  expect(choose(['net_admin'], ['Cap_Mknod', 'CHOWN'])).toEqual(
    all.filter((name) => name === 'CAP_NET_ADMIN' || without('CAP_MKNOD', 'CAP_CHOWN').includes(name)),
  );
});

test('adding wins over dropping the same', () => {
  expect(choose(['MKNOD'], ['MKNOD'])).toContain('CAP_MKNOD');
});

test('ALL adds everything but the dropped, or drops everything but the added', () => {
  expect(choose(['all'], ['SYS_ADMIN'])).toEqual(all.filter((name) => name !== 'CAP_SYS_ADMIN'));
  expect(choose(['CAP_ALL'], [])).toEqual([...all]);
  expect(choose(['chown', 'SETUID'], ['ALL'])).toEqual(['CAP_CHOWN', 'CAP_SETUID']);
  expect(choose([], ['ALL'])).toEqual([]);
});

test('--privileged is all that there is', () => {
  const available = all.filter((name) => name !== 'CAP_SYS_RESOURCE');
  expect(containerCapabilities({ privileged: true, drop: ['CHOWN'], available })).toEqual(available);
});

test('what the machine lacks is left out silently, unless it is asked for by name', () => {
  const available = all.filter((name) => name !== 'CAP_SYS_RESOURCE' && name !== 'CAP_MKNOD');
  expect(choose(['ALL'], [], available)).toEqual(available);
  expect(choose([], [], available)).toEqual(without('CAP_MKNOD'));
  try {
    choose(['sys_resource'], [], available);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(TsrunError);
    expect(error).toMatchObject({
      code: 'UNSUPPORTED',
      message:
        'invalid CapAdd: capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"',
    });
  }
});

test("unknown names are refused with Docker's words", () => {
  expect(() => choose(['fly'], [])).toThrow('invalid CapAdd: unknown capability: "CAP_FLY"');
  expect(() => choose([], ['CAP_'])).toThrow('invalid CapDrop: unknown capability: "CAP_"');
});

test('capset takes two halves of three sets', () => {
  const { header, data } = encodeCapset({ effective: 1n << 32n, permitted: (1n << 40n) | 1n, inheritable: 2n });
  expect(Buffer.from(header).readUInt32LE(0)).toBe(0x20080522);
  expect(Buffer.from(header).readUInt32LE(4)).toBe(0);
  const words = Array.from({ length: 6 }, (_, index) => Buffer.from(data).readUInt32LE(index * 4));
  expect(words).toEqual([0, 1, 2, 1, 0x100, 0]);
});
