/** `tsrun completion`: the script that makes a shell complete command lines of tsrun. */
import { TsrunError } from '../../error.ts';
import type { Command } from '../command.ts';
import { scripts } from '../completion/scripts.ts';
import { print } from '../output.ts';

export const completion: Command = {
  usage: 'bash|zsh|fish',
  description: `Print the script that makes a shell complete command lines of tsrun

  bash   eval "$(tsrun completion bash)", in ~/.bashrc
  zsh    source <(tsrun completion zsh), in ~/.zshrc behind compinit
  fish   tsrun completion fish | source, in ~/.config/fish/config.fish`,
  flags: [],
  args: { min: 1, max: 1 },
  async run({ args: [shell = ''] }) {
    const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
    if (script === undefined) {
      throw new TsrunError('USAGE', `there is no completion for the shell ${JSON.stringify(shell)}`, {
        hint: `there is one for each of ${Object.keys(scripts).join(', ')}`,
      });
    }
    print(script);
    return 0;
  },
};
