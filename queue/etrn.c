/*
 * ETRN (RFC 1985): a client asks to start what waits for a domain. Only auth
 * knows whether a rule makes this host a backup of it; until it has said so
 * the question is kept here. Anybody may ask, since the mail goes where the
 * domain's MX lead and nowhere else.
 */
#include "config.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/channel.h"
#include "queue/queue.h"

enum { PENDING_MAX = 1000 };

struct etrn {
	TAILQ_ENTRY(etrn) entry;
	uint64_t number; /* names it to auth */
	uint64_t id; /* names it to smtpd */
	uint16_t instance; /* of that smtpd */
	int subdomains;
	char *domain;
};

static void
etrn_free(struct queue *q, struct etrn *e)
{
	TAILQ_REMOVE(&q->etrns, e, entry);
	q->etrn_count--;
	free(e->domain);
	free(e);
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
		etrn_free(q, e);
	}
	reply(q, instance, m->etrn.id, ETRN_UNABLE);
}

void
etrn_on_backup_answer(
    void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct msg_backup_answer *a = &m->backup_answer;
	uint32_t count = ETRN_REFUSED;
	struct queue *q = ctx;
	struct etrn *e;

	TAILQ_FOREACH (e, &q->etrns, entry)
		if (e->number == a->id)
			break;
	if (e == NULL)
		return;
	if (a->status == LOOKUP_FOUND) {
		count = sched_flush_domain(
		    q->sched, e->domain, e->subdomains, queue_now(q));
		queue_kick(q);
	} else if (a->status != LOOKUP_NONE)
		count = ETRN_UNABLE;
	reply(q, e->instance, e->id, count);
	etrn_free(q, e);
}

void
etrn_peer_down(struct queue *q, enum process_kind kind, uint16_t instance)
{
	struct etrn *e, *next;

	TAILQ_FOREACH_SAFE (e, &q->etrns, entry, next) {
		if (kind == PROC_AUTH)
			reply(q, e->instance, e->id, ETRN_UNABLE);
		if (kind == PROC_AUTH ||
		    (kind == PROC_SMTPD && e->instance == instance))
			etrn_free(q, e);
	}
}
