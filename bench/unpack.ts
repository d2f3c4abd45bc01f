/**
 * Unpacking alone, of the debian layer on a fresh ext4: tsrun's writer, which computes the diffID on the way, and
 * `gzip -dc | tar x`, which checks nothing.
 */
import { createReadStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { layoutDirectory } from '../scripts/images/paths.ts';
import { LayerWriter } from '../src/image/unpack/index.ts';
import { onFreshDisk } from './disk.ts';
import { type Comparison, interleave, time } from './harness.ts';

export async function benchUnpack(directory: string, rounds: number): Promise<Comparison[]> {
  const layout = layoutDirectory('debian');
  const blob = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));
  const index: { manifests: [{ digest: string }] } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  const manifest: { layers: [{ digest: string; mediaType: string }] } = JSON.parse(
    readFileSync(blob(index.manifests[0].digest), 'utf8'),
  );
  const [layer] = manifest.layers;
  const contestants = [
    {
      name: 'tsrun',
      run: () =>
        onFreshDisk(join(directory, 'tsrun'), async (point) => {
          const start = performance.now();
          const target = join(point, 'layer');
          mkdirSync(target);
          const writer = LayerWriter.start({ directory: target, mediaType: layer.mediaType });
          for await (const chunk of createReadStream(blob(layer.digest), { highWaterMark: 256 * 1024 })) {
            await writer.write(chunk);
          }
          await writer.finish();
          return (performance.now() - start) / 1000;
        }),
    },
    {
      name: 'gzip | tar',
      run: () =>
        onFreshDisk(join(directory, 'tar'), async (point) => {
          const command = `gzip -dc ${blob(layer.digest)} | tar -x --numeric-owner -p -C ${point}`;
          return time(['sh', '-c', command]) / 1000;
        }),
    },
  ];
  const title = 'unpack the layer of debian';
  return [{ title, unit: 's', ours: 'tsrun', samples: await interleave(contestants, rounds) }];
}
