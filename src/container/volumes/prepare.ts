/** The volumes of a container that is being made: found or made, held, and filled with what the image has there. */
import { existsSync } from 'node:fs';
import { TsrunError } from '../../error.ts';
import type { Lock } from '../locked-directory.ts';
import type { MountRecord } from '../record.ts';
import { volumeFiles } from './options.ts';
import { populateVolume } from './populate.ts';
import { anonymousName, type Volume, VolumeStore } from './store.ts';

export interface PreparedMounts {
  /** All mounts, with the names of their volumes and where those are. */
  mounts: MountRecord[];
  /** To be called when the container's record names the volumes. */
  release(): void;
  /** To be called instead when the container does not come to be: volumes that were made for it go. */
  discard(): void;
}

/**
 * Prepares the volumes among `mounts`. `layers`: paths of the image's layers, the uppermost first. Throws `USAGE` with
 * docker's words for volumes that cannot be, `NOT_FOUND` where one of another container has gone.
 */
export async function prepareVolumes(
  root: string,
  mounts: readonly MountRecord[],
  layers: readonly string[],
  driver: string | undefined,
  signal: AbortSignal | undefined,
): Promise<PreparedMounts> {
  const work = new Preparation(new VolumeStore(root), driver, signal);
  try {
    return { mounts: await work.run(mounts, layers), release: () => work.release(), discard: () => work.discard() };
  } catch (error) {
    work.discard();
    throw error;
  }
}

class Preparation {
  private readonly locks = new Map<string, Lock>();
  /** Names of volumes that were not there before. */
  private readonly made = new Set<string>();

  constructor(
    private readonly volumes: VolumeStore,
    private readonly driver: string | undefined,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async run(mounts: readonly MountRecord[], layers: readonly string[]): Promise<MountRecord[]> {
    const named = mounts.map((mount) =>
      mount.type === 'volume' ? { ...mount, name: mount.name ?? anonymousName() } : mount,
    );
    // All commands lock in the same order, so that two of them cannot wait for each other.
    const ofVolumes = named.filter((mount) => mount.type === 'volume');
    const found = new Map<string, Volume>();
    for (const mount of ofVolumes.sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1))) {
      const name = mount.name ?? '';
      if (!found.has(name)) found.set(name, await this.hold(mount, name));
    }
    const result = named.map((mount): MountRecord => {
      const volume = found.get(mount.name ?? '');
      if (mount.type !== 'volume' || volume === undefined) return mount;
      const { options } = volume.record;
      const { volumeOptions: _, ...rest } = mount;
      return {
        ...rest,
        source: volume.mountPoint,
        ...(Object.keys(options).length === 0 ? {} : { volumeOptions: options }),
      };
    });
    for (const mount of result) {
      if (mount.type === 'volume' && mount.option?.volume?.noCopy !== true) await this.populate(mount, layers);
    }
    return result;
  }

  /** Makes the volume unless it is there, and locks it. */
  private async hold({ option, from }: MountRecord, name: string): Promise<Volume> {
    for (;;) {
      if (this.volumes.read(name) === undefined) {
        if (from !== undefined) throw new TsrunError('NOT_FOUND', `get ${name}: no such volume`);
        const { labels, options, driver } = option?.volume ?? {};
        const request = { name, driver: driver || this.driver, labels, options };
        const { isNew } = this.volumes.ensure({ ...request, anonymous: (option?.source ?? '') === '' });
        if (isNew) this.made.add(name);
      }
      const lock = await this.volumes.lockSoon(name, this.signal);
      if (lock === undefined) continue;
      this.locks.set(name, lock);
      return this.volumes.require(name);
    }
  }

  private async populate(mount: MountRecord, layers: readonly string[]): Promise<void> {
    const files = volumeFiles(mount.volumeOptions);
    const request = { layers, destination: mount.destination, signal: this.signal };
    if (files.kind === 'own') {
      await populateVolume({ ...request, target: mount.source, stageParent: `${mount.source}/..`, prefix: '' });
    } else if (files.kind === 'bind' && existsSync(files.device)) {
      await populateVolume({ ...request, target: files.device, stageParent: files.device, prefix: '.tsrun-' });
    }
  }

  release(): void {
    for (const lock of this.locks.values()) lock.release();
    this.locks.clear();
  }

  discard(): void {
    // What somebody else has locked first is theirs by now.
    for (const name of this.made) if (this.locks.has(name)) this.volumes.remove(name);
    this.release();
  }
}
