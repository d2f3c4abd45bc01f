/**
 * What supervising a detached container costs in memory while nothing happens: proportional set size (PSS, `man 5 proc`,
 * smaps_rollup) of the processes that stand beside it. And what a `run` in the foreground takes at most: the peak of the command's
 * resident set (VmHWM, `man 5 proc`), and of what it has for itself, without the pages of its executable and libraries, which all who
 * run them share (RssAnon). The container's own process does not count, nor a daemon.
 */
import { spawn } from 'node:child_process';
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

/** The peaks of a command's resident set and of its anonymous part in MiB, looked at until it ends; the former never falls. */
async function peaksOf(engine: Engine, args: readonly string[]): Promise<{ resident: number; anonymous: number }> {
  const [file = '', ...prefix] = engine.command;
  const child = spawn(file, [...prefix, ...args], { stdio: 'ignore', env: { ...process.env, ...engine.env } });
  const peaks = { resident: 0, anonymous: 0 };
  let status: number | null | undefined;
  child.once('exit', (code) => {
    status = code;
  });
  while (status === undefined) {
    await delay(1);
    try {
      const text = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      const size = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) / 1024;
      peaks.resident = Math.max(peaks.resident, size('VmHWM'));
      peaks.anonymous = Math.max(peaks.anonymous, size('RssAnon'));
    } catch {
      // It has ended.
    }
  }
  if (status !== 0) throw new Error(`${engine.name} ${args.join(' ')}: exit ${status}`);
  return peaks;
}

export async function benchMemory(directory: string, rounds: number): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    const samples: Record<string, number[]> = {};
    const residents: Record<string, number[]> = {};
    const anonymous: Record<string, number[]> = {};
    for (const engine of engines) {
      samples[engine.name] = await measure(engine);
      const run = ['run', '--rm', ...engine.runFlags, '--network', 'bridge', 'busybox', 'sleep', '0.2'];
      const peaks = [];
      for (let round = 0; round < rounds; round++) peaks.push(await peaksOf(engine, run));
      residents[engine.name] = peaks.map((peak) => peak.resident);
      anonymous[engine.name] = peaks.map((peak) => peak.anonymous);
    }
    const title = `memory of supervision per detached container, ${count} running`;
    const peak = 'peak memory of a run in the foreground, without the daemon';
    const own = `${peak} and without pages of files`;
    return [
      { title, unit: 'MiB', ours: 'tsrun', samples, target: { value: 0.4 } },
      { title: peak, unit: 'MiB', ours: 'tsrun', samples: residents, target: { value: 60 } },
      { title: own, unit: 'MiB', ours: 'tsrun', samples: anonymous },
    ];
  });
}
