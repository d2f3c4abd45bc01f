/** Solved where /dev has five devices of the host, and /tmp is a tmpfs of its own with mode, flags and a size. */
import { statSync } from 'node:fs';
import { examine, mountsOf, type Problem, shares, startCat } from '../examiner.ts';

function device(path: string): number {
  try {
    const stat = statSync(path);
    return stat.isCharacterDevice() ? stat.rdev : 0;
  } catch {
    return 0;
  }
}

function problemOf(pid: number): Problem | undefined {
  const root = `/proc/${pid}/root`;
  if (shares('mnt', pid) || statSync(`${root}/`).ino === statSync('/').ino) {
    return {
      en: 'The container has the root of the host.',
      ru: 'У контейнера тот же корень, что и у хоста.',
    };
  }
  for (const name of ['null', 'zero', 'full', 'random', 'urandom']) {
    if (device(`${root}/dev/${name}`) !== device(`/dev/${name}`)) {
      return {
        en: `/dev/${name} of the container is not the device that it is on the host. Bind it as /dev/null is bound.`,
        ru: `/dev/${name} в контейнере — не то устройство, что на хосте. Привяжите его (bind), как привязан /dev/null.`,
      };
    }
  }
  // After chroot the kernel still tells the whole path.
  const tmp = [...mountsOf(pid)].find(([path, { type }]) => path.endsWith('/tmp') && type === 'tmpfs')?.[1];
  if (tmp === undefined || (statSync(`${root}/tmp`).mode & 0o7777) !== 0o1777) {
    return {
      en: '/tmp of the container is no tmpfs of its own with mode 1777: everybody may write there, and delete only what is theirs.',
      ru: '/tmp контейнера — не отдельный tmpfs с правами 1777: писать туда может каждый, а удалять — только своё.',
    };
  }
  const flags = tmp.options.split(',');
  if (!flags.includes('nosuid') || !flags.includes('nodev')) {
    return {
      en: `/tmp is mounted with ${tmp.options}: nosuid and nodev are missing (MS_NOSUID | MS_NODEV).`,
      ru: `/tmp смонтирован с флагами ${tmp.options}: не хватает nosuid и nodev (MS_NOSUID | MS_NODEV).`,
    };
  }
  if (!/size=16384k/.test(tmp.superOptions)) {
    return {
      en: `/tmp can take ${/size=\w+/.exec(tmp.superOptions)?.[0] ?? 'half of the memory'}: give it size=16m.`,
      ru: `/tmp может занять ${/size=\w+/.exec(tmp.superOptions)?.[0] ?? 'половину памяти'}: задайте size=16m.`,
    };
  }
  return undefined;
}

await examine(async () => {
  const { run, pid } = await startCat();
  const problem = problemOf(pid);
  await run.end();
  return problem;
});
