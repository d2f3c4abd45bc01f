/**
 * What supervising a detached container costs in memory while nothing happens: proportional set size (PSS, `man 5 proc`,
 * smaps_rollup) of the processes that stand beside it. The container's own process does not count, nor a daemon.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Comparison } from './harness.ts';
import { output } from './harness.ts';
import { type Engine, processesOf, withEngines } from './peers.ts';

const count = 5;

const commandOf = (pid: string) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
const supervisors: Record<string, () => Set<number>> = {
  tsrun: () => processesOf(/^\/memfd:tsrun-monitor/, (pid) => readlinkSync(`/proc/${pid}/exe`)),
  docker: () => processesOf(/^containerd-shim/, commandOf),
  podman: () => processesOf(/^conmon$/, commandOf),
};

/** PSS of a process in MiB. */
function proportionalSize(pid: number): number {
  const line = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(line?.[1]) / 1024;
}

async function measure(engine: Engine): Promise<number[]> {
  const find = supervisors[engine.name];
  if (find === undefined) return [];
  const before = find();
  const names = Array.from({ length: count }, (_, index) => `memory${index}`);
  const env = { env: engine.env };
  for (const name of names) {
    const flags = [...engine.runFlags, '--network', 'none', '--name', name];
    output([...engine.command, 'run', '-d', ...flags, 'busybox', 'sleep', '1000'], env);
  }
  await delay(1000);
  const started = [...find()].filter((pid) => !before.has(pid));
  const sizes = started.map(proportionalSize);
  output([...engine.command, 'rm', '-f', ...names], env);
  if (started.length !== count)
    throw new Error(`${engine.name}: ${started.length} supervisors for ${count} containers`);
  return sizes;
}

export async function benchMemory(directory: string): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    const samples: Record<string, number[]> = {};
    for (const engine of engines) samples[engine.name] = await measure(engine);
    const title = `memory of supervision per detached container, ${count} running`;
    return [{ title, unit: 'MiB', ours: 'tsrun', samples, target: { value: 0.4 } }];
  });
}
