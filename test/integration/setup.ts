/**
 * Once per run of the integration tests: builds what is stale, serves the test images from a registry on loopback, and
 * makes a data root and a state directory on a normal disk. All of it is gone afterwards.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestProject } from 'vitest/node';
import { checkout, layoutDirectory } from '../../scripts/images/paths.ts';
import { pushLayout } from '../../scripts/images/push.ts';
import { startRegistry } from '../../scripts/images/registry.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** `127.0.0.1:PORT` of a registry with library/debian, library/busybox and tsrun/{layers,config,multi,docker}. */
    registry: string;
    /** TSRUN_ROOT and TSRUN_STATE of this run. */
    root: string;
    state: string;
  }
}

const images = (process.env.TSRUN_TEST_IMAGES || 'busybox test debian').split(' ');

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.geteuid?.() !== 0) throw new Error('integration tests make namespaces and mounts: run them as root');
  execFileSync('node', [join(checkout, 'scripts/build.mjs'), '--if-stale'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (!images.every((name) => existsSync(join(layoutDirectory(name), 'index.json')))) {
    execFileSync('bash', [join(checkout, 'scripts/local-registry.sh'), 'build', ...images], { stdio: 'inherit' });
  }

  // Not in /tmp: that may be a tmpfs, and overlayfs has other rules there.
  const directory = mkdtempSync(join(process.env.TSRUN_TEST_DIRECTORY || '/var/tmp', 'tsrun-test.'));
  const registry = await startRegistry(join(directory, 'registry'));
  for (const name of images) await pushLayout(layoutDirectory(name), registry.address);
  const root = join(directory, 'root');
  const state = join(directory, 'state');
  mkdirSync(root, { mode: 0o700 });
  mkdirSync(state, { mode: 0o700 });
  project.provide('registry', registry.address);
  project.provide('root', root);
  project.provide('state', state);

  return async () => {
    process.kill(registry.pid);
    for (let i = 0; i < 100 && isAlive(registry.pid); i++) await delay(20);
    rmSync(directory, { recursive: true, force: true });
  };
}

function isAlive(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/exe`);
    return true;
  } catch {
    return false;
  }
}
