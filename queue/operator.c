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

static int
is_meant(uint32_t index, uint32_t rcpt)
{
	return rcpt == SCHED_ALL || rcpt == index;
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

	if (was->state == ENVELOPE_DONE ||
	    (was->state == ENVELOPE_HELD) == (held != 0))
		return;
	r = envelope_edit(env, index);
	if (held)
		r->state = ENVELOPE_HELD;
	else
		r->state = r->routed ? ENVELOPE_READY : ENVELOPE_INCOMING;
	r->next = 0;
}

static uint32_t
on_hold(void *ctx, uint32_t msgid, uint32_t rcpt, int held)
{
	enum store_status status;
	struct queue *q = ctx;
	struct envelope *env;
	uint32_t n;

	n = held ? sched_hold(q->sched, msgid, rcpt)
		 : sched_release(q->sched, msgid, rcpt, queue_now(q));
	if ((env = batch_envelope(q->batch, msgid, &status)) == NULL)
		return n;
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		if (!is_meant(i, rcpt))
			continue;
		hold_rcpt(env, i, held);
		if (!held)
			n -= enlist_again(q, env, i);
	}
	queue_kick(q);
	return n;
}

static uint32_t
on_remove(void *ctx, uint32_t msgid, uint32_t rcpt)
{
	struct events ev = { 0 };
	enum store_status status;
	struct queue *q = ctx;
	struct sched_info info;
	uint32_t n = 0;

	ev.env = batch_envelope(q->batch, msgid, &status);
	if (ev.env == NULL && status == STORE_DAMAGED && rcpt == SCHED_ALL) {
		log_warn("%08x: damaged, removed by the operator", msgid);
		sched_remove(q->sched, msgid, SCHED_ALL);
		queue_kick(q);
		return batch_remove(q->batch, msgid) == 0;
	}
	if (ev.env == NULL)
		return 0;
	for (uint32_t i = 0; i < ev.env->rcpt_count; i++) {
		if (!is_meant(i, rcpt) ||
		    ev.env->rcpts[i].state == ENVELOPE_DONE)
			continue;
		if (sched_lookup(q->sched, msgid, i, &info) && info.removing)
			continue;
		n++;
		/* one in flight goes when its transaction is over */
		sched_remove(q->sched, msgid, i);
		if (!is_scheduled(q, msgid, i))
			result_removed(&ev, i);
	}
	result_settle(q, &ev);
	return n;
}

static uint32_t
on_reroute(void *ctx, uint32_t msgid, uint32_t rcpt)
{
	enum store_status status;
	struct queue *q = ctx;
	struct envelope *env = batch_envelope(q->batch, msgid, &status);

	return env != NULL && rcpt < env->rcpt_count
	    ? enlist_reroute(q, env, rcpt)
	    : 0;
}

/* ---- standing ----------------------------------------------------------- */

static void
decide_standing(struct queue *q, struct msg_queue_status *m)
{
	q->disk = guard_check(q->guard, bodies_octets(q->bodies));
	store_tight(q->store, q->disk != GUARD_OK);
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
	else if (q->disk != GUARD_OK)
		*m = (struct msg_queue_status){ .code = 452,
			.enhanced = "4.3.1",
			.text = "Insufficient system storage" };
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

struct discovery {
	struct queue *q;
	uint32_t only; /* a message, 0: all */
	uint32_t count;
};

static int
discover_envelope(void *arg, const struct envelope *env)
{
	struct discovery *d = arg;

	if (d->only != 0 && env->msgid != d->only)
		return 1;
	for (uint32_t i = 0; i < env->rcpt_count; i++)
		if (!is_scheduled(d->q, env->msgid, i))
			d->count += enlist_rcpt(d->q, env, i);
	return 0;
}

static uint32_t
on_discover(void *ctx, uint32_t msgid)
{
	struct discovery d = { .q = ctx, .only = msgid };
	uint32_t next;

	/* what the disk says must be what is known here */
	batch_flush(d.q->batch);
	store_iterate(d.q->store, msgid, 0, discover_envelope, &d, &next);
	return d.count;
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

const struct control_ops operator_ops = {
	.hold = on_hold,
	.remove = on_remove,
	.reroute = on_reroute,
	.pause_intake = on_pause_intake,
	.intake_paused = on_intake_paused,
	.keep_pauses = on_keep_pauses,
	.discover = on_discover,
	.has_room = on_has_room,
	.commit = on_commit,
	.kick = on_kick,
};
