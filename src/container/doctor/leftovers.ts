/** What killed processes left, and records that do not read. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../error.ts';
import { ImageStore } from '../../image/store.ts';
import { findStale } from '../../network/index.ts';
import { liveIds } from '../live.ts';
import { lostNames, staleCgroups, unfinishedContainers } from '../prune/leftovers.ts';
import { isAlive, readStart } from '../state.ts';
import { ContainerStore } from '../store.ts';
import { type Check, type Finding, unknown } from './finding.ts';

type LeftoverFinding = Omit<Finding, 'area'>;

const sweep = 'tsrun doctor --repair';

export function leftoverChecks(root: string, state: string): Check {
  return {
    area: 'leftovers',
    run() {
      const store = new ContainerStore(root, state);
      return [
        ...recordFindings(store),
        catalogueFinding(root),
        listed('crashed containers', crashed(store), 'their cgroup, ports and addresses are still taken'),
        listed('unfinished files', unfinished(root), 'they only take room'),
        listed('cgroups', staleCgroups(store), 'empty groups of containers that are gone'),
        networkFinding(store),
        listed('names', lostNames(store), 'they belong to nobody, and the next container may take them'),
      ];
    },
  };
}

/** A finding for a list that should be empty. */
function listed(name: string, found: readonly string[], meaning: string): LeftoverFinding {
  if (found.length === 0) return { name, verdict: 'ok', detail: 'none' };
  const shown = found.length > 5 ? [...found.slice(0, 5), `and ${found.length - 5} more`] : found;
  return { name, verdict: 'warning', detail: shown.join(', '), meaning, remedy: sweep };
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function recordFindings(store: ContainerStore): LeftoverFinding[] {
  const damaged: LeftoverFinding[] = [];
  store.list(({ message }) => {
    // The directory of a container is named after it.
    const id = /[0-9a-f]{64}/.exec(message)?.[0];
    damaged.push({
      name: 'record',
      verdict: 'problem',
      detail: message,
      meaning: 'no command can work on that container',
      remedy: id === undefined ? 'tsrun rm -f CONTAINER' : `tsrun rm -f ${id.slice(0, 12)}`,
    });
  });
  const count = store.ids().length;
  return damaged.length > 0 ? damaged : [{ name: 'records', verdict: 'ok', detail: `${count} containers, all read` }];
}

function catalogueFinding(root: string): LeftoverFinding {
  try {
    const images = new ImageStore(root).list();
    const missing = images.flatMap(({ layers, references, id }) =>
      layers
        .filter(({ chainId }) => !existsSync(join(root, 'layers', chainId.replace('sha256:', ''), 'fs')))
        .map(() => references[0] ?? id),
    );
    if (missing.length === 0)
      return { name: 'images', verdict: 'ok', detail: `${images.length}, all layers are there` };
    return {
      name: 'images',
      verdict: 'problem',
      detail: `layers are missing of ${[...new Set(missing)].join(', ')}`,
      meaning: 'no container of these images starts',
      remedy: `tsrun pull ${missing[0]}`,
    };
  } catch (error) {
    return {
      name: 'images',
      verdict: 'problem',
      detail: messageOf(error),
      meaning: 'no image is found',
      remedy: 'pull any image: that sets the damaged file aside, and layers are kept',
    };
  }
}

/** Containers whose socket is there, whose lock is free and whose process is gone: what a sweep looks for. */
function crashed(store: ContainerStore): string[] {
  return entries(join(store.state, 'containers')).filter((id) => {
    if (!existsSync(store.socket(id)) || store.isLocked(id)) return false;
    const start = tryStart(store, id);
    return start === undefined || !isAlive(start);
  });
}

function tryStart(store: ContainerStore, id: string): ReturnType<typeof readStart> {
  try {
    return readStart(store.directory(id));
  } catch {
    return undefined; // a damaged record has a finding of its own
  }
}

function unfinished(root: string): string[] {
  const removing = entries(join(root, 'containers')).filter((name) => name.startsWith('.removing-'));
  return [...unfinishedContainers(root), ...removing.map((name) => join(root, 'containers', name))].concat(
    entries(join(root, 'layers'))
      .filter((name) => isAbandoned(name))
      .map((name) => join(root, 'layers', name)),
  );
}

/** `.tmp-<pid>-<chain id>` whose process has ended. */
function isAbandoned(name: string): boolean {
  const pid = /^\.tmp-(\d+)-/.exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}

function networkFinding(store: ContainerStore): LeftoverFinding {
  try {
    return listed('network', findStale(liveIds(store)), 'ports and addresses are still taken');
  } catch (error) {
    return unknown('network', error);
  }
}
