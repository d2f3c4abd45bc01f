/** `tsrun search`: refused, and why. */
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';

export const search: Command = {
  usage: '[OPTIONS] TERM',
  description: 'Search an image on Docker Hub (not supported)',
  flags: [
    { name: 'filter', short: 'f', type: 'filter', description: 'Not supported', hidden: true },
    { name: 'format', type: 'string', description: 'Not supported', hidden: true },
    { name: 'limit', type: 'int', description: 'Not supported', hidden: true },
    { name: 'no-trunc', type: 'bool', description: 'Not supported', hidden: true },
  ],
  args: { min: 1, max: 1 },
  async run({ args: [term = ''] }) {
    throw new TsrunError('UNSUPPORTED', 'tsrun does not search: registries have no common way to do it', {
      hint: `Docker Hub's is on the web: https://hub.docker.com/search?q=${encodeURIComponent(term)}`,
    });
  },
};
