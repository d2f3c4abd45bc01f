/** A row of `stats`: docker's columns, and the pressure as further fields. */
import type { Container } from '../../container/record.ts';
import type { Usage } from '../../container/usage.ts';
import type { Struct } from '../format/value.ts';
import { binarySize, humanSize } from '../units.ts';

export const statsColumns = ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs'];

/** With --pressure: how much of the last ten seconds some task waited. */
export const pressureColumns = ['CPUPressure', 'MemPressure', 'IOPressure'];

export const statsTitles = {
  BlockIO: 'BLOCK I/O',
  CPUPerc: 'CPU %',
  CPUPressure: 'CPU PRESSURE',
  Container: 'CONTAINER',
  ID: 'CONTAINER ID',
  IOPressure: 'I/O PRESSURE',
  MemPerc: 'MEM %',
  MemPressure: 'MEM PRESSURE',
  MemUsage: 'MEM USAGE / LIMIT',
  Name: 'NAME',
  NetIO: 'NET I/O',
  PIDs: 'PIDS',
};

/** What nobody measures on this machine. */
const missing = '--';

/** `usage`: undefined for a container that does not run, of which docker shows zeros. `typed`: how it was asked for. */
export function statsRow({ record }: Container, usage: Usage | undefined, typed: string, truncate: boolean): Struct {
  const percent = (value: number | undefined): string => (value === undefined ? missing : `${value.toFixed(2)}%`);
  const none = usage === undefined;
  const memory = none ? { used: 0, limit: 0 } : usage.memory;
  const network = none ? { received: 0, sent: 0 } : usage.network;
  const block = none ? { read: 0, written: 0 } : usage.block;
  return {
    BlockIO: block === undefined ? missing : `${humanSize(block.read)} / ${humanSize(block.written)}`,
    CPUPerc: percent(none ? 0 : usage.cpuPercent),
    CPUPressure: percent(usage?.pressure.cpu),
    Container: typed,
    ID: truncate ? record.id.slice(0, 12) : record.id,
    IOPressure: percent(usage?.pressure.io),
    MemPerc: percent(none ? 0 : usage.memoryPercent),
    MemPressure: percent(usage?.pressure.memory),
    MemUsage:
      memory === undefined ? `${missing} / ${missing}` : `${binarySize(memory.used)} / ${binarySize(memory.limit)}`,
    Name: record.name,
    NetIO: network === undefined ? missing : `${humanSize(network.received)} / ${humanSize(network.sent)}`,
    PIDs: String(usage?.processes ?? 0),
  };
}
