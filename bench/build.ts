/**
 * `build` of three of the Dockerfiles of test/fixtures: cold (--no-cache, the base image being there) and again, beside docker's
 * classic builder and buildah, whose commands run by chroot: that needs no further runtime and is its fastest way.
 */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkout, layoutDirectory } from '../scripts/images/paths.ts';
import { type Comparison, interleave, output, time } from './harness.ts';
import { withEngines } from './peers.ts';

/** TSRUN_BENCH_BUILD=nginx-config,… measures these. */
const dockerfiles = (process.env.TSRUN_BENCH_BUILD || 'node-service,nginx-config,multi-stage').split(',');

interface Builder {
  name: string;
  env: Record<string, string>;
  /** Up to the flags that all have. */
  command: string[];
}

function buildah(directory: string): Builder | undefined {
  if (!existsSync('/usr/bin/buildah')) return undefined;
  mkdirSync(directory, { recursive: true });
  const command = ['buildah', '--root', join(directory, 'root'), '--runroot', join(directory, 'run')];
  command.push('--storage-driver', 'overlay');
  const id = output([...command, 'pull', '-q', `oci:${layoutDirectory('busybox')}:library/busybox:latest`]);
  output([...command, 'tag', id, 'localhost/busybox:latest']);
  const flags = ['--isolation', 'chroot', '--layers', '--pull-never'];
  return { name: 'buildah', env: {}, command: [...command, 'bud', ...flags] };
}

export async function benchBuild(directory: string, rounds: number): Promise<Comparison[]> {
  const contexts = join(directory, 'contexts');
  cpSync(join(checkout, 'test/fixtures/dockerfiles'), contexts, { recursive: true });
  return withEngines(directory, ['busybox'], async (engines) => {
    const builders: Builder[] = engines
      .filter(({ name }) => name !== 'podman')
      .map(({ name, command, env }) => ({
        name,
        env: { ...env, DOCKER_BUILDKIT: '0' },
        command: [...command, 'build', '--network', 'none'],
      }));
    const other = buildah(join(directory, 'buildah'));
    if (other !== undefined) builders.push(other);
    const comparisons: Comparison[] = [];
    for (const name of dockerfiles) {
      for (const [kind, flags, factor] of [
        ['cold', ['--no-cache'], 0.8],
        ['again', [], 0.3],
      ] as const) {
        const contestants = builders.map(({ name: builder, env, command }) => ({
          name: builder,
          run: () => time([...command, ...flags, '-q', '-t', `bench-${name}`, join(contexts, name)], { env }),
        }));
        comparisons.push({
          title: `build of ${name}, ${kind}`,
          unit: 'ms',
          ours: 'tsrun',
          // The peers take a quarter of a minute for one: the first counts too.
          samples: await interleave(contestants, rounds, 0),
          target: { peers: ['docker', 'buildah'], factor },
        });
      }
    }
    return comparisons;
  });
}
