/* The clients of a container: who types into it and reads from it. Client 0 of a foreground start is the primary one:
 * when 64 KiB wait for it the container is not read until it drains or leaves. A later client may hold the container
 * back as well, but only for STALL milliseconds without progress: then it is dropped. */
#ifndef TSRUN_CLIENT_H
#define TSRUN_CLIENT_H
#include "monitor.h"
#include "sys.h"

#define CLIENTS 8
#define STALL 1000
#define QUEUE_SIZE (64 * 1024)
#define KEYS_MAX 16 /* bytes of a detach sequence */

/* Bytes on their way to a reader that may be slow: filled at `end`, emptied at `start`, begun anew when empty. Aligned so
 * that its pages can be given back. */
struct queue {
	u8 data[QUEUE_SIZE];
	u32 start, end;
} __attribute__((aligned(4096)));

/* A client's descriptor, and how it is spoken to without waiting. */
struct end {
	int fd;
	enum { END_PLAIN, END_SOCKET, END_BLOCKING } kind;
};

struct client {
	int control; /* -1: the slot is free */
	u8 primary, attached, hold_stdin, told_exit;
	u8 reaps, freezes; /* cleans up after the container; wants it frozen */
	struct end in, out[2];
	u64 progress; /* when something began to wait for it, or when it last took some of that; milliseconds */
	u32 keys_length, keys_matched, message_used;
	u8 keys[KEYS_MAX];
	struct {
		struct control_message head;
		u8 payload[KEYS_MAX];
	} message; /* as far as it has come */
	int passed[3];
};

/* The container as clients see it; monitor.c sets it up and reads the outputs. */
struct container {
	u32 flags; /* MONITOR_* */
	int in, in_eof; /* write end of its stdin (with MONITOR_TTY the pty's master); to be closed when in_queue is empty */
	int out[2];	/* with MONITOR_TTY the master and -1 */
	struct queue in_queue;
};

extern struct container container;
extern struct client clients[CLIENTS];
extern u8 chunk[QUEUE_SIZE]; /* what was just read, from wherever */

/* A new client on a control socket, or NULL (and the socket closed) when there are too many. */
struct client *client_add(int control);
/* Connects it by descriptors that are the monitor's from then on; `flags` are MONITOR_ATTACH_*. */
void client_attach(struct client *client, const int fd[3], u32 flags, const u8 *keys, u32 keys_length);
void client_drop(struct client *client);
void client_tell(struct client *client, u32 kind, s32 a, s32 b);
/* Whether output waits for it. */
int client_pending(const struct client *client);

/* Four entries for ppoll: control, stdin, stdout, stderr; and what to do about them. Returns 1 on CONTROL_REAPED. */
void client_watch(const struct client *client, struct pollfd *fds);
int client_ready(struct client *client, const struct pollfd *fds);

/* How much of output s may be read so that every client's queue can hold it; and passing that on. */
u32 clients_room(int s);
void clients_give(int s, const u8 *data, u32 size);

void stdin_flush(void);
void stdin_close(void);

#endif
