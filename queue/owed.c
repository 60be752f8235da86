/*
 * Reports that are owed. Each transfer and each local delivery tells of its
 * own recipients, but who sent one message to many is to hear of it once: so
 * what is to be reported of a recipient that is done is marked in the
 * envelope, in the change that says what came of it, and goes out with that
 * of others once the message is finished, or some time after the first of
 * them. The mark goes in the batch that has the report. So a report is never
 * lost and never made twice, whenever the process ends: the next start finds
 * the marks and reports at once. Whether somebody is told was decided before.
 *
 * A start also lists what was being removed when the queue ended: that is
 * finished likewise, and nobody is told.
 *
 * A message that owes a report stays in the store. Here is a list of such, of
 * one entry each, in the order in which their time is over.
 */
#include "config.h"

#include <stdlib.h>

#include <event2/event.h>

#include "os/log.h"
#include "queue/queue.h"

enum {
	OWED_WAIT = 10 * 1000, /* ms after the first outcome */
	OWED_AGAIN = 1000, /* ms, on a disk without room */
	/* recipients of one batch, so that no report outgrows it */
	OWED_RCPTS = 1000
};

struct debt {
	RB_ENTRY(debt) entry;
	TAILQ_ENTRY(debt) next;
	uint32_t msgid;
	int64_t due; /* loop_now, 0: at once */
};

static int
debt_compare(const struct debt *a, const struct debt *b)
{
	return a->msgid < b->msgid ? -1 : a->msgid > b->msgid;
}

RB_HEAD(debt_tree, debt);
RB_GENERATE_INTERNAL(
    debt_tree, debt, entry, debt_compare, static __attribute__((unused)))

struct owed {
	struct debt_tree messages;
	TAILQ_HEAD(, debt) order; /* those that are due first in front */
	struct event *timer; /* of the first */
};

/* ---- the list ----------------------------------------------------------- */

static int64_t
now_of(struct queue *q)
{
	return loop_now(worker_loop(q->worker));
}

static void
wait_ms(struct owed *o, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	event_add(o->timer, &tv);
}

/* Waits for the first of the list. */
static void
wait_for_first(struct queue *q)
{
	const struct debt *d = TAILQ_FIRST(&q->owed->order);
	int64_t now = now_of(q);

	if (d == NULL)
		event_del(q->owed->timer);
	else
		wait_ms(q->owed, d->due > now ? d->due - now : 0);
}

static struct debt *
find(struct owed *o, uint32_t msgid)
{
	struct debt key = { .msgid = msgid };

	return RB_FIND(debt_tree, &o->messages, &key);
}

static void
forget(struct owed *o, uint32_t msgid)
{
	struct debt *d = find(o, msgid);

	if (d == NULL)
		return;
	RB_REMOVE(debt_tree, &o->messages, d);
	TAILQ_REMOVE(&o->order, d, next);
	free(d);
}

/* due is 0, or no less than that of any other. */
static void
list_at(struct queue *q, uint32_t msgid, int64_t due)
{
	struct owed *o = q->owed;
	struct debt *d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		log_fatal("out of memory");
	d->msgid = msgid;
	d->due = due;
	RB_INSERT(debt_tree, &o->messages, d);
	if (due == 0)
		TAILQ_INSERT_HEAD(&o->order, d, next);
	else
		TAILQ_INSERT_TAIL(&o->order, d, next);
	if (TAILQ_FIRST(&o->order) == d)
		wait_for_first(q);
}

/* ---- marks -------------------------------------------------------------- */

void
owed_mark(struct envelope *env, uint32_t index, enum dsn_action action)
{
	struct envelope_rcpt *r = envelope_edit(env, index);

	r->notify &= ENVELOPE_ASKED;
	r->notify |= (uint8_t)((action + 1) * ENVELOPE_OWED_ONE);
}

/* enum dsn_action, or -1. */
static int
action_of(const struct envelope_rcpt *r)
{
	int owed = (r->notify & ENVELOPE_OWED) / ENVELOPE_OWED_ONE;

	return owed <= DSN_ACTIONS ? owed - 1 : -1;
}

/* ---- reports ------------------------------------------------------------ */

void
owed_later(struct queue *q, uint32_t msgid)
{
	if (find(q->owed, msgid) == NULL)
		list_at(q, msgid, now_of(q) + OWED_WAIT);
}

void
owed_load(struct queue *q, const struct envelope *env)
{
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		if (action_of(&env->rcpts[i]) == -1 &&
		    !envelope_removing(&env->rcpts[i]))
			continue;
		list_at(q, env->msgid, 0);
		return;
	}
}

void
owed_settle(struct queue *q, struct envelope *env)
{
	struct events ev = { .env = env };
	uint32_t i;
	int action;

	forget(q->owed, env->msgid);
	for (i = 0; i < env->rcpt_count && ev.count < OWED_RCPTS; i++) {
		if ((action = action_of(&env->rcpts[i])) == -1)
			continue;
		envelope_edit(env, i)->notify &= ENVELOPE_ASKED;
		result_event(&ev, i, action, 1);
	}
	report_send(q, &ev);
	free(ev.list);
	if (i < env->rcpt_count)
		list_at(q, env->msgid, 0);
	else if (envelope_finished(env) &&
	    batch_remove(q->batch, env->msgid) == -1)
		log_fatal("out of memory");
}

/* What the operator removed while it was under way, and the queue ended before
 * it heard what came of that. What the schedule has is still under way. */
static void
finish_removed(struct queue *q, struct envelope *env)
{
	struct events ev = { .env = env };
	struct sched_info info;

	for (uint32_t i = 0; i < env->rcpt_count; i++)
		if (envelope_removing(&env->rcpts[i]) &&
		    !sched_lookup(q->sched, env->msgid, i, &info))
			result_removed(&ev, i);
	free(ev.list);
}

/* The message's time is over. One that is damaged or gone owes nothing that
 * could be told of. */
static void
settle_due(struct queue *q, uint32_t msgid)
{
	enum store_status status;
	struct envelope *env = batch_envelope(q->batch, msgid, &status);

	if (env != NULL) {
		finish_removed(q, env);
		owed_settle(q, env);
		return;
	}
	forget(q->owed, msgid);
	if (status == STORE_FAILED)
		list_at(q, msgid, now_of(q) + OWED_WAIT);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	struct debt *d;
	int n = 0;

	if (q->store == NULL)
		return;
	/* what ends on a full disk must be written, but this can wait */
	if (q->disk == GUARD_STOP) {
		wait_ms(q->owed, OWED_AGAIN);
		return;
	}
	/* the batch keeps all that it has read */
	while ((d = TAILQ_FIRST(&q->owed->order)) != NULL &&
	    d->due <= now_of(q) && n++ < BATCH_MESSAGES &&
	    batch_need(q->batch) != BATCH_FULL)
		settle_due(q, d->msgid);
	if (n >= BATCH_MESSAGES || batch_need(q->batch) == BATCH_FULL)
		batch_flush(q->batch);
	wait_for_first(q);
	queue_kick(q);
}

struct owed *
owed_new(struct queue *q)
{
	struct owed *o;

	if ((o = calloc(1, sizeof(*o))) == NULL)
		return NULL;
	RB_INIT(&o->messages);
	TAILQ_INIT(&o->order);
	o->timer =
	    event_new(loop_base(worker_loop(q->worker)), -1, 0, on_due, q);
	if (o->timer == NULL) {
		free(o);
		return NULL;
	}
	return o;
}
