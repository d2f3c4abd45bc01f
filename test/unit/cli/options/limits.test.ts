import { expect, test } from 'vitest';
import {
  checkLimits,
  checkSysctl,
  parseCpus,
  parseDevice,
  parseMemorySwap,
  parseSet,
  parseUlimit,
} from '../../../../src/cli/options/limits.ts';

const MiB = 1024 ** 2;

test.each([
  ['1', 1e9],
  ['1.5', 1_500_000_000],
  ['.5', 500_000_000],
  ['0.000000001', 1],
  ['2.', 2e9],
  ['-1', -1e9],
  ['0', 0],
])('%s CPUs are %i billionths', (text, nano) => {
  expect(parseCpus(text)).toBe(nano);
});

test.each([
  ['foo', 'failed to parse foo as a rational number'],
  ['', 'failed to parse  as a rational number'],
  ['1.2.3', 'failed to parse 1.2.3 as a rational number'],
  ['1.00000000001', 'value is too precise'],
])('%j CPUs are refused', (text, message) => {
  expect(() => parseCpus(text)).toThrow(message);
});

test('limits that fit together pass', () => {
  checkLimits({}, 2);
  checkLimits({ memory: 64 * MiB, memorySwap: 128 * MiB, memoryReservation: 32 * MiB, nanoCpus: 2e9 }, 2);
  checkLimits({ memorySwap: -1 }, 2);
  checkLimits({ cpuPeriod: 100_000, cpuQuota: 50_000, oomScoreAdj: -1000 }, 2);
});

test.each<[Parameters<typeof checkLimits>[0], string]>([
  [{ memory: MiB }, 'Minimum memory limit allowed is 6MB'],
  [{ memorySwap: 64 * MiB }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
  [
    { memory: 64 * MiB, memorySwap: 32 * MiB },
    'Minimum memoryswap limit should be larger than memory limit, see usage',
  ],
  [
    { memory: 64 * MiB, memoryReservation: 128 * MiB },
    'Minimum memory limit can not be less than memory reservation limit, see usage',
  ],
  [{ nanoCpus: 3e9 }, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
  [{ nanoCpus: -1 }, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
  [{ nanoCpus: 1e9, cpuPeriod: 1000 }, 'Conflicting options: Nano CPUs and CPU Period cannot both be set'],
  [{ cpuPeriod: 10 }, 'CPU cfs period can not be less than 1ms'],
  [{ oomScoreAdj: 2000 }, 'Invalid value 2000, range for oom score adj is [-1000, 1000]'],
  [{ cpusetCpus: 'foo' }, 'Invalid value foo for cpuset cpus: invalid format: foo'],
  [{ cpusetCpus: '8000' }, 'Requested CPUs are not available - requested 8000, available: '],
])('%j is refused', (limits, message) => {
  expect(() => checkLimits(limits, 2)).toThrow(message);
});

test.each<[string, number[] | undefined]>([
  ['0', [0]],
  ['0-2,4', [0, 1, 2, 4]],
  ['2-1', undefined],
  ['a', undefined],
  ['', undefined],
  ['0-99999999', undefined],
])('the list %j', (text, numbers) => {
  expect(parseSet(text)).toEqual(numbers === undefined ? undefined : new Set(numbers));
});

test.each<[string, object]>([
  ['nofile=1024', { name: 'nofile', soft: 1024, hard: 1024 }],
  ['nofile=1024:2048', { name: 'nofile', soft: 1024, hard: 2048 }],
  ['core=-1', { name: 'core', soft: -1, hard: -1 }],
  ['core=0:-1', { name: 'core', soft: 0, hard: -1 }],
])('--ulimit %s', (text, expected) => {
  expect(parseUlimit(text)).toEqual(expected);
});

test.each([
  ['foo', 'invalid ulimit argument: foo'],
  ['foo=1', 'invalid ulimit type: foo'],
  ['nofile=2:1', 'ulimit soft limit must be less than or equal to hard limit: 2 > 1'],
  ['nofile=-1:1', 'ulimit soft limit must be less than or equal to hard limit: -1 > 1'],
  ['nofile=a', 'strconv.ParseInt: parsing "a": invalid syntax'],
  ['nofile=1:2:3', 'too many limit value arguments - 1:2:3'],
])('--ulimit %s is refused', (text, message) => {
  expect(() => parseUlimit(text)).toThrow(message);
});

test.each<[string, [string, string, string]]>([
  ['/dev/a', ['/dev/a', '/dev/a', 'rwm']],
  ['/dev/a:/dev/b', ['/dev/a', '/dev/b', 'rwm']],
  ['/dev/a:r', ['/dev/a', '/dev/a', 'r']],
  ['/dev/a:/dev/b:rw', ['/dev/a', '/dev/b', 'rw']],
])('--device %s', (text, [hostPath, containerPath, permissions]) => {
  expect(parseDevice(text)).toEqual({ hostPath, containerPath, permissions });
});

test.each([
  ['foo', 'foo is not an absolute path'],
  ['/dev/null:x', 'x is not an absolute path'],
  ['/dev/null:/dev/x:z', 'bad mode specified: z'],
  ['/dev/null:/dev/x:rr', 'bad mode specified: rr'],
  ['/a:/b:r:w', 'bad format for path: /a:/b:r:w'],
])('--device %s is refused', (text, message) => {
  expect(() => parseDevice(text)).toThrow(message);
});

test('only sysctls that belong to a namespace may be set', () => {
  checkSysctl('net.core.somaxconn=10');
  checkSysctl('kernel.shmmax=1');
  checkSysctl('fs.mqueue.msg_max=1');
  for (const text of ['foo', 'kernel.foo=1', 'vm.swappiness=1', 'net.core.somaxconn']) {
    expect(() => checkSysctl(text)).toThrow(`sysctl '${text}' is not whitelisted`);
  }
});

test('-1 lifts the limit of swap', () => {
  expect(parseMemorySwap('-1')).toBe(-1);
  expect(parseMemorySwap('1g')).toBe(1024 ** 3);
  expect(() => parseMemorySwap('-2')).toThrow("invalid size: '-2'");
});
