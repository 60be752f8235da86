/*
 * The channels between workers, each a socket pair of which either has one
 * end. Called by supervise.c when a worker is released, and when one tells
 * that a channel has ended; trusts no worker to say so once, or in time.
 *
 * A pair has a number, so that both ends can tell of the same loss, and late,
 * and it is made good once. Not at once: a worker that dies takes its channels
 * along, of which its peers tell before it is reaped, and what is lost again
 * and again must not keep us busy.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "master/backoff.h"
#include "master/master.h"
#include "net/loop.h"
#include "os/log.h"

enum { PEER_BUFFER = 1 << 20 };

struct pair {
	struct pairs *pairs;
	struct child *a;
	struct child *b;
	uint32_t number; /* of the channel, or of the last; 0: none yet */
	uint32_t first; /* number of the first between these two lives */
	int64_t made; /* loop_now */
	uint32_t backoff_ms;
	struct event *again;
};

struct pairs {
	struct master *master;
	uint32_t numbers; /* given so far */
	size_t count;
	struct pair list[];
};

static int
may_connect(const struct pair *p)
{
	return p->a->state >= CHILD_RELEASED && p->b->state >= CHILD_RELEASED &&
	    !p->pairs->master->stopping;
}

static void
connect_later(struct pair *p)
{
	int64_t lived = loop_now(p->pairs->master->loop) - p->made;
	uint32_t wait = backoff_wait(&p->backoff_ms, lived);
	struct timeval tv;

	if (wait < BACKOFF_MIN_MS)
		wait = BACKOFF_MIN_MS;
	tv.tv_sec = wait / 1000;
	tv.tv_usec = (suseconds_t)(wait % 1000) * 1000;
	event_add(p->again, &tv);
}

static void
connect_now(struct pair *p)
{
	struct msg_peer to_a = { .kind = (uint8_t)p->b->kind,
		.instance = p->b->instance };
	struct msg_peer to_b = { .kind = (uint8_t)p->a->kind,
		.instance = p->a->instance };
	int sv[2], size = PEER_BUFFER, rc = 0;

	p->made = loop_now(p->pairs->master->loop);
	p->number = to_a.pair = to_b.pair = ++p->pairs->numbers;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1) {
		log_warn("socketpair: %s", strerror(errno));
		connect_later(p);
		return;
	}
	for (int i = 0; i < 2; i++)
		setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	rc |= ipc_send_fd(p->a->channel, peer, &to_a, sv[0]);
	rc |= ipc_send_fd(p->b->channel, peer, &to_b, sv[1]);
	/* one that has its end alone may not tell: it died, perhaps */
	if (rc != 0)
		connect_later(p);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct pair *p = arg;

	/* a worker that died meanwhile is connected when it is released */
	if (!may_connect(p))
		return;
	log_info("connecting %s %u and %s %u again", process_name(p->a->kind),
	    p->a->instance, process_name(p->b->kind), p->b->instance);
	connect_now(p);
}

void
pairs_connect(struct pairs *pairs, const struct child *c)
{
	struct pair *p;

	for (p = pairs->list; p < pairs->list + pairs->count; p++) {
		/* of two that are not released yet, the later one connects
		 * them */
		if ((p->a != c && p->b != c) || !may_connect(p))
			continue;
		event_del(p->again);
		p->backoff_ms = 0;
		connect_now(p);
		p->first = p->number;
	}
}

static struct pair *
find(struct pairs *pairs, const struct child *a, const struct child *b)
{
	struct pair *p;

	for (p = pairs->list; p < pairs->list + pairs->count; p++)
		if ((p->a == a && p->b == b) || (p->a == b && p->b == a))
			return p;
	return NULL;
}

int
pairs_lost(struct pairs *pairs, const struct child *a, const struct child *b,
    uint32_t number)
{
	struct pair *p = find(pairs, a, b);

	if (p == NULL)
		return -1;
	if (!may_connect(p) || number < p->first || number > p->number)
		return 0;
	if (number == p->number && !event_pending(p->again, EV_TIMEOUT, NULL))
		connect_later(p);
	return 1;
}

struct pairs *
pairs_new(struct master *m)
{
	size_t n = m->child_count, most = n * (n - 1) / 2;
	struct pairs *pairs;
	struct pair *p;

	pairs = calloc(1, sizeof(*pairs) + most * sizeof(*p));
	if (pairs == NULL)
		return NULL;
	pairs->master = m;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++) {
			struct child *a = &m->children[i];
			struct child *b = &m->children[j];

			if (!msg_are_peers(a->kind, b->kind))
				continue;
			p = &pairs->list[pairs->count++];
			p->pairs = pairs;
			p->a = a;
			p->b = b;
			p->again =
			    event_new(loop_base(m->loop), -1, 0, on_again, p);
			if (p->again == NULL) {
				pairs_free(pairs);
				return NULL;
			}
		}
	return pairs;
}

void
pairs_free(struct pairs *pairs)
{
	if (pairs == NULL)
		return;
	for (size_t i = 0; i < pairs->count; i++)
		if (pairs->list[i].again != NULL)
			event_free(pairs->list[i].again);
	free(pairs);
}
