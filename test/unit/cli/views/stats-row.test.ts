import { expect, test } from 'vitest';
import { statsRow } from '../../../../src/cli/views/stats-row.ts';
import type { Usage } from '../../../../src/container/usage.ts';
import { container, id } from './container.ts';

const usage: Usage = {
  time: 1,
  cpu: 1,
  cpuPercent: 12.345,
  memory: { used: 684_032, limit: 25_275_880_243 },
  memoryPercent: 0.0027,
  network: { received: 1500, sent: 0 },
  block: { read: 2_345_678, written: 10 },
  processes: 3,
  pressure: { cpu: 0.5, memory: 0 },
};

test('a row has the numbers in the words of docker', () => {
  expect(statsRow(container(), usage, 'web', true)).toEqual({
    BlockIO: '2.35MB / 10B',
    CPUPerc: '12.35%',
    CPUPressure: '0.50%',
    Container: 'web',
    ID: id.slice(0, 12),
    IOPressure: '--',
    MemPerc: '0.00%',
    MemPressure: '0.00%',
    MemUsage: '668KiB / 23.54GiB',
    Name: 'web',
    NetIO: '1.5kB / 0B',
    PIDs: '3',
  });
});

test('what nobody measures is --, and what does not run uses nothing', () => {
  const gaps = { ...usage, memory: undefined, memoryPercent: undefined, block: undefined, cpuPercent: undefined };
  expect(statsRow(container(), gaps, 'web', false)).toMatchObject({
    BlockIO: '--',
    CPUPerc: '--',
    ID: id,
    MemPerc: '--',
    MemUsage: '-- / --',
  });
  expect(statsRow(container(), undefined, 'web', true)).toMatchObject({
    BlockIO: '0B / 0B',
    CPUPerc: '0.00%',
    MemUsage: '0B / 0B',
    NetIO: '0B / 0B',
    PIDs: '0',
  });
});
