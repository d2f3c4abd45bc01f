/* What the parts of the monitor know of the container together: monitor.c is its loop, restart.c the policy, health.c the
 * checks, record.c what is written down. */
#ifndef TSRUN_SUPERVISOR_H
#define TSRUN_SUPERVISOR_H
#include "monitor.h"
#include "sys.h"

struct supervisor {
	struct monitor_config config;
	int pid;
	int status;	   /* wait status of the last run, or -1 while it runs */
	int last_status;   /* of the run before */
	int beginning;	   /* a restart that has not come to execve yet */
	int restart_asked; /* by a health check, whatever the policy is */
	u32 stop_told;	   /* STOP_* */
	u32 restarts;
	u64 started, ended; /* milliseconds, of the last run */
	u64 oom_kills;	   /* of the cgroup, when the last run began */
	int oom_killed;
	/* of a restart that did not come to execve */
	u32 failed_operation;
	int failed_error;
};

extern struct supervisor self;

/* monitor.c: whether `width` bytes at `offset` lie in the program's memory; a descriptor or pid that the program stored
 * (-1 where the configuration names none); takes over what a program that ran has made of the container. */
int inside(struct program_header *program, u32 offset, u32 width);
int slot(struct program_header *program, u32 offset);
void take_container(struct program_header *program);
/* Acts on a "stop" that is new. */
void look_at_stop(void);

/* restart.c */
void policy_set(u32 policy, u32 max_retries);
/* Whether the run that ended is followed by another one; counts it and sets the clock. */
int restart_wanted(void);
/* Milliseconds until the next run, at least 1. */
int restart_delay(void);
/* Runs the program again. Returns 0, or -1 where no process came of it. */
int restart_begin(void);
/* The descriptor to wait for while the new process is set up, -1 otherwise; and what it says. */
extern int resync;
void restart_continue(void);
void resync_close(void);
/* Keeps a number of the layout from others: /dev/null takes it. */
void reserve(int number);
/* `stop` and `kill` have been here: 'm' by hand (unless-stopped ends), 'f' whatever the policy says. */
int stopped(char letter);

/* leftover.c: kills what is left in the cgroup and removes what it made there. Returns 1 when it is empty. */
int cgroup_clear(void);
void cgroup_freeze(int frozen);

/* record.c */
u64 cgroup_number(const char *file, const char *key, u64 key_length);
void reserve_exit(void); /* so that a full disk does not keep it from being written */
void write_exit(void);
void write_run(int waiting);
void record_started(void);
void event(const char *action, int with_exit_code);

/* health.c */
void health_open(void);
void health_begin(void); /* with each run */
void health_end(void);
int health_timeout(void); /* milliseconds, -1: none */
int health_watch(int s);  /* the descriptor of its stdout (0) or stderr (1), -1: none */
void health_step(void);
int health_ended(int child, int wait_status); /* 1: it was the check */

#endif
