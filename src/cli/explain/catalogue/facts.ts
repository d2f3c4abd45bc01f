/** What `why` tells, in English (as src/container/why says it) and in Russian. */
import type { Entry } from './entry.ts';

export const whyFacts: readonly Entry[] = [
  ['it has not ended: it is up', 'он не завершён: он работает'],
  ['it was not started: {1}', 'он не был запущен: {1}'],
  ["its exit code {1} is tsrun's, not its command's", 'код завершения {1} — от tsrun, а не от команды'],
  ['it has not been started yet', 'его ещё не запускали'],
  ['its command ended with {1}', 'команда завершилась с кодом {1}'],
  [
    'its command ended with {1}: 128 and the number of {2}',
    'команда завершилась с кодом {1}: это 128 и номер сигнала {2}',
  ],
  [
    'the kernel killed a process of it: there was no memory left to take',
    'ядро убило его процесс: свободной памяти не осталось',
  ],
  ['its limit is {1} bytes (--memory)', 'его предел — {1} байт (--memory)'],
  [
    'it has no limit of its own: the machine itself was short of memory',
    'собственного предела у него нет: памяти не хватило самой машине',
  ],
  ['it was stopped by hand (tsrun stop or kill)', 'его остановили вручную (tsrun stop или kill)'],
  ['0 is success: it had nothing left to do', '0 — это успех: делать ему было больше нечего'],
  [
    'by the convention of shells: what it was to run cannot be executed',
    'по соглашению оболочек: то, что он должен был выполнить, выполнить нельзя',
  ],
  [
    'by the convention of shells: what it was to run was not found',
    'по соглашению оболочек: то, что он должен был выполнить, не найдено',
  ],
  ['SIGINT: somebody typed Ctrl-C', 'SIGINT: кто-то нажал Ctrl-C'],
  [
    'SIGABRT: it gave up by itself, mostly on a failed assertion',
    'SIGABRT: он сдался сам, чаще всего из-за нарушенного утверждения (assert)',
  ],
  [
    'SIGBUS: a file or a huge page that was mapped could not be had',
    'SIGBUS: отображённый в память файл или большая страница оказались недоступны',
  ],
  [
    'it was killed by hand: tsrun kill, or tsrun stop when its patience was over',
    'его убили вручную: tsrun kill или tsrun stop, когда кончилось терпение',
  ],
  [
    'SIGKILL, and the OOM killer of its cgroup was not it: another process with the rights for it sent it',
    'SIGKILL, и это не нехватка памяти в его cgroup: сигнал послал другой процесс, у которого есть на это право',
  ],
  [
    'SIGSEGV: it used memory that it has not: a fault of the program, or a binary for another machine',
    'SIGSEGV: он обратился к памяти, которой у него нет: ошибка программы или файл для другой машины',
  ],
  ['SIGTERM: it was asked to end, and did', 'SIGTERM: его попросили завершиться, и он завершился'],
  [
    'what that number means is up to the program: its last words may say it (tsrun logs)',
    'что значит это число, решает сама программа: об этом могут сказать её последние слова (tsrun logs)',
  ],
  ['{1} times it was reached, and memory was taken back', 'достигнут раз: {1}, и память отбиралась назад'],
  ['{1} processes were killed for it', 'процессов убито из-за него: {1}'],
  ['{1} times it was reached', 'достигнут раз: {1}'],
  ['{1} times it could not be held', 'не удалось удержать раз: {1}'],
  ['{1} periods in which it had to wait for the next', 'периодов, в которых пришлось ждать следующего: {1}'],
  ['{1} times fork or clone was refused (EAGAIN)', 'отказов в fork или clone (EAGAIN): {1}'],
  ['it has no limits: the whole machine is its own', 'ограничений у него нет: вся машина в его распоряжении'],
  ['its cgroup is gone, and with it the counters', 'его cgroup больше нет, а с ней и счётчиков'],
  ['not met', 'не достигнут'],
  [
    "{1} is the container's own: it was made or changed after its start, in {2}",
    '{1} принадлежит самому контейнеру: создан или изменён после его запуска, в {2}',
  ],
  ['it lies over the one of {1}', 'под ним — тот, что из: {1}'],
  ['{1} comes from {2}', '{1}: {2}'],
  ['on the host it is {1}', 'на хосте это {1}'],
  ['layer {1} of {2} of the image', 'слой {1} из {2} слоёв образа'],
  ['layer {1} of {2} of the image, made by: {3}', 'слой {1} из {2} слоёв образа, сделан командой: {3}'],
  ['{1} is in the volume {2}, on the host {3}', '{1} лежит в томе {2}, на хосте {3}'],
  ["{1} is the host's {2}, mounted at {3}", '{1} — это {2} хоста, смонтированный в {3}'],
  [
    "{1} is written by tsrun for this container, and mounted over the image's",
    '{1} записан tsrun для этого контейнера и смонтирован поверх файла образа',
  ],
  [
    '{1} is hidden: the null device lies over it, since it tells about the host or changes it',
    '{1} скрыт: поверх него лежит устройство null, потому что он рассказывает о хосте или меняет его',
  ],
  [
    '{1} is in a {2} at {3}: memory, which ends with the container',
    '{1} лежит в {2}, смонтированном в {3}: это память, которая исчезнет вместе с контейнером',
  ],
  ['{1} is made by the kernel: a {2} is mounted at {3}', '{1} делает ядро: в {3} смонтирована файловая система {2}'],
  [
    'it does not run: nothing is published, and nobody listens',
    'он не работает: ничего не опубликовано, и никто не слушает',
  ],
  [
    '{1} on the host, held by the monitor so that nobody else gets it',
    '{1} на хосте, занят монитором, чтобы не достался никому другому',
  ],
  ['  -> nf_tables, table inet tsrun, map {1}: {2}', '  -> nf_tables, таблица inet tsrun, отображение {1}: {2}'],
  ['  -> bridge {1} -> {2} -> {3}', '  -> мост {1} -> {2} -> {3}'],
  ['it publishes no port', 'он не публикует портов'],
  [
    '{1} is not published: only other containers can reach it',
    '{1} не опубликован: до него доберутся только другие контейнеры',
  ],
  [
    'nobody listens on {1} in the container: connections are refused',
    'в контейнере никто не слушает {1}: соединения будут отвергнуты',
  ],
  [
    'process {1} ({2}) listens, but on 127.0.0.1 only: let it listen on 0.0.0.0',
    'слушает процесс {1} ({2}), но только на 127.0.0.1: пусть слушает на 0.0.0.0',
  ],
  ['process {1} ({2}) listens', 'слушает процесс {1} ({2})'],
  [
    'somebody listens, but on 127.0.0.1 only: let it listen on 0.0.0.0',
    'кто-то слушает, но только на 127.0.0.1: пусть слушает на 0.0.0.0',
  ],
  ['somebody listens', 'кто-то слушает'],
];

/** What `xray` tells of the way of a packet (src/container/xray). */
export const xrayFacts: readonly Entry[] = [
  ['any program that connects to it', 'любая программа, которая к нему подключается'],
  [
    'a socket that the monitor ({1}) holds and never listens on',
    'сокет, который держит монитор ({1}) и на котором он никогда не слушает',
  ],
  ['element: {1}', 'элемент: {1}'],
  ['its element is missing: {1}', 'его элемента нет: {1}'],
  ['from this machine:', 'с этой машины:'],
  ['from elsewhere:', 'извне:'],
  ['its rule is missing', 'его правила нет'],
  ['chain {1}, handle {2}: {3}', 'цепочка {1}, номер {2}: {3}'],
  [
    'no default route leads there: only neighbours are reached',
    'маршрута по умолчанию туда нет: доступны только соседи',
  ],
  ['default route of the container: {1} on {2}', 'маршрут контейнера по умолчанию: {1} по {2}'],
  ['the host has no default route', 'у хоста нет маршрута по умолчанию'],
  ['default route of the host: {1}', 'маршрут хоста по умолчанию: {1}'],
  ['addresses: {1}', 'адреса: {1}'],
  ['the interface is missing', 'интерфейса нет'],
  ['interface {1}, MTU {2}', 'интерфейс {1}, MTU {2}'],
  ['hardware address {1}', 'аппаратный адрес {1}'],
  ['plugged into nothing', 'никуда не воткнут'],
  ['a port of the bridge {1}', 'порт моста {1}'],
];
