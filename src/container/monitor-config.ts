/** The monitor's configuration as a place in the start program's memory (native/monitor.h, struct monitor_config). */
import type { Place } from '../program/program.ts';
import type { StartProgram } from '../runtime/compile/start.ts';
import { journalPath, monitorEvent } from './events.ts';
import { encodeMonitorConfig } from './monitor.ts';
import type { ContainerRecord } from './record.ts';
import type { Foreground } from './start.ts';

const defaultLogSize = 10 * 1024 * 1024;
const defaultLogFiles = 3;

export interface MonitorSetup {
  record: ContainerRecord;
  foreground: Foreground | undefined;
  portCount: number;
  /** What the monitor executes at the end when nobody else cleans up. */
  reap: { argv: string[]; envp: string[] };
  /** Data root, where the journal of events is. */
  root: string;
}

/** Lays the configuration into the memory of the program that is being built. */
export function monitorConfig(
  started: StartProgram,
  { record, foreground, portCount, reap, root }: MonitorSetup,
): Place {
  const { builder: b, stdio } = started;
  const strings = (list: readonly string[], label: string): Place => {
    const places = list.map((text) => b.text(text));
    return b.pointers(places, label);
  };
  const { log } = record.options;
  const streams =
    stdio.kind === 'terminal'
      ? { stdinFd: stdio.master, stdoutFd: stdio.master }
      : { stdinFd: stdio.stdin?.monitor, stdoutFd: stdio.stdout.monitor, stderrFd: stdio.stderr.monitor };
  const detachKeys = foreground?.detachKeys ?? new Uint8Array();
  const bytes = encodeMonitorConfig({
    tty: record.process.terminal,
    stdin: !record.process.openStdin ? 'none' : foreground === undefined ? 'open' : 'once',
    foreground,
    log:
      log.driver === 'none'
        ? undefined
        : { maxSize: log.maxSize ?? defaultLogSize, maxFiles: log.maxFiles ?? defaultLogFiles },
    record: true,
    pid: started.pid,
    ...streams,
    reap: { argv: strings(reap.argv, 'argv of reap'), envp: strings(reap.envp, 'envp of reap') },
    portCount,
    detachKeys: detachKeys.length === 0 ? undefined : b.bytes(detachKeys, 'detach keys'),
    restart: record.options.restart,
    journal: {
      path: b.text(journalPath(root)),
      event: b.bytes(Buffer.from(monitorEvent(record)), 'events of the monitor'),
    },
    size: foreground === undefined || foreground.rows === 0 ? undefined : foreground,
  });
  return b.bytes(bytes, 'struct monitor_config');
}
