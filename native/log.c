/* Log records, rotation, and the little text that the monitor writes. */
#include "log.h"

#define PIECE 3584   /* bytes of a line in one record */
#define HEAD 31	     /* of "2026-01-02T03:04:05.123456789Z " */
#define OVERHEAD 41  /* with the stream, the tag and the end of line */

static int log_fd = -1, log_directory = -1; /* -1: no log */
static u64 log_size, log_max_size, log_lost;
static u32 log_max_files;
static u32 pending; /* bytes of whole records in buffer */
static char buffer[64 * 1024];

char *put_text(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

static char *put_padded(char *at, u64 value, int width)
{
	for (int i = width - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + width;
}

char *put_number(char *at, u64 value)
{
	int width = 1;

	for (u64 rest = value; rest >= 10; rest /= 10)
		width++;
	return put_padded(at, value, width);
}

static u32 days_of_year(u32 year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 366 : 365;
}

char *put_time(char *at)
{
	static const u8 days_of_month[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct __kernel_timespec now = { 0 };
	u32 year = 1970, month = 0, days, seconds, in_month;

	SYS(clock_gettime, CLOCK_REALTIME, &now);
	days = (u32)(now.tv_sec / 86400);
	seconds = (u32)(now.tv_sec % 86400);
	for (; days >= days_of_year(year); year++)
		days -= days_of_year(year);
	for (;; month++) {
		in_month = days_of_month[month] + (month == 1 && days_of_year(year) == 366);
		if (days < in_month)
			break;
		days -= in_month;
	}
	at = put_padded(at, year, 4);
	*at++ = '-';
	at = put_padded(at, month + 1, 2);
	*at++ = '-';
	at = put_padded(at, days + 1, 2);
	*at++ = 'T';
	at = put_padded(at, seconds / 3600, 2);
	*at++ = ':';
	at = put_padded(at, seconds / 60 % 60, 2);
	*at++ = ':';
	at = put_padded(at, seconds % 60, 2);
	*at++ = '.';
	at = put_padded(at, (u64)now.tv_nsec, 9);
	*at++ = 'Z';
	return at;
}

static char *log_name(char *name, u32 number)
{
	char *at = put_text(name, "container.log");

	if (number > 0)
		at = put_number(put_text(at, "."), number);
	*at = 0;
	return name;
}

static void open_current(int flags)
{
	char name[32];

	log_fd = (int)SYS(openat, log_directory, log_name(name, 0), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	log_size = 0;
}

void log_open(int directory, u64 max_size, u32 max_files)
{
	long size;

	log_directory = directory;
	log_max_size = max_size;
	log_max_files = max_files;
	open_current(0);
	size = SYS(lseek, log_fd, 0, SEEK_END);
	log_size = size > 0 ? (u64)size : 0;
}

/* container.log.1 -> .2 and so on, the oldest overwritten; with one file only, it begins anew. */
static void rotate(void)
{
	char from[32], to[32];

	close_fd(&log_fd);
	for (u32 i = log_max_files - 1; log_max_files > 1 && i > 0; i--)
		SYS(renameat, log_directory, log_name(from, i - 1), log_directory, log_name(to, i));
	open_current(log_max_files > 1 ? 0 : O_TRUNC);
}

static void flush(void)
{
	long written;

	if (pending == 0)
		return;
	written = SYS(write, log_fd, buffer, pending);
	if (written == (long)pending) {
		log_size += pending;
		log_lost = 0;
	} else {
		long end = SYS(lseek, log_fd, 0, SEEK_END);

		if (written > 0) /* half a record would spoil the next one */
			SYS(ftruncate, log_fd, end - written);
		log_lost += pending;
	}
	pending = 0;
}

static void append(const char *head, const char *tag, const void *data, u64 size)
{
	char *at = buffer + pending;

	memcpy(at, head, HEAD);
	at = put_text(at + HEAD, tag);
	memcpy(at, data, size);
	at += size;
	*at++ = '\n';
	pending = (u32)(at - buffer);
}

static void record(const char *head, const char *tag, const void *data, u64 size)
{
	if (pending + PIECE + OVERHEAD > sizeof(buffer))
		flush();
	if (log_max_size > 0 && log_size + pending > 0 && log_size + pending + OVERHEAD + size > log_max_size) {
		flush();
		rotate();
	}
	if (log_lost > 0 && pending == 0) {
		char note[64];

		append(head, "tsrun F ", note, put_text(put_number(note, log_lost), " bytes could not be logged") - note);
	}
	append(head, tag, data, size);
}

void log_output(int stream, const u8 *data, u64 size)
{
	char head[HEAD];

	if (log_directory < 0)
		return;
	if (log_fd < 0) /* there was no room for a new file at the last rotation */
		open_current(0);
	put_text(put_time(head), " ");
	while (size > 0) {
		u64 limit = size < PIECE ? size : PIECE, n;
		int whole;

		for (n = 0; n < limit && data[n] != '\n'; n++)
			;
		whole = n < size && data[n] == '\n';
		record(head, stream == 0 ? (whole ? "stdout F " : "stdout P ") : (whole ? "stderr F " : "stderr P "), data, n);
		data += n + whole;
		size -= n + whole;
	}
	flush();
}
