/* What the monitor writes down: how a container ended, that it runs again, and the events that only the monitor sees. */
#include "supervisor.h"
#include "client.h"
#include "log.h"

#define EVENT_MAX 3584 /* with times and numbers a line stays below the 4 KiB that are written as a whole */
#define TIME_SIZE 30
#define EXIT_MAX 320
#define EXIT_TEMPORARY "exit.json.tmp"

static char finished[TIME_SIZE + 1], started_again[TIME_SIZE + 1];

/* The number behind a key in a file of `key number` lines; 0 where there is none. */
u64 cgroup_number(const char *file, const char *key, u64 key_length)
{
	char text[512], *at;
	u64 count = 0;
	int fd = (int)SYS(openat, FD_CGROUP, file, O_RDONLY | O_CLOEXEC);
	long size = fd < 0 ? 0 : SYS(read, fd, text, sizeof(text) - 1);

	close_fd(&fd);
	for (at = text; at + key_length < text + size; at++) {
		if (at > text && at[-1] != '\n')
			continue;
		if (memcmp(at, key, key_length) == 0)
			for (at += key_length; at < text + size && *at >= '0' && *at <= '9'; at++)
				count = count * 10 + (u64)(*at - '0');
	}
	return count;
}

static void write_file(const char *temporary, const char *name, const char *text, const char *end)
{
	int fd = (int)SYS(openat, FD_DIRECTORY, temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	/* Not cut off before it is written: the room that it has is kept. */
	if (SYS(write, fd, text, end - text) == end - text && SYS(ftruncate, fd, end - text) == 0)
		SYS(renameat, FD_DIRECTORY, temporary, FD_DIRECTORY, name);
	close_fd(&fd);
}

static char *put_end(char *at)
{
	at = put_number(put_text(at, "\"exitCode\":"), (u64)exit_status((u32)self.status));
	at = put_number(put_text(at, ",\"signal\":"), (u64)(self.status & 0x7f));
	at = put_text(put_text(at, ",\"oomKilled\":"), self.oom_killed ? "true" : "false");
	return put_text(put_text(put_text(at, ",\"finishedAt\":\""), finished), "\"");
}

void reserve_exit(void)
{
	char text[EXIT_MAX];
	int fd = (int)SYS(openat, FD_DIRECTORY, EXIT_TEMPORARY, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	memset(text, ' ', sizeof(text));
	SYS(write, fd, text, sizeof(text));
	close_fd(&fd);
}

void write_exit(void)
{
	char text[EXIT_MAX], *at = put_text(text, "{");

	if (!finished[0])
		put_time(finished);
	at = put_end(at);
	if (self.failed_error != 0) {
		at = put_number(put_text(at, ",\"failedStep\":"), self.failed_operation);
		at = put_number(put_text(at, ",\"failedErrno\":"), (u64)(self.failed_error > 0 ? self.failed_error : 0));
	}
	write_file(EXIT_TEMPORARY, "exit.json", text, put_text(at, "}\n"));
}

/* Field 22 of /proc/PID/stat: with the pid it names one process. The name in field 2 may hold anything. */
static char *put_start_time(char *at, int pid)
{
	char path[32], text[512], *field = text;
	int fd, left = 20;
	long size;

	*put_text(put_number(put_text(path, "/proc/"), (u64)pid), "/stat") = 0;
	fd = (int)SYS(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? 0 : SYS(read, fd, text, sizeof(text));
	close_fd(&fd);
	for (char *c = text; c < text + size; c++)
		if (*c == ')')
			field = c;
	for (; field < text + size && left > 0; field++)
		left -= *field == ' ';
	while (field < text + size && *field >= '0' && *field <= '9')
		*at++ = *field++;
	return at;
}

void write_run(int waiting)
{
	char text[480], *at = put_number(put_text(text, "{\"monitorPid\":"), (u64)SYS(getpid));

	at = put_number(put_text(at, ",\"restartCount\":"), self.restarts);
	at = put_number(put_text(at, ",\"pid\":"), waiting ? 0 : (u64)self.pid);
	at = put_text(at, ",\"startTime\":\"");
	if (waiting) {
		*put_time(finished) = 0;
	} else {
		*put_time(started_again) = 0;
		at = put_start_time(at, self.pid);
	}
	at = put_text(put_text(put_text(at, "\",\"startedAt\":\""), started_again), "\"");
	if (waiting)
		at = put_end(put_text(at, ","));
	write_file("run.json.tmp", "run.json", text, put_text(at, "}\n"));
}

void record_started(void)
{
	finished[0] = 0;
}

/* `text` holds what stands between the actions; the file of a container that was renamed comes first. */
static long event_text(struct program_header *program, char *text)
{
	int fd = (int)SYS(openat, FD_DIRECTORY, "event", O_RDONLY | O_CLOEXEC);
	long size = fd < 0 ? 0 : SYS(read, fd, text, EVENT_MAX);

	close_fd(&fd);
	if (size > 0)
		return size;
	if (self.config.event_length > EVENT_MAX || !inside(program, self.config.event, self.config.event_length))
		return 0;
	memcpy(text, program_memory(program) + self.config.event, self.config.event_length);
	return self.config.event_length;
}

/* One line in the form that src/container/events.ts writes, and one write. What cannot be written is lost. */
void event(const char *action, int with_exit_code)
{
	struct __kernel_timespec time = { 0 };
	struct program_header *program;
	char text[EVENT_MAX], line[4096], *at, *middle = text;
	long size;
	int fd;

	if (self.config.journal == PROGRAM_NONE || load_program(FD_PROGRAM, &program) < 0)
		return;
	size = event_text(program, text);
	while (middle < text + size && *middle != '\n')
		middle++;
	fd = (int)SYS(openat, AT_FDCWD, program_memory(program) + self.config.journal,
		      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	SYS(munmap, program, program->size);
	if (middle < text + size) {
		SYS(clock_gettime, CLOCK_REALTIME, &time);
		at = put_text(put_text(line, "{\"status\":\""), action);
		memcpy(at, text, (u64)(middle - text));
		at = put_text(at + (middle - text), action);
		middle++;
		memcpy(at, middle, (u64)(text + size - middle));
		at += text + size - middle;
		if (with_exit_code)
			at = put_text(put_number(put_text(at, ",\"exitCode\":\""), (u64)exit_status((u32)self.status)), "\"");
		at = put_number(put_text(at, "}},\"scope\":\"local\",\"time\":"), (u64)time.tv_sec);
		at = put_number(put_text(at, ",\"timeNano\":"), (u64)time.tv_sec * 1000000000ul + (u64)time.tv_nsec);
		at = put_text(at, "}\n");
		SYS(write, fd, line, at - line);
	}
	close_fd(&fd);
}
