/** What the commands have in common that attach to a container or a command in it: detach keys, exit codes. */
import type { ClientEnd } from '../../container/foreground.ts';
import { parseDetachKeys } from '../../linux/tty.ts';
import type { ParsedFlags } from '../arguments.ts';
import type { Flag } from '../flag.ts';
import { exitAfterBrokenPipe, printError } from '../output.ts';

/** Docker's own. */
const defaultDetachKeys = 'ctrl-p,ctrl-q';

export const detachKeysFlag: Flag = {
  name: 'detach-keys',
  type: 'string',
  description: 'Keys that detach from the container',
};

/** The bytes of the flag's value. Throws `USAGE`. */
export function detachKeysOf(flags: ParsedFlags): Uint8Array {
  return parseDetachKeys(flags.string('detach-keys') || defaultDetachKeys);
}

/** The exit code of a client; docker's tells a detached one from a command that ended well. */
export function exitCodeOf(end: ClientEnd): number {
  if (end === 'detached') {
    printError('read escape sequence');
    return 1;
  }
  return end === 'unread' ? exitAfterBrokenPipe : end;
}
