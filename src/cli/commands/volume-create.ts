/** `tsrun volume create`. */
import { anonymousName, VolumeStore } from '../../container/volumes/store.ts';
import { TsrunError } from '../../error.ts';
import { rootDirectory } from '../../linux/paths.ts';
import type { Command } from '../command.ts';
import type { Flag } from '../flag.ts';
import { checkLabel, labelsOf } from '../options/environment.ts';
import { print } from '../output.ts';

/** Docker's flags of volumes that a swarm has: known, and refused. */
const clusterFlags =
  'availability group limit-bytes required-bytes scope secret sharing topology-preferred topology-required type'.split(
    ' ',
  );

export const volumeCreate: Command = {
  usage: '[OPTIONS] [VOLUME]',
  description: 'Create a volume; a volume of that name that is there is taken as it is',
  flags: [
    { name: 'driver', short: 'd', type: 'string', description: 'Its driver (only "local")', shownDefault: '"local"' },
    { name: 'label', type: 'list', description: 'Set metadata for the volume', check: checkLabel },
    { name: 'name', type: 'string', description: 'Name of the volume', hidden: true },
    { name: 'opt', short: 'o', type: 'map', description: 'Where its files are, as mount(8) has it: type, device, o' },
    ...clusterFlags.map((name): Flag => ({ name, type: 'list', description: '', hidden: true })),
  ],
  args: { min: 0, max: 1 },
  async run({ flags, args }) {
    const cluster = clusterFlags.find((flag) => flags.has(flag));
    if (cluster !== undefined) {
      throw new TsrunError('UNSUPPORTED', `--${cluster} is not supported: it belongs to volumes of a swarm`);
    }
    const given = flags.string('name') || undefined;
    const [name = given ?? ''] = args;
    if (args.length > 0 && given !== undefined) {
      throw new TsrunError('USAGE', 'conflicting options: either specify --name or provide positional arg, not both');
    }
    const { volume } = new VolumeStore(rootDirectory()).ensure({
      name: name === '' ? anonymousName() : name,
      driver: flags.string('driver') ?? 'local',
      labels: labelsOf([], flags.strings('label')),
      options: labelsOf([], flags.strings('opt')),
      anonymous: name === '',
    });
    print(`${volume.record.name}\n`);
    return 0;
  },
};
