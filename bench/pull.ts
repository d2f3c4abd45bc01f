/**
 * Pulls from a registry on loopback. Every run of every contestant gets a fresh ext4 on a loop device, so that no run
 * profits from the directories of the one before. `curl | gzip | tar`, one layer after the other, is the floor of what
 * the kernel asks for; it checks nothing.
 */

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { onFreshDisk } from './disk.ts';
import { type Comparison, type Contestant, interleave, time } from './harness.ts';
import { docker, type Engine, podman, registryVariable, tsrun } from './peers.ts';

function pulls(
  directory: string,
  name: string,
  image: string,
  make: (at: string) => Promise<Engine | undefined>,
): Contestant {
  return {
    name,
    run: () =>
      onFreshDisk(join(directory, name), async (point) => {
        const engine = await make(join(point, name));
        if (engine === undefined) return Number.NaN;
        try {
          return time(engine.pull(image), { env: engine.env }) / 1000;
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

export async function benchPull(directory: string, rounds: number, images: readonly string[]): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const image of images) {
    const urls = await layerUrls(image);
    const floor: Contestant = {
      name: 'curl | gzip | tar',
      run: () =>
        onFreshDisk(join(directory, 'floor'), async (point) => {
          const start = performance.now();
          for (const url of urls)
            time(['sh', '-c', `curl -fsS ${url} | gzip -dc | tar -x --numeric-owner -p -C ${point}`]);
          return (performance.now() - start) / 1000;
        }),
    };
    const contestants = [
      pulls(directory, 'tsrun', image, async (at) => tsrun(at)),
      pulls(directory, 'docker', image, docker),
      pulls(directory, 'podman', image, async (at) => podman(at)),
      floor,
    ];
    comparisons.push({
      title: `pull ${image} (${urls.length} layer${urls.length === 1 ? '' : 's'})`,
      unit: 's',
      ours: 'tsrun',
      samples: await interleave(contestants, rounds),
      target: { peers: ['docker', 'podman'], factor: 0.8 },
    });
  }
  return comparisons;
}
