/*
 * The resolver worker of the simulation: the real life of a worker, with the
 * zone of the world where libunbound would be. Answers come when they come.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/worker.h"
#include "net/loop.h"
#include "sim.h"

enum { PATIENCE = 59 /* seconds */ };

struct resolver {
	struct worker *worker;
	TAILQ_HEAD(, question) questions;
};

struct question {
	TAILQ_ENTRY(question) entry;
	struct resolver *resolver;
	struct channel *channel;
	uint64_t id;
	uint16_t type;
	char name[256];
	struct event *time;
};

static void
forget(struct question *q)
{
	TAILQ_REMOVE(&q->resolver->questions, q, entry);
	sim.questions--;
	event_free(q->time);
	free(q);
}

static int
asker(const struct channel *ch)
{
	return channel_peer(ch) == PROC_DELIVER ? channel_instance(ch) : -1;
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct question *q = arg;
	struct msg_dns_answer m = { .id = q->id, .ttl = 300, .name = q->name };
	struct ipc_buf records = { 0 };

	zone_answer(q->type, q->name, asker(q->channel), &m, &records);
	m.records = ipc_buf_list(&records);
	ipc_send(q->channel, dns_answer, &m);
	ipc_buf_free(&records);
	forget(q);
}

static void
on_dns_query(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct question *q = calloc(1, sizeof(*q));
	struct resolver *r = ctx;
	struct timeval tv = { 0, 1000 };

	if (q == NULL)
		fail("out of memory");
	q->resolver = r;
	q->channel = ch;
	q->id = m->dns_query.id;
	q->type = m->dns_query.type;
	strlcpy(q->name, m->dns_query.name, sizeof(q->name));
	q->time =
	    event_new(loop_base(worker_loop(r->worker)), -1, 0, on_time, q);
	TAILQ_INSERT_TAIL(&r->questions, q, entry);
	sim.questions++;
	if (dice_one_in(10))
		tv.tv_usec = (suseconds_t)dice_under(900) * 1000;
	if (!sim.calm && dice_one_in(100))
		tv.tv_sec = dice_between(1, 100);
	/* nobody waits so long */
	if (tv.tv_sec >= PATIENCE)
		zone_given_up(q->type, q->name, asker(ch));
	event_add(q->time, &tv);
}

static void
on_dns_cancel(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct resolver *r = ctx;
	struct question *q, *next;

	for (q = TAILQ_FIRST(&r->questions); q != NULL; q = next) {
		next = TAILQ_NEXT(q, entry);
		if (q->channel != ch || q->id != m->dns_cancel.id)
			continue;
		zone_given_up(q->type, q->name, asker(ch));
		forget(q);
	}
}

static void
peer_down(void *ctx, struct channel *ch)
{
	struct resolver *r = ctx;
	struct question *q, *next;

	for (q = TAILQ_FIRST(&r->questions); q != NULL; q = next) {
		next = TAILQ_NEXT(q, entry);
		if (q->channel == ch)
			forget(q);
	}
}

static int
configure(void *ctx, struct worker *worker, const uint8_t *slice, size_t len,
    const struct worker_file *files, size_t count, char *error, size_t size)
{
	struct resolver *r = ctx;

	r->worker = worker;
	return 0;
}

static void
swap(void *ctx)
{
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_dns_query] = on_dns_query,
	[MSG_dns_cancel] = on_dns_cancel,
};

static const struct worker_ops ops = {
	.kind = PROC_RESOLVER,
	.handlers = handlers,
	.net = SANDBOX_NET_NONE,
	.configure = configure,
	.swap = swap,
	.peer_down = peer_down,
};

int
main(int argc, char **argv)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return 1;
	TAILQ_INIT(&r->questions);
	return worker_main(argc, argv, &ops, r);
}
