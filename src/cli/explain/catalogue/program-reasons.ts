/** Why a program's operations are there, in English (as src/runtime/compile says it) and in Russian. */
import type { Entry } from './entry.ts';

export const programReasons: readonly Entry[] = [
  [
    'owners are mapped in it, and the mount itself is for all containers of the layer',
    'владельцы отображаются в нём, а само монтирование — для всех контейнеров слоя',
  ],
  [
    'overlayfs clones the mount that the monitor holds, and so shares it',
    'overlayfs клонирует монтирование, которое держит монитор, и тем самым делит его с другими',
  ],
  [
    'the monitor stands between the container and whoever looks at it: a log, a terminal, nobody',
    'монитор стоит между контейнером и тем, кто на него смотрит: журналом, терминалом или никем',
  ],
  [
    "the terminal's master is opened in the container's own devpts and leaves it as a message",
    'главная сторона терминала открывается в собственном devpts контейнера и покидает его в сообщении',
  ],
  [
    'asked for by --without: the old root stays, and whoever may call chroot once more walks out of this one',
    'так попросили через --without: старый корень остаётся, и кто может вызвать chroot ещё раз, выйдет из этого',
  ],
  ['root of the container is to be root in it alone', 'root контейнера должен быть root только в нём'],
  [
    'it belongs to the user namespace, whose root may set it up',
    'оно принадлежит пространству имён пользователей, и его root может его настроить',
  ],
  [
    'a mapping belongs to a mount, and a directory becomes one by a bind mount',
    'отображение принадлежит монтированию, а каталог становится им через bind',
  ],
  [
    'in this mount namespace only: overlayfs takes the mapped one from here',
    'только в этом пространстве имён монтирований: overlayfs берёт отображённый отсюда',
  ],
  [
    'overlayfs works with the rights of who mounts it, and user 0 of the machine has no number in the mapped layers',
    'overlayfs работает с правами того, кто её смонтировал, а у пользователя 0 машины в отображённых слоях нет номера',
  ],
  [
    'another user for files takes those away that have to do with files (man 2 setfsuid)',
    'другой пользователь для файлов отнимает те из них, что относятся к файлам (man 2 setfsuid)',
  ],
  [
    'root in it is nobody outside; the capabilities that it has count for what belongs to the namespace, and no more',
    'root в нём снаружи никто; его привилегии действуют на то, что принадлежит этому пространству имён, и не больше',
  ],
  [
    'copies: what is hidden in them is locked, and whoever has CAP_SYS_ADMIN in the container may mount in its own',
    'копии: скрытое в них заперто, а у кого в контейнере есть CAP_SYS_ADMIN, тот может монтировать в своём',
  ],
  ['it has the init mode in it', 'в нём есть режим init'],
  [
    'a process that makes children elsewhere can make no threads, and the monitor becomes a program with threads at its end',
    'процесс, чьи дети рождаются в другом месте, не может создавать потоки, а монитор в конце становится программой с потоками',
  ],
  [
    'a monitor that starts the container again and again must not gather descriptors',
    'монитор, который запускает контейнер снова и снова, не должен копить дескрипторы',
  ],
  ['it is the parent, and checks are many', 'он — родитель, а проверок много'],
  [
    'another process makes the command; a pipe to it would be open in the command too, for whoever traces it',
    'команду создаёт другой процесс; канал к нему был бы открыт и в команде — для того, кто её трассирует',
  ],
  [
    'who traces the command speaks with its voice: what comes from there is not passed on as it is',
    'кто трассирует команду, говорит её голосом: пришедшее оттуда не передаётся дальше как есть',
  ],
  ['behind that it is known which process is that of the command', 'после этого известно, какой процесс — команда'],
  ['a process that has failed waits for it', 'неудачный процесс этого ждёт'],
  [
    'those of the cgroup: what the caller is bound to (taskset) is not for the container',
    'те, что есть у cgroup: к чему привязан вызвавший (taskset), контейнера не касается',
  ],
  [
    'that of the process that joins, if it came no further',
    'или того процесса, который входит, если дальше дело не пошло',
  ],
  [
    'its end of the socket is closed by execve; anything else that comes is a failure',
    'её конец сокета закроет execve; всё, что придёт иначе, — неудача',
  ],
  [
    'the root of the failed process shows what is missing there',
    'корень неудачного процесса показывает, чего там не хватает',
  ],
  [
    'it has made the command then, or failed; its status stays to be collected',
    'тогда он создал команду или не смог; его статус остаётся, чтобы его забрали',
  ],
  ['nobody above expects a process that is not the command', 'никто выше не ждёт процесса, который не команда'],
  [
    'a fork does not copy it: who traces the command finds no way to the monitor',
    'fork её не копирует: кто трассирует команду, не найдёт пути к монитору',
  ],
  [
    'the sync socket is believed on its other side, and is not for the command',
    'сокету синхронизации на другой стороне верят, и он не для команды',
  ],
  [
    'only now, with nothing of the host left: who may trace there could look into it from its first moment',
    'только теперь, когда от хоста ничего не осталось: кто там может трассировать, заглянет в него с первого мгновения',
  ],
  [
    'that of its maker has no number there, and shells look for theirs',
    'у сеанса его создателя там нет номера, а оболочки ищут свой',
  ],
  [
    'one call makes the process and its walls; with a cgroup it is inside its limits from its first moment',
    'один вызов создаёт и процесс, и его стены; с cgroup он внутри своих ограничений с первого мгновения',
  ],
  [
    "in the container's cgroup from its first moment, so that nothing of it escapes limits and the final kill",
    'в cgroup контейнера с первого мгновения, так что ничто не минует ни ограничений, ни последнего убийства',
  ],
  [
    'what is left to do from outside is done by TypeScript on the other side',
    'что осталось сделать снаружи, делает TypeScript на другой стороне',
  ],
  [
    'only the container holds it then, so that its end is seen',
    'тогда его держит только контейнер, и его конец будет виден',
  ],
  [
    'waits until the container has made its devpts; the end of the container ends the wait',
    'ждёт, пока контейнер создаст свой devpts; конец контейнера прерывает ожидание',
  ],
  [
    'in a restart the monitor itself is the other side: if it dies, the end of the stream must be seen here',
    'при перезапуске другая сторона — сам монитор: если он умрёт, здесь должен быть виден конец потока',
  ],
  [
    'the modes of directories and device nodes are to be as they are written, whatever the caller has',
    'права каталогов и узлов устройств должны быть такими, как написано, что бы ни было у вызвавшего',
  ],
  [
    'no process of the container can look into this one while it still knows the host',
    'ни один процесс контейнера не может заглянуть в этот, пока он ещё знает хост',
  ],
  [
    'no process of the container can look into what is cloned from here: it still knows the host',
    'ни один процесс контейнера не может заглянуть в то, что отсюда клонируется: оно ещё знает хост',
  ],
  ['its interfaces are set up from outside at the same time', 'его интерфейсы в это же время настраиваются снаружи'],
  [
    'only now: its root is the cgroup of the process that makes it',
    'только теперь: его корень — cgroup того процесса, который его создаёт',
  ],
  [
    'a new network namespace has only a loopback device, and it is down',
    'в новом сетевом пространстве имён есть только loopback, и он выключен',
  ],
  ['it will be {1} in the container', 'в контейнере это будет {1}'],
  [
    'systemd shares the mounts of the host; ours would appear there',
    'systemd делает монтирования хоста общими; наши появились бы там',
  ],
  [
    'the layers stay as they are and are shared; what the container writes goes to its own upper directory',
    'слои остаются как есть и общие для всех; что пишет контейнер, попадает в его собственный верхний каталог',
  ],
  [
    'pivot_root needs a mount point; this one is seen in this mount namespace only',
    'pivot_root нужна точка монтирования; эта видна только в этом пространстве имён монтирования',
  ],
  [
    'the options of mount(2) end at one page, so that layers are named by descriptor',
    'параметры mount(2) кончаются на одной странице, поэтому слои называют по дескриптору',
  ],
  [
    'pivot_root wants a mount, and a directory becomes one by a bind mount onto itself',
    'pivot_root хочет монтирование, а каталог становится им, если привязать его к самому себе',
  ],
  ['a bind mount of a file needs a file to lie on', 'привязке файла нужен файл, на который лечь'],
  ['a mount needs a directory to lie on', 'монтированию нужен каталог, на который лечь'],
  [
    'openat2 with RESOLVE_IN_ROOT: no symlink of the image can lead outside of its root',
    'openat2 с RESOLVE_IN_ROOT: никакая ссылка образа не может вывести за его корень',
  ],
  ['between descriptors, so that no path is looked up again', 'между дескрипторами, так что путь больше не ищется'],
  [
    'processes of the own pid namespace only; the host is not visible through it',
    'процессы только собственного пространства имён PID; хост через него не виден',
  ],
  [
    'the devices of the own network namespace; read-only, since it configures the machine',
    'устройства собственного сетевого пространства имён; только для чтения, ведь через неё настраивают машину',
  ],
  ['a filesystem in memory that ends with the container', 'файловая система в памяти, которая кончается с контейнером'],
  [
    'terminals of its own: no number of the host can be opened',
    'собственные терминалы: ни один номер хоста открыть нельзя',
  ],
  ['POSIX message queues of the own ipc namespace', 'очереди сообщений POSIX собственного пространства имён IPC'],
  [
    'the own cgroup namespace shows this cgroup as the root; read-only, so that limits cannot be lifted',
    'собственное пространство имён cgroup показывает эту cgroup как корень; только для чтения, чтобы ограничения нельзя было снять',
  ],
  [
    'mounts below the source would otherwise keep their own flags',
    'монтирования под источником иначе сохранили бы свои флаги',
  ],
  [
    'mounts made in the container are not to appear on the host',
    'монтирования, сделанные в контейнере, не должны появляться на хосте',
  ],
  [
    'the newest terminal of a devpts that only this container has',
    'новейший терминал того devpts, который есть только у этого контейнера',
  ],
  [
    'no link is followed: the container may have laid one there',
    'ссылки не раскрываются: контейнер мог положить её туда',
  ],
  ['a new one is locked (man 3 unlockpt)', 'новый заблокирован (man 3 unlockpt)'],
  [
    'by the master, never by a path like /dev/pts/0 that could be replaced (Linux 4.13)',
    'через главную сторону, а не по пути вроде /dev/pts/0, который могли бы подменить (Linux 4.13)',
  ],
  ['programs write their last words there', 'программы пишут туда свои последние слова'],
  ['it tells about the host or changes it', 'он рассказывает о хосте или меняет его'],
  [
    "it is the host's own node: root of the container could change its mode and owner for the whole machine",
    'это узел самого хоста: root контейнера мог бы сменить его права и владельца для всей машины',
  ],
  [
    'by no link into /proc/self/fd, where descriptors of the host are still open',
    'не по ссылке в /proc/self/fd, где ещё открыты дескрипторы хоста',
  ],
  [
    'the command is to have the null device and no way to change it',
    'у команды будет нулевое устройство, но не будет способа его изменить',
  ],
  ['the settings of the machine are there', 'там настройки машины'],
  ['a setting of the own namespaces', 'настройка собственных пространств имён'],
  ['whom the kernel ends first when memory runs out', 'кого ядро завершает первым, когда кончается память'],
  ["of the host's proc: the container's could be anything", 'из proc хоста: в контейнере там могло бы быть что угодно'],
  ['asked for; mounts below it keep their own flags', 'так попросили; монтирования под ним сохраняют свои флаги'],
  [
    'unlike chroot, after this the old root can be taken away for good',
    'в отличие от chroot, после этого старый корень можно убрать навсегда',
  ],
  ['with it goes every path to the host', 'с ним уходит всякий путь к хосту'],
  [
    'nothing of the container runs before the host is done',
    'ничто из контейнера не выполняется, пока хост не закончил',
  ],
  ['no terminal of the host can be its controlling one', 'ни один терминал хоста не может стать его управляющим'],
  ['Ctrl-C and job control work through it', 'через него работают Ctrl-C и управление заданиями'],
  [
    'until the terminal is there; what the monitor has there is the terminal of its caller',
    'пока нет терминала; у монитора там терминал того, кто его вызвал',
  ],
  [
    'a program may open /dev/stdout again, which asks for permission',
    'программа может открыть /dev/stdout заново, а для этого нужно разрешение',
  ],
  ['it is run by its descriptor', 'его запускают по дескриптору'],
  ['its number may be one that is laid out below', 'его номер может понадобиться ниже'],
  [
    'before the container can see this process: a directory of the host in /proc/PID/fd would be a way out',
    'прежде чем контейнер увидит этот процесс: каталог хоста в /proc/PID/fd был бы лазейкой',
  ],
  [
    'a directory of the host in /proc/self/fd would be a way out (Linux 5.9)',
    'каталог хоста в /proc/self/fd был бы лазейкой (Linux 5.9)',
  ],
  [
    'the command is to see descriptors 0, 1 and 2 and nothing else (Linux 5.9)',
    'команда должна видеть дескрипторы 0, 1 и 2 и больше ничего (Linux 5.9)',
  ],
  ['its end tells the other side that the command runs', 'его конец говорит другой стороне, что команда выполняется'],
  ['a pid namespace is entered by children only', 'в пространство имён PID входят только дети'],
  ['asked for by linux.memoryPolicy', 'задано в linux.memoryPolicy'],
  [
    'a hierarchy of cgroup v1 is entered by a process that is there; 0 is the one that writes',
    'в иерархию cgroup v1 входит процесс, который уже есть; 0 — тот, кто пишет',
  ],
  [
    'by its pidfd, all at once; root and working directory become those of its mount namespace',
    'по его pidfd, во все сразу; корень и рабочий каталог становятся такими, как в его пространстве имён монтирования',
  ],
  [
    'after the descriptors were closed, so that /proc/self/fd/N can lead nowhere',
    'после закрытия дескрипторов, чтобы /proc/self/fd/N никуда не вёл',
  ],
  [
    'no program of the container can ever get it again, not even by setuid or file capabilities',
    'ни одна программа контейнера больше никогда её не получит, даже через setuid или привилегии файлов',
  ],
  [
    'system calls that containers do not need are refused: most holes of the kernel were in those',
    'системные вызовы, не нужные контейнерам, отвергаются: большинство дыр ядра было именно в них',
  ],
  ['the sets are set to their final values below', 'ниже наборам дают окончательные значения'],
  [
    'those of the caller would give access to files of the host that are mounted',
    'группы вызвавшего дали бы доступ к смонтированным файлам хоста',
  ],
  [
    'root in the container can do what these name, not what root of the host can',
    'root в контейнере может то, что здесь названо, а не то, что может root хоста',
  ],
  [
    'setuid programs and file capabilities give nothing from here on',
    'с этого момента программы setuid и привилегии файлов ничего не дают',
  ],
  [
    'pid 1 has to reap orphans and to forward signals; it runs from a memfd, so that no file of the host is reachable through it',
    'процесс 1 должен хоронить сирот и передавать сигналы; он выполняется из memfd, чтобы через него нельзя было добраться до файла хоста',
  ],
  ['all is set up; the program takes over', 'всё готово; дальше действует программа'],
  ['the first of PATH that can be run takes over', 'дальше действует первая из PATH, которую можно запустить'],
];
