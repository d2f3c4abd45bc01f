/** `create`: from what the user asked for and the image's config to a container's record. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { TsrunError } from '../error.ts';
import { signalNumber } from '../linux/signals.ts';
import { uname } from '../linux/uname.ts';
import { candidates } from '../runtime/compile/execute.ts';
import { step } from '../trace.ts';
import { mergeEnvironment } from './environment.ts';
import { isChecked, mergeHealthcheck } from './health.ts';
import { LayeredRoot } from './layered-root.ts';
import { mountRecord } from './mount-plan.ts';
import { isName } from './names.ts';
import { randomName } from './random-name.ts';
import type { Container, ContainerRecord, Healthcheck, MountRecord } from './record.ts';
import type { MountOption, RunOptions } from './run-options.ts';
import { makeRecord } from './steps.ts';
import { type ContainerStore, newId } from './store.ts';

/** What a container takes from its image. */
export interface ImageForContainer {
  /** `sha256:…` */
  id: string;
  /** Lowest first; a path may be asked for as long as the container is being made. */
  layers: { chainId: string; readonly path: string }[];
  env: string[];
  entrypoint: string[];
  cmd: string[];
  user: string;
  workingDir: string;
  exposedPorts: string[];
  volumes: string[];
  labels: Record<string, string>;
  stopSignal: string;
  /** Seconds. */
  stopTimeout?: number;
  healthcheck?: Healthcheck;
}

/** Shells by names that a distribution may not have, and what has the same job there. */
const otherNames: Readonly<Record<string, { path: string; says: string }>> = {
  ash: {
    path: '/bin/dash',
    says: "running /bin/dash: ash is the Almquist shell, and dash is this image's name for it",
  },
};

/**
 * The record of a container to be; makes nothing. `onNotice` gets lines for stderr. Throws `USAGE` for what does not fit
 * the image.
 */
export function newRecord(
  options: RunOptions,
  image: ImageForContainer,
  onNotice: (line: string) => void,
  mounts: readonly MountRecord[],
): ContainerRecord {
  if (options.name !== undefined && !isName(options.name)) {
    throw new TsrunError(
      'USAGE',
      `Invalid container name (${options.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  const id = newId();
  const env = mergeEnvironment(image.env, options.env);
  const { args, entrypointLength } = commandOf(options, image);
  substituteShell(args, env, image, onNotice);
  const stopSignal = options.stopSignal ?? (image.stopSignal || 'SIGTERM');
  if (signalNumber(stopSignal) === undefined) throw new TsrunError('USAGE', `Invalid signal: ${stopSignal}`);
  const hostname =
    options.hostname ?? (options.network === 'host' || options.utsMode === 'host' ? uname().nodename : id.slice(0, 12));
  const healthcheck = mergeHealthcheck(options.health, image.healthcheck);
  // A kind that cannot be run is told now, not at the first start.
  isChecked(healthcheck);
  return {
    version: 1,
    id,
    name: options.name ?? '',
    created: new Date().toISOString(),
    image: { id: image.id, reference: options.image, layers: image.layers.map((layer) => layer.chainId) },
    options,
    process: {
      args,
      entrypointLength,
      env,
      cwd: workingDirectory(options.workingDir ?? image.workingDir),
      user: options.user ?? image.user,
      terminal: options.terminal,
      openStdin: options.interactive,
    },
    hostname,
    labels: { ...image.labels, ...options.labels },
    exposedPorts: [...new Set([...image.exposedPorts, ...options.expose])],
    volumes: image.volumes,
    stopSignal,
    stopTimeout: options.stopTimeout ?? image.stopTimeout ?? 10,
    ...(healthcheck === undefined ? {} : { healthcheck }),
    mounts: [...mounts],
  };
}

/**
 * Makes the container. `mounts` are those of its record, volumes being there already. Throws as `newRecord` does, and
 * `CONFLICT` for a name that is taken.
 */
export function createContainer(
  store: ContainerStore,
  options: RunOptions,
  image: ImageForContainer,
  onNotice: (line: string) => void,
  mounts: readonly MountRecord[] = options.mounts.map(mountRecord),
): Container {
  const record = newRecord(options, image, onNotice, mounts);
  for (const mount of options.mounts) prepareSource(mount);
  return step(makeRecord(record.id), () => {
    if (options.name !== undefined) return store.create(record);
    for (let attempt = 0; ; attempt++) {
      try {
        return store.create({ ...record, name: randomName(attempt) });
      } catch (error) {
        if (!(error instanceof TsrunError) || error.code !== 'CONFLICT' || attempt > 20) throw error;
      }
    }
  });
}

function commandOf(options: RunOptions, image: ImageForContainer): { args: string[]; entrypointLength: number } {
  const entrypoint = options.entrypoint ?? image.entrypoint;
  // An entrypoint of the user's makes the image's CMD void, as docker has it.
  const fallback = options.entrypoint === undefined ? image.cmd : [];
  const args = [...entrypoint, ...(options.command.length > 0 ? options.command : fallback)];
  if (args.length === 0) {
    throw new TsrunError('USAGE', 'No command specified: the image names none', {
      hint: `name one: tsrun run ${options.image} COMMAND`,
    });
  }
  return { args, entrypointLength: entrypoint.length };
}

function substituteShell(
  args: string[],
  env: readonly string[],
  image: ImageForContainer,
  onNotice: (line: string) => void,
): void {
  const other = otherNames[args[0] ?? ''];
  if (other === undefined) return;
  const root = new LayeredRoot(image.layers.map((layer) => layer.path).reverse());
  const there = candidates(args[0] ?? '', env).some((path) => root.find(path) !== undefined);
  if (there || !root.isExecutable(other.path)) return;
  args[0] = other.path;
  onNotice(other.says);
}

function workingDirectory(path: string): string {
  if (path === '') return '/';
  if (!path.startsWith('/')) {
    throw new TsrunError('USAGE', `the working directory '${path}' is invalid, it needs to be an absolute path`);
  }
  return path;
}

function prepareSource(mount: MountOption): void {
  if (mount.type !== 'bind') return;
  if (existsSync(mount.source)) return;
  if (!mount.createSource) {
    throw new TsrunError(
      'USAGE',
      `invalid mount config for type "bind": bind source path does not exist: ${mount.source}`,
    );
  }
  mkdirSync(mount.source, { recursive: true, mode: 0o755 });
  statSync(mount.source);
}
