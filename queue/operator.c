/*
 * What the operator changes through smtpctl: in the schedule, which acts at
 * once, and in the envelopes, so that it survives a restart.
 */
#include "config.h"

#include <stdlib.h>

#include "ipc/channel.h"
#include "os/log.h"
#include "queue/control.h"
#include "queue/queue.h"

/* How many of the envelope's recipients a change is about, and which is the
 * nth: see control_ops. */
static uint32_t
how_many(const struct envelope *env, const uint32_t *rcpts, uint32_t n)
{
	return rcpts[0] == SCHED_ALL ? env->rcpt_count : n;
}

static uint32_t
which(const uint32_t *rcpts, uint32_t n)
{
	return rcpts[0] == SCHED_ALL ? n : rcpts[n];
}

static int
is_scheduled(struct queue *q, uint32_t msgid, uint32_t index)
{
	struct sched_info info;

	return sched_lookup(q->sched, msgid, index, &info);
}

static void
hold_rcpt(struct envelope *env, uint32_t index, int held)
{
	const struct envelope_rcpt *was = &env->rcpts[index];
	struct envelope_rcpt *r;

	if (index >= env->rcpt_count || was->state == ENVELOPE_DONE ||
	    (was->state == ENVELOPE_HELD) == (held != 0))
		return;
	r = envelope_edit(env, index);
	if (held)
		r->state = ENVELOPE_HELD;
	else
		r->state = r->routed ? ENVELOPE_READY : ENVELOPE_INCOMING;
	r->next = 0;
}

/* Holds or releases in the schedule; index may be SCHED_ALL. */
static uint32_t
set_held(struct queue *q, uint32_t msgid, uint32_t index, int held)
{
	return held ? sched_hold(q->sched, msgid, index)
		    : sched_release(q->sched, msgid, index, queue_now(q));
}

static uint32_t
on_hold(void *ctx, uint32_t msgid, const uint32_t *rcpts, uint32_t n, int held)
{
	enum store_status status;
	uint32_t index, one, changed = 0;
	struct queue *q = ctx;
	struct envelope *env = batch_envelope(q->batch, msgid, &status);

	if (env == NULL) {
		for (uint32_t i = 0; i < n; i++)
			changed += set_held(q, msgid, rcpts[i], held);
		return changed;
	}
	for (uint32_t i = 0; i < how_many(env, rcpts, n); i++) {
		index = which(rcpts, i);
		one = set_held(q, msgid, index, held);
		hold_rcpt(env, index, held);
		/* what lacks its action is not released, if it was held */
		if (held || enlist_again(q, env, index) == 0)
			changed += one;
	}
	queue_kick(q);
	return changed;
}

/* One recipient; 1, or 0 if it was done or is being removed. */
static uint32_t
remove_rcpt(struct queue *q, struct events *ev, uint32_t index)
{
	uint32_t msgid = ev->env->msgid;
	struct sched_info info;

	if (index >= ev->env->rcpt_count ||
	    ev->env->rcpts[index].state == ENVELOPE_DONE ||
	    (sched_lookup(q->sched, msgid, index, &info) && info.removing))
		return 0;
	sched_remove(q->sched, msgid, index);
	if (!sched_lookup(q->sched, msgid, index, &info))
		result_removed(ev, index);
	else
		/* one in flight goes when its transaction is over, or where
		 * nobody hears of that, at the next start */
		envelope_edit(ev->env, index)->outcome = ENVELOPE_REMOVED;
	return 1;
}

static uint32_t
on_remove(void *ctx, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	struct events ev = { 0 };
	enum store_status status;
	uint32_t changed = 0;
	struct queue *q = ctx;

	ev.env = batch_envelope(q->batch, msgid, &status);
	if (ev.env == NULL && status == STORE_DAMAGED &&
	    rcpts[0] == SCHED_ALL) {
		log_warn("%08x: damaged, removed by the operator", msgid);
		sched_remove(q->sched, msgid, SCHED_ALL);
		queue_kick(q);
		return batch_remove(q->batch, msgid) == 0;
	}
	if (ev.env == NULL)
		return 0;
	for (uint32_t i = 0; i < how_many(ev.env, rcpts, n); i++)
		changed += remove_rcpt(q, &ev, which(rcpts, i));
	result_settle(q, &ev);
	return changed;
}

static uint32_t
on_reroute(void *ctx, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	enum store_status status;
	struct queue *q = ctx;
	struct envelope *env = batch_envelope(q->batch, msgid, &status);
	uint32_t changed = 0;

	if (env == NULL)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (rcpts[i] < env->rcpt_count)
			changed += enlist_reroute(q, env, rcpts[i]);
	return changed;
}

/* ---- standing ----------------------------------------------------------- */

static void
look_at_disk(struct queue *q)
{
	struct sched_stats stats;
	struct guard_load load = { .in_flight = bodies_octets(q->bodies),
		.reusable = store_reusable(q->store) };

	sched_stats(q->sched, &stats);
	load.recipients = stats.entries;
	q->disk = guard_check(q->guard, &load);
	q->ingest.room = guard_room(guard_facts(q->guard), q->disk);
	bodies_set_room(q->bodies, q->ingest.room);
	store_tight(q->store, q->disk != GUARD_OK);
}

static void
decide_standing(struct queue *q, struct msg_queue_status *m)
{
	look_at_disk(q);
	*m = (struct msg_queue_status){
		.accepting = 1, .code = 250, .enhanced = "2.0.0", .text = ""
	};
	if (q->stopping)
		*m = (struct msg_queue_status){ .code = 421,
			.enhanced = "4.3.2",
			.text = "Shutting down" };
	else if (q->intake_paused)
		*m = (struct msg_queue_status){ .code = 421,
			.enhanced = "4.3.2",
			.text = "Mail is not taken now" };
	else if (!guard_takes(q->disk))
		*m = ingest_no_room;
}

void
operator_set_standing(struct queue *q)
{
	struct msg_queue_status *now = &q->ingest.standing, before = *now;
	uint16_t n = worker_peer_count(q->worker, PROC_SMTPD);
	struct channel *ch;

	decide_standing(q, now);
	if (now->code == before.code)
		return;
	for (uint16_t i = 0; i < n; i++)
		if ((ch = worker_peer(q->worker, PROC_SMTPD, i)) != NULL)
			ipc_send(ch, queue_status, now);
}

static void
on_pause_intake(void *ctx, int paused)
{
	struct queue *q = ctx;

	q->intake_paused = paused;
	operator_set_standing(q);
}

static int
on_intake_paused(void *ctx)
{
	struct queue *q = ctx;

	return q->intake_paused;
}

static int
on_keep_pauses(void *ctx)
{
	return pauses_keep(ctx);
}

/* ---- discover ----------------------------------------------------------- */

static int
knows_all(struct queue *q, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!is_scheduled(q, msgid, rcpts[i]))
			return 0;
	return 1;
}

static uint32_t
on_discover(void *ctx, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	enum store_status status;
	struct queue *q = ctx;
	struct envelope *env;
	uint32_t index, added = 0;

	/* as almost always: nothing is to be read */
	if (knows_all(q, msgid, rcpts, n))
		return 0;
	/* not as the disk has it: what is done may not be written yet */
	if ((env = batch_envelope(q->batch, msgid, &status)) == NULL)
		return 0;
	for (uint32_t i = 0; i < how_many(env, rcpts, n); i++) {
		index = which(rcpts, i);
		if (index < env->rcpt_count && !is_scheduled(q, msgid, index))
			added += enlist_rcpt(q, env, index);
	}
	return added;
}

static int
on_has_action(void *ctx, const struct envelope_rcpt *rcpt)
{
	return enlist_has_action(ctx, rcpt);
}

static int
on_takes_mail(void *ctx)
{
	struct queue *q = ctx;

	return guard_takes(q->disk);
}

static int
on_has_room(void *ctx)
{
	struct queue *q = ctx;

	return q->disk == GUARD_OK;
}

static void
on_commit(void *ctx)
{
	struct queue *q = ctx;

	batch_flush(q->batch);
	queue_kick(q);
}

static void
on_kick(void *ctx)
{
	queue_kick(ctx);
}

static int64_t
on_ahead(void *ctx)
{
	return queue_date(ctx) - queue_now(ctx);
}

const struct control_ops operator_ops = {
	.hold = on_hold,
	.remove = on_remove,
	.reroute = on_reroute,
	.pause_intake = on_pause_intake,
	.intake_paused = on_intake_paused,
	.keep_pauses = on_keep_pauses,
	.discover = on_discover,
	.ahead = on_ahead,
	.has_action = on_has_action,
	.takes_mail = on_takes_mail,
	.has_room = on_has_room,
	.commit = on_commit,
	.kick = on_kick,
};
