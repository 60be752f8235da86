/*
 * ETRN (RFC 1985): a client asks to start what waits for a domain. Only auth
 * knows whether a rule makes this host a backup of it; until it has said so
 * the question is kept here. Anybody may ask, since the mail goes where the
 * domain's MX lead and nowhere else. But a primary that puts mail off is not to
 * be tried with all of it as fast as somebody asks for it.
 */
#include "config.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ipc/channel.h"
#include "net/loop.h"
#include "queue/queue.h"

enum {
	PENDING_MAX = 1000,
	STARTED_MAX = 1000,
	AGAIN = 30 * 1000 /* ms, before the same is started once more */
};

struct etrn {
	TAILQ_ENTRY(etrn) entry;
	uint64_t number; /* names it to auth */
	uint64_t id; /* names it to smtpd */
	uint16_t instance; /* of that smtpd */
	int subdomains;
	char *domain;
	int64_t when; /* it was started, in ms */
	uint32_t count; /* of messages that were */
	int again; /* somebody has asked for it since */
};

/* One that no list has. */
static void
etrn_free(struct etrn *e)
{
	free(e->domain);
	free(e);
}

/* It waits for auth no more. */
static void
take_out(struct queue *q, struct etrn *e)
{
	TAILQ_REMOVE(&q->etrns, e, entry);
	q->etrn_count--;
}

static void
reply(struct queue *q, uint16_t instance, uint64_t id, uint32_t count)
{
	struct channel *ch = worker_peer(q->worker, PROC_SMTPD, instance);
	struct msg_etrn_done done = { .id = id, .count = count };

	if (ch != NULL)
		ipc_send(ch, etrn_done, &done);
}

static struct etrn *
etrn_new(struct queue *q, uint16_t instance, const struct msg_etrn *m)
{
	struct etrn *e;

	if (q->etrn_count >= PENDING_MAX || (e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	if ((e->domain = strdup(m->domain)) == NULL) {
		free(e);
		return NULL;
	}
	e->number = ++q->etrn_last;
	e->id = m->id;
	e->instance = instance;
	e->subdomains = m->subdomains;
	TAILQ_INSERT_TAIL(&q->etrns, e, entry);
	q->etrn_count++;
	return e;
}

void
etrn_on_etrn(void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;
	struct channel *auth = worker_peer(q->worker, PROC_AUTH, 0);
	struct msg_backup_query query = { .domain = m->etrn.domain };
	uint16_t instance = channel_instance(ch);
	struct etrn *e = NULL;

	if (q->store == NULL)
		return;
	if (auth != NULL)
		e = etrn_new(q, instance, &m->etrn);
	if (e != NULL) {
		query.id = e->number;
		if (ipc_send(auth, backup_query, &query) == 0)
			return;
		take_out(q, e);
		etrn_free(e);
	}
	reply(q, instance, m->etrn.id, ETRN_UNABLE);
}

/* The same that was started lately, NULL if none was. */
static struct etrn *
find_started(struct queue *q, const struct etrn *e)
{
	struct etrn *s;

	TAILQ_FOREACH (s, &q->etrns_started, entry)
		if (s->subdomains == e->subdomains &&
		    strcasecmp(s->domain, e->domain) == 0)
			break;
	return s;
}

static struct etrn *
take_oldest(struct queue *q)
{
	struct etrn *e = TAILQ_FIRST(&q->etrns_started);

	TAILQ_REMOVE(&q->etrns_started, e, entry);
	q->etrn_started--;
	return e;
}

/* Starts what waits, and remembers it if that was something, else e is gone. It
 * is in no list. */
static uint32_t
start(struct queue *q, struct etrn *e)
{
	uint32_t count = sched_flush_domain(
	    q->sched, e->domain, e->subdomains, queue_now(q));

	queue_kick(q);
	if (count == 0) {
		etrn_free(e);
		return 0;
	}
	e->when = loop_now(worker_loop(q->worker));
	e->count = count;
	e->again = 0;
	if (q->etrn_started == STARTED_MAX)
		etrn_free(take_oldest(q));
	TAILQ_INSERT_TAIL(&q->etrns_started, e, entry);
	q->etrn_started++;
	return count;
}

/* Who asks for what was started lately has it started once more when its time
 * has come: it may be only now that the primary takes mail. */
static uint32_t
start_or_wait(struct queue *q, struct etrn *e)
{
	struct etrn *before = find_started(q, e);

	if (before == NULL)
		return start(q, e);
	before->again = 1;
	etrn_free(e);
	return before->count;
}

void
etrn_tick(struct queue *q)
{
	int64_t now = loop_now(worker_loop(q->worker));
	struct etrn *e;

	while ((e = TAILQ_FIRST(&q->etrns_started)) != NULL &&
	    now - e->when >= AGAIN) {
		e = take_oldest(q);
		if (e->again)
			start(q, e);
		else
			etrn_free(e);
	}
}

void
etrn_on_backup_answer(
    void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_backup_answer *a = &m->backup_answer;
	struct queue *q = ctx;
	uint16_t instance;
	struct etrn *e;
	uint64_t id;

	TAILQ_FOREACH (e, &q->etrns, entry)
		if (e->number == a->id)
			break;
	if (e == NULL)
		return;
	instance = e->instance;
	id = e->id;
	take_out(q, e);
	if (a->status == LOOKUP_FOUND) {
		reply(q, instance, id, start_or_wait(q, e));
		return;
	}
	etrn_free(e);
	reply(q, instance, id,
	    a->status == LOOKUP_NONE ? ETRN_REFUSED : ETRN_UNABLE);
}

void
etrn_peer_down(struct queue *q, enum process_kind kind, uint16_t instance)
{
	struct etrn *e, *next;

	TAILQ_FOREACH_SAFE (e, &q->etrns, entry, next) {
		if (kind == PROC_AUTH)
			reply(q, e->instance, e->id, ETRN_UNABLE);
		if (kind == PROC_AUTH ||
		    (kind == PROC_SMTPD && e->instance == instance)) {
			take_out(q, e);
			etrn_free(e);
		}
	}
}
