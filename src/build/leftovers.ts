/** What builds that were killed have left: containers that still run a command, copies, secrets. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerStore } from '../container/store.ts';
import { messageOf } from '../error.ts';
import { removeTree } from '../image/unpack/remove-tree.ts';
import { processStartTime } from '../linux/process.ts';

/** Says in `ps`, and to a later build, whose a container is. */
export const buildLabel = 'io.tsrun.build';

/** Where a build has its copies and its secrets. */
export function scratchPaths(root: string, state: string, owner: string): { disk: string; secret: string } {
  return { disk: join(root, 'cache', 'build', `.tmp-${owner}`), secret: join(state, `build-${owner}`) };
}

function isGone(owner: string): boolean {
  const [, pid = '', start = ''] = /^(\d+)-(\d+)$/.exec(owner) ?? [];
  return pid !== '' && processStartTime(Number(pid)) !== start;
}

/** Takes it away. What cannot be taken away is told, and stops nobody. */
export async function sweepBuilds(store: ContainerStore, onNotice: (line: string) => void): Promise<void> {
  for (const [directory, prefix] of [
    [join(store.root, 'cache', 'build'), '.tmp-'],
    [store.state, 'build-'],
  ] as const) {
    for (const name of namesIn(directory)) {
      if (name.startsWith(prefix) && isGone(name.slice(prefix.length))) removeTree(join(directory, name));
    }
  }
  for (const container of store.list()) {
    if (!isGone(container.record.labels[buildLabel] ?? '')) continue;
    try {
      const { removeContainer } = await import('../container/remove.ts');
      await removeContainer(store, container, true);
    } catch (error) {
      onNotice(`cannot remove the container of a build that was killed: ${messageOf(error)}`);
    }
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
