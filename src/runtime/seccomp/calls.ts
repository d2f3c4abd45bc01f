/**
 * What the default filter thinks of each system call, by purpose and with the reason: the data behind
 * default-profile.ts and docs/seccomp.md. It answers as Docker's default profile does; where it differs, the reason says
 * so. A test holds it against the tables: each call of each architecture is in it exactly once.
 *
 * The rule behind it: what a program needs is allowed, and the kernel's own checks (permissions, capabilities,
 * namespaces) decide the rest. Refused is what reaches beyond namespaces, what widens the reach into the kernel without
 * being needed, and what was replaced decades ago.
 */

export interface CallGroup {
  readonly purpose: string;
  readonly why: string;
  /** Separated by blanks. */
  readonly calls: string;
}

/** Allowed always, whatever the arguments. */
export const allowed: readonly CallGroup[] = [
  {
    purpose: 'read and write',
    why: 'acts on descriptors that the program has',
    calls: `read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek sendfile sendfile64 splice
      tee vmsplice copy_file_range readahead fadvise64 fadvise64_64 arm_fadvise64_64 fsync fdatasync sync syncfs
      sync_file_range arm_sync_file_range ioctl cachestat`,
  },
  {
    purpose: 'open and close',
    why: 'paths end at the root of the mount namespace',
    calls: `open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock pipe pipe2 memfd_create
      memfd_secret name_to_handle_at`,
  },
  {
    purpose: 'files and directories',
    why: 'permissions decide; a device node that was made is opened only as far as the device controller lets it',
    calls: `access faccessat faccessat2 stat fstat lstat stat64 fstat64 lstat64 newfstatat fstatat64 statx statfs fstatfs
      statfs64 fstatfs64 getdents getdents64 readlink readlinkat chdir fchdir getcwd mkdir mkdirat rmdir mknod mknodat link
      linkat symlink symlinkat unlink unlinkat rename renameat renameat2 truncate ftruncate truncate64 ftruncate64
      fallocate umask statmount listmount`,
  },
  {
    purpose: 'attributes of files',
    why: 'owners, modes, times and extended attributes of files that permissions let it change',
    calls: `chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat chown32 fchown32 lchown32 utime utimes utimensat
      utimensat_time64 futimesat setxattr lsetxattr fsetxattr setxattrat getxattr lgetxattr fgetxattr getxattrat listxattr
      llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat`,
  },
  {
    purpose: 'own memory',
    why: 'changes nothing but the address space of the program',
    calls: `brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall mseal
      remap_file_pages pkey_alloc pkey_free pkey_mprotect map_shadow_stack`,
  },
  {
    purpose: 'processes and threads',
    why: 'the pid namespace bounds what can be named; a tracer cannot take a tracee out of its filter (Linux 4.8)',
    calls: `fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp getsid
      setpgid setsid set_tid_address set_robust_list get_robust_list futex futex_time64 futex_waitv futex_wait futex_wake
      futex_requeue rseq membarrier prctl ptrace process_vm_readv process_vm_writev process_mrelease pidfd_open
      pidfd_send_signal getrlimit ugetrlimit setrlimit prlimit64 getrusage times`,
  },
  {
    purpose: 'probes put in by the kernel',
    why: 'the kernel makes a probed program call these; refusing them would end it',
    calls: 'uretprobe uprobe',
  },
  {
    purpose: 'signals',
    why: 'goes to processes that permissions let it reach',
    calls: `kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait rt_sigtimedwait_time64
      rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend rt_sigreturn sigreturn sigprocmask sigaltstack pause restart_syscall`,
  },
  {
    purpose: 'signals and priority, as old 32-bit programs ask for them',
    why: 'the same as the newer forms; Docker forgot these and refuses them',
    calls: 'sigaction sigpending sigsuspend signal nice',
  },
  {
    purpose: 'identity',
    why: 'CAP_SETUID and CAP_SETGID decide, inside the user namespace',
    calls: `getuid geteuid getgid getegid getresuid getresgid getgroups getuid32 geteuid32 getgid32 getegid32 getresuid32
      getresgid32 getgroups32 setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups setuid32
      setgid32 setreuid32 setregid32 setresuid32 setresgid32 setfsuid32 setfsgid32 setgroups32 capget capset`,
  },
  {
    purpose: 'scheduling',
    why: 'raising anything needs CAP_SYS_NICE or a resource limit; the cgroup bounds the whole',
    calls: `sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler
      sched_setscheduler sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval
      sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set`,
  },
  {
    purpose: 'time and timers',
    why: 'reads clocks and waits; setting a clock through adjtimex needs CAP_SYS_TIME',
    calls: `time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep
      clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64 alarm getitimer setitimer timer_create
      timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
      timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64`,
  },
  {
    purpose: 'waiting for events',
    why: 'acts on descriptors that the program has',
    calls: `poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl
      epoll_wait epoll_pwait epoll_pwait2 epoll_ctl_old epoll_wait_old eventfd eventfd2 signalfd signalfd4 inotify_init
      inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark`,
  },
  {
    purpose: 'asynchronous I/O of the old kind',
    why: 'databases need it, and each operation is one that could be asked for by itself',
    calls: 'io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64',
  },
  {
    purpose: 'sockets',
    why: 'the network namespace bounds them; which kinds can be made is filtered below',
    calls: `socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt send sendto
      sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64`,
  },
  {
    purpose: 'System V and POSIX message queues, semaphores, shared memory',
    why: 'bounded by the ipc namespace',
    calls: `ipc msgget msgctl msgsnd msgrcv semget semctl semop semtimedop semtimedop_time64 shmget shmctl shmat shmdt
      mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify mq_getsetattr`,
  },
  {
    purpose: 'giving up rights',
    why: 'programs that confine themselves should be able to',
    calls: 'seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self',
  },
  {
    purpose: 'about the machine',
    why: 'says nothing that /proc would not',
    calls: 'uname sysinfo getcpu getrandom',
  },
  {
    purpose: 'registers and segments of the processor',
    why: 'thread-local storage, and 16-bit code under Wine',
    calls: 'arch_prctl modify_ldt set_thread_area get_thread_area breakpoint cacheflush set_tls',
  },
];

/** Allowed to those who have one of the capabilities; refused to others, for the same reason that the capability exists. */
export const byCapability: readonly (CallGroup & { readonly capabilities: readonly string[] })[] = [
  {
    capabilities: ['CAP_SYS_ADMIN'],
    purpose: 'mounts',
    why: 'a large part of the kernel that a container without this capability can only attack, not use',
    calls: `mount umount umount2 mount_setattr move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick`,
  },
  {
    capabilities: ['CAP_SYS_ADMIN'],
    purpose: 'namespaces and host names',
    why: 'a new user namespace would give every capability inside it, and with them new ways into the kernel',
    calls: 'setns unshare sethostname setdomainname',
  },
  {
    capabilities: ['CAP_SYS_ADMIN'],
    purpose: 'watching whole file systems, quotas, labels of security modules',
    why: 'reaches beyond the container; the calls about labels are new and not yet understood well',
    calls: `fanotify_init quotactl quotactl_fd lookup_dcookie lsm_get_self_attr lsm_set_self_attr lsm_list_modules`,
  },
  {
    capabilities: ['CAP_SYS_ADMIN', 'CAP_BPF'],
    purpose: 'programs for the kernel',
    why: 'runs code in the kernel, and has been the way out of containers often',
    calls: 'bpf',
  },
  {
    capabilities: ['CAP_SYS_ADMIN', 'CAP_PERFMON'],
    purpose: 'measuring',
    why: 'sees other processes and the kernel',
    calls: 'perf_event_open',
  },
  {
    capabilities: ['CAP_SYS_ADMIN', 'CAP_SYSLOG'],
    purpose: "the kernel's log",
    why: "is the host's, and holds addresses of the kernel",
    calls: 'syslog',
  },
  {
    capabilities: ['CAP_DAC_READ_SEARCH'],
    purpose: 'open by handle',
    why: "finds files of the host's file system outside the mount namespace",
    calls: 'open_by_handle_at',
  },
  {
    capabilities: ['CAP_SYS_BOOT'],
    purpose: 'reboot',
    why: 'ends the pid namespace at best',
    calls: 'reboot',
  },
  {
    capabilities: ['CAP_SYS_CHROOT'],
    purpose: 'chroot',
    why: 'the container has this capability unless it was dropped',
    calls: 'chroot',
  },
  {
    capabilities: ['CAP_SYS_MODULE'],
    purpose: 'kernel modules',
    why: 'runs code in the kernel',
    calls: 'init_module finit_module delete_module',
  },
  {
    capabilities: ['CAP_SYS_PACCT'],
    purpose: 'process accounting',
    why: 'is switched on for the whole machine',
    calls: 'acct',
  },
  {
    capabilities: ['CAP_SYS_PTRACE'],
    purpose: 'looking into other processes',
    why: 'for debuggers; plain ptrace is allowed without it',
    calls: 'kcmp pidfd_getfd process_madvise',
  },
  {
    capabilities: ['CAP_SYS_RAWIO'],
    purpose: 'I/O ports',
    why: 'reaches the hardware',
    calls: 'iopl ioperm',
  },
  {
    capabilities: ['CAP_SYS_TIME'],
    purpose: 'setting clocks',
    why: 'the clocks are those of the machine',
    calls: 'settimeofday stime clock_settime clock_settime64',
  },
  {
    capabilities: ['CAP_SYS_TTY_CONFIG'],
    purpose: 'hanging up terminals',
    why: 'acts on the terminal of others',
    calls: 'vhangup',
  },
  {
    capabilities: ['CAP_SYS_NICE'],
    purpose: 'placing memory on nodes',
    why: 'takes memory of chosen nodes from others',
    calls: 'mbind get_mempolicy set_mempolicy set_mempolicy_home_node',
  },
];

/** Filtered by argument or capability in default-profile.ts, which says how. */
export const filtered: readonly string[] = ['clone', 'clone3', 'personality', 'socket', 'socketcall'];

/** Refused with EPERM, whoever asks. */
export const forbidden: readonly CallGroup[] = [
  {
    purpose: "the kernel's keyrings",
    why: 'keys of the host and of other containers are in them: there is no namespace for keyrings',
    calls: 'add_key request_key keyctl',
  },
  {
    purpose: 'io_uring',
    why: 'makes system calls that no filter sees, and was the way out of containers often',
    calls: 'io_uring_setup io_uring_enter io_uring_register',
  },
  {
    purpose: 'handling page faults',
    why: 'holds the kernel still in the middle of a copy, which turns small races into usable ones',
    calls: 'userfaultfd',
  },
  {
    purpose: 'another kernel, swap, the root of the machine',
    why: 'is the business of the machine, not of a container, even of a mighty one',
    calls: 'kexec_load kexec_file_load swapon swapoff pivot_root',
  },
  {
    purpose: "other processes' memory placement",
    why: 'moves pages between memory nodes for others',
    calls: 'migrate_pages move_pages',
  },
  {
    purpose: 'hardware',
    why: '16-bit mode of the processor, configuration space of the PCI bus',
    calls: 'vm86 vm86old pciconfig_iobase pciconfig_read pciconfig_write',
  },
  {
    purpose: 'replaced long ago',
    why: 'nothing current uses them; most have been taken out of the kernel',
    calls: `_sysctl sysfs ustat uselib nfsservctl create_module get_kernel_syms query_module bdflush vserver getpmsg putpmsg
      afs_syscall tuxcall security oldstat oldfstat oldlstat readdir olduname oldolduname sgetmask ssetmask break stty gtty
      ftime prof lock mpx ulimit profil idle usr26 usr32 get_tls`,
  },
];

/** Known, and left for later: ENOSYS, as whatever is newer than the newest call that the profile names. */
export const tooNew: CallGroup = {
  purpose: 'attributes of files beyond those of stat',
  why: 'new; programs have the same by ioctl',
  calls: 'file_getattr file_setattr',
};

/** The names of a group. */
export function callsOf(group: CallGroup): string[] {
  return group.calls.trim().split(/\s+/);
}
