/** Numbers of the kernel as strace(1) writes them: sets of flags and single values by name, in strace's order. */
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  CLONE_CLEAR_SIGHAND,
  CLONE_INTO_CGROUP,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MADV_DONTFORK,
  MAP_SHARED,
  MFD_CLOEXEC,
  MNT_DETACH,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  P_PID,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  PROT_READ,
  PROT_WRITE,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  SECCOMP_SET_MODE_FILTER,
  SIOCGIFFLAGS,
  SIOCSIFFLAGS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
} from '../linux/constants.ts';

type Table = readonly (readonly [name: string, value: number])[];

function table(values: Readonly<Record<string, number>>): Table {
  return Object.entries(values);
}

const tables = {
  open: table({ O_NOCTTY, O_NONBLOCK, O_CLOEXEC, O_PATH, O_DIRECTORY }),
  resolve: table({ RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT }),
  mount: table({
    MS_RDONLY,
    MS_NOSUID,
    MS_NODEV,
    MS_NOEXEC,
    MS_BIND,
    MS_REC,
    MS_UNBINDABLE,
    MS_PRIVATE,
    MS_SLAVE,
    MS_SHARED,
  }),
  umount: table({ MNT_DETACH }),
  clone: table({
    CLONE_NEWTIME,
    CLONE_PIDFD,
    CLONE_PARENT,
    CLONE_NEWNS,
    CLONE_PARENT_SETTID,
    CLONE_NEWCGROUP,
    CLONE_NEWUTS,
    CLONE_NEWIPC,
    CLONE_NEWUSER,
    CLONE_NEWPID,
    CLONE_NEWNET,
    CLONE_CLEAR_SIGHAND,
    CLONE_INTO_CGROUP,
  }),
  openTree: table({ OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, AT_EMPTY_PATH, AT_RECURSIVE }),
  moveMount: table({ MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH }),
  fsopen: table({ FSOPEN_CLOEXEC }),
  fsmount: table({ FSMOUNT_CLOEXEC }),
  mountAttr: table({
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_STRICTATIME,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_IDMAP,
    MOUNT_ATTR_NOSYMFOLLOW,
  }),
  at: table({ AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_RECURSIVE }),
  socketType: table({ SOCK_NONBLOCK, SOCK_CLOEXEC }),
  protection: table({ PROT_READ, PROT_WRITE }),
  memfd: table({ MFD_CLOEXEC }),
  wait: table({ WNOHANG, WSTOPPED, WEXITED, WNOWAIT }),
  message: table({ MSG_DONTWAIT, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC }),
} satisfies Record<string, Table>;

export type FlagTable = keyof typeof tables;

/** `MS_REC|MS_PRIVATE`; what has no name comes last, in hexadecimal. */
export function flagNames(name: FlagTable, value: number | bigint, none = '0'): string {
  let left = BigInt(value);
  const words: string[] = [];
  for (const [word, bits] of tables[name]) {
    const wide = BigInt(bits);
    if ((left & wide) !== wide) continue;
    words.push(word);
    left &= ~wide;
  }
  if (left !== 0n) words.push(`0x${left.toString(16)}`);
  return words.length === 0 ? none : words.join('|');
}

const values = {
  access: table({ O_RDONLY, O_WRONLY, O_RDWR }),
  family: table({ AF_UNIX, AF_INET, AF_INET6, AF_NETLINK }),
  socket: table({ SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET }),
  fcntl: table({ F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC }),
  fsconfig: table({
    FSCONFIG_SET_FLAG,
    FSCONFIG_SET_STRING,
    FSCONFIG_SET_FD,
    FSCONFIG_CMD_CREATE,
    FSCONFIG_CMD_RECONFIGURE,
  }),
  ioctl: table({ TIOCSCTTY, TIOCGPTPEER, TIOCSPTLCK, SIOCGIFFLAGS, SIOCSIFFLAGS }),
  prctl: table({ PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT }),
  ambient: table({ PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL }),
  seccomp: table({ SECCOMP_SET_MODE_FILTER }),
  mapping: table({ MAP_SHARED }),
  advice: table({ MADV_DONTFORK }),
  idType: table({ P_PID }),
  fileType: table({ S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO }),
} satisfies Record<string, Table>;

export type ValueTable = keyof typeof values;

/** The name of one value; without one the number. */
export function valueName(name: ValueTable, value: number): string {
  return values[name].find(([, number]) => number === value)?.[0] ?? `0x${value.toString(16)}`;
}

/** `O_RDONLY|O_CLOEXEC`: the lowest two bits are a value. */
export function openFlags(value: number): string {
  const rest = flagNames('open', value & ~3, '');
  return rest === '' ? valueName('access', value & 3) : `${valueName('access', value & 3)}|${rest}`;
}

/** `S_IFCHR|0666` */
export function modeText(value: number): string {
  const type = value & S_IFMT;
  const bits = octal(value & ~S_IFMT);
  return type === 0 ? bits : `${valueName('fileType', type)}|${bits}`;
}

export function octal(value: number): string {
  return `0${value.toString(8).padStart(2, '0')}`;
}

export function socketType(value: number): string {
  const rest = flagNames('socketType', value & ~0xf, '');
  return rest === '' ? valueName('socket', value & 0xf) : `${valueName('socket', value & 0xf)}|${rest}`;
}

const resources =
  'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'.split(' ');

export function resourceName(value: number): string {
  return `RLIMIT_${resources[value] ?? value}`;
}
