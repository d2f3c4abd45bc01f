/** `exec CONTAINER true` in a container that runs, from typing it to the prompt, and the empty start of the runtimes beside it. */
import { type Comparison, interleave, output, time } from './harness.ts';
import { withEngines } from './peers.ts';

const name = 'bench-exec';

export async function benchExec(directory: string, rounds: number): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    const on = (engine: (typeof engines)[number], ...args: string[]): string[] => [...engine.command, ...args];
    for (const engine of engines) {
      const run = on(engine, 'run', '-d', '--name', name, ...engine.runFlags, '--network', 'none', 'busybox');
      output([...run, 'sleep', '86400'], { env: engine.env });
    }
    try {
      const contestants = engines.map((engine) => ({
        name: engine.name,
        run: () => time(on(engine, 'exec', name, 'true'), { env: engine.env }),
      }));
      const [tsrun] = engines;
      const version = { name: 'tsrun version', run: () => time(on(tsrun, 'version'), { env: tsrun.env }) };
      return [
        {
          title: 'exec true in a running container',
          unit: 'ms',
          ours: 'tsrun',
          samples: await interleave([...contestants, version], rounds),
          target: { peers: ['docker'], factor: 0.25 },
        },
        {
          title: 'exec true, and the start of tsrun alone',
          unit: 'ms',
          ours: 'tsrun',
          samples: await interleave([...contestants.filter((one) => one.name === 'tsrun'), version], rounds),
          target: { peers: ['tsrun version'], plus: 10 },
        },
      ];
    } finally {
      for (const engine of engines) output(on(engine, 'rm', '-f', name), { env: engine.env });
    }
  });
}
