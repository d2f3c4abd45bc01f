/** `kill` and `delete`. */
import { TsrunError } from '../../../error.ts';
import { signalNumber } from '../../../linux/signals.ts';
import { deleteContainer, killContainer } from '../../../oci/signal.ts';
import type { OciStore } from '../../../oci/store.ts';
import type { OciCommand } from '../command.ts';

export const kill: OciCommand = {
  usage: '[OPTIONS] CONTAINER [SIGNAL]',
  flags: [{ name: 'all', short: 'a', type: 'bool', description: 'To all processes of the container' }],
  args: { min: 1, max: 2 },
  run: async ({ flags, args, store }) => {
    const [id = '', text = 'SIGTERM'] = args;
    // Signal 0 asks whether there is somebody (man 2 kill).
    const signal = text === '0' ? 0 : signalNumber(text);
    if (signal === undefined) throw new TsrunError('USAGE', `unknown signal ${JSON.stringify(text)}`);
    killContainer(store.get(id), signal, flags.boolean('all'));
    return 0;
  },
};

function matching(store: OciStore, pattern: string): string[] {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch (cause) {
    throw new TsrunError('USAGE', `--regex: ${JSON.stringify(pattern)} is no regular expression`, { cause });
  }
  return store.all().flatMap(({ record }) => (expression.test(record.id) ? [record.id] : []));
}

export const deleteCommand: OciCommand = {
  usage: '[OPTIONS] CONTAINER',
  flags: [
    { name: 'force', short: 'f', type: 'bool', description: 'Kill it first; no error when it is not there' },
    { name: 'regex', type: 'bool', description: 'CONTAINER is a regular expression for the ids of several' },
  ],
  args: { min: 1, max: 1 },
  run: async ({ flags, args, store, log }) => {
    const [id = ''] = args;
    const ids = flags.boolean('regex') ? matching(store, id) : [id];
    for (const each of ids) deleteContainer(store, each, flags.boolean('force'), (message) => log.warn(message));
    return 0;
  },
};
