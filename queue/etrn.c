/*
 * ETRN (RFC 1985): a client asks to start what waits for a domain. Only auth
 * knows whether a rule makes this host a backup of it; until it has said so
 * the question is kept here. Anybody may ask, since the mail goes where it
 * would go anyway.
 *
 * The mail is sought in the store: what waits for a host that serves many
 * domains is one destination, of which the schedule knows no domain. There is
 * one walk at a time, in steps with a pause behind each, for all who ask the
 * same, or strangers could keep the queue busy.
 */
#include "config.h"

#include <bsd/sys/queue.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ipc/channel.h"
#include "queue/queue.h"
#include "queue/walk.h"
#include "smtp/address.h"

enum { PENDING_MAX = 1000, PAUSE_MS = 10 };

struct etrn {
	TAILQ_ENTRY(etrn) entry;
	uint64_t number; /* names it to auth */
	uint64_t id; /* names it to smtpd */
	uint16_t instance; /* of that smtpd */
	int subdomains;
	int allowed; /* it waits for its walk, or is the first: has it */
	struct walk_at at;
	uint32_t count; /* recipients that were started */
	uint32_t probed; /* the destination that was probed last */
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
	e->probed = UINT32_MAX;
	TAILQ_INSERT_TAIL(&q->etrns, e, entry);
	q->etrn_count++;
	return e;
}

/* ---- the walk ----------------------------------------------------------- */

static int
domain_matches(const struct etrn *e, const char *domain)
{
	size_t n = strlen(domain), w = strlen(e->domain);

	if (strcasecmp(domain, e->domain) == 0)
		return 1;
	return e->subdomains && n > w && domain[n - w - 1] == '.' &&
	    strcasecmp(domain + n - w, e->domain) == 0;
}

struct seeking {
	struct queue *q;
	struct etrn *e;
};

static int
visit(void *arg, const struct envelope *env, uint32_t index)
{
	const struct envelope_rcpt *r = &env->rcpts[index];
	struct seeking *seeking = arg;
	struct etrn *e = seeking->e;
	struct queue *q = seeking->q;
	struct sched_info info;

	if (r->state == ENVELOPE_DONE ||
	    !domain_matches(e, address_domain(r->address)) ||
	    !sched_lookup(q->sched, env->msgid, index, &info) ||
	    info.kind != SCHED_RELAY || info.paused)
		return 0;
	/* not once more for each of the many that wait for the same probe */
	if (info.state == SCHED_READY && info.dest == e->probed)
		e->count++;
	else
		e->count +=
		    sched_schedule(q->sched, env->msgid, index, queue_now(q));
	e->probed = info.dest;
	return 0;
}

static struct etrn *
first_allowed(struct queue *q)
{
	struct etrn *e;

	TAILQ_FOREACH (e, &q->etrns, entry)
		if (e->allowed)
			break;
	return e;
}

/* Answers all who ask what this one asks: they need no walk of their own. */
static void
answer_alike(struct queue *q, struct etrn *e, uint32_t count)
{
	struct etrn *other, *next;

	TAILQ_FOREACH_SAFE (other, &q->etrns, entry, next) {
		if (other == e || !other->allowed ||
		    other->subdomains != e->subdomains ||
		    strcasecmp(other->domain, e->domain) != 0)
			continue;
		reply(q, other->instance, other->id, count);
		etrn_free(q, other);
	}
	reply(q, e->instance, e->id, count);
	etrn_free(q, e);
}

static void
go_on_after(struct queue *q, int ms)
{
	const struct timeval tv = { .tv_usec = ms * 1000 };

	if (!event_pending(q->etrn_step, EV_TIMEOUT, NULL))
		event_add(q->etrn_step, &tv);
}

void
etrn_step(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	struct seeking seeking = { .q = q, .e = first_allowed(q) };
	struct etrn *e = seeking.e;
	enum store_status status;
	int more;

	if (q->store == NULL || e == NULL)
		return;
	more = walk_step(q->store, &e->at, visit, &seeking, &status);
	if (more != 1)
		answer_alike(q, e, more == 0 ? e->count : ETRN_UNABLE);
	if (first_allowed(q) != NULL)
		go_on_after(q, PAUSE_MS);
	queue_kick(q);
}

/* ---- questions ---------------------------------------------------------- */

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
		e->allowed = 1;
		go_on_after(q, 0);
		return;
	}
	if (a->status != LOOKUP_NONE)
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
