/** Titles and reasons of what only the OCI runtime's programs do, in English (as src/runtime/compile says them) and in Russian. */
import type { Entry } from './entry.ts';

export const ociTitles: readonly Entry[] = [
  ['a session keyring of its own', 'собственная сеансовая связка ключей'],
  ['bind {1} of the host', 'привязать {1} хоста'],
  ['close its other descriptor', 'закрыть второй дескриптор на неё'],
  ['copy the mount again', 'скопировать монтирование ещё раз'],
  ['take the younger copy', 'взять более молодую копию'],
  ['cover {1} of the old root', 'закрыть {1} старого корня'],
  ['take {1} of the old root away', 'убрать {1} старого корня'],
  ['close descriptors from {1} on', 'закрыть дескрипторы начиная с {1}'],
  ['close the sync socket', 'закрыть сокет синхронизации'],
  ['close the user namespace', 'закрыть пространство имён пользователей'],
  ['close those above too', 'закрыть и те, что выше'],
  ['close timens_offsets', 'закрыть timens_offsets'],
  ['hand on descriptor {1}', 'передать дескриптор {1}'],
  ['hold the user namespace', 'удерживать пространство имён пользователей'],
  ['keep the console socket', 'сохранить сокет консоли'],
  ['label {1} in {2}', 'метка {1} в {2}'],
  ['label {1}', 'метка {1}'],
  ['let it go', 'отпустить его'],
  ['make a process in a new user namespace', 'создать процесс в новом пространстве имён пользователей'],
  ['make the root {1}', 'сделать корень {1}'],
  ['map owners in {1}', 'отобразить владельцев в {1}'],
  ['move the new root over the old one', 'переместить новый корень поверх старого'],
  ['new time namespace for children', 'новое пространство имён времени для детей'],
  ['no carriage returns before the ends of lines', 'без возврата каретки перед концом строки'],
  ['make {1} read-only', 'сделать {1} только для чтения'],
  ['personality {1}', 'персональность {1}'],
  ['priority of disk access {1} {2}', 'приоритет доступа к дискам {1} {2}'],
  ['processors {1} {2}', 'процессоры {1} {2}'],
  ['scheduler {1}', 'планировщик {1}'],
  ['tell failures there from now on', 'отныне сообщать об ошибках туда'],
  ['tell: the listener is there', 'сообщить: слушатель готов'],
  ['terminal of {1} rows and {2} columns', 'терминал из {1} строк и {2} столбцов'],
  ['the connection ends with execve', 'соединение кончается с execve'],
  ['the listener at the agreed number', 'слушатель под условленным номером'],
  ['the parent is done', 'родитель закончил'],
  ['the user namespace into the struct', 'пространство имён пользователей в структуру'],
  ['those above too', 'и те, что выше'],
  ['wait for start', 'ждать start'],
  ['wait until the listener has been taken', 'ждать, пока слушателя не заберут'],
  [
    'wait until the user namespace has its maps',
    'ждать, пока у пространства имён пользователей не появятся отображения',
  ],
];

export const ociReasons: readonly Entry[] = [
  [
    'an idmapped mount gets its mapping from a user namespace (man 2 mount_setattr)',
    'монтирование с отображением владельцев берёт его из пространства имён пользователей (man 2 mount_setattr)',
  ],
  [
    'asked for by --no-pivot; weaker than pivot_root, after which the old root is gone',
    'так велит --no-pivot; слабее, чем pivot_root, после которого старого корня нет',
  ],
  [
    'while it is to be seen, the container can mount another one without masks',
    'пока оно видно, контейнер может смонтировать ещё одно такое, без масок',
  ],
  ['a pipe or a file gets the output', 'вывод идёт в канал или файл'],
  ['asked for by --preserve-fds or LISTEN_FDS', 'так велит --preserve-fds или LISTEN_FDS'],
  ['asked for by process.ioPriority', 'так велит process.ioPriority'],
  ['asked for by process.scheduler', 'так велит process.scheduler'],
  [
    'asked for: mounts made on either side appear on the other',
    'так велено: монтирования с любой стороны видны и на другой',
  ],
  ['asked for by rootfsPropagation', 'так велит rootfsPropagation'],
  [
    'directories of the host and of its cgroups are not needed while it waits',
    'каталоги хоста и его групп управления не нужны, пока он ждёт',
  ],
  ['one empty filesystem serves all hidden directories', 'одна пустая файловая система служит всем скрытым каталогам'],
  [
    'mountinfo is to have the order of the configuration (Linux 6.15)',
    'порядок в mountinfo должен быть порядком конфигурации (Linux 6.15)',
  ],
  [
    'files are made for root of the container, not for that of the host',
    'файлы создаются для root контейнера, а не для root хоста',
  ],
  ['from here on calls may wait for an answer from there', 'с этого места вызовы могут ждать ответа оттуда'],
  ['its clocks are set before anybody is in it', 'его часы ставят, пока в нём никого нет'],
  [
    'keys of the caller are not for the container (man 2 keyctl, KEYCTL_JOIN_SESSION_KEYRING)',
    'ключи вызывающего не для контейнера (man 2 keyctl, KEYCTL_JOIN_SESSION_KEYRING)',
  ],
  [
    'no device node can be made in a user namespace',
    'в пространстве имён пользователей нельзя создать узел устройства',
  ],
  [
    'the container has none of its own, and settings of its namespaces are to be written',
    'своего у контейнера нет, а настройки его пространств имён нужно записать',
  ],
  [
    'the files keep their owners on the disk and have those of the mapping in the container (Linux 5.12)',
    'на диске владельцы файлов прежние, а в контейнере такие, как велит отображение (Linux 5.12)',
  ],
  [
    'the security module of the host confines the command by it',
    'по ней модуль безопасности хоста ограничивает команду',
  ],
  ['they are written from outside (man 7 user_namespaces)', 'их записывают снаружи (man 7 user_namespaces)'],
  ['what uname says of the machine', 'что uname говорит о машине'],
  [
    'who waits for the end of the command is not to hide that it runs',
    'кто ждёт конца команды, не должен скрывать, что она работает',
  ],
  [
    'whoever connects hears how it went: an errno, or the end that execve makes of it',
    'кто подключится, узнает исход: errno или конец, который даёт execve',
  ],
];
