/* The monitor: parent of a container that outlives the command line. src/container/monitor.ts speaks to it; a test
 * holds the two sides together. It is started by exec of a sealed memfd with this layout of descriptors: */
#ifndef TSRUN_MONITOR_H
#define TSRUN_MONITOR_H
#include "program.h"

enum {
	FD_STDIN = 0, /* of the foreground client, or /dev/null; the monitor copies between these */
	FD_STDOUT = 1, /* and the container itself, so that the data never passes through JavaScript */
	FD_STDERR = 2,
	FD_PROGRAM = 3,	  /* the memfd with the program and this configuration, sealed when a byte comes from FD_SYNC */
	FD_SYNC = 4,	  /* SOCK_SEQPACKET, see program.h; the monitor closes it when the program reached OP_END */
	FD_CONTROL = 5,	  /* SOCK_STREAM to the foreground client, or /dev/null: struct control_message both ways */
	FD_DIRECTORY = 6, /* the container's directory: exit record and logs are written here; or /dev/null */
	FD_LOCK = 7,	  /* flock of the container's record, held as long as this process lives; kept over exec of reap */
	FD_CGROUP = 8,	  /* the cgroup's directory, or /dev/null */
	FD_NETNS = 9,	  /* keeps the network namespace; or /dev/null */
	FD_LISTEN = 10,	  /* unix SOCK_STREAM that listens for further clients; or /dev/null */
	FD_RESYNC = 11, /* at first /dev/null, or where the program is traced to; in a restart the monitor's own end of a new sync socket, which the child closes */
	FD_HEALTH = 12, /* sealed memfd with the program of the health check; or /dev/null */
	FD_FIRST_PORT = 13, /* bound sockets of published ports, config.port_count of them: only held */
};

/* monitor_config.flags */
#define MONITOR_TTY 1u		/* one pty master instead of pipes */
#define MONITOR_STDIN 2u	/* the container's stdin is kept open and fed by clients */
#define MONITOR_STDIN_ONCE 4u	/* it is closed when no client feeds it any more; a terminal is not */
#define MONITOR_FOREGROUND 8u	/* descriptors 0-2 and 5 are a client: the primary one */
#define MONITOR_LOG 16u		/* copy output to container.log in FD_DIRECTORY */
#define MONITOR_RECORD 32u	/* write exit.json into FD_DIRECTORY */
#define MONITOR_ATTACH_STDIN 64u  /* of the foreground client: which of its descriptors are connected */
#define MONITOR_ATTACH_STDOUT 128u
#define MONITOR_ATTACH_STDERR 256u

#define MONITOR_VERSION 2u

struct monitor_config {
	u32 version;
	u32 flags;
	/* offsets into the memory block, where the program's parent side stores 32-bit values */
	u32 pid;       /* of a child that clone3 made with exit_signal SIGCHLD */
	u32 stdin_fd;  /* write end of the container's stdin; with MONITOR_TTY the pty master; PROGRAM_NONE: none */
	u32 stdout_fd; /* read ends; with MONITOR_TTY stdout_fd == stdin_fd and stderr_fd is PROGRAM_NONE */
	u32 stderr_fd;
	u32 reap_argv; /* argv and envp (relocated pointers) of the command that cleans up; PROGRAM_NONE: none */
	u32 reap_envp;
	u32 port_count;
	u32 log_max_files; /* container.log, container.log.1, … */
	u32 detach_keys;   /* offset of the bytes of the detach sequence, e.g. 0x10 0x11 */
	u32 detach_keys_length; /* at most 16; they are looked for with MONITOR_TTY only */
	u16 rows, columns; /* initial window size, set when the parent's side of the program is done; 0: leave it */
	u32 restart_policy; /* RESTART_*; `update` changes it by CONTROL_POLICY */
	u64 log_max_size;  /* bytes */
	u32 restart_max;   /* restarts of on-failure; 0: no end */
	u32 journal;	   /* path of the journal of events, with a NUL; PROGRAM_NONE: none */
	/* What an event of this container has behind its first action and behind its second, with a line end between:
	 *   ","id":"…","from":"…","Type":"container","Action":"
	 *   ","Actor":{"ID":"…","Attributes":{"image":"…","name":"…"
	 * A file "event" in FD_DIRECTORY takes its place: `rename` writes it. */
	u32 event;
	u32 event_length;
};

enum { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_UNLESS_STOPPED };
#define RESTART_DELAY 100      /* milliseconds before the first restart; twice that before the next, and so on */
#define RESTART_DELAY_MAX 60000
#define RESTART_QUIET 10000    /* a run of this length makes the next delay the first again */

/* The configuration in the program at FD_HEALTH, an exec program whose slots these are. Times in milliseconds. */
struct health_config {
	u32 version; /* MONITOR_VERSION */
	u32 target;  /* where the number of the first process's pidfd is put before it runs */
	u32 pid, stdout_fd, stderr_fd;
	u32 interval, timeout, start_period, start_interval;
	u32 retries;
	u32 on_failure; /* HEALTH_* */
	u32 reserved;
};

enum { HEALTH_NONE, HEALTH_KILL, HEALTH_RESTART };

/* A file "stop" in FD_DIRECTORY says that the container was stopped: 'm' in it by hand, 'f' that no policy holds any
 * more. SIGUSR1 has the monitor look at it. CONTROL_STOP says the same where the file cannot be written. */
enum { STOP_MANUAL = 1, STOP_FINAL = 2 };

/* Messages on FD_CONTROL and on connections of FD_LISTEN; payload of `length` bytes follows. */
struct control_message {
	u32 kind;
	s32 a, b;
	u32 length;
};
/* client -> monitor */
#define CONTROL_RESIZE 1u /* a rows, b columns */
#define CONTROL_REAPED 2u /* the primary client, or one with a CLAIM, has cleaned up after EXITED: the monitor just ends */
#define CONTROL_HOLD_STDIN 4u /* a 1: the client was stopped (Ctrl-Z), leave its stdin alone; a 0: read it again */
#define CONTROL_ATTACH 3u /* first on a new connection; SCM_RIGHTS stdin, stdout, stderr; a: MONITOR_ATTACH_* flags; payload: detach keys */
#define CONTROL_POLICY 5u /* a: RESTART_*, b: restart_max; answered by DONE */
#define CONTROL_FREEZE 6u /* a 1: the cgroup is frozen until a 0, or until this client leaves; answered by DONE */
#define CONTROL_CLAIM 7u /* this client will clean up after EXITED, no command is to be executed; answered by DONE, a 1: granted */
#define CONTROL_STOP 8u /* a: STOP_*, in the place of a file "stop" that could not be written; answered by DONE */
/* monitor -> client */
#define CONTROL_EXITED 16u /* a: exit status 0-255 (128+n for signal n), b: EXITED_* */
#define EXITED_OOM 1 /* the kernel's OOM killer struck */
#define EXITED_RESTARTS 2 /* the policy starts it again: there is nothing to clean up, and the client is dropped */
#define CONTROL_DETACHED 17u /* the detach keys were typed; the client's descriptors are closed */
#define CONTROL_BROKEN 18u /* output a (1 or 2) could not be written, errno b (EPIPE: its reader left); the rest goes on */
#define CONTROL_DONE 19u

#endif
