/** Solved where number 1 is not the command, orphans do not stay as zombies, and SIGTERM to number 1 ends the command. */
import { readdirSync } from 'node:fs';
import { examine, link, Run, shares, statusOf } from '../examiner.ts';

/** All processes in the pid namespace of one, by their number there. */
function family(pid: number): Map<number, number> {
  const namespace = link(pid, 'ns/pid');
  const members = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || link(Number(name), 'ns/pid') !== namespace) continue;
    members.set(Number(statusOf(Number(name), 'NSpid').split(/\s+/).at(-1)), Number(name));
  }
  return members;
}

await examine(async () => {
  // The sleep is orphaned at once: its parent has ended.
  const run = new Run(['sh', '-c', '(sleep 0.1 &); exec cat']);
  const pid = await run.command('cat');
  if (shares('pid', pid)) {
    await run.end();
    return { en: 'The command is in the pid namespace of the host.', ru: 'Команда живёт в пространстве PID хоста.' };
  }
  if (family(pid).get(1) === pid) {
    await run.end();
    return {
      en: 'The command itself is number 1. The process that clone3 made is to become an init, and that one starts the command.',
      ru: 'Команда сама стала номером 1. Процесс, созданный clone3, должен стать init, а уже тот — запустить команду.',
    };
  }
  // A zombie has no namespaces any more: its number is in proc, but it is a child of number 1.
  const init = family(pid).get(1) ?? 0;
  const alone = await run.until(() => (childrenOf(init).length === 1 ? true : undefined));
  await run.end();
  if (alone !== true) {
    return {
      en: 'A process whose parent has ended stays behind as a zombie: number 1 has to wait for every child it gets.',
      ru: 'Процесс, потерявший родителя, остаётся зомби: номер 1 обязан дождаться каждого доставшегося ему потомка.',
    };
  }
  const long = new Run(['sleep', '1000']);
  const sleeping = await long.command('sleep');
  process.kill(family(sleeping).get(1) ?? 0, 'SIGTERM');
  const status = await long.end();
  if (status === 143) return undefined;
  return {
    en: `SIGTERM to number 1 must end "sleep 1000" with 143; the program ended with ${status}.`,
    ru: `SIGTERM номеру 1 должен завершить «sleep 1000» с кодом 143; программа завершилась с кодом ${status}.`,
  };
});

function childrenOf(pid: number): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && statusOf(Number(name), 'PPid') === String(pid));
}
