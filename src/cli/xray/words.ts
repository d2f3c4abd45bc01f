/** The words of `xray`, in each language. */
import type { FileKind } from '../../container/xray/layers.ts';
import type { MountKind } from '../../container/xray/mounts.ts';
import type { NamespaceType } from '../../container/xray/namespaces.ts';
import type { HopKind } from '../../container/xray/packets.ts';
import type { CapabilitySet } from '../../container/xray/security.ts';
import type { Language } from '../options/language.ts';

export const sectionNames = [
  'overview',
  'namespaces',
  'processes',
  'mounts',
  'layers',
  'cgroup',
  'security',
  'ways',
] as const;
export type SectionName = (typeof sectionNames)[number];

/** The columns and rows that have a title. */
export type LabelName = keyof typeof english.labels;

interface OtherWords {
  heading: (name: string) => string;
  pathHeading: (path: string, name: string) => string;
  live: string;
  ended: string;
  taken: (time: string) => string;
  contents: string;
  skip: string;
  theHost: string;
  theContainer: string;
  shared: string;
  sharedWith: (names: string) => string;
  itsOwn: string;
  yes: string;
  no: string;
  none: string;
  noCgroup: string;
  noWays: string;
  unlimited: string;
  ownDirectory: string;
  layerOf: (number: number) => string;
  wayIn: (title: string) => string;
  wayOut: (title: string) => string;
  /** Instructions, filters of the kernel. */
  filterSize: (instructions: number, filters: number | undefined) => string;
  noFilter: string;
  calls: (count: number) => string;
  drawing: (name: string) => string;
  serving: (address: string) => string;
  sections: Record<SectionName, { title: string; about: string }>;
  namespaces: Record<NamespaceType, string>;
  mountKinds: Record<MountKind, string>;
  fileKinds: Record<FileKind, string>;
  hops: Record<HopKind, string>;
  capabilities: Record<CapabilitySet, string>;
  forms: Record<'unpacked' | 'erofs', string>;
}

const english = {
  heading: (name) => `Container ${name}, beside the host`,
  pathHeading: (path, name) => `${path} in container ${name}`,
  live: 'This page follows the container.',
  ended: 'The container has ended; this is how it was last.',
  taken: (time) => `As it was at ${time}.`,
  contents: 'Contents',
  skip: 'Skip to the container',
  theHost: 'host',
  theContainer: 'container',
  shared: "the host's",
  sharedWith: (names) => `with ${names}`,
  itsOwn: 'its own',
  yes: 'yes',
  no: 'no',
  none: 'none',
  noCgroup: 'It has no cgroup: nothing of it is counted or limited.',
  noWays: 'It is on no bridge: it has the network of the host, of another container, or none.',
  unlimited: 'no limit',
  ownDirectory: "the container's own",
  layerOf: (number) => `layer ${number}`,
  wayIn: (title) => `In, to ${title}`,
  wayOut: (title) => `Out, by the network ${title}`,
  filterSize: (instructions, filters) =>
    `${instructions} instructions of BPF${filters === undefined ? '' : `; the kernel has ${filters} of them in force`}`,
  noFilter: 'none is known: every system call reaches the kernel',
  calls: (count) => `${count} calls`,
  drawing: (name) => `Drawing: ${name}. The table beside it says the same.`,
  serving: (address) => `The container is shown at ${address} (Ctrl-C ends it).`,
  sections: {
    overview: { title: 'The container', about: 'What it is made from, and who looks after it.' },
    namespaces: {
      title: 'Namespaces',
      about: 'Each is a view of one thing of the kernel. The numbers are the kernel’s names for them.',
    },
    processes: { title: 'Processes', about: 'The same processes have one number on the host and another inside.' },
    mounts: { title: 'Mounts', about: 'All that can be reached by a path, and where it comes from.' },
    layers: { title: 'Layers', about: 'What the root is made of, the uppermost first.' },
    cgroup: { title: 'Cgroup', about: 'How much it may use, and how much it uses.' },
    security: { title: 'Capabilities and system calls', about: 'What it may ask of the kernel.' },
    ways: { title: 'The way of a packet', about: 'Every stage between a client and whoever listens.' },
  },
  labels: {
    id: 'id',
    image: 'image',
    status: 'state',
    started: 'started',
    pid: 'first process',
    monitor: 'monitor',
    namespace: 'namespace',
    container: 'container',
    host: 'host',
    own: 'whose',
    whatFor: 'what it shows',
    hostPid: 'on the host',
    innerPid: 'inside',
    user: 'user',
    state: 'state',
    threads: 'threads',
    memory: 'memory',
    command: 'command',
    place: 'place',
    type: 'type',
    options: 'options',
    from: 'from',
    kind: 'what it is',
    layer: 'layer',
    form: 'form',
    size: 'size',
    madeBy: 'made by',
    upper: 'its own writes go to',
    resource: 'resource',
    used: 'used',
    limit: 'limit',
    met: 'met',
    path: 'path',
    controllers: 'controllers',
    processor: 'processor time',
    processes: 'processes',
    pressure: 'waited, last 10 s',
    reads: 'read from disks',
    writes: 'written to disks',
    groups: 'groups',
    newPrivileges: 'no new privileges',
    lost: 'lost for good',
    filter: 'seccomp filter',
    allowed: 'allowed',
    refused: 'refused with',
    depends: 'arguments decide',
    stage: 'stage',
    name: 'name',
    details: 'details',
    owner: 'owner',
    mode: 'mode',
    seen: 'seen',
    resolved: 'behind links it is',
  },
  namespaces: {
    mnt: 'mounts: what can be reached by a path',
    pid: 'processes and their numbers',
    net: 'interfaces, addresses, routes, ports',
    ipc: 'message queues and shared memory',
    uts: 'host name',
    cgroup: 'where the tree of cgroups begins',
    user: 'users, and who is root over what',
    time: 'the clocks since boot',
  },
  mountKinds: {
    root: 'the layers, stacked',
    host: 'of the host',
    volume: 'a volume',
    memory: 'memory',
    names: 'names, written by tsrun',
    hidden: 'hidden',
    readOnly: 'read-only over itself',
    kernel: 'made by the kernel',
  },
  fileKinds: {
    file: 'file',
    directory: 'directory',
    link: 'link',
    device: 'device',
    pipe: 'pipe',
    socket: 'socket',
    whiteout: 'whiteout: removed from here down',
  },
  hops: {
    client: 'client',
    port: 'port of the host',
    rule: 'nf_tables',
    bridge: 'bridge',
    cable: 'cable, the host’s end',
    interface: 'cable, the container’s end',
    process: 'listener',
    route: 'route',
    uplink: 'way out of the host',
  },
  capabilities: {
    effective: 'effective',
    permitted: 'permitted',
    inheritable: 'inheritable',
    bounding: 'bounding',
    ambient: 'ambient',
  },
  forms: { unpacked: 'directory', erofs: 'archive, mounted' },
} satisfies OtherWords & { labels: Record<string, string> };

export type XrayWords = OtherWords & { labels: Record<LabelName, string> };

const russian: XrayWords = {
  heading: (name) => `Контейнер ${name} рядом с хостом`,
  pathHeading: (path, name) => `${path} в контейнере ${name}`,
  live: 'Эта страница следит за контейнером.',
  ended: 'Контейнер завершился; здесь видно, каким он был в последний раз.',
  taken: (time) => `Состояние на ${time}.`,
  contents: 'Содержание',
  skip: 'Сразу к контейнеру',
  theHost: 'хост',
  theContainer: 'контейнер',
  shared: 'общее с хостом',
  sharedWith: (names) => `общее с: ${names}`,
  itsOwn: 'своё',
  yes: 'да',
  no: 'нет',
  none: 'нет',
  noCgroup: 'У него нет cgroup: ничего не считается и не ограничивается.',
  noWays: 'Он не подключён ни к одному мосту: у него сеть хоста, сеть другого контейнера или никакой.',
  unlimited: 'без предела',
  ownDirectory: 'сам контейнер',
  layerOf: (number) => `слой ${number}`,
  wayIn: (title) => `Внутрь, к ${title}`,
  wayOut: (title) => `Наружу, через сеть ${title}`,
  filterSize: (instructions, filters) =>
    `инструкций BPF: ${instructions}${filters === undefined ? '' : `; фильтров, действующих в ядре: ${filters}`}`,
  noFilter: 'неизвестен или его нет: каждый системный вызов доходит до ядра',
  calls: (count) => `вызовов: ${count}`,
  drawing: (name) => `Рисунок: ${name}. Таблица рядом говорит то же самое.`,
  serving: (address) => `Контейнер показан на ${address} (завершить: Ctrl-C).`,
  sections: {
    overview: { title: 'Контейнер', about: 'Из чего он сделан и кто за ним присматривает.' },
    namespaces: {
      title: 'Пространства имён',
      about: 'Каждое — это взгляд на одну из вещей ядра. Числа — имена, которые им дало ядро.',
    },
    processes: { title: 'Процессы', about: 'У одних и тех же процессов один номер на хосте и другой внутри.' },
    mounts: { title: 'Монтирования', about: 'Всё, до чего можно добраться по пути, и откуда оно взялось.' },
    layers: { title: 'Слои', about: 'Из чего сложен корень; верхний — первый.' },
    cgroup: { title: 'Cgroup', about: 'Сколько ему можно и сколько он занимает.' },
    security: { title: 'Полномочия и системные вызовы', about: 'О чём он может просить ядро.' },
    ways: { title: 'Путь пакета', about: 'Все ступени между клиентом и тем, кто слушает.' },
  },
  labels: {
    id: 'идентификатор',
    image: 'образ',
    status: 'состояние',
    started: 'запущен',
    pid: 'первый процесс',
    monitor: 'монитор',
    namespace: 'пространство',
    container: 'контейнер',
    host: 'хост',
    own: 'чьё',
    whatFor: 'что в нём видно',
    hostPid: 'на хосте',
    innerPid: 'внутри',
    user: 'польз.',
    state: 'сост.',
    threads: 'потоков',
    memory: 'память',
    command: 'команда',
    place: 'место',
    type: 'тип',
    options: 'параметры',
    from: 'откуда',
    kind: 'что это',
    layer: 'слой',
    form: 'вид',
    size: 'размер',
    madeBy: 'чем сделан',
    upper: 'своё он пишет в',
    resource: 'ресурс',
    used: 'занято',
    limit: 'предел',
    met: 'достигнут ли',
    path: 'путь',
    controllers: 'контроллеры',
    processor: 'время процессора',
    processes: 'процессы',
    pressure: 'ожидал, за 10 с',
    reads: 'прочитано с дисков',
    writes: 'записано на диски',
    groups: 'группы',
    newPrivileges: 'без новых привилегий',
    lost: 'утрачено навсегда',
    filter: 'фильтр seccomp',
    allowed: 'разрешено',
    refused: 'отказ:',
    depends: 'решают аргументы',
    stage: 'ступень',
    name: 'имя',
    details: 'подробности',
    owner: 'владелец',
    mode: 'права',
    seen: 'виден',
    resolved: 'за ссылками это',
  },
  namespaces: {
    mnt: 'монтирования: до чего можно добраться по пути',
    pid: 'процессы и их номера',
    net: 'интерфейсы, адреса, маршруты, порты',
    ipc: 'очереди сообщений и общая память',
    uts: 'имя хоста',
    cgroup: 'откуда начинается дерево cgroup',
    user: 'пользователи и кто над чем root',
    time: 'часы с момента загрузки',
  },
  mountKinds: {
    root: 'слои стопкой',
    host: 'с хоста',
    volume: 'том',
    memory: 'память',
    names: 'имена, записаны tsrun',
    hidden: 'скрыто',
    readOnly: 'поверх себя, только для чтения',
    kernel: 'делает ядро',
  },
  fileKinds: {
    file: 'файл',
    directory: 'каталог',
    link: 'ссылка',
    device: 'устройство',
    pipe: 'канал',
    socket: 'сокет',
    whiteout: 'пометка удаления: отсюда и ниже его нет',
  },
  hops: {
    client: 'клиент',
    port: 'порт хоста',
    rule: 'nf_tables',
    bridge: 'мост',
    cable: 'кабель, конец хоста',
    interface: 'кабель, конец контейнера',
    process: 'кто слушает',
    route: 'маршрут',
    uplink: 'выход из хоста',
  },
  capabilities: {
    effective: 'действующие',
    permitted: 'разрешённые',
    inheritable: 'наследуемые',
    bounding: 'ограничивающие',
    ambient: 'внешние (ambient)',
  },
  forms: { unpacked: 'каталог', erofs: 'архив, смонтирован' },
};

export const xrayWords: Record<Language, XrayWords> = { en: english, ru: russian };
