/** The words around the steps of an explanation, in each language. */
import type { Side } from '../../container/explain/explanation.ts';
import type { Phase } from '../../trace.ts';
import type { Language } from '../options/language.ts';

export interface Words {
  /** `%s` is the command line. */
  heading: string;
  nothingDone: string;
  standIn: string;
  why: string;
  without: string;
  shell: string;
  and: (count: number) => string;
  counts: (steps: number, calls: number) => string;
  contents: string;
  skip: string;
  remark: string;
  sides: Record<Side, string>;
  phases: Record<Phase, { name: string; about: string }>;
}

const english: Words = {
  heading: 'What "%s" does',
  nothingDone: 'Nothing of it has been done: these are the steps in their order.',
  standIn:
    'The image is not here: this is what most images would bring. --pull=missing gets it, and explains it as it is.',
  why: 'why',
  without: 'without it',
  shell: 'in a shell',
  and: (count) => `and ${count} more of the kind`,
  counts: (steps, calls) => `${steps} steps, ${calls} of them system calls of the start program.`,
  contents: 'Contents',
  skip: 'Skip to the steps',
  remark: 'Note',
  sides: {
    command: 'the command line',
    monitor: 'the monitor',
    container: "the container's first process",
    cleanup: 'whoever cleans up',
  },
  phases: {
    image: { name: 'Image', about: 'A container begins as files of somebody else: an image, made of layers.' },
    rootfs: {
      name: 'Root filesystem',
      about: 'The layers, stacked, with an empty one on top, become the files that the container sees.',
    },
    cgroup: { name: 'Cgroup', about: 'How much it may use: a directory of the kernel whose files are its limits.' },
    network: { name: 'Network', about: 'A network of its own, and a cable to the one of the host.' },
    monitor: { name: 'Monitor', about: 'A small process that is the parent, and outlives the command line.' },
    namespaces: { name: 'Namespaces', about: 'What it sees: its own processes, mounts, names, and no others.' },
    mounts: { name: 'Mounts', about: 'The filesystems that the kernel makes, and what is shared with the host.' },
    devices: { name: 'Devices', about: 'The few devices that every program counts on.' },
    console: { name: 'Input and output', about: 'Where its descriptors 0, 1 and 2 lead.' },
    identity: { name: 'Identity', about: 'Who it is: its user, its groups, its settings and limits.' },
    security: { name: 'Security', about: 'What it may ask of the kernel: what is given up here never comes back.' },
    exec: { name: 'The command', about: 'All is set up: the process becomes the program that was asked for.' },
    teardown: { name: 'The end', about: 'What was made is taken away again, and nothing else.' },
  },
};

const russian: Words = {
  heading: 'Что делает «%s»',
  nothingDone: 'Ничего из этого не сделано: это шаги в их порядке.',
  standIn:
    'Образа здесь нет: показано, что принесло бы большинство образов. С --pull=missing он будет скачан и объяснён как есть.',
  why: 'зачем',
  without: 'без этого',
  shell: 'в оболочке',
  and: (count) => `и ещё таких: ${count}`,
  counts: (steps, calls) => `Шагов: ${steps}, из них системных вызовов программы запуска: ${calls}.`,
  contents: 'Содержание',
  skip: 'Сразу к шагам',
  remark: 'Замечание',
  sides: {
    command: 'командная строка',
    monitor: 'монитор',
    container: 'первый процесс контейнера',
    cleanup: 'тот, кто прибирает',
  },
  phases: {
    image: { name: 'Образ', about: 'Контейнер начинается с чужих файлов: с образа, который состоит из слоёв.' },
    rootfs: {
      name: 'Корневая файловая система',
      about: 'Слои стопкой, с пустым сверху, становятся файлами, которые видит контейнер.',
    },
    cgroup: {
      name: 'Cgroup',
      about: 'Сколько ему можно: каталог ядра, файлы которого — его ограничения.',
    },
    network: { name: 'Сеть', about: 'Собственная сеть и кабель к сети хоста.' },
    monitor: { name: 'Монитор', about: 'Маленький процесс: он — родитель и переживает командную строку.' },
    namespaces: {
      name: 'Пространства имён',
      about: 'Что он видит: свои процессы, монтирования и имена и никаких других.',
    },
    mounts: { name: 'Монтирования', about: 'Файловые системы, которые делает ядро, и то, что общее с хостом.' },
    devices: { name: 'Устройства', about: 'Несколько устройств, на которые рассчитывает любая программа.' },
    console: { name: 'Ввод и вывод', about: 'Куда ведут его дескрипторы 0, 1 и 2.' },
    identity: { name: 'Личность', about: 'Кто он: пользователь, группы, настройки и пределы.' },
    security: {
      name: 'Безопасность',
      about: 'О чём он может просить ядро: отданное здесь уже не вернётся.',
    },
    exec: { name: 'Команда', about: 'Всё готово: процесс становится программой, о которой просили.' },
    teardown: { name: 'Конец', about: 'Что было сделано, то убирается, и ничего кроме.' },
  },
};

export const words: Record<Language, Words> = { en: english, ru: russian };
