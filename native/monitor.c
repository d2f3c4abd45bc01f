/* The parent of a container: runs its start program, then moves bytes, waits, writes down how it ended and sees to it
 * that somebody cleans up. One loop around ppoll(2), no memory but what is declared here; sleeps unless there is work. */
#include "modes.h"
#include "client.h"
#include "log.h"
#include "supervisor.h"

#define ROUNDS 16     /* reads in a row from one output, before others get their turn */
#define SILENCE 100   /* milliseconds after the exit that somebody else who holds an output may be silent, */
#define DRAIN 1000    /* and may write at all */

enum { POLL_SIGNALS, POLL_LISTEN, POLL_STDIN, POLL_RESYNC, POLL_HEALTH, POLL_OUTPUT = POLL_HEALTH + 2, POLL_CLIENTS = POLL_OUTPUT + 2 };

struct supervisor self = { .pid = -1, .status = -1, .last_status = -1 };

static int signals = -1, listening = -1;
static int recorded, settled; /* the end of this run is written down; its clients know it too */
static int again;	      /* another run follows */
static int left[2];	    /* bytes that were in an output when the process ended */

static __attribute__((noreturn)) void refuse(int error)
{
	tell_error(FD_SYNC, PROGRAM_NONE, 0, error);
	quit(1);
}

int inside(struct program_header *program, u32 offset, u32 width)
{
	u64 size = program->size - program->memory_offset;

	return offset <= size && width <= size - offset;
}

/* A descriptor or pid that the program stored; -1 where the configuration names none. */
int slot(struct program_header *program, u32 offset)
{
	s32 value = -1;

	if (inside(program, offset, sizeof(value)))
		__builtin_memcpy(&value, program_memory(program) + offset, sizeof(value));
	return value;
}

static int own(int fd)
{
	/* ours alone: the container has the other end, or the pty's other side */
	if (fd >= 0)
		SYS(fcntl, fd, F_SETFL, O_NONBLOCK);
	return fd;
}

void take_container(struct program_header *program)
{
	const struct monitor_config *config = &self.config;

	container.in = own(slot(program, config->stdin_fd));
	container.out[0] = own(slot(program, config->stdout_fd));
	container.out[1] = own(slot(program, config->stderr_fd));
	container.in_eof = 0;
	if (config->rows > 0) {
		struct winsize size = { .ws_row = config->rows, .ws_col = config->columns };
		SYS(ioctl, container.out[0], TIOCSWINSZ, &size);
	}
}

/* From the program that comes to fd 3 to a running container whose ends we hold. */
static void start_container(void)
{
	struct monitor_config *config = &self.config;
	struct program_header *program;
	u8 keys[KEYS_MAX] = { 0 }, word;
	int error;

	/* Our maker writes the program while we come up, and says when it is there. */
	if (SYS(read, FD_SYNC, &word, 1) != 1)
		quit(1);
	error = load_program(FD_PROGRAM, &program);
	if (error < 0)
		refuse(-error);
	if (!inside(program, program->config_offset, sizeof(*config)))
		refuse(ENOEXEC);
	memcpy(config, program_memory(program) + program->config_offset, sizeof(*config));
	if (config->version != MONITOR_VERSION || config->detach_keys_length > KEYS_MAX)
		refuse(ENOEXEC);
	if (config->detach_keys_length > 0) {
		if (!inside(program, config->detach_keys, config->detach_keys_length))
			refuse(ENOEXEC);
		memcpy(keys, program_memory(program) + config->detach_keys, config->detach_keys_length);
	}
	if (config->journal != PROGRAM_NONE && !inside(program, config->journal, 1))
		refuse(ENOEXEC);
	if (config->reap_argv != PROGRAM_NONE &&
	    (!inside(program, config->reap_argv, 8) || !inside(program, config->reap_envp, 8)))
		refuse(ENOEXEC);

	/* Whatever else our maker had open by accident must not live as long as we do. */
	SYS(close_range, FD_FIRST_PORT + config->port_count, ~0u, 0);
	self.oom_kills = cgroup_number("memory.events", "oom_kill ", 9);
	error = run_program(program);
	self.pid = slot(program, config->pid);
	if (error < 0) {
		if (self.pid > 0)
			SYS(kill, self.pid, SIGKILL);
		quit(1);
	}
	container.flags = config->flags;
	take_container(program);
	self.started = now();
	/* From here on the container may run, and nobody waits for our part of the start. */
	reserve(FD_SYNC);
	SYS(munmap, program, program->size);
	SYS(chdir, "/");

	if (config->flags & MONITOR_RECORD)
		reserve_exit();
	if (config->flags & MONITOR_LOG)
		log_open(FD_DIRECTORY, config->log_max_size, config->log_max_files);
	if (config->flags & MONITOR_FOREGROUND) {
		struct client *primary = client_add(FD_CONTROL);

		primary->primary = primary->reaps = 1;
		client_attach(primary, (const int[]){ FD_STDIN, FD_STDOUT, FD_STDERR }, config->flags, keys,
			      config->detach_keys_length);
	}
}

static void close_output(int s)
{
	if (container.flags & MONITOR_TTY)
		stdin_close();
	close_fd(&container.out[s]);
}

/* Also where nobody listens: a container must never wait for a reader that does not exist. */
static void read_output(int s)
{
	for (int round = 0; round < ROUNDS; round++) {
		u32 room = clients_room(s);
		long n;

		if (room == 0)
			return;
		n = SYS(read, container.out[s], chunk, room);
		if (n == -EAGAIN)
			return;
		if (n <= 0) { /* 0: all writers are gone; EIO: the same of a terminal */
			close_output(s);
			return;
		}
		if (self.status >= 0)
			left[s] -= (int)n;
		log_output(s, chunk, (u64)n);
		clients_give(s, chunk, (u32)n);
	}
}

/* Others can hold an output longer than the process that ended: what was in the pipe is read in any case. */
static void container_ended(int wait_status)
{
	if (resync >= 0)
		restart_continue();
	resync_close();
	/* What was made for a restart and never executed was no run: how the one before ended is what is told. */
	self.status = self.beginning ? self.last_status : wait_status;
	self.ended = now();
	self.oom_killed = !self.beginning && cgroup_number("memory.events", "oom_kill ", 9) > self.oom_kills;
	recorded = settled = 0;
	health_end();
	stdin_close();
	left[0] = left[1] = 0;
	for (int s = 0; s < 2; s++)
		if (!(container.flags & MONITOR_TTY))
			SYS(ioctl, container.out[s], FIONREAD, &left[s]);
}

/* `stop` and `kill` say by a file that no policy holds any more; a signal has us look, or a message says it. */
void look_at_stop(void)
{
	if (!stopped('f'))
		return;
	if (self.status < 0 && self.beginning)
		SYS(kill, self.pid, SIGKILL);
	else if (self.status >= 0 && again && recorded) {
		again = 0;
		write_exit();
	}
}

static void read_signals(void)
{
	struct signalfd_siginfo info;
	int child, wait_status;

	while (SYS(read, signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM && self.status < 0)
			SYS(kill, self.pid, SIGTERM);
		else if (info.ssi_signo == SIGUSR1)
			look_at_stop();
	}
	/* as a subreaper also for what the container left to us (--pid=host) */
	while ((child = (int)SYS(wait4, -1, &wait_status, WNOHANG | __WALL, NULL)) > 0)
		if (!health_ended(child, wait_status) && child == self.pid && self.status < 0)
			container_ended(wait_status);
}

static void accept_client(void)
{
	struct ucred peer = { 0, ~0u, ~0u };
	u32 size = sizeof(peer);
	int fd = (int)SYS(accept4, listening, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (SYS(getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid != 0 && peer.uid != (u32)SYS(geteuid))) {
		SYS(close, fd);
		return;
	}
	client_add(fd);
}

/* What comes next is decided when the end is written down. */
static void record_end(void)
{
	again = !self.beginning && restart_wanted();
	if (again) {
		self.last_status = self.status;
		write_run(1);
		cgroup_clear();
	} else if (self.config.flags & MONITOR_RECORD) {
		write_exit(); /* also while a client that sleeps keeps us from reading the rest */
	}
	if (!self.beginning) {
		if (self.oom_killed)
			event("oom", 0);
		event("die", 1);
	}
	recorded = 1;
}

/* The steps after the exit, as far as they can be taken now: the rest of the output, the record, the clients. `silent`:
 * nothing came for a while. Returns 1 when nobody is left to wait for. */
static int wind_up(int silent)
{
	int late = now() - self.ended > DRAIN, waiting = 0;

	for (int s = 0; s < 2; s++)
		if (container.out[s] >= 0 && left[s] <= 0 && (silent || late))
			close_output(s);
	if (container.out[0] < 0 && container.out[1] < 0)
		late = 1;
	if (late && !recorded)
		record_end();
	if (container.out[0] >= 0 || container.out[1] >= 0)
		return 0;

	for (struct client *c = clients; c < clients + CLIENTS; c++) {
		if (c->control < 0)
			continue;
		if (!client_pending(c) && !c->told_exit) {
			client_tell(c, CONTROL_EXITED, exit_status((u32)self.status),
				    (self.oom_killed ? EXITED_OOM : 0) | (again ? EXITED_RESTARTS : 0));
			c->told_exit = 1;
			if (again || !c->reaps || self.config.reap_argv == PROGRAM_NONE)
				client_drop(c);
		}
		waiting |= c->control >= 0;
	}
	return !waiting;
}

/* Becomes the command that cleans up, with the lock and nothing else of ours. */
static void reap(void)
{
	struct program_header *program;
	char **argv;

	if (self.config.reap_argv == PROGRAM_NONE || load_program(FD_PROGRAM, &program) < 0)
		return;
	argv = (char **)(program_memory(program) + self.config.reap_argv);
	SYS(close_range, 0, FD_LOCK - 1, 0);
	SYS(close_range, FD_LOCK + 1, ~0u, 0);
	for (int i = 0; i < 3; i++)
		SYS(openat, AT_FDCWD, "/dev/null", O_RDWR);
	SYS(fcntl, FD_LOCK, F_SETFD, 0);
	set_signal_mask(0);
	SYS(execve, argv[0], argv, program_memory(program) + self.config.reap_envp);
}

static void watch(struct pollfd *fds)
{
	fds[POLL_SIGNALS] = (struct pollfd){ signals, POLLIN, 0 };
	fds[POLL_LISTEN] = (struct pollfd){ self.status < 0 || again ? listening : -1, POLLIN, 0 };
	fds[POLL_STDIN] = (struct pollfd){ container.in_queue.end > 0 ? container.in : -1, POLLOUT, 0 };
	fds[POLL_RESYNC] = (struct pollfd){ resync, POLLIN, 0 };
	for (int s = 0; s < 2; s++) {
		fds[POLL_HEALTH + s] = (struct pollfd){ health_watch(s), POLLIN, 0 };
		fds[POLL_OUTPUT + s] = (struct pollfd){ clients_room(s) > 0 ? container.out[s] : -1, POLLIN, 0 };
	}
	for (int i = 0; i < CLIENTS; i++)
		client_watch(clients + i, fds + POLL_CLIENTS + 4 * i);
}

/* Milliseconds that the loop may sleep, -1 for ever. */
static int patience(void)
{
	int draining = self.status >= 0 && (container.out[0] >= 0 || container.out[1] >= 0), stalling = 0;
	int limit = draining ? SILENCE : health_timeout();

	for (struct client *c = clients; c < clients + CLIENTS; c++) {
		if (c->control < 0 || c->primary || !client_pending(c))
			continue;
		if (now() - c->progress > STALL)
			client_drop(c);
		else
			stalling = 1;
	}
	if (stalling && (limit < 0 || limit > SILENCE))
		limit = SILENCE;
	if (self.status >= 0 && again && settled)
		limit = restart_delay();
	return limit;
}

/* Goes on after the end of a run. Returns 1 when it was the last one and nobody is left to wait for. */
static int run_ended(int silent)
{
	if (!settled)
		settled = wind_up(silent);
	if (!settled || !again)
		return settled;
	if (restart_delay() > 0 || restart_begin() == 0)
		return 0;
	again = 0;
	write_exit();
	return 1;
}

int run_monitor(void)
{
	struct pollfd fds[POLL_CLIENTS + 4 * CLIENTS];
	u64 wanted = 1ul << (SIGCHLD - 1) | 1ul << (SIGTERM - 1) | 1ul << (SIGUSR1 - 1);
	struct statx stat = { 0 };

	/* A signal that is blocked and not taken does nothing: so HUP, INT and the like end nobody's container. */
	set_signal_mask(~0ul);
	ignore_no_signal();
	SYS(setsid);
	SYS(prctl, PR_SET_NAME, "tsrun-monitor");
	SYS(prctl, PR_SET_DUMPABLE, 0);
	SYS(prctl, PR_SET_CHILD_SUBREAPER, 1);
	start_container();
	signals = (int)SYS(signalfd4, -1, &wanted, sizeof(wanted), O_NONBLOCK | O_CLOEXEC);
	SYS(statx, FD_LISTEN, "", AT_EMPTY_PATH, STATX_TYPE, &stat);
	if ((stat.stx_mode & S_IFMT) == S_IFSOCK)
		listening = FD_LISTEN;
	health_open();
	health_begin();

	for (;;) {
		int limit = patience(), ready;
		struct __kernel_timespec timeout = { limit / 1000, limit % 1000 * 1000000l };

		watch(fds);
		ready = (int)SYS(ppoll, fds, sizeof(fds) / sizeof(*fds), limit >= 0 ? &timeout : NULL, NULL, 8);
		if (fds[POLL_RESYNC].revents)
			restart_continue();
		if (fds[POLL_SIGNALS].revents)
			read_signals();
		health_step();
		for (int s = 0; s < 2; s++)
			if (fds[POLL_OUTPUT + s].revents)
				read_output(s);
		if (fds[POLL_STDIN].revents)
			stdin_flush();
		for (int i = 0; i < CLIENTS; i++)
			if (client_ready(clients + i, fds + POLL_CLIENTS + 4 * i))
				return 0; /* CONTROL_REAPED */
		if (fds[POLL_LISTEN].revents)
			accept_client();
		if (self.status >= 0 && run_ended(ready == 0))
			break;
	}
	reap();
	return 0;
}
