/* The health check (docker's rules): an exec program on a clock, its output, and what its results make of the container.
 * health.json is this process's own file, in the form of docker's State.Health. */
#include "supervisor.h"
#include "client.h"
#include "log.h"

#define OUTPUT_MAX 4096 /* bytes of a result that are kept */
#define RESULTS 5
#define ROUNDS 16 /* reads in a row from one output: a check that never stops writing keeps nobody else waiting */
#define TIME_SIZE 30

enum { STARTING, HEALTHY, UNHEALTHY };

/* In a mapping of its own, which exists only where there is a check. */
struct result {
	char start[TIME_SIZE + 1], end[TIME_SIZE + 1];
	int exit_code, size, more, timed_out;
	u8 output[OUTPUT_MAX];
};

static struct health_config check;
static struct result *results;
static u32 count; /* of results, ever */
static int present, state, streak;
static int pid, out[2] = { -1, -1 }; /* of the check that runs */
static u64 next, deadline;	       /* milliseconds; 0: none */

static struct result *current(void)
{
	return results + count % RESULTS;
}

void health_open(void)
{
	struct program_header *program;
	long address;

	if (load_program(FD_HEALTH, &program) < 0)
		return; /* /dev/null: no check */
	if (inside(program, program->config_offset, sizeof(check))) {
		memcpy(&check, program_memory(program) + program->config_offset, sizeof(check));
		address = SYS(mmap, NULL, RESULTS * sizeof(*results), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		present = check.version == MONITOR_VERSION && inside(program, check.target, 4) && address > 0;
		results = (void *)address;
	}
	SYS(munmap, program, program->size);
}

/* In the start period a container that was never healthy is asked more often (docker since version 25). */
static u32 interval(void)
{
	u64 age = now() - self.started;

	if (age >= check.start_period)
		return check.interval;
	if (check.start_period - age < check.interval)
		return (u32)(check.start_period - age) + 1;
	return state == STARTING ? check.start_interval : check.interval;
}

/* The length of the UTF-8 sequence at `data`; 0 where there is none. */
static u32 sequence(const u8 *data, u32 left)
{
	u32 length = data[0] < 0x80 ? 1 : data[0] >= 0xc2 && data[0] < 0xe0 ? 2 : data[0] >= 0xe0 && data[0] < 0xf0 ? 3 :
		     data[0] >= 0xf0 && data[0] < 0xf5 ? 4 : 0;

	if (length > left)
		return 0;
	for (u32 i = 1; i < length; i++)
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	/* neither longer than needed, nor a surrogate, nor beyond the last character */
	if ((data[0] == 0xe0 && data[1] < 0xa0) || (data[0] == 0xed && data[1] >= 0xa0) || (data[0] == 0xf0 && data[1] < 0x90) ||
	    (data[0] == 0xf4 && data[1] >= 0x90))
		return 0;
	return length;
}

static char *put_json(char *at, const u8 *data, u32 size)
{
	static const char hex[] = "0123456789abcdef";

	for (u32 i = 0; i < size;) {
		u32 length = sequence(data + i, size - i);

		if (length == 0) {
			at = put_text(at, "\\ufffd");
			i++;
		} else if (length == 1 && (data[i] < 0x20 || data[i] == '"' || data[i] == '\\')) {
			at = put_text(at, "\\u00");
			*at++ = hex[data[i] >> 4];
			*at++ = hex[data[i] & 15];
			i++;
		} else {
			memcpy(at, data + i, length);
			at += length;
			i += length;
		}
	}
	return at;
}

static char *put_result(char *at, const struct result *result)
{
	at = put_text(put_text(at, "{\"Start\":\""), result->start);
	at = put_text(put_text(at, "\",\"End\":\""), result->end);
	at = put_text(at, result->exit_code < 0 ? "\",\"ExitCode\":-" : "\",\"ExitCode\":");
	at = put_number(at, (u64)(result->exit_code < 0 ? -result->exit_code : result->exit_code));
	at = put_text(at, ",\"Output\":\"");
	if (result->timed_out) {
		u32 seconds = check.timeout / 1000, thousandths = check.timeout % 1000;

		at = put_number(put_text(at, "Health check exceeded timeout ("), seconds > 0 ? seconds : thousandths);
		at = put_text(put_text(at, seconds > 0 ? "s)" : "ms)"), result->size > 0 ? ": " : "");
	}
	at = put_json(at, result->output, (u32)result->size);
	return put_text(at, result->more ? "...\"}" : "\"}");
}

static void write_health(void)
{
	static const char *const names[] = { "starting", "healthy", "unhealthy" };
	u32 first = count < RESULTS ? 0 : count - RESULTS;
	/* client.c's buffer is free between two reads; a result of 4 KiB is at most six times that in JSON */
	char *at = put_text((char *)chunk, "{\"Status\":\"");
	int whole = 1; /* what a full disk has cut must not take the place of what was there */
	int fd = (int)SYS(openat, FD_DIRECTORY, "health.json.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	at = put_text(at, names[state]);
	at = put_number(put_text(at, "\",\"FailingStreak\":"), (u64)streak);
	at = put_text(at, ",\"Log\":[");
	for (u32 i = first; i < count; i++) {
		at = put_result(at, results + i % RESULTS);
		if (i + 1 < count)
			*at++ = ',';
		whole &= SYS(write, fd, chunk, at - (char *)chunk) == at - (char *)chunk;
		at = (char *)chunk;
	}
	at = put_text(at, "]}\n");
	if (SYS(write, fd, chunk, at - (char *)chunk) == at - (char *)chunk && whole)
		SYS(renameat, FD_DIRECTORY, "health.json.tmp", FD_DIRECTORY, "health.json");
	close_fd(&fd);
}

void health_begin(void)
{
	if (!present)
		return;
	state = STARTING;
	streak = 0;
	next = now() + interval();
	write_health();
}

void health_end(void)
{
	next = deadline = 0;
	if (pid > 0)
		SYS(kill, pid, SIGKILL);
	pid = 0;
	close_fd(&out[0]);
	close_fd(&out[1]);
}

/* Whether the container's process has executed its command: until then it goes by the name of this one. */
static int is_set_up(void)
{
	static const char own[] = "tsrun-monitor";
	char path[32], name[sizeof(own)] = { 0 };
	int fd;

	*put_text(put_number(put_text(path, "/proc/"), (u64)self.pid), "/cmdline") = 0;
	fd = (int)SYS(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	SYS(read, fd, name, sizeof(name));
	close_fd(&fd);
	return __builtin_memcmp(name, own, sizeof(own)) != 0;
}

static void begin_check(void)
{
	struct program_header *program;
	struct result *result = current();
	int target, error = 0;

	next = 0;
	if (!is_set_up() || cgroup_number("cgroup.events", "frozen ", 7) != 0) { /* or paused */
		next = now() + interval();
		return;
	}
	*put_time(result->start) = 0;
	result->size = result->more = result->timed_out = 0;
	deadline = now() + check.timeout;
	/* The process is our child, and not waited for: its pid is nobody else's. */
	target = (int)SYS(pidfd_open, self.pid, 0);
	if (load_program(FD_HEALTH, &program) == 0) {
		__builtin_memcpy(program_memory(program) + check.target, &target, 4);
		error = run_program(program);
		pid = slot(program, check.pid);
		out[0] = slot(program, check.stdout_fd);
		out[1] = slot(program, check.stderr_fd);
		SYS(munmap, program, program->size);
	}
	close_fd(&target);
	for (int s = 0; s < 2; s++)
		if (out[s] >= 0)
			SYS(fcntl, out[s], F_SETFL, O_NONBLOCK);
	if (error < 0 || pid <= 0)
		health_end(), next = now() + interval();
}

static void read_check(int s)
{
	struct result *result = current();

	for (int round = 0; round < ROUNDS; round++) {
		long n = SYS(read, out[s], chunk, QUEUE_SIZE);
		long room = OUTPUT_MAX - result->size, kept = n < room ? n : room;

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			close_fd(&out[s]);
			return;
		}
		memcpy(result->output + result->size, chunk, (u64)kept);
		result->size += (int)kept;
		result->more |= n > kept;
	}
}

static void act(void)
{
	if (check.on_failure == HEALTH_NONE || state != UNHEALTHY)
		return;
	self.restart_asked = check.on_failure == HEALTH_RESTART;
	SYS(kill, self.pid, SIGKILL);
}

int health_ended(int child, int wait_status)
{
	struct result *result;
	int before = state, failed;

	if (!present || pid <= 0 || child != pid)
		return 0;
	for (int s = 0; s < 2; s++)
		if (out[s] >= 0)
			read_check(s);
	pid = 0;
	health_end();
	result = current();
	*put_time(result->end) = 0;
	result->exit_code = result->timed_out ? -1 : exit_status((u32)wait_status);
	failed = result->exit_code != 0;
	if (!failed) {
		streak = 0;
		state = HEALTHY;
	} else if (state != STARTING || now() - self.started >= check.start_period) {
		if (++streak >= (int)check.retries)
			state = UNHEALTHY;
	}
	count++;
	write_health();
	if (state != before)
		event(state == HEALTHY ? "health_status: healthy" : "health_status: unhealthy", 0);
	next = now() + interval();
	act();
	return 1;
}

int health_timeout(void)
{
	u64 time = now(), at = pid > 0 ? deadline : next;

	if (at == 0)
		return -1;
	return at > time ? (int)(at - time) : 0;
}

int health_watch(int s)
{
	return pid > 0 ? out[s] : -1;
}

void health_step(void)
{
	if (pid > 0) {
		for (int s = 0; s < 2; s++)
			if (out[s] >= 0)
				read_check(s);
		if (deadline > 0 && now() >= deadline) {
			current()->timed_out = 1;
			SYS(kill, pid, SIGKILL);
			deadline = 0;
		}
	} else if (next > 0 && now() >= next && self.status < 0) {
		begin_check();
	}
}
