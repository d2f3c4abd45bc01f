/**
 * `npm run bench [-- NAME…] [--rounds N] [--json FILE]`: tsrun beside docker, podman, runc, crun and bubblewrap, as far as
 * they are installed. NAME: start, exec, build, list, machine, memory, fifty, many, unpack, pull, pull-heavy, push, push-heavy. Called by scripts/bench.sh, once per name.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { layoutDirectory } from '../scripts/images/paths.ts';
import { pushLayout } from '../scripts/images/push.ts';
import { startRegistry } from '../scripts/images/registry.ts';
import { benchBuild } from './build.ts';
import { benchExec } from './exec.ts';
import { benchFifty } from './fifty.ts';
import { type Comparison, judge, median, render } from './harness.ts';
import { benchList } from './list.ts';
import { benchMachine } from './machine.ts';
import { benchMany } from './many.ts';
import { benchMemory } from './memory.ts';
import { registryVariable } from './peers.ts';
import { benchPull } from './pull.ts';
import { benchPush } from './push.ts';
import { benchStart } from './start.ts';
import { benchUnpack } from './unpack.ts';

interface Benchmark {
  rounds: number;
  /** Images that the registry has to serve. */
  images: string[];
  run: (directory: string, rounds: number) => Promise<Comparison[]>;
}

const benchmarks: Record<string, Benchmark> = {
  start: { rounds: 15, images: ['busybox'], run: benchStart },
  exec: { rounds: 15, images: ['busybox'], run: benchExec },
  build: { rounds: 5, images: ['busybox'], run: benchBuild },
  list: { rounds: 15, images: ['busybox'], run: benchList },
  machine: { rounds: 20, images: [], run: benchMachine },
  memory: { rounds: 5, images: ['busybox'], run: benchMemory },
  fifty: { rounds: 2, images: ['busybox'], run: benchFifty },
  many: { rounds: 1, images: ['busybox'], run: benchMany },
  unpack: { rounds: 5, images: [], run: benchUnpack },
  pull: { rounds: 5, images: ['debian'], run: (at, rounds) => benchPull(at, rounds, 'debian', 1) },
  push: { rounds: 5, images: ['debian'], run: (at, rounds) => benchPush(at, rounds, 'debian') },
  'push-heavy': { rounds: 3, images: ['heavy'], run: (at, rounds) => benchPush(at, rounds, 'heavy') },
  // A round takes a minute: none is spent on warming up.
  'pull-heavy': { rounds: 3, images: ['heavy'], run: (at, rounds) => benchPull(at, rounds, 'heavy', 0) },
};

/** What the figures depend on. */
function describeMachine(): object {
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  return {
    kernel: release(),
    processor: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    distribution: /^PRETTY_NAME="(.*)"$/m.exec(read('/etc/os-release'))?.[1] ?? '',
    node: process.version,
  };
}

function append(file: string, comparisons: readonly Comparison[]): void {
  const results: { date: string; machine: object; comparisons: object[] } = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8'))
    : { date: new Date().toISOString().slice(0, 10), machine: describeMachine(), comparisons: [] };
  for (const comparison of comparisons) {
    const contestants = Object.fromEntries(
      Object.entries(comparison.samples).map(([name, values]) => [
        name,
        {
          min: Number(Math.min(...values).toFixed(3)),
          median: Number(median(values).toFixed(3)),
          samples: values.length,
        },
      ]),
    );
    const { title, unit, ours } = comparison;
    results.comparisons.push({ title, unit, ours, contestants, targets: judge(comparison) });
  }
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
}

const args = process.argv.slice(2);
const option = (name: string) => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const rounds = option('--rounds');
const json = option('--json');
for (const name of args) {
  const benchmark = benchmarks[name];
  if (benchmark === undefined)
    throw new Error(`there is no benchmark "${name}": ${Object.keys(benchmarks).join(', ')}`);
  const directory = mkdtempSync(join(process.env.TSRUN_BENCH_DIRECTORY || '/var/tmp', 'tsrun-bench.'));
  let stopRegistry = () => {};
  try {
    if (benchmark.images.length > 0) {
      const registry = await startRegistry(join(directory, 'registry'));
      stopRegistry = () => process.kill(registry.pid);
      process.env[registryVariable] = registry.address;
      for (const image of benchmark.images) await pushLayout(layoutDirectory(image), registry.address);
    }
    const comparisons = await benchmark.run(join(directory, 'engines'), rounds ? Number(rounds) : benchmark.rounds);
    for (const comparison of comparisons) console.log(render(comparison));
    if (json !== undefined) append(json, comparisons);
  } finally {
    stopRegistry();
    rmSync(directory, { recursive: true, force: true });
  }
}
