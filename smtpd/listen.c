/*
 * Listening sockets, which master binds and all smtpd workers share, and who
 * is let in. A connection over a limit hears 421 and is closed at once.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/loop.h"
#include "os/log.h"
#include "os/passed.h"
#include "smtp/reply.h"
#include "smtpd/smtpd.h"

enum {
	/* connections taken before others get their turn */
	ACCEPT_BATCH = 16,
	/* seconds without taking any, after the kernel had none to give */
	PAUSE = 1
};

struct port {
	TAILQ_ENTRY(port) entry;
	struct smtpd *smtpd;
	uint32_t listener;
	int fd;
	struct event *event;
	struct event *pause;
};

static void
port_free(struct port *p)
{
	if (p->event != NULL)
		event_free(p->event);
	if (p->pause != NULL)
		event_free(p->pause);
	close(p->fd);
	free(p);
}

void
listen_hang_up(int fd, int is_unix)
{
	if (is_unix)
		passed_end(fd);
	else
		close(fd);
}

void
listen_refuse(const struct listener *l, int fd, int is_unix)
{
	char reply[REPLY_LINE_MAX];
	size_t len;

	/* in TLS nothing could be said without a handshake */
	if (!(l->session.options & OPT_SMTPS)) {
		len = reply_format(
		    reply, sizeof(reply), REPLY_TOO_MANY_CONNECTIONS, NULL);
		send(fd, reply, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	listen_hang_up(fd, is_unix);
}

static void
take(struct port *p, int fd, const struct sockaddr_storage *ss)
{
	struct smtpd *d = p->smtpd;
	struct listener *l = &d->now->listeners[p->listener];

	if (d->stopping)
		listen_refuse(l, fd, ss->ss_family == AF_UNIX);
	else
		client_new(d, l, fd,
		    ss->ss_family == AF_UNIX ? NULL
					     : (const struct sockaddr *)ss,
		    "");
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct timeval pause = { PAUSE, 0 };
	struct port *p = arg;
	struct sockaddr_storage ss;
	socklen_t len;
	int conn;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		len = sizeof(ss);
		memset(&ss, 0, sizeof(ss));
		conn = accept4(fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (conn != -1) {
			take(p, conn, &ss);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			log_warn(
			    "no more connections for now: %s", strerror(errno));
			event_del(p->event);
			event_add(p->pause, &pause);
		}
		/* another worker took it, or the client has gone again */
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void
on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct port *p = arg;

	event_add(p->event, NULL);
}

void
listen_add(struct smtpd *d, uint32_t listener, int fd)
{
	struct settings *s = d->next != NULL ? d->next : d->now;
	struct port *p;

	if (s == NULL || listener >= s->conf->nlisteners) {
		log_warn("a socket for a listener that is not configured");
		close(fd);
		return;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		log_error("a listening socket is lost: out of memory");
		close(fd);
		return;
	}
	p->smtpd = d;
	p->listener = listener;
	p->fd = fd;
	TAILQ_INSERT_TAIL(&d->next_ports, p, entry);
}

static int
port_start(struct port *p)
{
	struct event_base *base = loop_base(p->smtpd->loop);

	p->event =
	    event_new(base, p->fd, EV_READ | EV_PERSIST, on_acceptable, p);
	p->pause = evtimer_new(base, on_pause_over, p);
	if (p->event == NULL || p->pause == NULL ||
	    (p->smtpd->served && event_add(p->event, NULL) == -1))
		return -1;
	return 0;
}

/*
 * Clients wait in the backlog until the queue has given out ids for the first
 * time: whoever connects when the server says that it is ready is served, and
 * not told to try later.
 */
void
listen_begin(struct smtpd *d)
{
	struct port *p;

	if (d->served)
		return;
	d->served = 1;
	TAILQ_FOREACH (p, &d->ports, entry)
		if (event_add(p->event, NULL) == -1)
			log_error("cannot listen: out of memory");
}

void
listen_stop(struct smtpd *d)
{
	struct port *p;

	while ((p = TAILQ_FIRST(&d->ports)) != NULL) {
		TAILQ_REMOVE(&d->ports, p, entry);
		port_free(p);
	}
}

void
listen_swap(struct smtpd *d)
{
	struct port *p;

	listen_stop(d);
	while ((p = TAILQ_FIRST(&d->next_ports)) != NULL) {
		TAILQ_REMOVE(&d->next_ports, p, entry);
		if (d->stopping || port_start(p) == -1) {
			if (!d->stopping)
				log_error("cannot listen: out of memory");
			port_free(p);
			continue;
		}
		TAILQ_INSERT_TAIL(&d->ports, p, entry);
	}
}
