/*
 * See client.h. A daemon at its limit of connections closes a new one before
 * it has answered anything: that is tried again for a while.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "net/loop.h"
#include "smtpctl/client.h"

enum { TRIES = 30, PAUSE_MS = 100 };

struct client {
	struct loop *loop;
	const struct client_ops *ops;
	int session;
	int answered;
	int ended;
	int late;
	char *error;
	size_t size;
};

static void
on_row(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct client *c = arg;

	c->answered = 1;
	if (c->ops->row != NULL)
		c->ops->row(c->ops->ctx, msg->ctl_row.fields);
}

static void
on_data(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct client *c = arg;

	c->answered = 1;
	if (c->ops->data != NULL)
		c->ops->data(c->ops->ctx, msg->ctl_data.data.data,
		    msg->ctl_data.data.len);
}

static void
on_session(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct client *c = arg;

	c->answered = 1;
	if (c->session != -1)
		close(c->session);
	c->session = fd;
}

static void
on_end(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	struct client *c = arg;

	c->answered = c->ended = 1;
	snprintf(c->error, c->size, "%s", msg->ctl_end.error);
	loop_stop(c->loop);
}

static void
on_closed(void *arg, struct channel *ch, const char *reason)
{
	struct client *c = arg;

	loop_stop(c->loop);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	c->late = 1;
	loop_stop(c->loop);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_ctl_row] = on_row,
	[MSG_ctl_data] = on_data,
	[MSG_ctl_session] = on_session,
	[MSG_ctl_end] = on_end,
};
static const struct channel_ops channel_ops = { handlers, on_closed, NULL };

/* A full backlog is waited for, but for seconds, if not 0, at most: EAGAIN. */
static int
connect_to(const char *path, unsigned seconds)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = seconds };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ==
		-1 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

int
client_is_down(const char *path)
{
	int fd = connect_to(path, 0), down;

	down = fd == -1 && (errno == ENOENT || errno == ECONNREFUSED);
	if (fd != -1)
		close(fd);
	return down;
}

static int
send_question(struct channel *ch, char *const *words, size_t count)
{
	struct msg_ctl_request q = { .id = 1 };
	struct ipc_buf list = { 0 };
	int rc;

	for (size_t i = 0; i < count; i++) {
		struct msg_ctl_word w = { .word = words[i] };

		ipc_add_ctl_word(&list, &w);
	}
	q.words = ipc_buf_list(&list);
	rc = list.failed ? -1 : ipc_send(ch, ctl_request, &q);
	ipc_buf_free(&list);
	return rc;
}

static const char no_answer[] = "relaisd does not answer";

/* One connection. */
static enum client_result
try_once(struct client *c, const char *path, char *const *words, size_t count)
{
	struct channel *ch;
	int fd;

	if ((fd = connect_to(path, c->ops->seconds)) == -1) {
		snprintf(c->error, c->size, "%s: %s", path,
		    errno == ENOENT || errno == ECONNREFUSED
			? "relaisd does not run"
			: errno == EAGAIN ? no_answer
					  : strerror(errno));
		c->answered = 1; /* not worth another try */
		return CLIENT_DOWN;
	}
	ch = channel_new(
	    c->loop, fd, PROC_CONTROL, PROC_QUEUE, 0, &channel_ops, c);
	if (ch == NULL || send_question(ch, words, count) == -1) {
		snprintf(c->error, c->size, "the words are too long");
		channel_free(ch);
		return CLIENT_REFUSED;
	}
	loop_run(c->loop);
	channel_free(ch);
	if (!c->ended) {
		snprintf(c->error, c->size, "%s",
		    c->late ? no_answer
			    : "relaisd closed the connection: it restarts or "
			      "is busy");
		return CLIENT_DOWN;
	}
	return c->error[0] != '\0' ? CLIENT_REFUSED : CLIENT_OK;
}

enum client_result
client_ask(const char *path, char *const *words, size_t count,
    const struct client_ops *ops, int *session, char *error, size_t size)
{
	struct client c = {
		.ops = ops, .session = -1, .error = error, .size = size
	};
	enum client_result result = CLIENT_DOWN;
	const struct timeval limit = { .tv_sec = ops->seconds };

	error[0] = '\0';
	if ((c.loop = loop_new()) == NULL ||
	    (ops->seconds != 0 &&
		event_base_once(loop_base(c.loop), -1, EV_TIMEOUT, on_late, &c,
		    &limit) == -1)) {
		snprintf(error, size, "%s", strerror(errno));
		loop_free(c.loop);
		return CLIENT_DOWN;
	}
	for (int i = 0; i < TRIES; i++) {
		result = try_once(&c, path, words, count);
		if (result != CLIENT_DOWN || c.answered || c.late)
			break;
		usleep(PAUSE_MS * 1000);
	}
	loop_free(c.loop);
	if (session != NULL && result == CLIENT_OK)
		*session = c.session;
	else if (c.session != -1)
		close(c.session);
	return result;
}
