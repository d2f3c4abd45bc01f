/* The restart policy (docker's rules): whether a container that has ended runs again, and when. A fresh mapping of the
 * program is a fresh copy; this process then plays the other side of the sync socket too, as src/container/launch.ts did
 * the first time. Network namespace, ports, cgroup and log are still ours. */
#include "supervisor.h"
#include "client.h"

int resync = -1;

static u64 delay, next_run; /* milliseconds */
static int released;	    /* the new process may execute its command */

void reserve(int number)
{
	int null = (int)SYS(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);

	SYS(dup3, null, number, O_CLOEXEC);
	if (null != number)
		close_fd(&null);
}

/* No descriptor of the program may get a number that the layout has a meaning for: clients have left some free. */
static void fill_layout(void)
{
	int null;

	do
		null = (int)SYS(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	while (null >= 0 && null < FD_FIRST_PORT);
	close_fd(&null);
}

void resync_close(void)
{
	if (resync >= 0)
		reserve(FD_RESYNC);
	resync = -1;
}

void policy_set(u32 policy, u32 max_retries)
{
	self.config.restart_policy = policy;
	self.config.restart_max = max_retries;
}

int stopped(char letter)
{
	char text[32];
	u32 told = letter == 'm' ? STOP_MANUAL : STOP_FINAL;
	int fd = (int)SYS(openat, FD_DIRECTORY, "stop", O_RDONLY | O_CLOEXEC);
	long size = fd < 0 ? 0 : SYS(read, fd, text, sizeof(text));

	close_fd(&fd);
	for (long i = 0; i < size; i++)
		if (text[i] == letter)
			return 1;
	return (self.stop_told & told) != 0;
}

static int policy_holds(void)
{
	switch (self.config.restart_policy) {
	case RESTART_ALWAYS:
		return 1;
	case RESTART_UNLESS_STOPPED:
		return !stopped('m');
	case RESTART_ON_FAILURE:
		return exit_status((u32)self.status) != 0 &&
		       (self.config.restart_max == 0 || self.restarts < self.config.restart_max);
	default:
		return 0;
	}
}

int restart_wanted(void)
{
	if ((!policy_holds() && !self.restart_asked) || stopped('f'))
		return 0;
	self.restart_asked = 0;
	if (delay == 0 || self.ended - self.started >= RESTART_QUIET)
		delay = RESTART_DELAY;
	else if (delay < RESTART_DELAY_MAX)
		delay = delay * 2 < RESTART_DELAY_MAX ? delay * 2 : RESTART_DELAY_MAX;
	next_run = now() + delay;
	self.restarts++;
	return 1;
}

int restart_delay(void)
{
	u64 time = now();

	return next_run > time ? (int)(next_run - time) : 0;
}

int restart_begin(void)
{
	struct program_header *program;
	int pair[2], error;

	if (!cgroup_clear()) { /* somebody is still dying */
		next_run = now() + RESTART_DELAY;
		return 0;
	}
	self.failed_error = ENOMEM;
	self.failed_operation = 0;
	fill_layout();
	if (SYS(socketpair, 1 /* AF_UNIX */, 5 /* SOCK_SEQPACKET */ | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	/* On descriptors that are ours by layout: the child's program knows their numbers. */
	SYS(dup3, pair[0], FD_RESYNC, O_CLOEXEC);
	SYS(dup3, pair[1], FD_SYNC, O_CLOEXEC);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
	resync = FD_RESYNC;
	released = 0;
	self.beginning = 1;
	if (load_program(FD_PROGRAM, &program) < 0)
		return -1;
	self.failed_error = 0;
	self.oom_kills = cgroup_number("memory.events", "oom_kill ", 9);
	error = run_program(program);
	reserve(FD_SYNC);
	self.pid = slot(program, self.config.pid);
	if (self.pid > 0) {
		self.status = -1;
		take_container(program);
	}
	SYS(munmap, program, program->size);
	if (error < 0) { /* its message waits at our end */
		restart_continue();
		if (self.pid > 0)
			SYS(kill, self.pid, SIGKILL);
	}
	if (self.pid > 0)
		return 0;
	resync_close();
	return -1;
}

void restart_continue(void)
{
	struct program_error message;
	u8 byte = 1;
	long n;

	while ((n = SYS(recvfrom, resync, &message, sizeof(message), MSG_DONTWAIT, NULL, NULL)) == sizeof(message)) {
		if (message.kind == MESSAGE_ERROR) {
			self.failed_operation = message.operation;
			self.failed_error = message.error > 0 ? message.error : EPROTO;
			resync_close(); /* nobody looks into the failed process: it may end */
			return;
		}
		if (message.kind == MESSAGE_STOP) /* who looked at the first run has gone */
			SYS(sendto, resync, &byte, 1, MSG_NOSIGNAL, NULL, 0);
		if (message.kind != MESSAGE_READY)
			continue;
		/* First the record, then the look: who stops it sees the process, or is seen here. */
		write_run(0);
		if (stopped('f'))
			SYS(kill, self.pid, SIGKILL);
		else
			released = SYS(sendto, resync, &byte, 1, MSG_NOSIGNAL, NULL, 0) == 1;
	}
	if (n == -EAGAIN)
		return;
	resync_close();
	if (!released)
		return;
	/* The end of the stream: the command was executed. */
	self.beginning = 0;
	self.started = now();
	record_started();
	event("start", 0);
	health_begin();
}
