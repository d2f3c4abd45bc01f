/** `checkpoint` and `restore`: what they would need is not there, and the answer says so. */
import { TsrunError } from '../../../error.ts';
import type { OciCommand } from '../command.ts';

function refusing(name: string): OciCommand {
  return {
    usage: 'CONTAINER',
    flags: [],
    args: { min: 0 },
    flagsFirst: true,
    run: () => {
      throw new TsrunError('UNSUPPORTED', `${name} is not supported: this runtime does not use CRIU`, {
        hint: 'stop the container and start it again, or use runc or crun for checkpoints',
      });
    },
  };
}

export const checkpoint = refusing('checkpoint');
export const restore = refusing('restore');
