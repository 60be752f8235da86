/*
 * See client.h. A daemon at its limit of connections closes a new one before
 * it has answered anything: that is tried again for a while. The kernel tells
 * whether the question has been read: until then nobody may be there to do so,
 * as master keeps the socket while the queue cannot start; from then on the
 * queue sees to it that there is an answer, or the connection ends.
 */
#include "config.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
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
	struct channel *channel;
	unsigned looks; /* at a question that nobody had read */
	int taken;
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

unsigned
client_patience(void)
{
#ifdef RELAIS_TEST_HOOKS
	const char *value = getenv("RELAIS_TEST_DEADLINE");

	if (value != NULL)
		return (unsigned)atoi(value);
#endif
	return 60;
}

/* Once a second. */
static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	int unread;

	if (c->channel == NULL || c->taken)
		return;
	if (ioctl(channel_fd(c->channel), SIOCOUTQ, &unread) == -1 ||
	    unread == 0)
		c->taken = 1;
	else if (++c->looks >= client_patience())
		on_late(fd, what, arg);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_ctl_row] = on_row,
	[MSG_ctl_data] = on_data,
	[MSG_ctl_session] = on_session,
	[MSG_ctl_end] = on_end,
};
static const struct channel_ops channel_ops = { handlers, on_closed, NULL };

/* A full backlog is waited for, but for seconds at most: EAGAIN. */
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
	int fd = connect_to(path, client_patience()), down;

	down = fd == -1 && (errno == ENOENT || errno == ECONNREFUSED);
	if (fd != -1)
		close(fd);
	return down;
}

pid_t
client_listener(const char *path)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);
	int fd = connect_to(path, client_patience());

	if (fd == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1 ||
	    (who.uid != 0 && who.uid != getuid()))
		who.pid = 0;
	if (fd != -1)
		close(fd);
	return who.pid;
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

/* Of who sets a limit of his own, and of all others. */
static enum client_result
unheard(struct client *c)
{
	snprintf(c->error, c->size, "%s",
	    c->ops->seconds != 0
		? "relaisd does not answer"
		: "relaisd does not answer: its queue is starting or cannot "
		  "start: see the log");
	return CLIENT_UNHEARD;
}

/* One connection. */
static enum client_result
try_once(struct client *c, const char *path, char *const *words, size_t count)
{
	unsigned seconds =
	    c->ops->seconds != 0 ? c->ops->seconds : client_patience();
	struct channel *ch;
	int fd;

	if ((fd = connect_to(path, seconds)) == -1) {
		c->answered = 1; /* not worth another try */
		if (errno == EAGAIN)
			return unheard(c);
		snprintf(c->error, c->size, "%s: %s", path,
		    errno == ENOENT || errno == ECONNREFUSED
			? "relaisd does not run"
			: strerror(errno));
		return CLIENT_DOWN;
	}
	ch = channel_new(
	    c->loop, fd, PROC_CONTROL, PROC_QUEUE, 0, &channel_ops, c);
	if (ch == NULL || send_question(ch, words, count) == -1) {
		snprintf(c->error, c->size, "the words are too long");
		channel_free(ch);
		return CLIENT_REFUSED;
	}
	c->channel = ch;
	c->taken = 0;
	loop_run(c->loop);
	c->channel = NULL;
	channel_free(ch);
	if (!c->ended && c->late)
		return unheard(c);
	if (!c->ended) {
		snprintf(c->error, c->size,
		    "relaisd closed the connection: it restarts or is busy");
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
	const struct timeval limit = { ops->seconds != 0 ? ops->seconds : 1,
		0 };
	struct event *timer = NULL;

	error[0] = '\0';
	if ((c.loop = loop_new()) == NULL ||
	    (timer = event_new(loop_base(c.loop), -1, EV_PERSIST,
		 ops->seconds != 0 ? on_late : on_look, &c)) == NULL ||
	    event_add(timer, &limit) == -1) {
		snprintf(error, size, "%s", strerror(errno));
		if (timer != NULL)
			event_free(timer);
		loop_free(c.loop);
		return CLIENT_DOWN;
	}
	for (int i = 0; i < TRIES; i++) {
		result = try_once(&c, path, words, count);
		if (result != CLIENT_DOWN || c.answered || c.late)
			break;
		usleep(PAUSE_MS * 1000);
	}
	event_free(timer);
	loop_free(c.loop);
	if (session != NULL && result == CLIENT_OK)
		*session = c.session;
	else if (c.session != -1)
		close(c.session);
	return result;
}
