import { totalmem } from 'node:os';
import { expect, test } from 'vitest';
import { memoryOf, parseTraffic, type Reading, usageBetween } from '../../../src/container/usage.ts';

const reading: Reading = {
  time: 1_000_000,
  cpu: 500_000,
  memory: { used: 256, limit: 1024 },
  network: { received: 1, sent: 2 },
  block: undefined,
  processes: 3,
  pressure: {},
};

test('one processor all the time is 100 percent, two are 200', () => {
  expect(usageBetween(reading, { ...reading, time: 2_000_000, cpu: 1_500_000 }).cpuPercent).toBe(100);
  expect(usageBetween(reading, { ...reading, time: 2_000_000, cpu: 2_500_000 }).cpuPercent).toBe(200);
});

test('a cgroup that began anew, and no time at all, give no nonsense', () => {
  expect(usageBetween(reading, { ...reading, time: 2_000_000, cpu: 0 }).cpuPercent).toBe(0);
  expect(usageBetween(reading, reading).cpuPercent).toBeUndefined();
});

test('what is not measured stays absent', () => {
  const usage = usageBetween(reading, { ...reading, time: 2_000_000, cpu: undefined, memory: undefined });
  expect(usage).toMatchObject({ cpuPercent: undefined, memoryPercent: undefined, block: undefined });
  expect(usageBetween(reading, reading).memoryPercent).toBe(25);
});

test('memory that files could give back at once is not counted; without a limit the machine is the limit', () => {
  const memory = { current: 1000, peak: undefined, limit: 4000, swap: 0, swapLimit: undefined, events: {} };
  expect(memoryOf({ ...memory, stat: { inactive_file: 300 } })).toEqual({ used: 700, limit: 4000 });
  expect(memoryOf({ ...memory, stat: { inactive_file: 2000 } }).used).toBe(1000);
  expect(memoryOf({ ...memory, limit: undefined, stat: {} }).limit).toBe(totalmem());
});

test('traffic is that of all interfaces but the loopback', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0:    1500      10    0    0    0     0          0         0     700       7    0    0    0     0       0          0
  eth1: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
`;
  expect(parseTraffic(text)).toEqual({ received: 1505, sent: 706 });
});
