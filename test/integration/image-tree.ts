/** An image of an OCI layout as umoci unpacks it: all of its files, and what its config says. For comparing builders. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface TreeEntry {
  type: string;
  mode: number;
  uid: number;
  gid: number;
  /** Of a file: size and digest; of a link: its target. */
  content?: string;
  /** Of a file with several names: the first of them. */
  sameAs?: string;
}

export type Config = Record<string, unknown>;

/** Reads the image `tag` of a layout; `bundle` is a directory that is made for it, and taken away again. */
export function readTree(
  layout: string,
  tag: string,
  bundle: string,
): { tree: Map<string, TreeEntry>; config: Config } {
  execFileSync('umoci', ['--log', 'error', 'unpack', '--image', `${layout}:${tag}`, bundle], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    const tree = new Map<string, TreeEntry>();
    walk(join(bundle, 'rootfs'), '', tree, new Map());
    return { tree, config: configOf(layout, tag) };
  } finally {
    rmSync(bundle, { recursive: true });
  }
}

/** What engines make for themselves in a container that builds, and leave or take along. */
const ofEngines = /^(dev|proc|sys|run|etc\/(hosts|hostname|resolv\.conf))($|\/)/;

function walk(root: string, path: string, tree: Map<string, TreeEntry>, names: Map<string, string>): void {
  for (const name of readdirSync(join(root, path)).sort()) {
    const inner = join(path, name);
    if (ofEngines.test(inner)) continue;
    const full = join(root, inner);
    const stats = lstatSync(full);
    const entry: TreeEntry = { type: typeOf(stats), mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid };
    if (stats.isSymbolicLink()) entry.content = readlinkSync(full);
    if (stats.isFile()) {
      entry.content = `${stats.size} ${createHash('sha256').update(readFileSync(full)).digest('hex').slice(0, 16)}`;
      const key = String(stats.ino);
      const first = names.get(key);
      if (first !== undefined) entry.sameAs = first;
      else names.set(key, inner);
    }
    tree.set(inner, entry);
    if (stats.isDirectory()) walk(root, inner, tree, names);
  }
}

function typeOf(stats: ReturnType<typeof lstatSync>): string {
  if (stats?.isDirectory()) return 'directory';
  if (stats?.isSymbolicLink()) return 'link';
  if (stats?.isFile()) return 'file';
  return stats?.isFIFO() ? 'fifo' : 'other';
}

interface Descriptor {
  digest: string;
  annotations?: Record<string, string>;
}

/** The part of the config that says what a container does. */
function configOf(layout: string, tag: string): Config {
  const blob = (digest: string): string => readFileSync(join(layout, 'blobs', digest.replace(':', '/')), 'utf8');
  const index: { manifests: Descriptor[] } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  const found = index.manifests.findLast(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag,
  );
  const manifest: { config: Descriptor } = JSON.parse(blob(found?.digest ?? ''));
  const document: { config: Record<string, unknown>; architecture: string; os: string } = JSON.parse(
    blob(manifest.config.digest),
  );
  const { config } = document;
  const said = Object.entries(config).filter(
    ([, value]) => value !== null && JSON.stringify(value) !== '{}' && value !== '',
  );
  const labels = Object.entries((config.Labels ?? {}) as Record<string, string>).filter(
    ([name]) => !name.startsWith('io.buildah'),
  );
  return {
    ...Object.fromEntries(said.filter(([name]) => compared.has(name))),
    Labels: Object.fromEntries(labels.sort()),
    architecture: document.architecture,
    os: document.os,
  };
}

const compared = new Set(
  'User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir StopSignal Healthcheck OnBuild Shell'.split(' '),
);
