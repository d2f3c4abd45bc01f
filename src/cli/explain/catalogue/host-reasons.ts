/** Why the host's side does what it does, in English and in Russian. */
import type { Entry } from './entry.ts';

export const hostReasons: readonly Entry[] = [
  [
    "the layer's archive as it came, with an index beside it: no file of it was ever made",
    'архив слоя, каким он пришёл, и указатель рядом с ним: ни один его файл не создавался',
  ],
  [
    'what one of them has read the other finds in memory; its monitor holds the mount, and a copy of the descriptor is taken (man 2 pidfd_getfd)',
    'что прочитал один, другой находит в памяти; монтирование держит его монитор, и берётся копия дескриптора (man 2 pidfd_getfd)',
  ],
  [
    'who is who in the user namespace: inside, outside, how many',
    'кто есть кто в пространстве имён пользователей: внутри, снаружи, сколько',
  ],
  [
    'a process makes them and ends; what keeps them are descriptors. JavaScript cannot: it has more than one thread',
    'их создаёт процесс и завершается; держат их дескрипторы. JavaScript этого не может: у него не один поток',
  ],
  [
    'without a mount namespace of its own they are mounts of this machine, and do not end with its processes',
    'без собственного пространства имён монтирований это монтирования самой машины, и с процессами они не исчезают',
  ],
  [
    'its config says what is run and by whom, its layers are the files; what is not in the store is pulled first',
    'его конфигурация говорит, что и от чьего имени выполнять, его слои — это файлы; чего нет в хранилище, сначала скачивается',
  ],
  [
    'a tag is only a name: the manifest lists the config and the layers by their digests',
    'тег — только имя: манифест перечисляет конфигурацию и слои по их хешам',
  ],
  [
    'a digest that does not fit is refused before anything of it is used; a directory of a layer appears by a rename, complete or not at all',
    'слой с неверным хешем отвергается прежде, чем что-либо из него используют; каталог слоя появляется переименованием: целиком или никак',
  ],
  [
    'a new one is filled with what the image has there; it stays when the container goes',
    'новый наполняется тем, что лежит там в образе; он остаётся, когда контейнера уже нет',
  ],
  [
    'its record, its log, and "upper", where all goes that the container writes',
    'его запись, его журнал и «upper», куда попадает всё, что пишет контейнер',
  ],
  [
    '"attach" comes in by it; where it lies with nobody behind it, a later command knows that there is something to clean up',
    'через него входит «attach»; если он лежит, а за ним никого, следующая команда знает, что надо прибрать',
  ],
  [
    'interfaces, addresses, routes and ports of its own; only the loopback interface is there, and set up',
    'свои интерфейсы, адреса, маршруты и порты; есть только loopback, и он включён',
  ],
  [
    'bound, never listened on: no other process gets it while the container runs',
    'привязан, но не слушается: пока контейнер работает, порт не достанется другому процессу',
  ],
  [
    'its maps redirect published ports; its chains guard containers and lend them an address of this machine',
    'её отображения перенаправляют опубликованные порты; её цепочки охраняют контейнеры и дают им взаймы адрес этой машины',
  ],
  [
    'a switch inside the kernel that the containers are plugged into',
    'коммутатор внутри ядра, в который включаются контейнеры',
  ],
  ['any neighbour on the bridge could pose as a router', 'любой сосед по мосту мог бы выдать себя за маршрутизатор'],
  [
    'any neighbour on the bridge could pose as a router; addresses are ours to give, so nobody looks for duplicates',
    'любой сосед по мосту мог бы выдать себя за маршрутизатор; адреса раздаём мы, поэтому дубликатов никто не ищет',
  ],
  ['the host is the router of {1}', 'хост — маршрутизатор сети {1}'],
  [
    'the host is the router of {1}, and asks for neighbours under a link-local address',
    'хост — маршрутизатор сети {1} и спрашивает о соседях с локального адреса канала',
  ],
  [
    'without it the kernel drops what goes from one interface to another',
    'без неё ядро отбрасывает то, что идёт с одного интерфейса на другой',
  ],
  [
    'a network has IPv6; interfaces that take router advertisements are told to go on with it (accept_ra=2)',
    'у сети есть IPv6; интерфейсам, принимающим объявления маршрутизатора, велено продолжать (accept_ra=2)',
  ],
  [
    'the cable between the container and the bridge; hairpin lets a container reach its own published ports',
    'кабель между контейнером и мостом; hairpin позволяет контейнеру достучаться до собственных опубликованных портов',
  ],
  ['inside the network namespace of the container', 'внутри сетевого пространства имён контейнера'],
  [
    'the image cannot know its address and name servers; the files are mounted over those in /etc',
    'образ не может знать его адрес и серверы имён; файлы монтируются поверх тех, что в /etc',
  ],
  ['a published port is reached by 127.0.0.1 too', 'опубликованный порт доступен и через 127.0.0.1'],
  [
    'elements of the maps that the redirecting rules look into',
    'элементы отображений, в которые смотрят правила перенаправления',
  ],
  [
    'only where they still lead to this container: a port may have got another owner',
    'только если они ещё ведут к этому контейнеру: у порта мог появиться другой хозяин',
  ],
  [
    'the kernel destroys the network namespace, and the pair with it, only some time after its last use',
    'ядро уничтожает сетевое пространство имён, а с ним и пару, лишь спустя время после последнего использования',
  ],
  [
    'a controller works in a cgroup only when its parent hands it down',
    'контроллер действует в cgroup, только когда его передаёт вниз родитель',
  ],
  [
    'processes start inside it, so that nothing ever runs without its limits, and it ends all of them at once',
    'процессы рождаются внутри неё, так что ничто не работает без её ограничений, и она завершает их все разом',
  ],
  [
    'root in the container may make any device node; the program refuses to open those of the host',
    'root в контейнере может создать любой узел устройства; программа не даёт открыть устройства хоста',
  ],
  [
    'the kernel does it at once and sees processes that are being made (Linux 5.14)',
    'ядро делает это разом и видит процессы, которые как раз создаются (Linux 5.14)',
  ],
  ['cgroups outlive their processes', 'cgroup переживает свои процессы'],
  [
    'systemd kills what is left in the cgroup of a service that has ended; the container must not lose its monitor',
    'systemd убивает всё, что осталось в cgroup завершённой службы; контейнер не должен потерять свой монитор',
  ],
  [
    'the kernel takes a program for its filter machine, not a list of names; what was compiled once is kept',
    'ядро принимает программу для своей машины фильтров, а не список имён; однажды скомпилированное хранится',
  ],
  [
    'all decisions are made here; the machine only runs them',
    'все решения принимаются здесь; машина их только выполняет',
  ],
  [
    'the parent of a container must outlive the command line and be small',
    'родитель контейнера должен пережить командную строку и быть маленьким',
  ],
  ['all decisions are made here', 'все решения принимаются здесь'],
  [
    'the command line may end, the container goes on; this is plain C (native/), since a list of calls has no loops',
    'командная строка может завершиться, контейнер продолжает; это обычный C (native/), ведь в списке вызовов нет циклов',
  ],
  [
    'the command line stands beside the data, which never passes through JavaScript',
    'командная строка стоит рядом с данными: они никогда не проходят через JavaScript',
  ],
  ['only the parent of a process gets its exit status', 'код завершения процесса получает только его родитель'],
  [
    'a second program, made beforehand, which joins the namespaces of the container as "exec" does',
    'вторая программа, сделанная заранее: она входит в пространства имён контейнера, как это делает «exec»',
  ],
  [
    'a fresh mapping of the same memory file is a fresh copy of the program',
    'новое отображение того же файла в памяти — это новая копия программы',
  ],
  [
    'no restart policy is to undo it; the monitor looks at the mark before it starts anything again',
    'никакая политика перезапуска не должна это отменить; монитор смотрит на пометку, прежде чем что-то запустить снова',
  ],
  [
    'by its pidfd: the number alone could be another process by now',
    'по его pidfd: сам номер уже мог достаться другому процессу',
  ],
  [
    'a program that was asked to end may want to put its things in order',
    'программа, которую попросили завершиться, может захотеть привести дела в порядок',
  ],
  [
    'no program can ignore it; in a pid namespace the end of process 1 ends all others',
    'его не может проигнорировать ни одна программа; в пространстве имён PID с процессом 1 завершаются все остальные',
  ],
  [
    'in a pid namespace the end of process 1 ends all others',
    'в пространстве имён PID с процессом 1 завершаются все остальные',
  ],
  [
    'whoever does it holds the lock of the container: its foreground command, or its monitor by "tsrun reap"',
    'кто прибирает, тот держит замок контейнера: его команда на переднем плане или его монитор через «tsrun reap»',
  ],
  ['it was run with --rm', 'он был запущен с --rm'],
  ['its directory with all that it wrote, and its name', 'его каталог со всем, что он написал, и его имя'],
  ['nobody could find them again; named volumes stay', 'их больше никто не смог бы найти; тома с именами остаются'],
];

/** What limits are for, as src/cgroup/limits.ts says it. */
export const limitReasons: readonly Entry[] = [
  [
    'memory beyond this is taken back, and where that is not enough a process is killed',
    'память сверх этого отбирается, а если этого мало, процесс убивают',
  ],
  [
    'swap alone: the flag counts memory and swap together; without it as much swap as memory is allowed',
    'только подкачка: флаг считает память и подкачку вместе; без него подкачки позволено столько же, сколько памяти',
  ],
  [
    'below this, memory is taken from others first when the machine runs short',
    'ниже этого порога память при нехватке сначала отбирают у других',
  ],
  [
    'the share when processors are wanted by several; 1024 shares are the usual weight 100',
    'доля, когда процессоры нужны нескольким; 1024 доли — это обычный вес 100',
  ],
  [
    '1: runs only when nothing else wants the processor (Linux 5.15)',
    '1: работает, только когда процессор больше никому не нужен (Linux 5.15)',
  ],
  [
    'microseconds of processor time in each period, over all processors',
    'микросекунды процессорного времени за период, на всех процессорах вместе',
  ],
  [
    'microseconds of unused quota that may be saved for later (Linux 5.14)',
    'микросекунды неиспользованной квоты, которые можно отложить на потом (Linux 5.14)',
  ],
  ['the processors that may be used', 'процессоры, которые можно использовать'],
  ['the memory nodes that may be used', 'узлы памяти, которые можно использовать'],
  [
    'how many processes and threads there may be: what stops a fork bomb',
    'сколько может быть процессов и потоков: это останавливает форк-бомбу',
  ],
  ['the share when a disk is wanted by several', 'доля, когда диск нужен нескольким'],
  ['the share of one disk', 'доля на одном диске'],
  ['bytes read from a disk in a second', 'байт, читаемых с диска за секунду'],
  ['bytes written to a disk in a second', 'байт, записываемых на диск за секунду'],
  ['reads from a disk in a second', 'чтений с диска за секунду'],
  ['writes to a disk in a second', 'записей на диск за секунду'],
  [
    'bytes in huge pages of one size, used and reserved: hugetlb.<size>.max and .rsvd.max (Linux 5.7)',
    'байт в больших страницах одного размера, занятых и отложенных: hugetlb.<размер>.max и .rsvd.max (Linux 5.7)',
  ],
  ['handles and objects of an RDMA device', 'дескрипторы и объекты устройства RDMA'],
  ['written as the configuration has it', 'записано так, как сказано в конфигурации'],
];
