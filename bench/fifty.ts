/** Fifty detached containers at once, on the default network: `run -d`, four at a time, and one `rm -f` of all that run. */
import { type Comparison, time } from './harness.ts';
import { startAll } from './many.ts';
import { withEngines } from './peers.ts';

const count = 50;

export async function benchFifty(directory: string, rounds: number): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    const starts: Record<string, number[]> = {};
    const removals: Record<string, number[]> = {};
    const names = Array.from({ length: count }, (_, index) => `fifty${index}`);
    for (let round = 0; round < rounds; round++) {
      for (const engine of engines) {
        const { name, command, env } = engine;
        const started = await startAll(engine, names, () => [], ['busybox', 'sleep', '86400']);
        const removed = time([...command, 'rm', '-f', ...names], { env }) / 1000;
        starts[name] = [...(starts[name] ?? []), started];
        removals[name] = [...(removals[name] ?? []), removed];
        process.stderr.write('.');
      }
    }
    process.stderr.write('\n');
    const start = { title: `start ${count} detached containers`, samples: starts, factor: 0.12 };
    const removal = { title: `rm -f of ${count} containers that run`, samples: removals, factor: 0.2 };
    return [start, removal].map(({ title, samples, factor }) => ({
      title,
      unit: 's',
      ours: 'tsrun',
      samples,
      target: { peers: ['docker'], factor },
    }));
  });
}
