/**
 * `run --rm busybox true`, from typing it to the prompt: with the default bridge network, with a published port, and without a
 * network; there beside the runtimes alone, which have neither image nor network to look after.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Comparison, interleave, type Target, time } from './harness.ts';
import { bundle, unpackBusybox } from './machine.ts';
import { withEngines } from './peers.ts';

const variants: { title: string; flags: string[]; target: Target | Target[] }[] = [
  {
    title: 'run --rm busybox true',
    flags: ['--network', 'bridge'],
    target: [
      { peers: ['docker'], factor: 0.15 },
      { peers: ['podman'], factor: 0.1 },
    ],
  },
  {
    title: 'run --rm -p 18080:80 busybox true',
    flags: ['--network', 'bridge', '-p', '18080:80'],
    target: { peers: ['docker'], factor: 0.15 },
  },
  {
    title: 'run --rm --network none busybox true',
    flags: ['--network', 'none'],
    target: [
      { peers: ['crun run'], factor: 2 },
      { peers: ['runc run'], factor: 0.9 },
    ],
  },
];

/** What it takes to start any program, and one with namespaces of its own. */
const floors = [
  { name: 'fork + exec', run: () => time(['/bin/true']) },
  { name: 'unshare(1)', run: () => time(['unshare', '-mpfniu', '--mount-proc', '/bin/true']) },
];

/** The runtimes with a bundle of their own proposal on the same root filesystem. */
function runtimes(directory: string): { name: string; run: () => number }[] {
  const rootfs = unpackBusybox(directory);
  let id = 0;
  const contestant = (name: string, wrapper: string[]): { name: string; run: () => number } => {
    const at = bundle(directory, name, rootfs);
    const run = [...wrapper, name, '--root', join(directory, `${name}-state`), 'run', '--bundle', at];
    return { name: `${name} run`, run: () => time([...run, `bench${process.pid}-${id++}`]) };
  };
  // crun refuses to start where cgroup v2 stands beside v1: there it gets a mount namespace, which costs 1 ms.
  const hidden = 'umount -l /sys/fs/cgroup/unified; exec "$@"';
  const hybrid = existsSync('/sys/fs/cgroup/unified');
  return [
    ...(existsSync('/usr/bin/crun')
      ? [contestant('crun', hybrid ? ['unshare', '-m', 'sh', '-c', hidden, 'sh'] : [])]
      : []),
    ...(existsSync('/usr/sbin/runc') ? [contestant('runc', [])] : []),
  ];
}

export async function benchStart(directory: string, rounds: number): Promise<Comparison[]> {
  return withEngines(directory, ['busybox'], async (engines) => {
    const comparisons: Comparison[] = [];
    const alone = runtimes(join(directory, 'runtimes'));
    for (const { title, flags, target } of variants) {
      const contestants = engines.map((engine) => ({
        name: engine.name,
        run: () =>
          time([...engine.command, 'run', '--rm', ...engine.runFlags, ...flags, 'busybox', 'true'], {
            env: engine.env,
          }),
      }));
      if (flags.includes('none')) contestants.push(...alone);
      contestants.push(...floors);
      comparisons.push({ title, unit: 'ms', ours: 'tsrun', samples: await interleave(contestants, rounds), target });
    }
    const [tsrun] = engines;
    const published = (name: string, ...flags: string[]) => ({
      name,
      run: () => time([...tsrun.command, 'run', '--rm', ...flags, 'busybox', 'true'], { env: tsrun.env }),
    });
    comparisons.push({
      title: 'what a published port adds',
      unit: 'ms',
      ours: 'tsrun run -p',
      samples: await interleave([published('tsrun run'), published('tsrun run -p', '-p', '18080:80')], rounds),
      target: { peers: ['tsrun run'], plus: 3 },
    });
    return comparisons;
  });
}
