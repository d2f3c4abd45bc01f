/** What docker's driver `local` takes, and what it makes of it: `type`, `device` and `o`, as mount(8) has them. */
import { TsrunError } from '../../error.ts';
import type { Mount } from '../../runtime/spec.ts';

const knownOptions = ['type', 'o', 'device', 'size'];

function refuse(name: string, problem: string, hint?: string): TsrunError {
  return new TsrunError('USAGE', `create ${name}: ${problem}`, { hint });
}

/** Docker's rule for names of volumes. Throws `USAGE`. */
export function checkVolumeName(name: string): void {
  if (name.length === 1) {
    throw refuse(name, 'volume name is too short, names should be at least two alphanumeric characters');
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw refuse(
      name,
      `${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      'a path that begins with ./ is relative to this directory',
    );
  }
  // NAME_MAX of linux/limits.h.
  if (name.length > 255) throw refuse(name, 'volume name is too long, names can have 255 characters');
}

/** There is one driver. Throws `USAGE`. */
export function checkVolumeDriver(name: string, driver: string): void {
  if (driver === '' || driver === 'local') return;
  throw refuse(name, `error looking up volume plugin ${driver}: plugin "${driver}" not found`, 'there is local');
}

/** Throws `USAGE`. */
export function checkVolumeOptions(name: string, options: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(options)) {
    if (!knownOptions.includes(key))
      throw refuse(name, `invalid option: ${JSON.stringify(key)}`, 'there are type, device and o');
  }
  if (Object.keys(options).length === 0) return;
  if (options.size !== undefined) throw refuse(name, 'quota size requested but no quota support');
  for (const key of ['device', 'type']) {
    if (!options[key]) throw refuse(name, `missing required option: "${key}"`);
  }
}

/** Where the files of a volume with options are. */
export type VolumeFiles =
  /** In its `_data`. */
  | { kind: 'own' }
  /** In a directory of the host. */
  | { kind: 'bind'; device: string; recursive: boolean; words: string[] }
  /** In a filesystem that each container mounts for itself. */
  | { kind: 'filesystem'; type: string; device: string; words: string[] };

/** What the options of a volume mean. */
export function volumeFiles(options: Readonly<Record<string, string>> | undefined): VolumeFiles {
  if (options === undefined || options.type === undefined) return { kind: 'own' };
  const { type, device = '' } = options;
  const words = (options.o ?? '').split(',').filter((word) => word !== '');
  const recursive = words.includes('rbind');
  if (recursive || words.includes('bind')) {
    return { kind: 'bind', device, recursive, words: words.filter((word) => word !== 'bind' && word !== 'rbind') };
  }
  return { kind: 'filesystem', type, device, words };
}

/** The volume `source` (its `_data`) as a mount of the OCI config. */
export function volumeMount(
  source: string,
  options: Readonly<Record<string, string>> | undefined,
  { destination, readOnly }: { destination: string; readOnly: boolean },
): Mount {
  const files = volumeFiles(options);
  switch (files.kind) {
    case 'own':
      return { destination, type: 'bind', source, options: ['rbind', ...(readOnly ? ['rro'] : []), 'rprivate'] };
    case 'bind': {
      const words = [files.recursive ? 'rbind' : 'bind', ...files.words, ...(readOnly ? ['rro'] : []), 'rprivate'];
      return { destination, type: 'bind', source: files.device, options: words };
    }
    default: {
      const words = [...files.words, ...(readOnly ? ['ro'] : [])];
      return { destination, type: files.type, source: files.device, options: words };
    }
  }
}
