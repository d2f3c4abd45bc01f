/** Commands that do the same to several containers or images: one that fails does not keep the others from it. */
import type { Invocation } from '../command.ts';
import { report } from '../report.ts';
import { printForeign } from '../terminal.ts';

/**
 * Calls `act` for every argument, all at once, and prints what it answers, or the argument itself, in their order.
 * Answers the exit code: 1 when one failed.
 */
export async function forEachArgument(
  { name, args }: Invocation,
  act: (argument: string) => Promise<string | undefined> | string | undefined,
): Promise<number> {
  const results = args.map(async (argument) => (await act(argument)) ?? `${argument}\n`);
  // A failure that is looked at later must not count as unhandled until then.
  for (const result of results) result.catch(() => {});
  let code = 0;
  for (const result of results) {
    try {
      printForeign(await result);
    } catch (error) {
      code = report(error, name, 1);
    }
  }
  return code;
}
