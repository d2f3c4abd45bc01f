/** `tsrun __complete`: called by the shells' scripts while somebody types. Answers lines; never with an error. */
import type { Command } from '../command.ts';
import type { Completion } from '../completion/candidate.ts';
import { keptLength, splitLine } from '../completion/command-line.ts';
import { complete as completeWords } from '../completion/complete.ts';
import { escapeControls, print } from '../output.ts';

export const complete: Command = {
  usage: 'SHELL [WORD...]',
  description: 'Say what can come next on a command line',
  flags: [],
  args: { min: 1 },
  flagsFirst: true,
  async run({ args: [shell, ...words] }) {
    if (shell === 'bash') {
      const [line = '', wordBreaks = ''] = words;
      const typed = splitLine(line).slice(1);
      answer(await completeWords(typed), { kept: keptLength(typed.at(-1) ?? '', wordBreaks), described: false });
    } else {
      answer(await completeWords(words), { kept: 0, described: true });
    }
    return 0;
  },
};

/** A line on how to go on, then one for each candidate. */
function answer({ candidates, files, open }: Completion, how: { kept: number; described: boolean }): void {
  const head = [files, open === true ? 'open' : undefined].filter((word) => word !== undefined).join(' ');
  const lines = candidates.map(({ value, description = '' }) => {
    const shown = escapeControls(value.slice(how.kept));
    return how.described && description !== '' ? `${shown}\t${escapeControls(description)}` : shown;
  });
  print(`${[head, ...lines].join('\n')}\n`);
}
