/**
 * Which mounts a container gets: those of its flags, those of --volumes-from, anonymous volumes for what the image wants
 * kept. Docker's order of precedence; nothing is made here.
 */
import { resolve } from 'node:path';
import { TsrunError } from '../error.ts';
import type { ContainerRecord, MountRecord } from './record.ts';
import type { MountOption, RunOptions } from './run-options.ts';

/** The option behind a mount; older records have it only among the container's options, at the same index. */
export function mountOption(record: ContainerRecord, index: number): MountOption | undefined {
  const mount = record.mounts[index];
  if (mount?.option !== undefined) return mount.option;
  return mount?.type === 'volume' ? undefined : record.options.mounts[index];
}

/** A mount as its flag asks for it. A volume has no name yet if it is to have a new one. */
export function mountRecord(option: MountOption): MountRecord {
  const { type, source, target, readOnly, propagation, mode } = option;
  return {
    type,
    ...(type === 'volume' && source !== '' ? { name: source } : {}),
    source: type === 'bind' ? source : '',
    destination: target,
    // As docker shows a named volume whose flag says nothing.
    mode: type === 'volume' && mode === '' && (source !== '' || option.origin?.flag === 'mount') ? 'z' : mode,
    readWrite: !readOnly,
    propagation: type === 'bind' ? propagation || 'rprivate' : '',
    option,
  };
}

/** `CONTAINER[:MODE]` of --volumes-from. Throws `USAGE` with docker's words. */
export function parseVolumesFrom(text: string): { container: string; readOnly: boolean } {
  if (text === '') throw new TsrunError('USAGE', 'volumes-from specification cannot be an empty string');
  const [container = '', mode = ''] = text.split(/:(.*)/s);
  const words = mode === '' ? [] : mode.split(',');
  const access = words.filter((word) => word === 'ro' || word === 'rw');
  const labels = words.filter((word) => word === 'z' || word === 'Z');
  if (access.length + labels.length !== words.length || access.length > 1 || labels.length > 1) {
    throw new TsrunError('USAGE', `invalid mode: ${mode}`, { hint: 'there are ro, rw, z and Z' });
  }
  return { container, readOnly: access[0] === 'ro' };
}

/** A volume that docker takes from the configuration and not from the mounts: -v with nothing but a path. */
function isAnonymousFlag({ type, source, origin }: MountOption): boolean {
  return type === 'volume' && source === '' && origin?.flag === 'volume';
}

/**
 * Mounts of a container to be. `imageVolumes`: the image's VOLUMEs; `find`: a container by name or id, which throws for
 * what is not there.
 */
export function planMounts(
  options: Pick<RunOptions, 'mounts' | 'volumesFrom'>,
  imageVolumes: readonly string[],
  find: (text: string) => ContainerRecord,
): MountRecord[] {
  const places = new Map<string, MountRecord>();
  const place = (mount: MountRecord): void => void places.set(resolve('/', mount.destination), mount);
  for (const text of options.volumesFrom ?? []) {
    const { container, readOnly } = parseVolumesFrom(text);
    for (const mount of mountsOfOther(find(container), readOnly)) place(mount);
  }
  for (const option of options.mounts) if (!isAnonymousFlag(option)) place(mountRecord(option));
  // What comes last yields: somebody has said what is to be there.
  const anonymous = options.mounts.filter(isAnonymousFlag).map(mountRecord);
  const wanted = imageVolumes.map(
    (destination): MountRecord => ({
      type: 'volume',
      source: '',
      destination,
      mode: '',
      readWrite: true,
      propagation: '',
    }),
  );
  for (const mount of [...anonymous, ...wanted]) {
    const path = resolve('/', mount.destination);
    if (path === '/') {
      throw new TsrunError('USAGE', "invalid volume specification: destination can't be '/'");
    }
    if (!places.has(path)) places.set(path, { ...mount, destination: path });
  }
  return [...places.values()];
}

/** All mounts of another container but its --tmpfs; what a volume of it holds is not copied once more. */
function mountsOfOther(record: ContainerRecord, readOnly: boolean): MountRecord[] {
  return record.mounts.flatMap((mount, index): MountRecord[] => {
    const asked = mountOption(record, index);
    if (asked?.origin?.flag === 'tmpfs') return [];
    const readWrite = mount.readWrite && !readOnly;
    // The flag was another container's: inspect shows it there.
    const { origin: _, ...option } = asked ?? anonymousOption(mount.destination);
    const own = { ...option, readOnly: !readWrite, volume: { ...option.volume, noCopy: true } };
    return [{ ...mount, mode: '', readWrite, option: own, from: record.id }];
  });
}

function anonymousOption(target: string): MountOption {
  return {
    type: 'volume',
    source: '',
    target,
    readOnly: false,
    propagation: '',
    createSource: false,
    nonRecursive: false,
    mode: '',
  };
}
