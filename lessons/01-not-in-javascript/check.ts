/** Solved where a process with several threads has all of them in one mount namespace, and not in that of the host. */
import { readdirSync } from 'node:fs';
import { descendants, examine, link, Run } from '../examiner.ts';

function isWholeInside(pid: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const namespaces = new Set(threads.map((thread) => link(pid, `task/${thread}/ns/mnt`)));
    return threads.length > 1 && namespaces.size === 1 && !namespaces.has(link('self', 'ns/mnt'));
  } catch {
    return false; // It has ended.
  }
}

await examine(async () => {
  const run = new Run([]);
  const found = await run.until(() => descendants(run.pid).find(isWholeInside));
  await run.end();
  if (found !== undefined) return undefined;
  return {
    en: 'No process with several threads was seen whose threads are all in one new mount namespace. Namespaces are inherited by a new process: from the thread that makes it. It has to stay until its stdin ends, so that it can be looked at.',
    ru: 'Не нашлось процесса с несколькими потоками, которые все были бы в одном новом пространстве монтирования. Новый процесс наследует пространства имён — от того потока, который его создал. Он должен жить, пока не закончится его stdin, чтобы на него можно было посмотреть.',
  };
});
