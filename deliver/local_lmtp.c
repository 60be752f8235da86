/*
 * Delivery to an LMTP server (RFC 2033), over a Unix socket or TCP. The core
 * of the dialogue is the client of deliver (client.h); here it is joined to a
 * blocking socket. The destination comes from the configuration. What the
 * server answers is not trusted: once connected, the process keeps the socket
 * and the message, and nothing else.
 *
 * The server adds the Return-Path, as whoever makes the final delivery does;
 * Delivered-To is ours, so that mail that comes back is known again.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/url.h"
#include "deliver/client.h"
#include "deliver/local.h"
#include "mail/trace.h"
#include "smtp/address.h"

enum { CONNECT_TIMEOUT = 30 * 1000 /* milliseconds */ };

struct lmtp {
	const struct local_job *job;
	struct local_outcome *out;
	struct client *client;
	struct client_mail mail;
	struct client_rcpt rcpt;
	int fd;
	int decided; /* the outcome is the transaction's */
	int closed;
	int body_due;
	uint64_t body_at; /* in the body as stored */
	size_t heading_len; /* 0 once it is on its way */
	char heading[TRACE_FIELD_MAX];
};

/* ---- the connection --------------------------------------------------- */

/* Waits until the socket is ready: 1, 0 at the deadline, -1. */
static int
wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { fd, events, 0 };
	int64_t left;
	int n;

	do {
		left = deadline - local_now();
		if (left <= 0)
			return 0;
		if (left > 60 * 1000)
			left = 60 * 1000;
		n = poll(&pfd, 1, (int)left);
	} while (n == 0 || (n == -1 && errno == EINTR));
	return n;
}

/* A connected, non-blocking socket, or -1 with errno. */
static int
connect_to(int family, const struct sockaddr *sa, socklen_t len)
{
	int64_t deadline = local_now() + CONNECT_TIMEOUT;
	int fd, error = 0, n;
	socklen_t size = sizeof(error);

	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, sa, len) == 0)
		return fd;
	error = errno;
	if (error == EINPROGRESS) {
		n = wait_for(fd, POLLOUT, deadline);
		if (n == 0)
			error = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ==
		    -1)
			error = errno;
		if (error == 0)
			return fd;
	}
	close(fd);
	errno = error;
	return -1;
}

static int
connect_path(const char *path, struct local_outcome *out)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "the path of the LMTP socket is too long");
		return -1;
	}
	fd = connect_to(AF_UNIX, (struct sockaddr *)&sun, sizeof(sun));
	if (fd == -1)
		local_done(out, DELIVERY_TEMPFAIL, 451, "4.4.1",
		    "LMTP server %s: %s", path, strerror(errno));
	return fd;
}

static int
connect_host(const char *destination, struct local_outcome *out)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
	char text[CONF_NAME_MAX + 32], error[256], port[8];
	struct url url;
	int fd = -1, rc;

	if (snprintf(text, sizeof(text), "lmtp://%s", destination) >=
		(int)sizeof(text) ||
	    url_parse(text, &url, error, sizeof(error)) == -1) {
		local_done(out, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "`%.200s` names no LMTP server", destination);
		return -1;
	}
	snprintf(port, sizeof(port), "%u", url.port);
	if ((rc = getaddrinfo(url.host, port, &hints, &list)) != 0) {
		local_done(out, DELIVERY_TEMPFAIL, 451, "4.4.3",
		    "LMTP server %s: %s", url.host, gai_strerror(rc));
		return -1;
	}
	for (ai = list; ai != NULL && fd == -1; ai = ai->ai_next)
		fd = connect_to(ai->ai_family, ai->ai_addr, ai->ai_addrlen);
	if (fd == -1)
		local_done(out, DELIVERY_TEMPFAIL, 451, "4.4.1",
		    "LMTP server %s: %s", destination, strerror(errno));
	freeaddrinfo(list);
	return fd;
}

/* ---- the body --------------------------------------------------------- */

static void
begin_body(struct lmtp *l)
{
	l->body_at = 0;
	l->heading_len =
	    trace_delivered_to(l->heading, sizeof(l->heading), l->job->address);
	l->body_due = 1;
}

static void
feed(struct lmtp *l)
{
	static char part[CLIENT_BODY_MAX];
	size_t len = l->heading_len;
	ssize_t n;

	l->body_due = 0;
	memcpy(part, l->heading, len);
	l->heading_len = 0;
	do
		n = pread(l->job->body, part + len, sizeof(part) - len,
		    (off_t)l->body_at);
	while (n == -1 && errno == EINTR);
	/* a body that is shorter than it was when it became durable is torn */
	if (n == -1 || (n == 0 && l->body_at < l->job->size) ||
	    l->body_at + (uint64_t)n > l->job->size) {
		client_body_failed(l->client, "the body cannot be read");
		return;
	}
	l->body_at += (uint64_t)n;
	client_body(l->client, part, len + (size_t)n,
	    l->body_at == l->job->size, local_now());
}

/* ---- the dialogue ----------------------------------------------------- */

/* A server that refuses a message in the middle may say so and close: that
 * decides, and not the reset that what we send then meets. */
static void
hear_last_words(struct lmtp *l)
{
	char octets[4096];
	ssize_t n;

	while ((n = recv(l->fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0)
		client_octets(l->client, octets, (size_t)n, local_now());
}

static void
write_all(struct lmtp *l, const char *data, size_t len)
{
	int64_t deadline = client_deadline(l->client);
	ssize_t n;
	int ready;

	for (; len > 0; data += n, len -= (size_t)n) {
		if ((n = send(l->fd, data, len, MSG_NOSIGNAL)) >= 0)
			continue;
		n = 0;
		if (errno == EINTR)
			continue;
		ready =
		    errno == EAGAIN ? wait_for(l->fd, POLLOUT, deadline) : -1;
		if (ready == 1)
			continue;
		hear_last_words(l);
		if (ready == 0)
			client_timeout(l->client);
		else
			client_lost(l->client, "the connection broke");
		return;
	}
}

static void
take_result(struct lmtp *l)
{
	const struct client_result *r = client_result(l->client, 0);

	local_done(l->out, r->status, r->code, r->enhanced, "%s", r->text);
	l->decided = 1;
}

static void
act(struct lmtp *l, const struct client_action *a)
{
	switch (a->what) {
	case CLIENT_DO_WRITE:
		write_all(l, a->data, a->len);
		break;
	case CLIENT_DO_BODY_BEGIN:
		begin_body(l);
		break;
	case CLIENT_DO_BODY_MORE:
		l->body_due = 1;
		break;
	case CLIENT_DO_RESULTS:
		take_result(l);
		break;
	case CLIENT_DO_IDLE:
		if (l->decided)
			client_quit(l->client, local_now());
		else
			client_transaction(l->client, &l->mail, local_now());
		break;
	case CLIENT_DO_CLOSE:
		l->closed = 1;
		break;
	default:
		/* TLS and SASL, which this session never asks for */
		client_abort(l->client, "the dialogue went astray");
		break;
	}
}

static void
hear(struct lmtp *l)
{
	char octets[4096];
	ssize_t n;
	int ready = wait_for(l->fd, POLLIN, client_deadline(l->client));

	if (ready == 0) {
		client_timeout(l->client);
		return;
	}
	n = ready == -1 ? -1 : recv(l->fd, octets, sizeof(octets), 0);
	if (n > 0)
		client_octets(l->client, octets, (size_t)n, local_now());
	else if (n == 0)
		client_eof(l->client);
	else if (errno != EINTR && errno != EAGAIN)
		client_lost(l->client, "the connection broke");
}

static void
converse(struct lmtp *l)
{
	const struct client_outcome *o;
	struct client_action a;

	client_connected(l->client, local_now());
	while (!l->closed) {
		if (client_next(l->client, &a))
			act(l, &a);
		else if (l->body_due)
			feed(l);
		else
			hear(l);
	}
	o = client_outcome(l->client);
	if (!l->decided)
		local_done(l->out, DELIVERY_TEMPFAIL, o->code, o->enhanced,
		    "%s", o->text);
}

/* ---- the method ------------------------------------------------------- */

/* What the content needs of the server, with the Delivered-To before it. */
static uint32_t
content_flags(const struct local_job *job)
{
	uint32_t flags = job->flags & (MAIL_8BIT | MAIL_BINARY);

	return address_needs_utf8(job->address) ? flags | MAIL_8BIT : flags;
}

static void
describe_mail(struct lmtp *l)
{
	const struct local_job *job = l->job;
	int by_address = strcmp(job->method, "lmtp-rcpt-to") == 0;

	l->rcpt = (struct client_rcpt){
		.address = by_address ? job->address : job->user, .orcpt = ""
	};
	l->mail = (struct client_mail){ .sender = job->sender,
		.envid = "",
		.flags = content_flags(job),
		.size = job->size +
		    trace_delivered_to(
			l->heading, sizeof(l->heading), job->address),
		.rcpts = &l->rcpt,
		.rcpts_count = 1 };
}

int
local_lmtp(const struct local_job *job, struct local_outcome *out)
{
	const struct client_config config = {
		.lmtp = 1, .tls = CLIENT_TLS_NEVER, .helo = job->server_name
	};
	struct lmtp l = { .job = job, .out = out };
	const char *to = job->parameter;

	l.fd = to[0] == '/' ? connect_path(to, out) : connect_host(to, out);
	if (l.fd == -1)
		return -1;
	if (local_confine(job, NULL, out) == -1) {
		close(l.fd);
		return -1;
	}
	describe_mail(&l);
	if ((l.client = client_new(&config, local_now())) == NULL)
		local_error(out, "LMTP", ENOMEM);
	else
		converse(&l);
	client_free(l.client);
	close(l.fd);
	return out->status == DELIVERY_OK ? 0 : -1;
}
