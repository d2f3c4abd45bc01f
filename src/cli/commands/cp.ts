/** `tsrun cp`: copy between a container and the host. */
import { readSync } from 'node:fs';
import { ContainerRoot } from '../../container/copy/container-root.ts';
import {
  type ContainerPath,
  copyFromArchive,
  copyToArchive,
  copyToContainer,
  copyToHost,
} from '../../container/copy/copy.ts';
import type { Owner } from '../../container/copy/place.ts';
import { recordContainerEvent } from '../../container/events.ts';
import type { Container } from '../../container/record.ts';
import { ContainerStore } from '../../container/store.ts';
import { resolveUser } from '../../container/users.ts';
import { TsrunError } from '../../error.ts';
import type { ReadableLayers } from '../../image/readable-layers.ts';
import { ImageStore } from '../../image/store.ts';
import type { Command } from '../command.ts';
import { writeBytes } from '../output.ts';

export const cp: Command = {
  usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\ttsrun cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH',
  description: 'Copy between a container and the host; - is a tar archive on stdin or stdout',
  flags: [
    { name: 'archive', short: 'a', type: 'bool', description: 'Keep owners; into a container: give all to its user' },
    { name: 'follow-link', short: 'L', type: 'bool', description: 'Follow a symbolic link in SRC_PATH' },
    { name: 'quiet', short: 'q', type: 'bool', description: 'No effect: nothing is printed' },
  ],
  args: { min: 2, max: 2 },
  async run({ flags, args: [source = '', target = ''] }) {
    if (source === '') throw new TsrunError('USAGE', 'source can not be empty');
    if (target === '') throw new TsrunError('USAGE', 'destination can not be empty');
    const from = splitArgument(source);
    const to = splitArgument(target);
    if (from.container !== '' && to.container !== '') {
      throw new TsrunError('UNSUPPORTED', 'copying between containers is not supported', {
        hint: 'copy to the host first, or pipe: tsrun cp A:/path - | tsrun cp - B:/path',
      });
    }
    const archive = flags.boolean('archive');
    const followLink = flags.boolean('follow-link');
    if (from.container !== '') {
      await withContainer(from, async (path, store) => {
        if (target === '-') copyToArchive(path, { write: (bytes) => writeBytes(1, bytes) }, followLink);
        else copyToHost(path, target, followLink, archive ? undefined : ownIds());
        recordContainerEvent(store.root, path.root.record, 'archive-path');
      });
      return 0;
    }
    if (to.container === '') throw new TsrunError('USAGE', 'must specify at least one container source');
    await withContainer(to, async (path, store) => {
      const owner = archive ? userOf(path.root) : undefined;
      await path.root.owners.act(() =>
        source === '-' ? copyFromArchive(readInput(), path, owner) : copyToContainer(source, path, followLink, owner),
      );
      recordContainerEvent(store.root, path.root.record, 'extract-to-dir');
    });
    return 0;
  },
};

interface Argument {
  /** Empty: a path of the host. */
  container: string;
  path: string;
}

/** `CONTAINER:PATH`; what begins with `/` or `.` is a path of the host, colons in it or not. */
export function splitArgument(text: string): Argument {
  const colon = text.indexOf(':');
  if (colon === -1 || /^[./]/.test(text)) return { container: '', path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

type Use = (path: ContainerPath, store: ContainerStore) => Promise<void>;

async function withContainer({ container: name, path }: Argument, use: Use): Promise<void> {
  const store = new ContainerStore();
  const container = find(store, name, path);
  const layers = layersOf(container, store);
  try {
    // A running one needs none of them: they are opened when they are asked for.
    const root = await ContainerRoot.open(store, container, () => layers.paths);
    try {
      await use({ root, name, path }, store);
    } finally {
      root.close();
    }
  } finally {
    layers.close();
  }
}

function find(store: ContainerStore, name: string, path: string): Container {
  try {
    return store.resolve(name);
  } catch (error) {
    if (!(error instanceof TsrunError) || error.code !== 'NOT_FOUND') throw error;
    throw new TsrunError('NOT_FOUND', `No such container:path: ${name}:${path}`, { hint: error.hint });
  }
}

function layersOf({ record }: Container, store: ContainerStore): ReadableLayers {
  return new ImageStore(store.root).openLayers(record.image.layers);
}

function ownIds(): Owner {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}

/** Whom --archive gives files to: the user of the container, if it names one. */
function userOf(root: ContainerRoot): Owner | undefined {
  const { user } = root.record.process;
  if (user === '') return undefined;
  const { uid, gid } = resolveUser(root, user, []);
  return { uid, gid };
}

const inputSize = 256 * 1024;

function* readInput(): Generator<Buffer> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(inputSize);
    const length = readSync(0, buffer);
    if (length === 0) return;
    yield buffer.subarray(0, length);
  }
}
