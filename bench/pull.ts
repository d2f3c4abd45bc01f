/**
 * The life of an image: pulled from a registry on loopback, run for the first time, read from end to end, removed. Every run
 * of every contestant gets a fresh ext4 on a loop device, so that no run profits from the directories of the one before.
 * `curl | gzip`, one layer after the other, is the floor of what there is to do, and `curl | gzip | tar` of what unpacking
 * asks of the kernel; they check nothing.
 */

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { onFreshDisk } from './disk.ts';
import { type Comparison, type Contestant, interleave, output, type Target, time } from './harness.ts';
import { docker, type Engine, podman, registryVariable, tsrun } from './peers.ts';

const steps = ['pull', 'first run', 'read all files', 'read all files, second container', 'rmi'] as const;
const readAll = ['sh', '-c', 'find / -xdev -type f -exec cat {} + >/dev/null'];
type Step = (typeof steps)[number];

/** Seconds of each step, by contestant and round. */
type Lives = Record<Step, Record<string, number[]>>;

function lifeOf(
  directory: string,
  name: string,
  image: string,
  make: (at: string) => Promise<Engine | undefined>,
  lives: Lives,
): Contestant {
  return {
    name,
    run: () =>
      onFreshDisk(join(directory, name.replaceAll(/\W+/g, '-')), async (point) => {
        const engine = await make(join(point, 'engine'));
        if (engine === undefined) return Number.NaN;
        try {
          const { env } = engine;
          const note = (step: Step, command: readonly string[]): number => {
            const seconds = time(command, { env }) / 1000;
            lives[step][name] = [...(lives[step][name] ?? []), seconds];
            return seconds;
          };
          const runWith = (flag: string): string[] => [
            ...engine.command,
            'run',
            ...engine.runFlags,
            flag,
            '--network',
            'none',
            image,
          ];
          const run = runWith('--rm');
          const pulled = note('pull', engine.pull(image));
          engine.alias(image);
          note('first run', [...run, 'true']);
          // What the pull still has to write is nobody's reading.
          output(['sync']);
          note('read all files', [...run, ...readAll]);
          const first = output([...runWith('-d'), 'sleep', '1000'], { env });
          try {
            output([...engine.command, 'exec', first, ...readAll], { env });
            note('read all files, second container', [...run, ...readAll]);
          } finally {
            output([...engine.command, 'kill', first], { env });
            output([...engine.command, 'rm', '-f', first], { env });
            // What it leaves to the kernel is not the next command's.
            output(['sleep', '1']);
          }
          note('rmi', engine.remove(image));
          return pulled;
        } finally {
          await engine.stop();
        }
      }),
  };
}

/** The layers' blobs of an image in the registry. */
async function layerUrls(image: string): Promise<string[]> {
  const base = `http://${process.env[registryVariable]}/v2/library/${image}`;
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const answer = await fetch(`${base}/manifests/latest`, { headers: { accept } });
  const manifest: { layers?: { digest: string }[] } = JSON.parse(await answer.text());
  return (manifest.layers ?? []).map((layer) => `${base}/blobs/${layer.digest}`);
}

function floor(directory: string, name: string, urls: readonly string[], sink: (point: string) => string): Contestant {
  return {
    name,
    run: () =>
      onFreshDisk(join(directory, 'floor'), async (point) => {
        const start = performance.now();
        for (const url of urls) time(['sh', '-c', `curl -fsS ${url} | gzip -dc ${sink(point)}`]);
        return (performance.now() - start) / 1000;
      }),
  };
}

const inflate = 'curl | gzip';
const unpacked = 'tsrun, unpacked';

/** What is to be reached, step by step; a step may have several. */
const targets: readonly (readonly [Step, Target])[] = [
  ['pull', { peers: ['docker', 'podman'], factor: 0.33 }],
  ['pull', { peers: [inflate], factor: 1.3 }],
  ['first run', { peers: [unpacked], factor: 1 }],
  // At least 0.9 of the speed.
  ['read all files', { peers: [unpacked], factor: 1.11 }],
  // Beside one that is up and has read them.
  ['read all files, second container', { peers: [unpacked], factor: 1.11 }],
  ['rmi', { peers: ['docker'], factor: 0.1 }],
];

/** `warmUp`: rounds that do not count. */
export async function benchPull(
  directory: string,
  rounds: number,
  image: string,
  warmUp: number,
): Promise<Comparison[]> {
  const lives: Lives = {
    pull: {},
    'first run': {},
    'read all files': {},
    'read all files, second container': {},
    rmi: {},
  };
  const urls = await layerUrls(image);
  const pulls = await interleave(
    [
      lifeOf(directory, 'tsrun', image, async (at) => tsrun(at), lives),
      lifeOf(directory, unpacked, image, async (at) => tsrun(at, 'unpacked'), lives),
      lifeOf(directory, 'docker', image, docker, lives),
      lifeOf(directory, 'podman', image, async (at) => podman(at), lives),
      floor(directory, inflate, urls, () => '>/dev/null'),
      floor(directory, 'curl | gzip | tar', urls, (point) => `| tar -x --numeric-owner -p -C ${point}`),
    ],
    rounds,
    warmUp,
  );
  const layers = `${urls.length} layer${urls.length === 1 ? '' : 's'}`;
  return targets.map(([step, target]) => ({
    title: `${step} ${image} (${layers})`,
    unit: 's',
    ours: 'tsrun',
    samples: step === 'pull' ? presentOnly(pulls) : withoutFirst(lives[step], warmUp),
    target,
  }));
}

/** Without the engines that are not there. */
function presentOnly(samples: Record<string, number[]>): Record<string, number[]> {
  return Object.fromEntries(Object.entries(samples).filter(([, values]) => !values.some(Number.isNaN)));
}

function withoutFirst(samples: Record<string, number[]>, count: number): Record<string, number[]> {
  return Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, values.slice(count)]));
}
