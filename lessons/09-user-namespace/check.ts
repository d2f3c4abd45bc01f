/** Solved where the command is user 0 inside and 100000 outside, in a user namespace, and proc is still masked. */
import { examine, mountsOf, type Problem, read, shares, startCat, statusOf } from '../examiner.ts';

function problemOf(pid: number): Problem | undefined {
  if (shares('user', pid)) {
    return {
      en: 'The command is in the user namespace of the host: add CLONE_NEWUSER to the namespaces of newChild.',
      ru: 'Команда живёт в пространстве пользователей хоста: добавьте CLONE_NEWUSER к пространствам в newChild.',
    };
  }
  for (const file of ['uid_map', 'gid_map']) {
    if (read(pid, file).trim().split(/\s+/).join(' ') === '0 100000 65536') continue;
    return {
      en: `/proc/PID/${file} is ${JSON.stringify(read(pid, file).trim())}, and should be "0 100000 65536". It is written from outside, while the child waits.`,
      ru: `/proc/PID/${file} — ${JSON.stringify(read(pid, file).trim())}, а должно быть «0 100000 65536». Его пишут снаружи, пока потомок ждёт.`,
    };
  }
  for (const field of ['Uid', 'Gid']) {
    if (
      statusOf(pid, field)
        .split(/\s+/)
        .every((number) => number === '100000')
    )
      continue;
    return {
      en: `${field} of the command is ${statusOf(pid, field)} as the host sees it, not 100000. After the map is written the child has to become user and group 0 (setresgid, setresuid), before it makes files.`,
      ru: `${field} команды с точки зрения хоста — ${statusOf(pid, field)}, а не 100000. Когда таблица записана, потомок должен стать пользователем и группой 0 (setresgid, setresuid) — прежде чем создавать файлы.`,
    };
  }
  if (mountsOf(pid).get('/proc/sys')?.options.split(',').includes('ro') !== true) {
    return { en: '/proc/sys is to stay read-only.', ru: '/proc/sys должен остаться доступным только для чтения.' };
  }
  return undefined;
}

await examine(async () => {
  const { run, pid } = await startCat();
  const problem = problemOf(pid);
  await run.end();
  return problem;
});
