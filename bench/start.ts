/** `run --rm busybox true`, from typing it to the prompt: with the default bridge network, and without a network. */
import { type Comparison, interleave, time } from './harness.ts';
import { withEngines } from './peers.ts';

export async function benchStart(directory: string, rounds: number): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    const comparisons: Comparison[] = [];
    for (const network of ['bridge', 'none']) {
      const contestants = engines.map((engine) => ({
        name: engine.name,
        run: () =>
          time([...engine.command, 'run', '--rm', ...engine.runFlags, '--network', network, 'busybox', 'true'], {
            env: engine.env,
          }),
      }));
      contestants.push({ name: 'node -e 0', run: () => time([process.execPath, '-e', '0']) });
      comparisons.push({
        title: `run --rm --network ${network} busybox true`,
        unit: 'ms',
        ours: 'tsrun',
        samples: await interleave(contestants, rounds),
        target: { peers: ['docker'], factor: 0.5 },
      });
    }
    return comparisons;
  });
}
