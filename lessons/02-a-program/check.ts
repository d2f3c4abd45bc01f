/** Solved where the program ends with the command's status, names a signal, and /etc/lesson is there in the container alone. */
import { existsSync } from 'node:fs';
import { examine, Run, read, shares, startCat } from '../examiner.ts';

await examine(async () => {
  const { run, pid } = await startCat();
  const inNamespace = !shares('mnt', pid);
  const made = existsSync(`/proc/${pid}/root/etc/lesson`);
  const hidden = !existsSync(`/proc/${pid}/root/etc/passwd`);
  await run.end();
  if (!inNamespace || !hidden || read('self', 'root/etc/passwd') === '') {
    return {
      en: 'The command is no longer in a mount namespace of its own with an empty /etc: leave that as it was.',
      ru: 'Команда больше не живёт в своём пространстве монтирования с пустым /etc: оставьте это как было.',
    };
  }
  if (!made || existsSync('/etc/lesson')) {
    return {
      en: 'In the container there is no directory /etc/lesson. Add a mkdirat to the list, behind the mount that hides /etc.',
      ru: 'В контейнере нет каталога /etc/lesson. Добавьте в список mkdirat — после монтирования, которое прячет /etc.',
    };
  }
  for (const status of [0, 3]) {
    const ended = await new Run(['sh', '-c', `exit ${status}`]).end();
    if (ended !== status) {
      return {
        en: `A command that ends with ${status} makes your program end with ${ended}.`,
        ru: `Команда завершается с кодом ${status}, а ваша программа — с кодом ${ended}.`,
      };
    }
  }
  const killed = new Run(['sh', '-c', 'kill -TERM $$']);
  const ended = await killed.end();
  if (ended === 143 && killed.stderr.includes('SIGTERM')) return undefined;
  return {
    en: `A command that SIGTERM ends must make the program end with 143 and say SIGTERM on stderr; it ends with ${ended} and says ${JSON.stringify(killed.stderr)}.`,
    ru: `Если команду завершил SIGTERM, программа должна завершиться с кодом 143 и написать в stderr SIGTERM; она завершается с кодом ${ended} и пишет ${JSON.stringify(killed.stderr)}.`,
  };
});
