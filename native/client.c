/* Moving bytes between the container and its clients without ever waiting for one of them. */
#include "client.h"
#include "log.h"
#include "supervisor.h"

#define PIPE_BUF 4096
#define LOW_ROOM 4096 /* less room than this is not worth a read */

struct container container;
struct client clients[CLIENTS] = { [0 ... CLIENTS - 1] = { .control = -1 } };
u8 chunk[QUEUE_SIZE];
static struct queue queues[CLIENTS][2];

static struct queue *queue_of(const struct client *client, int s)
{
	return &queues[client - clients][s];
}

static u32 queue_used(const struct queue *queue)
{
	return queue->end - queue->start;
}

static u32 queue_room(const struct queue *queue)
{
	return QUEUE_SIZE - queue->end;
}

static void queue_put(struct queue *queue, const void *data, u32 size)
{
	memcpy(queue->data + queue->end, data, size);
	queue->end += size;
}

static void queue_taken(struct queue *queue, u32 size)
{
	queue->start += size;
	if (queue->start == queue->end)
		queue->start = queue->end = 0;
}

/* O_NONBLOCK belongs to the open file description, which the client shares with its shell: it is not ours to set. A
 * FIFO or a terminal is opened anew instead, which makes a description of our own; a socket is asked call by call; a
 * regular file keeps its offset and O_APPEND and does not block for long. What is left is written to with care: at most
 * PIPE_BUF after a POLLOUT. */
static void end_open(struct end *end, int fd, int access)
{
	struct statx stat = { 0 };
	char path[32];
	int type, own;

	SYS(statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat);
	type = stat.stx_mode & S_IFMT;
	end->fd = fd;
	end->kind = type == S_IFSOCK ? END_SOCKET : type == S_IFREG ? END_PLAIN : END_BLOCKING;
	if (type != S_IFIFO && type != S_IFCHR)
		return;
	*put_number(put_text(path, "/proc/self/fd/"), (u64)fd) = 0;
	own = (int)SYS(openat, AT_FDCWD, path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return;
	SYS(close, fd);
	end->fd = own;
	end->kind = END_PLAIN;
}

static long end_read(const struct end *end, void *data, u64 size)
{
	if (end->kind == END_SOCKET)
		return SYS(recvfrom, end->fd, data, size, MSG_DONTWAIT, NULL, NULL);
	return SYS(read, end->fd, data, size);
}

static long end_write(const struct end *end, const void *data, u64 size)
{
	if (end->kind == END_SOCKET)
		return SYS(sendto, end->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	if (end->kind == END_BLOCKING && size > PIPE_BUF)
		size = PIPE_BUF;
	return SYS(write, end->fd, data, size);
}

struct client *client_add(int control)
{
	for (struct client *c = clients; c < clients + CLIENTS; c++) {
		if (c->control >= 0)
			continue;
		*c = (struct client){ .control = control,
				      .in = { -1, END_PLAIN },
				      .out = { { -1, END_PLAIN }, { -1, END_PLAIN } },
				      .passed = { -1, -1, -1 } };
		return c;
	}
	SYS(close, control);
	return NULL;
}

void client_attach(struct client *client, const int fd[3], u32 flags, const u8 *keys, u32 keys_length)
{
	struct end *ends[] = { &client->in, &client->out[0], &client->out[1] };

	for (int i = 0; i < 3; i++) {
		if (flags & (MONITOR_ATTACH_STDIN << i))
			end_open(ends[i], fd[i], i == 0 ? O_RDONLY : O_WRONLY);
		else
			SYS(close, fd[i]);
	}
	if (container.flags & MONITOR_TTY) /* in other streams the sequence is just bytes */
		client->keys_length = keys_length;
	memcpy(client->keys, keys, keys_length);
	client->attached = 1;
}

/* The client types no more. Where stdin lives as long as somebody feeds it, the container may have to be told: but no
 * terminal knows an end of file. */
static void client_stdin_ended(struct client *client)
{
	if (client->in.fd < 0)
		return;
	close_fd(&client->in.fd);
	if ((container.flags & (MONITOR_STDIN_ONCE | MONITOR_TTY)) != MONITOR_STDIN_ONCE)
		return;
	for (struct client *c = clients; c < clients + CLIENTS; c++)
		if (c->control >= 0 && c->in.fd >= 0)
			return;
	container.in_eof = 1;
	stdin_flush();
}

/* The container stands still as long as a client wants it to: whoever was killed wants nothing any more. */
static void client_freeze(struct client *client, int wanted)
{
	if (client->freezes == wanted)
		return;
	client->freezes = (u8)wanted;
	for (struct client *c = clients; c < clients + CLIENTS; c++)
		if (c != client && c->control >= 0 && c->freezes)
			return;
	cgroup_freeze(wanted);
}

/* One client cleans up, and nobody after it. */
static int client_claim(struct client *client)
{
	for (struct client *c = clients; c < clients + CLIENTS; c++)
		if (c->control >= 0 && c->reaps)
			return 0;
	client->reaps = 1;
	return 1;
}

void client_drop(struct client *client)
{
	client_freeze(client, 0);
	client_stdin_ended(client);
	close_fd(&client->out[0].fd);
	close_fd(&client->out[1].fd);
	close_fd(&client->control);
	for (int i = 0; i < 3; i++)
		close_fd(&client->passed[i]);
	client->primary = client->reaps = 0;
	/* gives the memory back, and zeros make an empty queue */
	SYS(madvise, queue_of(client, 0), 2 * sizeof(struct queue), MADV_DONTNEED);
}

void client_tell(struct client *client, u32 kind, s32 a, s32 b)
{
	struct control_message message = { kind, a, b, 0 };

	SYS(sendto, client->control, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
}

int client_pending(const struct client *client)
{
	return queue_used(queue_of(client, 0)) || queue_used(queue_of(client, 1));
}

/* Returns how much the client took; an error closes this descriptor only: the container's output goes on without it. */
static u32 out_write(struct client *client, int s, const u8 *data, u32 size)
{
	long n = end_write(&client->out[s], data, size);

	if (n >= 0) {
		client->progress = now();
		return (u32)n;
	}
	if (n != -EAGAIN) {
		client_tell(client, CONTROL_BROKEN, s + 1, (s32)-n);
		close_fd(&client->out[s].fd);
		queue_of(client, s)->start = queue_of(client, s)->end = 0;
	}
	return 0;
}

u32 clients_room(int s)
{
	u32 room = QUEUE_SIZE;

	for (struct client *c = clients; c < clients + CLIENTS; c++)
		if (c->control >= 0 && c->out[s].fd >= 0 && queue_room(queue_of(c, s)) < room)
			room = queue_room(queue_of(c, s));
	return room < LOW_ROOM ? 0 : room;
}

void clients_give(int s, const u8 *data, u32 size)
{
	for (struct client *c = clients; c < clients + CLIENTS; c++) {
		struct queue *queue = queue_of(c, s);
		u32 given = 0;

		if (c->control < 0 || c->out[s].fd < 0)
			continue;
		if (!client_pending(c))
			c->progress = now();
		if (!queue_used(queue) && c->out[s].kind != END_BLOCKING)
			given = out_write(c, s, data, size);
		if (c->out[s].fd >= 0)
			queue_put(queue, data + given, size - given);
	}
}

void stdin_close(void)
{
	if (!(container.flags & MONITOR_TTY))
		close_fd(&container.in);
	container.in = -1; /* the master is closed as the container's output */
	container.in_queue.start = container.in_queue.end = 0;
}

void stdin_flush(void)
{
	struct queue *queue = &container.in_queue;

	while (container.in >= 0 && queue_used(queue)) {
		long n = SYS(write, container.in, queue->data + queue->start, queue_used(queue));

		if (n == -EAGAIN)
			return;
		if (n < 0) /* the reader is gone */
			stdin_close();
		else
			queue_taken(queue, (u32)n);
	}
	if (container.in_eof)
		stdin_close();
}

/* Passes bytes on, but holds back what may be the beginning of the detach sequence. Returns 1 when it is complete. */
static int pass_stdin(struct client *client, const u8 *data, u32 size)
{
	struct queue *queue = &container.in_queue;

	if (client->keys_length == 0)
		queue_put(queue, data, size);
	for (u32 i = 0; client->keys_length > 0 && i < size; i++) {
		if (data[i] != client->keys[client->keys_matched]) {
			queue_put(queue, client->keys, client->keys_matched);
			client->keys_matched = 0;
		}
		if (data[i] != client->keys[client->keys_matched])
			queue_put(queue, data + i, 1);
		else if (++client->keys_matched == client->keys_length)
			return 1;
	}
	return 0;
}

static void read_stdin(struct client *client)
{
	long n = end_read(&client->in, chunk, queue_room(&container.in_queue) - KEYS_MAX);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		queue_put(&container.in_queue, client->keys, client->keys_matched);
		client->keys_matched = 0;
		client_stdin_ended(client);
	} else if (pass_stdin(client, chunk, (u32)n)) {
		client_tell(client, CONTROL_DETACHED, 0, 0);
		client_drop(client);
	}
	stdin_flush();
}

/* Acts on a whole message. Returns 1 on CONTROL_REAPED, -1 on what this client may not say. */
static int handle_message(struct client *client)
{
	const struct control_message *head = &client->message.head;
	struct winsize size = { .ws_row = (u16)head->a, .ws_col = (u16)head->b };

	switch (head->kind) {
	case CONTROL_RESIZE:
		if (container.flags & MONITOR_TTY) /* the kernel sends SIGWINCH to the foreground process group */
			SYS(ioctl, container.out[0], TIOCSWINSZ, &size);
		return 0;
	case CONTROL_HOLD_STDIN:
		client->hold_stdin = head->a != 0;
		return 0;
	case CONTROL_POLICY:
		policy_set((u32)head->a, (u32)head->b);
		client_tell(client, CONTROL_DONE, 0, 0);
		return 0;
	case CONTROL_FREEZE:
		client_freeze(client, head->a != 0);
		client_tell(client, CONTROL_DONE, 0, 0);
		return 0;
	case CONTROL_CLAIM:
		client_tell(client, CONTROL_DONE, client_claim(client), 0);
		return 0;
	case CONTROL_STOP:
		self.stop_told |= (u32)head->a;
		look_at_stop();
		client_tell(client, CONTROL_DONE, 0, 0);
		return 0;
	case CONTROL_REAPED:
		return client->reaps ? 1 : -1;
	case CONTROL_ATTACH:
		if (client->attached || client->passed[2] < 0)
			return -1;
		client_attach(client, client->passed, (u32)head->a, client->message.payload, head->length);
		client->passed[0] = client->passed[1] = client->passed[2] = -1;
		return 0;
	default:
		return -1;
	}
}

/* Reads as far as the header, then as far as the payload: never into the next message. */
static int read_control(struct client *client)
{
	u32 whole = sizeof(struct control_message);
	struct {
		struct cmsghdr head;
		int fd[4];
	} rights = { 0 };
	struct iovec iov;
	struct msghdr message = { .iov = &iov, .iov_length = 1, .control = &rights, .control_length = sizeof(rights) };
	long n;
	int said;

	if (client->message_used >= whole)
		whole += client->message.head.length;
	iov.iov_base = (u8 *)&client->message + client->message_used;
	iov.iov_len = whole - client->message_used;
	n = SYS(recvmsg, client->control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n == -EAGAIN)
		return 0;
	if (message.control_length >= sizeof(struct cmsghdr) && rights.head.type == SCM_RIGHTS)
		for (int i = 0; i < (int)(rights.head.length - sizeof(struct cmsghdr)) / 4; i++) {
			if (i < 3 && client->passed[i] < 0)
				client->passed[i] = rights.fd[i];
			else
				SYS(close, rights.fd[i]);
		}
	if (n <= 0)
		goto drop;
	client->message_used += (u32)n;
	if (client->message_used < sizeof(struct control_message))
		return 0;
	if (client->message.head.length > KEYS_MAX)
		goto drop;
	if (client->message_used < sizeof(struct control_message) + client->message.head.length)
		return 0;
	client->message_used = 0;
	said = handle_message(client);
	if (said >= 0)
		return said;
drop:
	client_drop(client);
	return 0;
}

void client_watch(const struct client *client, struct pollfd *fds)
{
	int typing = container.in >= 0 && !container.in_eof && !client->hold_stdin &&
		     queue_room(&container.in_queue) >= LOW_ROOM;

	fds[0].fd = client->control;
	fds[0].events = POLLIN;
	fds[1].fd = client->control >= 0 && typing ? client->in.fd : -1;
	fds[1].events = POLLIN;
	for (int s = 0; s < 2; s++) {
		fds[2 + s].fd = client->control >= 0 && queue_used(queue_of(client, s)) ? client->out[s].fd : -1;
		fds[2 + s].events = POLLOUT;
	}
}

int client_ready(struct client *client, const struct pollfd *fds)
{
	if (fds[0].revents && read_control(client) == 1)
		return 1;
	if (fds[1].revents && client->in.fd >= 0 && !client->hold_stdin)
		read_stdin(client);
	for (int s = 0; s < 2; s++) {
		struct queue *queue = queue_of(client, s);

		if (fds[2 + s].revents && client->out[s].fd >= 0)
			queue_taken(queue, out_write(client, s, queue->data + queue->start, queue_used(queue)));
	}
	return 0;
}
