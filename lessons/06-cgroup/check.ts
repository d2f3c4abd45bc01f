/** Solved where SIGUSR2 to the program freezes the container's cgroup, the next thaws it, and nothing is left at the end. */
import { existsSync, readFileSync } from 'node:fs';
import { examine, mountsOf, type Problem, type Run, read, shares, startCat } from '../examiner.ts';

/** The directory of a process's cgroup. */
function cgroupOf(pid: number): string {
  const hierarchy = [...mountsOf(process.pid)].find(([, { type }]) => type === 'cgroup2')?.[0] ?? '';
  return hierarchy + (/^0::(.*)$/m.exec(read(pid, 'cgroup'))?.[1] ?? '');
}

function isFrozen(cgroup: string): boolean {
  return existsSync(cgroup) && readFileSync(`${cgroup}/cgroup.events`, 'utf8').includes('frozen 1');
}

async function problemOf(run: Run, pid: number, cgroup: string): Promise<Problem | undefined> {
  for (const type of ['uts', 'ipc', 'cgroup']) {
    if (!shares(type, pid)) continue;
    return {
      en: `The command shares the ${type} namespace with the host.`,
      ru: `Пространство ${type} у команды общее с хостом.`,
    };
  }
  if (cgroup === cgroupOf(process.pid)) {
    return { en: 'The command is in no cgroup of its own.', ru: 'Своей cgroup у команды нет.' };
  }
  run.signal('SIGUSR2');
  // The unchanged program says so, and need not be waited for.
  await run.until(() => isFrozen(cgroup) || run.stderr.includes('is your task') || undefined);
  if (!isFrozen(cgroup)) {
    return {
      en: 'After SIGUSR2 to your program the container is not frozen: write a 1 to cgroup.freeze of its cgroup.',
      ru: 'После SIGUSR2 вашей программе контейнер не замер: запишите 1 в cgroup.freeze его cgroup.',
    };
  }
  run.signal('SIGUSR2');
  if ((await run.until(() => !isFrozen(cgroup) || undefined)) !== true) {
    return {
      en: 'The second SIGUSR2 does not let the container go on: write a 0.',
      ru: 'Второй SIGUSR2 не отпускает контейнер: запишите 0.',
    };
  }
  return undefined;
}

await examine(async () => {
  const { run, pid } = await startCat();
  const cgroup = cgroupOf(pid);
  const problem = await problemOf(run, pid, cgroup);
  if (problem !== undefined) run.signal('SIGTERM');
  await run.end();
  if (problem !== undefined || !existsSync(cgroup)) return problem;
  return {
    en: `The program has ended, and its cgroup is still there: rmdir ${cgroup}`,
    ru: `Программа завершилась, а её cgroup осталась: rmdir ${cgroup}`,
  };
});
