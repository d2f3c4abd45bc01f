/**
 * A pulled image to a registry that has nothing of it, beside skopeo from podman's storage and from a directory of plain
 * archives, and docker: all of them read the layers, compress and send them. skopeo from an image layout has nothing to
 * compress, and is the floor. Every run gets a registry of its own on a fresh disk: none profits from blobs that are there.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { layoutDirectory } from '../scripts/images/paths.ts';
import { startRegistry } from '../scripts/images/registry.ts';
import { onFreshDisk } from './disk.ts';
import { type Comparison, type Contestant, interleave, output, time } from './harness.ts';
import { docker, type Engine, podman, registryVariable, removeTree, tsrun } from './peers.ts';

/** What it takes to push to `target` (`127.0.0.1:5000/image`). */
type PushCommand = (target: string) => readonly string[];

/** Waits until a child of this process has ended. Not by a command that is waited for: meanwhile nobody would reap it. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await delay(20);
  }
}

function contestant(directory: string, name: string, command: PushCommand, env: Record<string, string>): Contestant {
  let run = 0;
  return {
    name,
    run: () =>
      onFreshDisk(join(directory, 'disk'), async (point) => {
        const registry = await startRegistry(join(point, 'registry'));
        try {
          return time(command(`${registry.address}/pushed/image:${run++}`), { env }) / 1000;
        } finally {
          process.kill(registry.pid);
          // Its files are on a disk that is to be unmounted.
          await gone(registry.pid);
        }
      }),
  };
}

const fromStorage = 'skopeo, containers-storage';
const fromDirectory = 'skopeo, directory';

export async function benchPush(directory: string, rounds: number, image: string): Promise<Comparison[]> {
  const source = `${process.env[registryVariable]}/library/${image}`;
  const skopeo = ['skopeo', '--insecure-policy'];
  const contestants: Contestant[] = [];
  const engines: Engine[] = [];
  try {
    const ours = tsrun(join(directory, 'tsrun'));
    output(ours.pull(source), { env: ours.env });
    // A name of its own for each registry, and a push: what a person does.
    const both: PushCommand = (target) => [
      ...['sh', '-c', `"$0" tag "$1" "$2" && "$0" push -q "$2"`],
      ...[ours.command[0] ?? '', source, target],
    ];
    contestants.push(contestant(directory, 'tsrun', both, ours.env));

    const plain = join(directory, 'plain');
    output([
      ...skopeo,
      'copy',
      '-q',
      '--src-tls-verify=false',
      '--dest-decompress',
      `docker://${source}`,
      `dir:${plain}`,
    ]);
    // Which blobs a registry has is remembered by skopeo too, by the registry's address.
    const copy = (from: string): PushCommand => {
      return (target) => [...skopeo, 'copy', '-q', '--dest-tls-verify=false', from, `docker://${target}`];
    };
    contestants.push(contestant(directory, fromDirectory, copy(`dir:${plain}`), {}));
    const layout = `oci:${layoutDirectory(image)}:library/${image}:latest`;
    contestants.push(contestant(directory, 'skopeo, image layout', copy(layout), {}));

    const theirs = podman(join(directory, 'podman'));
    if (theirs !== undefined) {
      engines.push(theirs);
      output(theirs.pull(image), { env: theirs.env });
      const push: PushCommand = (target) => [...theirs.command, 'push', '-q', '--tls-verify=false', source, target];
      contestants.push(contestant(directory, fromStorage, push, theirs.env));
    }
    const daemon = await docker(join(directory, 'docker'));
    if (daemon !== undefined) {
      engines.push(daemon);
      output(daemon.pull(image), { env: daemon.env });
      const push: PushCommand = (target) => [
        ...['sh', '-c', 'target=$1; source=$2; shift 2; "$@" tag "$source" "$target" && "$@" push -q "$target"'],
        ...['sh', target, source, ...daemon.command],
      ];
      contestants.push(contestant(directory, 'docker', push, daemon.env));
    }
    return [
      {
        title: `push ${image}`,
        unit: 's',
        ours: 'tsrun',
        // A round with the heavy one takes minutes: its first counts too.
        samples: await interleave(contestants, rounds, image === 'heavy' ? 0 : 1),
        target: { peers: [fromStorage, fromDirectory], factor: 1 },
      },
    ];
  } finally {
    for (const engine of engines) await engine.stop();
    removeTree(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}
