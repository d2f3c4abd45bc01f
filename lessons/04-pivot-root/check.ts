/** Solved where the root is an overlay of three layers with /etc/version and without /etc/issue. */
import { existsSync, readFileSync } from 'node:fs';
import { examine, mountsOf, type Problem, startCat } from '../examiner.ts';

function problemOf(pid: number): Problem | undefined {
  const root = mountsOf(pid).get('/');
  if (root?.type !== 'overlay') {
    return {
      en: `The root of the container is of type ${root?.type ?? 'none'}, not overlay.`,
      ru: `Корень контейнера — не overlay, а ${root?.type ?? 'неизвестно что'}.`,
    };
  }
  // Newer kernels write each layer as an option of its own, lowerdir+.
  const layers = [...root.superOptions.matchAll(/lowerdir\+?=([^,]*)/g)].flatMap(([, list = '']) => list.split(':'));
  if (layers.length !== 3) {
    return {
      en: `The root has ${layers.length} lower layers (${layers.join(', ')}), not three.`,
      ru: `Нижних слоёв у корня ${layers.length} (${layers.join(', ')}), а должно быть три.`,
    };
  }
  const path = (name: string) => `/proc/${pid}/root/etc/${name}`;
  if (!existsSync(path('version')) || readFileSync(path('version'), 'utf8').trim() !== '3') {
    return {
      en: 'There is no /etc/version with a 3 in it. Is the new layer in front of the others?',
      ru: 'Нет файла /etc/version с тройкой. Стоит ли новый слой впереди остальных?',
    };
  }
  if (existsSync(path('issue'))) {
    return {
      en: '/etc/issue is still there. A whiteout is a character device with the number 0, in an upper layer, where the file was.',
      ru: '/etc/issue всё ещё виден. Замазка — это символьное устройство с номером 0 в верхнем слое, на месте файла.',
    };
  }
  if (!existsSync(path('motd'))) {
    return { en: 'But /etc/motd is to stay.', ru: 'А вот /etc/motd должен остаться.' };
  }
  return undefined;
}

await examine(async () => {
  const { run, pid } = await startCat();
  const problem = problemOf(pid);
  await run.end();
  return problem;
});
