/* container.log, in the format of the Container Runtime Interface that Kubernetes reads too:
 *
 *   2026-01-02T03:04:05.123456789Z stdout F a whole line
 *   2026-01-02T03:04:05.123456789Z stderr P a part of a line; what follows on this stream continues it
 *
 * Output goes to the log as it is read: the end of a read that is not the end of a line makes a P, so that nothing waits
 * in memory, a prompt is seen at once, and the log holds exactly the bytes that were written. No record is longer than
 * 4 KiB, and a write(2) ends at the end of a record. The stream "tsrun" says what is missing: its records are for people. */
#ifndef TSRUN_LOG_H
#define TSRUN_LOG_H
#include "sys.h"

/* Opens the log in `directory`. `max_size` in bytes, 0 for no rotation; `max_files` with the current one. */
void log_open(int directory, u64 max_size, u32 max_files);
/* Appends what came from stream 0 (stdout) or 1 (stderr). A disk that is full costs records, never the container. */
void log_output(int stream, const u8 *data, u64 size);

/* Text, decimal numbers and the time of day (RFC 3339, UTC, nanoseconds) at `at`; returns where they end. No NUL. */
char *put_text(char *at, const char *text);
char *put_number(char *at, u64 value);
char *put_time(char *at);

#endif
