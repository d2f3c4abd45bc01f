/** Solved where the filter refuses packet sockets and no others; the calls are made by probe.ts, in the container. */
import { examine, Run, startCat, statusOf } from '../examiner.ts';

await examine(async () => {
  const { run, pid } = await startCat();
  const mode = statusOf(pid, 'Seccomp');
  await run.end();
  if (mode !== '2') {
    return {
      en: `Seccomp in /proc/PID/status is ${mode}, not 2: no filter is set.`,
      ru: `Seccomp в /proc/PID/status — ${mode}, а не 2: фильтр не установлен.`,
    };
  }
  const probe = new Run([], { TSRUN_LESSON_BREAKOUT: process.env.TSRUN_LESSON_PROBE ?? '' });
  if ((await probe.end()) === 0) return undefined;
  return {
    en: `In your container it was not possible to do this:\n${probe.stderr.trim()}\nThe family of a socket is the first argument, the 32-bit word at offset 16 of struct seccomp_data; behind it the number of the call has to be loaded again.`,
    ru: `В вашем контейнере не удалось вот что:\n${probe.stderr.trim()}\nСемейство сокета — первый аргумент, 32-битное слово по смещению 16 в struct seccomp_data; после него номер вызова надо загрузить снова.`,
  };
});
