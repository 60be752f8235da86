/*
 * What came of a recipient goes into the schedule and the envelope alike, is
 * reported where it must be, and ends the message when it was the last. The
 * change rides in the next batch: after a crash before that the recipient is
 * tried again, so it may get a message twice, and never not at all.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/channel.h"
#include "ipc/worker.h"
#include "net/loop.h"
#include "os/log.h"
#include "queue/queue.h"

enum { LOCAL_QUICK = 1000 /* ms for a local delivery */ };

void
result_event(struct events *ev, uint32_t index, int action, int done)
{
	struct event_rcpt *list;

	if (ev->count == ev->size) {
		ev->size = ev->size ? ev->size * 2 : 16;
		list = reallocarray(ev->list, ev->size, sizeof(*list));
		if (list == NULL)
			log_fatal("out of memory");
		ev->list = list;
	}
	ev->list[ev->count].index = index;
	ev->list[ev->count].action = action;
	ev->list[ev->count++].done = done;
}

static void
log_outcome(const struct envelope *env, uint32_t index, const char *event)
{
	const struct envelope_rcpt *r = &env->rcpts[index];
	char id[20], status[600];

	snprintf(id, sizeof(id), "%016llx",
	    (unsigned long long)envelope_evpid(env->msgid, index));
	snprintf(
	    status, sizeof(status), "%u %s %s", r->code, r->enhanced, r->text);
	log_event(env->session, event, "evpid", id, "from", env->sender, "to",
	    r->address, "action", r->action, "host",
	    *r->remote != '\0' ? r->remote : NULL, "result",
	    r->code != 0 ? status : NULL, "user",
	    *envelope_account(r) != '\0' ? envelope_account(r) : NULL, NULL);
}

/* The recipient is done; how and with which event. */
static void
finish_rcpt(struct events *ev, uint32_t index, enum envelope_outcome how,
    int event, const char *word)
{
	struct envelope_rcpt *r = envelope_edit(ev->env, index);

	r->state = ENVELOPE_DONE;
	r->outcome = (uint8_t)how;
	r->next = 0;
	log_outcome(ev->env, index, word);
	result_event(ev, index, event, 1);
}

void
result_failed(struct events *ev, uint32_t index)
{
	finish_rcpt(ev, index, ENVELOPE_BOUNCED, DSN_FAILED, "failed");
}

void
result_deferred(const struct events *ev, uint32_t index)
{
	log_outcome(ev->env, index, "deferred");
}

void
result_removed(struct events *ev, uint32_t index)
{
	finish_rcpt(ev, index, ENVELOPE_REMOVED, -1, "removed");
}

void
result_verdict(struct queue *q, struct events *ev, uint32_t index,
    const struct sched_verdict *v)
{
	const struct envelope_rcpt *was;
	struct envelope_rcpt *r;

	if (index >= ev->env->rcpt_count)
		return;
	was = &ev->env->rcpts[index];
	switch (v->state) {
	case SCHED_DONE:
		if (v->removed)
			result_removed(ev, index);
		else if (v->expired)
			finish_rcpt(
			    ev, index, ENVELOPE_EXPIRED, DSN_FAILED, "expired");
		break;
	case SCHED_WAITING:
		/* a turn that says nothing is not worth a write */
		if (was->attempts == v->attempts)
			break;
		r = envelope_edit(ev->env, index);
		if (r->state == ENVELOPE_READY)
			r->state = ENVELOPE_WAITING;
		r->attempts = v->attempts;
		r->next = v->next;
		log_outcome(ev->env, index, "deferred");
		break;
	default:
		break;
	}
	enlist_reroute(q, ev->env, index);
	enlist_again(q, ev->env, index);
}

/* The words of an outcome, into the envelope. */
static void
record_words(struct queue *q, struct envelope *env, uint32_t index,
    const struct outcome *o)
{
	struct envelope_rcpt *r = envelope_edit(env, index);

	r->code = o->code;
	r->last = queue_date(q);
	envelope_set(env, &r->enhanced, o->enhanced);
	envelope_set(env, &r->text, o->text);
	envelope_set(env, &r->remote, o->remote);
}

static void
deliver_rcpt(struct events *ev, uint32_t index, const struct outcome *o)
{
	static const int expanded[] = { [EXPANDED_ONE] = -1,
		[EXPANDED_SEVERAL] = DSN_EXPANDED,
		[EXPANDED_LIST] = DSN_DELIVERED };

	if (o->expanded != NOT_EXPANDED)
		finish_rcpt(ev, index,
		    o->kept ? ENVELOPE_DELIVERED : ENVELOPE_EXPANDED,
		    expanded[o->expanded], "expanded");
	else if (o->relayed)
		finish_rcpt(
		    ev, index, ENVELOPE_RELAYED, DSN_RELAYED, "relayed");
	else
		finish_rcpt(ev, index, ENVELOPE_DELIVERED,
		    o->passed ? -1 : DSN_DELIVERED, "delivered");
}

void
result_apply(
    struct queue *q, struct events *ev, uint32_t index, const struct outcome *o)
{
	static const enum sched_outcome outcomes[DELIVERY_STATUS_MAX] = {
		[DELIVERY_OK] = SCHED_DELIVERED,
		[DELIVERY_TEMPFAIL] = SCHED_TEMPFAIL,
		[DELIVERY_PERMFAIL] = SCHED_REFUSED,
		[DELIVERY_FORWARD] = SCHED_DELIVERED
	};
	static const char *const words[] = { [SCHED_DELIVERED] = "delivered",
		[SCHED_REFUSED] = "refused",
		[SCHED_TEMPFAIL] = "tempfail",
		[SCHED_NOT_TRIED] = "not-tried" };
	enum sched_outcome outcome =
	    o->not_tried ? SCHED_NOT_TRIED : outcomes[o->status];
	struct sched_verdict v;

	if (index >= ev->env->rcpt_count ||
	    sched_result(q->sched, ev->env->msgid, index, outcome, queue_now(q),
		&v) == -1)
		return;
	trace_verdict(q, ev->env, index, words[outcome], &v);
	record_words(q, ev->env, index, o);
	if (o->not_tried || o->status == DELIVERY_TEMPFAIL)
		result_verdict(q, ev, index, &v);
	else if (o->status == DELIVERY_PERMFAIL) {
		envelope_edit(ev->env, index)->attempts++;
		if (v.removed)
			result_removed(ev, index);
		else
			result_failed(ev, index);
	} else
		deliver_rcpt(ev, index, o);
}

void
result_settle(struct queue *q, struct events *ev)
{
	uint32_t index, owed = report_events(q, ev);
	struct envelope *env = ev->env;

	for (uint32_t i = 0; i < ev->count; i++) {
		if (!ev->list[i].done)
			continue;
		index = ev->list[i].index;
		sched_remove(q->sched, env->msgid, index);
		/* held instead, for the operator to decide */
		if (env->rcpts[index].state != ENVELOPE_DONE)
			enlist_rcpt(q, env, index);
	}
	if (ev->count > 0 && envelope_finished(env))
		owed_settle(q, env);
	else if (owed > 0)
		owed_later(q, env->msgid);
	free(ev->list);
	ev->list = NULL;
	ev->count = ev->size = 0;
	queue_kick(q);
}

/* ---- what the scheduler says by itself ---------------------------------- */

void
result_unread(struct queue *q, uint32_t msgid, uint32_t rcpt,
    enum store_status status, int removed)
{
	log_error(
	    "%08x: recipient %u: %s", msgid, rcpt, store_strstatus(status));
	if (status == STORE_FAILED && !removed) {
		sched_postpone(q->sched, msgid, rcpt, queue_now(q));
		return;
	}
	sched_remove(q->sched, msgid, rcpt);
	if (removed)
		owed_later(q, msgid);
}

/* The envelope of what the scheduler speaks of, and NULL if it cannot be
 * read. */
static struct envelope *
find_envelope(struct queue *q, const struct sched_job *about)
{
	enum store_status status;
	struct envelope *env = batch_envelope(q->batch, about->msgid, &status);

	for (uint32_t i = 0; i < about->nrcpts; i++) {
		if (env != NULL && about->rcpts[i] < env->rcpt_count)
			continue;
		result_unread(q, about->msgid, about->rcpts[i],
		    env == NULL ? status : STORE_DAMAGED, 0);
	}
	return env;
}

void
result_expired(struct queue *q, const struct sched_job *about)
{
	struct events ev = { .env = find_envelope(q, about) };

	if (ev.env == NULL)
		return;
	for (uint32_t i = 0; i < about->nrcpts; i++)
		if (about->rcpts[i] < ev.env->rcpt_count)
			finish_rcpt(&ev, about->rcpts[i], ENVELOPE_EXPIRED,
			    DSN_FAILED, "expired");
	result_settle(q, &ev);
}

void
result_late(struct queue *q, const struct sched_job *about)
{
	struct events ev = { .env = find_envelope(q, about) };
	struct envelope *env = ev.env;
	struct envelope_rcpt *r;
	int64_t next;
	uint32_t rcpt;

	if (env == NULL)
		return;
	for (uint32_t i = 0; i < about->nrcpts; i++) {
		if ((rcpt = about->rcpts[i]) >= env->rcpt_count)
			continue;
		r = envelope_edit(env, rcpt);
		/* one report for all the times that have passed */
		do {
			r->warned++;
			next = enlist_warning(q, env, r);
		} while (next != 0 && next <= queue_now(q));
		/* the scheduler warns once for each time it is told of */
		enlist_times(q, env, rcpt);
		result_event(&ev, rcpt, DSN_DELAYED, 0);
	}
	result_settle(q, &ev);
}

/* ---- answers ------------------------------------------------------------ */

/* The job that an answer is about, if the one who answers has it. */
static struct job *
find_job(struct queue *q, struct channel *ch, uint64_t id)
{
	struct job *job = dispatch_find(q, id);

	if (job == NULL || job->peer != channel_peer(ch) ||
	    (job->peer == PROC_DELIVER &&
		job->instance != channel_instance(ch)))
		return NULL;
	return job;
}

static int
job_has(const struct job *job, uint32_t index)
{
	for (uint32_t i = 0; i < job->nrcpts; i++)
		if (job->rcpts[i] == index)
			return 1;
	return 0;
}

/* 1 if the body was found damaged. */
static int
apply_results(struct queue *q, struct job *job, struct events *ev,
    const struct msg_transfer_done *m, int undecided)
{
	struct ipc_list list = m->results;
	struct msg_rcpt_result r;
	int damaged = 0;

	while (ipc_next_rcpt_result(&list, &r)) {
		struct outcome o = { .status = r.status,
			.code = r.code,
			.enhanced = r.enhanced,
			.text = r.text,
			.remote = r.remote,
			.relayed = r.hop == HOP_NO_DSN,
			.passed = r.hop == HOP_DSN };

		damaged |= r.status == DELIVERY_DAMAGED;
		if (r.status >= DELIVERY_FORWARD || r.hop >= HOP_MAX ||
		    !job_has(job, r.index))
			continue;
		/* sched_finish decides, since the route may be to blame */
		o.not_tried = undecided && r.status == DELIVERY_TEMPFAIL;
		result_apply(q, ev, r.index, &o);
	}
	return damaged;
}

void
result_on_transfer_done(
    void *ctx, struct channel *ch, const union ipc_msg *msg, int fd)
{
	static const enum sched_route routes[ROUTE_STATUS_MAX] = {
		[ROUTE_OK] = SCHED_ROUTE_OK,
		[ROUTE_SLOW] = SCHED_ROUTE_SLOW,
		[ROUTE_DOWN] = SCHED_ROUTE_FAILED,
		[ROUTE_DNS] = SCHED_ROUTE_FAILED,
		[ROUTE_TLS] = SCHED_ROUTE_FAILED,
		[ROUTE_BAD] = SCHED_ROUTE_UNKNOWN,
		[ROUTE_CANCELLED] = SCHED_ROUTE_UNKNOWN,
		[ROUTE_BROKEN] = SCHED_ROUTE_BROKEN
	};
	const struct msg_transfer_done *m = &msg->transfer_done;
	enum sched_route route = SCHED_ROUTE_UNKNOWN;
	struct events ev = { 0 };
	enum store_status status;
	struct queue *q = ctx;
	struct job *job;
	int damaged = 0;

	if ((job = find_job(q, ch, m->id)) == NULL)
		return;
	if (m->route < ROUTE_STATUS_MAX)
		route = routes[m->route];
	ev.env = batch_envelope(q->batch, job->msgid, &status);
	if (ev.env != NULL) {
		damaged = apply_results(q, job, &ev, m,
		    route == SCHED_ROUTE_FAILED || route == SCHED_ROUTE_BROKEN);
		if (route != SCHED_ROUTE_OK &&
		    enlist_is_bygone(
			q, job, ev.env->rcpts[job->rcpts[0]].action))
			route = SCHED_ROUTE_UNKNOWN;
		result_settle(q, &ev);
	}
	if (damaged)
		dispatch_damaged(q, job);
	else
		dispatch_finish(q, job, route);
}

static int
is_removed(struct queue *q, const struct job *job)
{
	struct sched_info info;

	return sched_lookup(q->sched, job->msgid, job->rcpts[0], &info) &&
	    info.removing;
}

/* A place grows while it is quick. One that waits for a command or a lock
 * keeps the window that any user has, or it would hold so many of the
 * deliveries at once that others wait for it too. */
static enum sched_route
local_route(struct queue *q, const struct job *job, uint8_t status)
{
	int64_t took = loop_now(worker_loop(q->worker)) - job->started;

	return took < LOCAL_QUICK && status != DELIVERY_TEMPFAIL
	    ? SCHED_ROUTE_OK
	    : SCHED_ROUTE_UNKNOWN;
}

void
result_on_local_done(
    void *ctx, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_local_done *m = &msg->local_done;
	struct outcome o = { .status = m->status,
		.code = m->code,
		.enhanced = m->enhanced,
		.text = m->text };
	struct events ev = { 0 };
	enum store_status status;
	struct queue *q = ctx;
	struct job *job;

	if ((job = find_job(q, ch, m->id)) == NULL)
		return;
	if (m->status == DELIVERY_DAMAGED) {
		dispatch_damaged(q, job);
		return;
	}
	/* nobody behind it gets it any more, but what was done here is done */
	if (m->status == DELIVERY_FORWARD && is_removed(q, job)) {
		if (!m->kept) {
			dispatch_finish(q, job, SCHED_ROUTE_OK);
			return;
		}
		o.status = DELIVERY_OK;
	}
	ev.env = batch_envelope(q->batch, job->msgid, &status);
	if (ev.env != NULL && m->status < DELIVERY_DAMAGED) {
		if (o.status == DELIVERY_FORWARD)
			expanded_forward(q, &ev, job->rcpts[0], m, &o);
		result_apply(q, &ev, job->rcpts[0], &o);
		result_settle(q, &ev);
	}
	dispatch_finish(q, job, local_route(q, job, m->status));
}
