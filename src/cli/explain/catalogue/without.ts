/** What would be possible, or would not work, without a step: by the step's title. */

/** Title (of a catalogue), English, Russian. */
export type WithoutEntry = readonly [title: string, english: string, russian: string];

export const without: readonly WithoutEntry[] = [
  [
    "make the container's first process with new namespaces: {1}",
    'it would see and signal the processes of the host, its mounts would be those of the host, its hostname the name of the machine',
    'он видел бы процессы хоста и слал бы им сигналы, его монтирования были бы монтированиями хоста, его имя — именем машины',
  ],
  [
    'make the process of the command in the pid namespace of the container',
    'whoever has CAP_SYS_PTRACE in the container would stop the process on its way, and open /proc/PID/root: the host',
    'кто в контейнере имеет CAP_SYS_PTRACE, остановил бы процесс в пути и открыл /proc/PID/root: хост',
  ],
  [
    'make all mounts {1}',
    'every mount of the container would appear on the host too, and stay there',
    'каждое монтирование контейнера появлялось бы и на хосте и оставалось бы там',
  ],
  [
    'attach the overlay at {1}',
    'containers of one image would write into the same files',
    'контейнеры одного образа писали бы в одни и те же файлы',
  ],
  [
    'open {1} inside the root',
    'an image with a symlink to / could have tsrun mount over a file of the host',
    'образ со ссылкой на / мог бы заставить tsrun смонтировать что-нибудь поверх файла хоста',
  ],
  [
    'make it the root; the old one lies on top of it',
    'with chroot alone root walks out: mkdir x; chroot x; cd ../../../..',
    'из одного лишь chroot root выходит пешком: mkdir x; chroot x; cd ../../../..',
  ],
  [
    'take the old root away',
    'every file of the host would be below the old root, for whoever finds it',
    'все файлы хоста лежали бы под старым корнем для того, кто его найдёт',
  ],
  [
    'enter the user namespace',
    'root in the container would be user 0 of the machine, held by the other walls alone',
    'root в контейнере был бы пользователем 0 машины, и держали бы его только остальные стены',
  ],
  [
    'not dumpable',
    'a process of the container could open /proc/PID/root or fd of this one, and with it the host (CVE-2016-9962)',
    'процесс контейнера мог бы открыть /proc/PID/root или fd этого процесса, а с ними и хост (CVE-2016-9962)',
  ],
  [
    'new cgroup namespace',
    'the container could read where in the tree of the host it stands, and what others are called',
    'контейнер мог бы прочесть, где в дереве хоста он стоит и как зовут других',
  ],
  [
    'hostname {1}',
    'the container would have the name of the host, or, without the uts namespace, rename it',
    'контейнер носил бы имя хоста, а без пространства имён UTS мог бы его переименовать',
  ],
  [
    'enter the network namespace',
    'the container would listen on ports of the host and read the traffic of everybody',
    'контейнер слушал бы порты хоста и читал бы чужой трафик',
  ],
  [
    'attach {1} at {2}',
    'programs that look there would find nothing, or, with the one of the host, everything of the host',
    'программы, которые туда смотрят, не нашли бы ничего, а с хостовым — нашли бы всё, что есть на хосте',
  ],
  [
    'hide the file {1}',
    'the container could read memory, keys or interrupts of the machine there',
    'контейнер мог бы читать там память, ключи или прерывания машины',
  ],
  [
    'hide the directory {1}',
    'the container could read firmware or power meters of the machine there, which give away what others do',
    'контейнер мог бы читать там прошивку или счётчики энергии машины, а они выдают, что делают другие',
  ],
  [
    'lay it over {1}',
    'root in the container could change settings of the whole machine, or restart it by sysrq',
    'root в контейнере мог бы менять настройки всей машины или перезагрузить её через sysrq',
  ],
  [
    'close all other descriptors',
    'one directory of the host left open is enough: cd /proc/self/fd/N/../../.. (CVE-2024-21626)',
    'достаточно одного открытого каталога хоста: cd /proc/self/fd/N/../../.. (CVE-2024-21626)',
  ],
  [
    'close all descriptors of the host',
    'one directory of the host left open is enough: cd /proc/self/fd/N/../../.. (CVE-2024-21626)',
    'достаточно одного открытого каталога хоста: cd /proc/self/fd/N/../../.. (CVE-2024-21626)',
  ],
  [
    'drop {1} from the bounding set',
    'a setuid program, or a file with capabilities, would bring it back',
    'её вернула бы программа setuid или файл с привилегиями',
  ],
  [
    'set effective, permitted and inheritable capabilities',
    'root in the container could load kernel modules, set the clock, mount disks: it would be root of the host',
    'root в контейнере мог бы загружать модули ядра, переводить часы, монтировать диски: он был бы root хоста',
  ],
  [
    'load the seccomp filter ({1} instructions)',
    'all 360 system calls would be within reach, with the bugs of each',
    'были бы доступны все 360 системных вызовов вместе с ошибками каждого',
  ],
  [
    'no new privileges',
    'sudo, su and every other setuid program of the image would work',
    'работали бы sudo, su и любая другая программа setuid из образа',
  ],
  [
    'supplementary groups: {1}',
    'the command would be in the groups of whoever started it: disk, docker, wheel',
    'команда состояла бы в группах того, кто её запустил: disk, docker, wheel',
  ],
  [
    'become user {1}',
    'the command would be root, as who started it',
    'команда была бы root, как и тот, кто её запустил',
  ],
  [
    'a session of its own',
    'it could push characters into the terminal of the host as if they were typed there (TIOCSTI)',
    'она могла бы вталкивать символы в терминал хоста, будто их там набрали (TIOCSTI)',
  ],
  [
    'ready: wait for the network and the records',
    'the command could run before its address, its limits and its record are there',
    'команда могла бы начать работу раньше, чем появятся её адрес, ограничения и запись',
  ],
  ['make the root read-only', 'the container could change its files', 'контейнер мог бы менять свои файлы'],
  [
    'make the cgroup {1}',
    'no limit could be held, and of a container that forks all the time some process would always survive',
    'нельзя было бы удержать ни одного ограничения, а у непрерывно ветвящегося контейнера какой-нибудь процесс всегда бы выживал',
  ],
  [
    'device control by a BPF program ({1} exceptions)',
    'mknod sda b 8 0 and read: the whole disk of the host',
    'mknod sda b 8 0 и читай: весь диск хоста',
  ],
  [
    'create a network namespace',
    'the container would use the interfaces and ports of the host',
    'контейнер пользовался бы интерфейсами и портами хоста',
  ],
  [
    'create the bridge {1}',
    'containers could neither reach each other nor leave',
    'контейнеры не могли бы ни достучаться друг до друга, ни выйти наружу',
  ],
  [
    'create the veth pair {1} <-> {2} and plug it into {3}',
    'the container would have loopback and nothing else',
    'у контейнера был бы loopback и больше ничего',
  ],
  [
    'give {1} the address {2} and the default route by {3}',
    'ping anything: "Network is unreachable"',
    'ping куда угодно: «Network is unreachable»',
  ],
  [
    'create the nf_tables table "tsrun"',
    'published ports would lead nowhere, answers would not find their way back, and containers could reach services of 127.0.0.1 of the host',
    'опубликованные порты никуда бы не вели, ответы не находили бы дороги назад, а контейнеры могли бы достучаться до служб на 127.0.0.1 хоста',
  ],
  [
    'no IPv6 and no router advertisements on {1}',
    'a container could send a router advertisement, and the traffic of its neighbours would go through it',
    'контейнер мог бы послать объявление маршрутизатора, и трафик соседей пошёл бы через него',
  ],
  [
    'take the port {1}',
    'another program could take the port, and requests would go to whom the firewall says',
    'порт мог бы занять другой, и запросы шли бы туда, куда скажет сетевой экран',
  ],
  [
    'publish {1} at {2}',
    'the port could be reached from this machine by the address of the container alone',
    'до порта можно было бы достучаться только с этой машины и только по адресу контейнера',
  ],
  [
    'turn IPv4 forwarding on',
    'packets of containers would end at the bridge',
    'пакеты контейнеров кончались бы на мосту',
  ],
  [
    'write hosts, hostname and resolv.conf of the container',
    'it would not find its own name, nor any other',
    'он не нашёл бы ни своего имени, ни какого-либо другого',
  ],
  [
    'start the monitor',
    'the container would end with the command, or nobody would learn how it ended',
    'контейнер завершался бы с командой, или никто не узнавал бы, как он завершился',
  ],
  [
    'enter the namespaces of the container: {1}',
    'the command would see and change the host, not the container',
    'команда видела бы и меняла хост, а не контейнер',
  ],
  [
    'mark the container as stopped',
    'with --restart=always it would come up again at once',
    'с --restart=always он тут же поднялся бы снова',
  ],
  [
    'remove the cgroup {1}',
    'empty directories of cgroups would gather, each with memory of the kernel',
    'копились бы пустые каталоги cgroup, и каждый занимал бы память ядра',
  ],
];
