/** What is to be known beside the steps. */
import type { Entry } from './entry.ts';

/** What a container can do without a wall (src/container/walls.ts). */
const walls: readonly Entry[] = [
  [
    '--without pid: the container sees all processes of this machine and can signal them',
    '--without pid: контейнер видит все процессы этой машины и может слать им сигналы',
  ],
  [
    '--without net: the container has the interfaces, addresses and ports of this machine',
    '--without net: у контейнера интерфейсы, адреса и порты этой машины',
  ],
  [
    '--without mount: what the container mounts appears on this machine, and its root can be walked out of',
    '--without mount: что монтирует контейнер, появляется на этой машине, а из его корня можно выйти',
  ],
  [
    '--without ipc: the container shares shared memory, semaphores and message queues with this machine',
    '--without ipc: у контейнера общие с этой машиной разделяемая память, семафоры и очереди сообщений',
  ],
  [
    '--without uts: the container has the name of this machine, and with CAP_SYS_ADMIN changes it',
    '--without uts: контейнер носит имя этой машины и с CAP_SYS_ADMIN меняет его',
  ],
  [
    '--without cgroup: the container sees the names of all cgroups and where among them it is',
    '--without cgroup: контейнер видит имена всех cgroup и своё место среди них',
  ],
  [
    '--without userns: root in the container is root of this machine, held by the other walls alone',
    '--without userns: root контейнера — это root машины, и держат его только остальные стены',
  ],
  [
    '--without pivot_root: the root of the container is a chroot, which root walks out of',
    '--without pivot_root: корень контейнера — лишь chroot, из которого root выходит',
  ],
  [
    '--without seccomp: the container can make every system call that the kernel has',
    '--without seccomp: контейнер может делать любые системные вызовы ядра',
  ],
  [
    '--without caps: root in the container has all capabilities that root of this machine has',
    '--without caps: у root контейнера все привилегии, какие есть у root машины',
  ],
  [
    '--without masks: the container can read what tells about this machine in /proc and /sys, and change its settings',
    '--without masks: контейнер может читать в /proc и /sys то, что рассказывает о машине, и менять её настройки',
  ],
  [
    '--without devices: the container can open every device whose number it knows: disks, memory, the log of the kernel',
    '--without devices: контейнер может открыть любое устройство, номер которого знает: диски, память, журнал ядра',
  ],
  [
    '--without fds: the container inherits open directories of this machine, and walks out by /proc/self/fd',
    '--without fds: контейнеру достаются открытые каталоги этой машины, и через /proc/self/fd он выходит наружу',
  ],
];

export const remarks: readonly Entry[] = [
  [
    'this machine does not offer the controller {1}: the real run would refuse',
    'эта машина не предлагает контроллер {1}: настоящий run отказался бы',
  ],
  ...walls,
  [
    'only root may look for the user {1} in the image: 1000 stands for it',
    'искать пользователя {1} в образе может только root: вместо него стоит 1000',
  ],
  ['the container does not run: there is nothing to stop', 'контейнер не выполняется: останавливать нечего'],
];
