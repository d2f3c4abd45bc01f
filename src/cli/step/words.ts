/** The words of `run --step`, in each language. */
import type { Language } from '../options/language.ts';

export interface Rights {
  uid: number;
  gid: number;
  /** How many capabilities. */
  effective: number;
  bounding: number;
  /** How many seccomp filters. */
  filters: number | undefined;
}

export interface StepWords {
  /** Number of the stop; the phase; who takes it. */
  heading: (number: number, phase: string, side: string) => string;
  now: string;
  next: string;
  nothingYet: string;
  process: (pid: number, inner: number) => string;
  namespaces: (own: string, host: string) => string;
  none: string;
  rights: (now: Rights) => string;
  mounts: (count: number, added: number, gone: number) => string;
  sameMounts: (count: number) => string;
  network: string;
  unchanged: string;
  route: (destination: string, gateway: string | undefined, name: string) => string;
  cgroup: string;
  more: (count: number) => string;
  prompt: string;
  shell: string;
  shellOfImage: string;
  noShell: string;
  back: string;
  undoing: string;
  running: string;
}

export const stepWords: Record<Language, StepWords> = {
  en: {
    heading: (number, phase, side) => `Stop ${number}: before "${phase}" (${side})`,
    now: 'What is there now',
    next: 'What happens next',
    nothingYet: 'nothing of the container yet',
    process: (pid, inner) => `process ${pid} on the host, ${inner} in its own pid namespace`,
    namespaces: (own, host) => `namespaces of its own: ${own}; those of the host: ${host}`,
    none: 'none',
    rights: ({ uid, gid, effective, bounding, filters = 0 }) =>
      `user ${uid}, group ${gid}; capabilities: ${effective} effective, ${bounding} bounding; seccomp filters: ${filters}`,
    mounts: (count, added, gone) => `mounts: ${count} (${added} new, ${gone} gone)`,
    sameMounts: (count) => `mounts: ${count}, as before`,
    network: 'network',
    unchanged: 'as before',
    route: (destination, gateway, name) => `route ${destination}${gateway ? ` by ${gateway}` : ''} on ${name}`,
    cgroup: 'cgroup',
    more: (count) => `and ${count} more`,
    prompt: 'Enter: go on   s: a shell in what is there   d: every call of what comes next   q: undo everything',
    shell: 'A shell of the host in what is there so far; "exit" leads back.',
    shellOfImage: 'A shell of the image, with no more rights than the container\'s; "exit" leads back.',
    noShell: 'There is no /bin/sh in what is there.',
    back: 'Back.',
    undoing: 'Everything is undone.',
    running: 'The command runs.',
  },
  ru: {
    heading: (number, phase, side) => `Остановка ${number}: перед «${phase}» (${side})`,
    now: 'Что есть сейчас',
    next: 'Что произойдёт дальше',
    nothingYet: 'от контейнера ещё ничего нет',
    process: (pid, inner) => `процесс ${pid} на хосте, ${inner} в своём пространстве имён PID`,
    namespaces: (own, host) => `собственные пространства имён: ${own}; общие с хостом: ${host}`,
    none: 'нет',
    rights: ({ uid, gid, effective, bounding, filters = 0 }) =>
      `пользователь ${uid}, группа ${gid}; полномочий: действующих ${effective}, ограничивающих ${bounding}; фильтров seccomp: ${filters}`,
    mounts: (count, added, gone) => `монтирований: ${count} (новых: ${added}, исчезло: ${gone})`,
    sameMounts: (count) => `монтирований: ${count}, как раньше`,
    network: 'сеть',
    unchanged: 'как раньше',
    route: (destination, gateway, name) => `маршрут ${destination}${gateway ? ` через ${gateway}` : ''} по ${name}`,
    cgroup: 'cgroup',
    more: (count) => `и ещё: ${count}`,
    prompt: 'Enter: дальше   s: оболочка в том, что уже есть   d: все вызовы следующего шага   q: отменить всё',
    shell: 'Оболочка хоста в том, что уже есть; «exit» вернёт обратно.',
    shellOfImage: 'Оболочка из образа, с правами не больше, чем у контейнера; «exit» вернёт обратно.',
    noShell: 'В том, что уже есть, нет /bin/sh.',
    back: 'Снова здесь.',
    undoing: 'Всё отменяется.',
    running: 'Команда выполняется.',
  },
};
