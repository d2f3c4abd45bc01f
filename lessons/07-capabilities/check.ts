/** Solved where the command is user 1000 with CAP_NET_BIND_SERVICE, in every set, and nothing else. */
import { examine, type Problem, startCat, statusOf } from '../examiner.ts';

const wanted = (1n << 10n).toString(16).padStart(16, '0');

function problemOf(pid: number): Problem | undefined {
  for (const field of ['Uid', 'Gid']) {
    const numbers = statusOf(pid, field).split(/\s+/);
    if (numbers.every((number) => number === '1000')) continue;
    return {
      en: `${field} of the command is ${numbers.join(' ')} (real, effective, saved, file system), not 1000 throughout.`,
      ru: `${field} команды — ${numbers.join(' ')} (настоящий, действующий, сохранённый, файловый), а не сплошь 1000.`,
    };
  }
  if (statusOf(pid, 'Groups') !== '') {
    return {
      en: `The command still is in the groups ${statusOf(pid, 'Groups')}: setgroups(0, NULL), while you may.`,
      ru: `Команда всё ещё в группах ${statusOf(pid, 'Groups')}: setgroups(0, NULL), пока вам это можно.`,
    };
  }
  for (const field of ['CapBnd', 'CapPrm', 'CapEff', 'CapAmb']) {
    if (statusOf(pid, field) === wanted) continue;
    return {
      en: `${field} is ${statusOf(pid, field)}, and should be ${wanted}. A change of user clears capabilities (PR_SET_KEEPCAPS), and execve hands on only those of the ambient set.`,
      ru: `${field} — ${statusOf(pid, field)}, а должно быть ${wanted}. Смена пользователя стирает возможности (PR_SET_KEEPCAPS), а сквозь execve проходят лишь те, что в наборе ambient.`,
    };
  }
  if (statusOf(pid, 'NoNewPrivs') !== '1') {
    return { en: 'NoNewPrivs is not set.', ru: 'NoNewPrivs не установлен.' };
  }
  return undefined;
}

await examine(async () => {
  const { run, pid } = await startCat();
  const problem = problemOf(pid);
  await run.end();
  return problem;
});
