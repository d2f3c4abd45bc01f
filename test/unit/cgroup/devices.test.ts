import { expect, test } from 'vitest';
import { allDevices, defaultDeviceRules, devicePolicy, deviceProgram } from '../../../src/cgroup/devices.ts';
import { encodeEbpf } from '../../../src/linux/ebpf.ts';
import type { LinuxDeviceCgroup } from '../../../src/runtime/spec.ts';

const MKNOD = 1;
const READ = 2;
const WRITE = 4;

/** Runs the bytes of a program on a request, as the kernel would. */
function run(bytes: Buffer, type: 'b' | 'c', major: number, minor: number, access: number): boolean {
  const context = Buffer.alloc(12);
  context.writeUInt32LE((access << 16) | (type === 'b' ? 1 : 2), 0);
  context.writeUInt32LE(major, 4);
  context.writeUInt32LE(minor, 8);
  const r: number[] = Array.from({ length: 11 }, () => Number.NaN);
  for (let at = 0; at * 8 < bytes.length; at++) {
    const opcode = bytes.readUInt8(at * 8);
    const registers = bytes.readUInt8(at * 8 + 1);
    const [destination, source] = [registers & 15, registers >> 4];
    const offset = bytes.readInt16LE(at * 8 + 2);
    const immediate = bytes.readInt32LE(at * 8 + 4);
    const value = r[destination] ?? Number.NaN;
    if (opcode === 0x61 && source === 1) r[destination] = context.readUInt32LE(offset);
    else if (opcode === 0xb7) r[destination] = immediate;
    else if (opcode === 0xbf) r[destination] = r[source] ?? Number.NaN;
    else if (opcode === 0x57) r[destination] = value & immediate;
    else if (opcode === 0x77) r[destination] = value >>> immediate;
    else if (opcode === 0x55) at += value === immediate ? 0 : offset;
    else if (opcode === 0x15) at += value === immediate ? offset : 0;
    else if (opcode === 0x95) return r[0] === 1;
    else throw new Error(`instruction 0x${opcode.toString(16)} at ${at}`);
  }
  throw new Error('ran out of the program');
}

function control(rules: readonly LinuxDeviceCgroup[]) {
  const bytes = encodeEbpf(deviceProgram(devicePolicy(rules)));
  return (type: 'b' | 'c', major: number, minor: number, access: number): boolean =>
    run(bytes, type, major, minor, access);
}

test('the default rules: any node may be made, only the harmless ones opened', () => {
  const may = control(defaultDeviceRules);
  expect(may('b', 8, 0, MKNOD)).toBe(true);
  expect(may('b', 8, 0, READ)).toBe(false);
  expect(may('c', 1, 1, READ)).toBe(false); // /dev/mem
  expect(may('c', 1, 3, READ | WRITE)).toBe(true);
  expect(may('c', 1, 5, READ)).toBe(true);
  expect(may('c', 5, 2, READ | WRITE)).toBe(true);
  expect(may('c', 136, 17, READ | WRITE)).toBe(true);
  expect(may('b', 136, 17, READ)).toBe(false);
  expect(may('c', 10, 229, READ)).toBe(false); // /dev/fuse
});

test('a device that is added is allowed as far as its rule says', () => {
  const may = control([...defaultDeviceRules, { allow: true, type: 'b', major: 8, minor: 16, access: 'r' }]);
  expect(may('b', 8, 16, READ)).toBe(true);
  expect(may('b', 8, 16, WRITE)).toBe(false);
  expect(may('b', 8, 16, READ | WRITE)).toBe(false);
  expect(may('b', 8, 17, READ)).toBe(false);
});

test('two rules for one device add up', () => {
  const may = control([
    { allow: false },
    { allow: true, type: 'c', major: 10, minor: 229, access: 'r' },
    { allow: true, type: 'c', major: 10, minor: 229, access: 'w' },
  ]);
  expect(may('c', 10, 229, READ | WRITE)).toBe(true);
  expect(may('c', 10, 229, MKNOD)).toBe(false);
});

test('where all is allowed, a rule takes something out', () => {
  const may = control([...allDevices, { allow: false, type: 'b', major: 8, minor: -1, access: 'w' }]);
  expect(may('b', 8, 3, READ)).toBe(true);
  expect(may('b', 8, 3, READ | WRITE)).toBe(false);
  expect(may('b', 9, 3, WRITE)).toBe(true);
});

test('a later rule for all devices starts anew, and taking away undoes adding', () => {
  expect(devicePolicy([...defaultDeviceRules, ...allDevices])).toEqual({ allowed: true, exceptions: [] });
  expect(
    devicePolicy([
      { allow: false },
      { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
      { allow: false, type: 'c', major: 1, minor: 3, access: 'wm' },
    ]),
  ).toEqual({ allowed: false, exceptions: [{ type: 'c', major: 1, minor: 3, access: READ }] });
});

test('a hole in a wider rule is refused, since nothing could hold it', () => {
  const rules: LinuxDeviceCgroup[] = [
    { allow: false },
    { allow: true, type: 'c', major: 136 },
    { allow: false, type: 'c', major: 136, minor: 5, access: 'r' },
  ];
  expect(() => devicePolicy(rules)).toThrow('device rule c 136:5 contradicts the wider c 136:* before it');
});

test('letters that are no access are refused', () => {
  expect(() => devicePolicy([{ allow: true, type: 'c', access: 'rx' }])).toThrow('"rx" is not made of r, w and m');
});

test('random rules answer as a list read rule by rule', () => {
  let state = 7;
  const pick = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % limit;
  };
  let compared = 0;
  for (let round = 0; round < 300; round++) {
    const rules: LinuxDeviceCgroup[] = [{ allow: pick(2) === 0 }];
    for (let i = pick(6); i > 0; i--) {
      const accesses = ['r', 'w', 'm', 'rw', 'rwm'];
      rules.push({
        allow: pick(2) === 0,
        type: pick(2) === 0 ? 'b' : 'c',
        major: pick(2),
        minor: pick(2),
        access: accesses[pick(5)] ?? 'r',
      });
    }
    const may = control(rules);
    for (const type of ['b', 'c'] as const) {
      for (const [major, minor] of [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
        [2, 2],
      ] as const) {
        for (const [access, letter] of [
          [READ, 'r'],
          [WRITE, 'w'],
          [MKNOD, 'm'],
        ] as const) {
          // with concrete numbers and one kind of access the last rule that names it decides
          const last = rules.findLast(
            (rule) =>
              rule.type === undefined ||
              (rule.type === type &&
                rule.major === major &&
                rule.minor === minor &&
                (rule.access ?? 'rwm').includes(letter)),
          );
          expect([rules, type, major, minor, letter, may(type, major, minor, access)]).toEqual([
            rules,
            type,
            major,
            minor,
            letter,
            last?.allow,
          ]);
          compared += 1;
        }
      }
    }
  }
  expect(compared).toBe(9000);
});
