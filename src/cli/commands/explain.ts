/** `tsrun explain run|exec|stop|rm`: what these commands would do, step by step, without doing it. */
import { Engine } from '../../container/engine.ts';
import { planExec } from '../../container/explain/exec-plan.ts';
import type { Explanation } from '../../container/explain/explanation.ts';
import { planRun } from '../../container/explain/start-plan.ts';
import { planRemove, planStop } from '../../container/explain/stop-plan.ts';
import { ContainerStore } from '../../container/store.ts';
import { quote } from '../../runtime/compile/context.ts';
import type { Command, Invocation } from '../command.ts';
import { renderHtml } from '../explain/html.ts';
import { renderJson } from '../explain/json.ts';
import { sheetOf } from '../explain/sheet.ts';
import { renderScript } from '../explain/shell.ts';
import { renderText } from '../explain/text.ts';
import { beginInterruption } from '../interrupt.ts';
import { explainFlags, formats, levelOf, withoutExplainFlags } from '../options/explain.ts';
import { languageOf } from '../options/language.ts';
import { buildRunOptions } from '../options/run-options.ts';
import { stopFlags, stopOf } from '../options/stop.ts';
import { print } from '../output.ts';
import { allRunFlags } from '../run-flags.ts';
import { hasColours, painter } from '../style.ts';
import { isTerminal, terminalSize } from '../terminal.ts';
import { engineIo } from './engine-io.ts';
import { exec, execRequestOf } from './exec.ts';
import { rm } from './rm.ts';

export const explainRun: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  description:
    'Show everything that "tsrun run" with the same flags would do, in order and with reasons.\nNothing is done, no root is needed, and nothing is pulled unless --pull says so',
  flags: [...allRunFlags, ...explainFlags([...formats, 'sh'])],
  args: { min: 1 },
  flagsFirst: true,
  async run(invocation) {
    const { flags, args } = invocation;
    const options = buildRunOptions(flags, args, { stdin: isTerminal(0), stdout: isTerminal(1) });
    const pull = flags.has('pull') && options.pull !== 'never';
    const io = engineIo({
      quiet: flags.boolean('quiet'),
      always: options.pull === 'always',
      ...(pull ? { signal: beginInterruption() } : {}),
    });
    return show(invocation, await planRun(new Engine(), options, io, pull), args.length);
  },
};

export const explainExec: Command = {
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  description: 'Show everything that "tsrun exec" with the same flags would do, without doing it',
  flags: [...exec.flags, ...explainFlags()],
  args: { min: 2 },
  flagsFirst: true,
  async run(invocation) {
    const store = new ContainerStore();
    const container = store.resolve(invocation.args[0] ?? '');
    return show(invocation, await planExec(store, container, execRequestOf(invocation)), invocation.args.length);
  },
};

export const explainStop: Command = {
  usage: '[OPTIONS] CONTAINER',
  description: 'Show everything that "tsrun stop" with the same flags would do, without doing it',
  flags: [...stopFlags('Seconds to wait before killing it; -1 waits for ever'), ...explainFlags()],
  args: { min: 1, max: 1 },
  async run(invocation) {
    const container = new ContainerStore().resolve(invocation.args[0] ?? '');
    const { seconds, signal } = stopOf(invocation.flags, container.record);
    return show(invocation, planStop(container, seconds, signal), 0);
  },
};

export const explainRm: Command = {
  usage: '[OPTIONS] CONTAINER',
  description: 'Show everything that "tsrun rm" with the same flags would do, without doing it',
  flags: [...rm.flags, ...explainFlags()],
  args: { min: 1, max: 1 },
  async run(invocation) {
    const { flags } = invocation;
    const container = new ContainerStore().resolve(invocation.args[0] ?? '');
    return show(invocation, planRemove(container, flags.boolean('force'), flags.boolean('volumes')), 0);
  },
};

/** Prints it in the form that was asked for. `fixed`: how many words of the command line are no flags of ours. */
function show({ flags }: Invocation, explanation: Explanation, fixed: number): number {
  const language = languageOf(flags);
  const typed = process.argv.slice(process.argv.indexOf('explain') + 2);
  const words = withoutExplainFlags(typed, fixed).map(quote);
  const commandLine = ['tsrun', explanation.command, ...words].join(' ');
  const format = flags.string('format') ?? 'text';
  if (format === 'json') {
    print(renderJson(explanation, commandLine, language));
    return 0;
  }
  if (format === 'sh') {
    print(renderScript(explanation, commandLine));
    return 0;
  }
  const sheet = sheetOf(explanation, commandLine, language, levelOf(flags));
  if (format === 'html') print(renderHtml(sheet));
  else print(renderText(sheet, { width: terminalSize(1)?.columns ?? 100, paint: painter(hasColours(1)) }));
  return 0;
}
