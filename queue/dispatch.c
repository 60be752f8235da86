/*
 * What the scheduler starts leaves from here: a transfer to a deliver worker,
 * a local delivery to master, an expansion to auth. The jobs under way are
 * kept by the scheduler's own id, so a worker can only speak about what it
 * was given.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "os/log.h"
#include "queue/queue.h"
#include "queue/twins.h"

enum {
	/* milliseconds that a transfer keeps its place when others wait for
	 * one, and as long again for its body, with the time that this takes
	 * at so many octets a millisecond */
	LEND_AFTER = 60 * 1000,
	LEND_RATE = 16,
	LEND_PART = 8 /* of all places are taken back in a second */
};

static int
job_compare(const struct job *a, const struct job *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE_INTERNAL(
    job_tree, job, entry, job_compare, static __attribute__((unused)))

struct job *
dispatch_find(struct queue *q, uint64_t id)
{
	struct job key = { .id = id };

	return RB_FIND(job_tree, &q->jobs, &key);
}

static void
job_free(struct queue *q, struct job *job)
{
	RB_REMOVE(job_tree, &q->jobs, job);
	free(job->rcpts);
	free(job);
}

static struct job *
job_new(struct queue *q, const struct sched_job *from)
{
	struct job *job;

	if ((job = calloc(1, sizeof(*job))) == NULL ||
	    (job->rcpts = reallocarray(
		 NULL, from->nrcpts, sizeof(*job->rcpts))) == NULL)
		log_fatal("out of memory");
	job->id = from->id;
	job->msgid = from->msgid;
	job->started = loop_now(worker_loop(q->worker));
	job->lend_at = job->started + LEND_AFTER;
	job->kind = from->kind;
	job->nrcpts = from->nrcpts;
	memcpy(job->rcpts, from->rcpts, from->nrcpts * sizeof(*job->rcpts));
	RB_INSERT(job_tree, &q->jobs, job);
	return job;
}

/* Where the job goes, if it is scheduled yet. 1 or 0. */
static int
find_destination(
    struct queue *q, const struct job *job, struct sched_dest_info *dest)
{
	struct sched_info info;

	for (uint32_t i = 0; i < job->nrcpts; i++)
		if (sched_lookup(q->sched, job->msgid, job->rcpts[i], &info) ==
		    1)
			return sched_dest_info(q->sched, info.dest, dest) == 1;
	return 0;
}

/* The one line about all that will not be tried until the next hop is back. */
static void
log_blocked(struct queue *q, const struct job *job, const struct envelope *env)
{
	struct sched_dest_info dest;
	char seconds[24];

	if (!find_destination(q, job, &dest) || !dest.blocked)
		return;
	snprintf(seconds, sizeof(seconds), "%lld",
	    (long long)(dest.probe_at - queue_now(q)));
	log_event(job->session, "blocked", "destination",
	    *dest.domain != '\0' ? dest.domain : NULL, "action", dest.action,
	    "next", seconds, "result",
	    env != NULL ? env->rcpts[job->rcpts[0]].text : NULL, NULL);
}

void
dispatch_finish(struct queue *q, struct job *job, enum sched_route route)
{
	static struct sched_verdict verdicts[SCHED_BATCH_MAX];
	static uint32_t rcpts[SCHED_BATCH_MAX];
	struct events events = { 0 };
	struct sched_dest_info dest;
	enum store_status status;
	int n, was_open;

	was_open = route != SCHED_ROUTE_OK && route != SCHED_ROUTE_UNKNOWN &&
	    find_destination(q, job, &dest) && !dest.blocked;
	n = sched_finish(
	    q->sched, job->id, route, queue_now(q), verdicts, rcpts);
	trace_finish(job, route);
	if (n > 0) {
		events.env = batch_envelope(q->batch, job->msgid, &status);
		for (int i = 0; events.env != NULL && i < n; i++) {
			trace_verdict(
			    q, events.env, rcpts[i], "none", &verdicts[i]);
			result_verdict(q, &events, rcpts[i], &verdicts[i]);
		}
		if (events.env != NULL)
			result_settle(q, &events);
		for (int i = 0; events.env == NULL && i < n; i++)
			if (verdicts[i].state == SCHED_DONE)
				result_unread(q, job->msgid, rcpts[i], status,
				    verdicts[i].removed);
	}
	if (was_open)
		log_blocked(q, job, events.env);
	job_free(q, job);
	queue_kick(q);
}

void
dispatch_peer_down(struct queue *q, enum process_kind kind, uint16_t instance)
{
	struct job *job, *next;

	for (job = RB_MIN(job_tree, &q->jobs); job != NULL; job = next) {
		next = RB_NEXT(job_tree, &q->jobs, job);
		if (job->peer == kind && job->instance == instance)
			dispatch_finish(q, job, SCHED_ROUTE_UNKNOWN);
	}
}

/* ---- transfers ---------------------------------------------------------- */

/* Always the same worker for a destination while it lives, since that one
 * has the connections. */
static struct channel *
deliver_for(struct queue *q, const char *action, const char *domain)
{
	uint16_t n = worker_peer_count(q->worker, PROC_DELIVER);
	struct channel *ch;
	uint32_t hash = 5381;

	for (; *action != '\0'; action++)
		hash = hash * 33 + (uint8_t)*action;
	for (; *domain != '\0'; domain++)
		hash = hash * 33 + (uint8_t)*domain;
	for (uint16_t i = 0; i < n; i++) {
		ch = worker_peer(
		    q->worker, PROC_DELIVER, (uint16_t)((hash + i) % n));
		if (ch != NULL)
			return ch;
	}
	return NULL;
}

/* A reload looks at the queue step by step. What it has not come to yet finds
 * its own way when it comes back. */
static int
is_astray(struct queue *q, const struct job *job, const struct sched_job *from,
    const struct envelope *env)
{
	for (uint32_t i = 0; i < job->nrcpts; i++)
		if (enlist_is_astray(
			q, &env->rcpts[job->rcpts[i]], from->domain))
			return 1;
	return 0;
}

/* The recipient as it was accepted. */
static const struct envelope_rcpt *
origin_of(const struct envelope *env, const struct envelope_rcpt *r)
{
	while (r->parent != ENVELOPE_NO_PARENT)
		r = &env->rcpts[r->parent];
	return r;
}

/* The address of the user whose .forward sends it on, "" if none does, or if it
 * goes to that address: to the next host it would seem to have been there. */
static const char *
sent_on_from(const struct envelope *env, uint32_t index)
{
	uint32_t user = twins_user(env, index);
	const char *from;

	if (user == ENVELOPE_NO_PARENT)
		return "";
	from = env->rcpts[user].address;
	return strcasecmp(from, env->rcpts[index].address) != 0 ? from : "";
}

static int
send_transfer(struct queue *q, struct job *job, const struct sched_job *from,
    const struct envelope *env)
{
	struct channel *ch = deliver_for(q, from->action, from->domain);
	const struct envelope_rcpt *r = &env->rcpts[job->rcpts[0]];
	struct msg_transfer m = { .id = job->id,
		.msgid = env->msgid,
		.session = env->session,
		.action = from->action,
		.destination = from->domain,
		.sender = *r->owner != '\0' ? r->owner : env->sender,
		.delivered_to = sent_on_from(env, job->rcpts[0]),
		.envid = env->envid,
		.ret = env->ret,
		.flags = env->flags,
		.size = env->body_size };
	struct ipc_buf rcpts = { 0 };
	int rc;

	if (ch == NULL || is_astray(q, job, from, env))
		return -1;
	/* what a list sends on is the owner's, who asked for nothing */
	if (*r->owner != '\0') {
		m.envid = "";
		m.ret = RET_UNSAID;
	}
	for (uint32_t i = 0; i < job->nrcpts; i++) {
		struct msg_transfer_rcpt tr = { .index = job->rcpts[i] };

		r = &env->rcpts[job->rcpts[i]];
		/* one transaction has one reverse-path and one content; those
		 * of another have no result and so come up again */
		if (strcmp(m.sender,
			*r->owner != '\0' ? r->owner : env->sender) != 0 ||
		    strcmp(m.delivered_to, sent_on_from(env, tr.index)) != 0)
			continue;
		tr.address = r->address;
		tr.orcpt = r->orcpt;
		tr.notify = r->notify & ENVELOPE_ASKED;
		ipc_add_transfer_rcpt(&rcpts, &tr);
	}
	m.rcpts = ipc_buf_list(&rcpts);
	job->peer = PROC_DELIVER;
	job->instance = channel_instance(ch);
	rc = rcpts.failed ? -1 : ipc_send(ch, transfer, &m);
	ipc_buf_free(&rcpts);
	return rc;
}

static int
may_be_lent(struct queue *q, const struct job *job)
{
	return job->kind == SCHED_RELAY && !job->given_up &&
	    loop_now(worker_loop(q->worker)) >= job->lend_at;
}

static void
give_up(struct queue *q, struct job *job)
{
	struct msg_transfer_cancel cancel = { .id = job->id };
	struct channel *ch = worker_peer(q->worker, job->peer, job->instance);

	job->given_up = 1;
	if (ch != NULL)
		ipc_send(ch, transfer_cancel, &cancel);
}

/* The oldest first, for ids go up. A few at a time: more of them may be slow
 * than places are needed. What may have been taken already is not given up by
 * deliver. */
void
dispatch_lend(struct queue *q)
{
	struct sched_stats stats;
	uint32_t part, left;
	struct job *job;

	if (!sched_lacks_place(q->sched))
		return;
	sched_stats(q->sched, &stats);
	left = part = stats.inflight[SCHED_RELAY] / LEND_PART + 1;
	RB_FOREACH (job, job_tree, &q->jobs) {
		if (!may_be_lent(q, job))
			continue;
		if (left == part)
			log_warn("all %u places of relaying are taken: those "
				 "of servers that say little are given to "
				 "other mail",
			    stats.inflight[SCHED_RELAY]);
		give_up(q, job);
		if (--left == 0)
			return;
	}
}

/* ---- local deliveries --------------------------------------------------- */

static int
send_local(struct queue *q, struct job *job, const struct envelope *env,
    enum store_status *status)
{
	const struct envelope_rcpt *r = &env->rcpts[job->rcpts[0]];
	struct msg_local_delivery m = { .id = job->id,
		.msgid = env->msgid,
		.session = env->session,
		.action = r->action,
		.kind = r->kind,
		.user = r->user,
		.recipient = origin_of(env, r)->address,
		.address = r->address,
		.sender = *r->owner != '\0' ? r->owner : env->sender,
		.flags = env->flags,
		.alias = r->alias,
		.entry = r->entry,
		.size = env->body_size,
		.crc = env->body_crc };
	struct store_body *body;
	int fd;

	if (worker_master(q->worker) == NULL ||
	    (*status = store_body_open(q->store, env, &body)) != STORE_OK)
		return -1;
	fd = store_body_fd(body, 1);
	*status = store_body_status(body);
	store_body_close(body);
	if (fd == -1)
		return -1;
	job->peer = PROC_MASTER;
	return ipc_send_fd(worker_master(q->worker), local_delivery, &m, fd);
}

/* ---- expansions --------------------------------------------------------- */

static int
send_expand(struct queue *q, struct job *job, const struct envelope *env)
{
	struct channel *ch = worker_peer(q->worker, PROC_AUTH, 0);
	const struct envelope_rcpt *r = &env->rcpts[job->rcpts[0]];
	char address[ADDRESS_SIZE];
	struct msg_expand m = { .id = job->id,
		.tag = env->tag,
		.helo = env->helo,
		.sender = *r->owner != '\0' ? r->owner : env->sender,
		.recipient = r->address,
		.action = r->action,
		.user = r->user,
		.depth = r->depth,
		.forwarded = r->forwarded };

	if (ch == NULL)
		return -1;
	/* a name means somebody by its action alone: the rules, which go by
	 * addresses, would take it for one of this server */
	job->lacking = !enlist_has_action(q, r);
	if (job->lacking)
		m.recipient =
		    expanded_address(env, job->rcpts[0], r->address, address);
	job->peer = PROC_AUTH;
	return ipc_send(ch, expand, &m);
}

/* ---- the scheduler's turn ----------------------------------------------- */

/* The disk does not give the message now: no fault of it, nor of its route. */
static void
put_off(struct queue *q, struct job *job)
{
	const struct outcome o = { .status = DELIVERY_TEMPFAIL,
		.code = 451,
		.enhanced = "4.3.0",
		.text = "The spool cannot be read",
		.remote = "" };
	struct events ev = { 0 };
	enum store_status status;
	struct sched_verdict v;

	ev.env = batch_envelope(q->batch, job->msgid, &status);
	for (uint32_t i = 0; i < job->nrcpts; i++) {
		if (ev.env != NULL)
			result_apply(q, &ev, job->rcpts[i], &o);
		else if (sched_result(q->sched, job->msgid, job->rcpts[i],
			     SCHED_TEMPFAIL, queue_now(q), &v) == 0 &&
		    v.state == SCHED_DONE)
			result_unread(
			    q, job->msgid, job->rcpts[i], status, v.removed);
	}
	if (ev.env != NULL)
		result_settle(q, &ev);
	dispatch_finish(q, job, SCHED_ROUTE_UNKNOWN);
}

/* Held, which the schedule alone remembers: after a restart it is tried once
 * more. The envelope says why, for whoever looks at the queue. */
static void
hold_damaged(struct queue *q, struct envelope *env, uint32_t index)
{
	static const char text[] = "The stored message is damaged: see the log";
	struct envelope_rcpt *r;

	if (sched_hold(q->sched, env->msgid, index) == 0 ||
	    index >= env->rcpt_count)
		return;
	r = envelope_edit(env, index);
	r->code = 451;
	r->last = queue_date(q);
	envelope_set(env, &r->enhanced, "4.3.0");
	envelope_set(env, &r->text, text);
	envelope_set(env, &r->remote, "");
}

/* A message that is damaged is kept and not tried again and again. */
static void
set_aside(struct queue *q, struct job *job, enum store_status status)
{
	uint32_t msgid = job->msgid;
	enum store_status unused;
	struct envelope *env;

	if (status == STORE_FAILED) {
		log_error("%08x: cannot be read now and is tried again later: "
			  "look at the disk of the spool",
		    msgid);
		put_off(q, job);
		return;
	}
	log_error("%08x: %s", msgid, store_strstatus(status));
	dispatch_finish(q, job, SCHED_ROUTE_UNKNOWN);
	if (status == STORE_NOTFOUND) {
		sched_remove(q->sched, msgid, SCHED_ALL);
		return;
	}
	env = batch_envelope(q->batch, msgid, &unused);
	for (uint32_t i = 0; env != NULL && i < env->rcpt_count; i++)
		hold_damaged(q, env, i);
	/* those of which no envelope knows, too */
	sched_hold(q->sched, msgid, SCHED_ALL);
}

void
dispatch_damaged(struct queue *q, struct job *job)
{
	enum store_status status;
	struct envelope *env = batch_envelope(q->batch, job->msgid, &status);

	log_error("%08x: %s", job->msgid, store_strstatus(STORE_DAMAGED));
	for (uint32_t i = 0; i < job->nrcpts; i++) {
		if (env != NULL)
			hold_damaged(q, env, job->rcpts[i]);
		else
			sched_hold(q->sched, job->msgid, job->rcpts[i]);
	}
	dispatch_finish(q, job, SCHED_ROUTE_UNKNOWN);
}

static int
job_fits(const struct job *job, const struct envelope *env)
{
	for (uint32_t i = 0; i < job->nrcpts; i++)
		if (job->rcpts[i] >= env->rcpt_count)
			return 0;
	return job->nrcpts > 0;
}

static void
start_job(struct queue *q, const struct sched_job *from)
{
	struct job *job = job_new(q, from);
	enum store_status status;
	struct envelope *env;
	int rc = -1;

	env = batch_envelope(q->batch, job->msgid, &status);
	if (env != NULL && !job_fits(job, env))
		status = STORE_DAMAGED;
	if (status != STORE_OK) {
		set_aside(q, job, status);
		return;
	}
	job->session = env->session;
	trace_start(job, from);
	switch (job->kind) {
	case SCHED_RELAY:
		rc = send_transfer(q, job, from, env);
		break;
	case SCHED_LOCAL:
		rc = send_local(q, job, env, &status);
		break;
	case SCHED_EXPAND:
		rc = send_expand(q, job, env);
		break;
	case SCHED_KINDS:
		break;
	}
	if (status != STORE_OK)
		set_aside(q, job, status);
	else if (rc == -1)
		dispatch_finish(q, job, SCHED_ROUTE_UNKNOWN);
}

int
dispatch_run(struct queue *q, unsigned limit)
{
	static struct sched_job job;
	enum sched_what what;

	for (; limit > 0; limit--) {
		what = sched_next(q->sched, queue_now(q), &job);
		switch (what) {
		case SCHED_NOTHING:
			return 0;
		case SCHED_START:
			start_job(q, &job);
			break;
		case SCHED_EXPIRED:
			result_expired(q, &job);
			break;
		case SCHED_WARN:
			result_late(q, &job);
			break;
		}
		/* each may have brought a report of thousands */
		if (what != SCHED_START && batch_need(q->batch) == BATCH_FULL)
			return 1;
	}
	return 1;
}

/* ---- bodies ------------------------------------------------------------- */

/* What came of sending a body. NOT_READ: the store failed. */
enum sent { SENT, NOT_TAKEN, NOT_READ };

/* A body that fits one message; an empty one is sent too. */
static enum sent
send_chunks(struct channel *ch, uint64_t id, struct store_body *body)
{
	static uint8_t data[BODY_INLINE];
	struct msg_body_data m = { .id = id };
	uint64_t left = store_body_size(body);
	ssize_t n;

	do {
		n = store_body_read(body, data, sizeof(data));
		if (n == -1)
			return NOT_READ;
		left -= (uint64_t)n;
		m.last = left == 0;
		m.data = ipc_blob(data, (size_t)n);
		if (ipc_send(ch, body_data, &m) == -1)
			return NOT_TAKEN;
	} while (left > 0);
	return SENT;
}

static enum sent
send_body(struct channel *ch, uint64_t id, const struct envelope *env,
    struct store_body *body)
{
	struct msg_body_file m = {
		.id = id, .size = env->body_size, .crc = env->body_crc
	};
	int fd;

	fd = store_body_fd(body, store_body_size(body) > BODY_INLINE);
	if (fd != -1)
		return ipc_send_fd(ch, body_file, &m, fd) == 0 ? SENT
							       : NOT_TAKEN;
	if (store_body_status(body) != STORE_OK)
		return NOT_READ;
	return send_chunks(ch, id, body);
}

void
dispatch_on_body_request(
    void *ctx, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct queue *q = ctx;
	struct job *job = dispatch_find(q, m->body_request.id);
	struct msg_transfer_cancel cancel = { .id = m->body_request.id };
	struct store_body *body;
	enum store_status status;
	enum sent sent = NOT_READ;
	struct envelope *env;

	if (job == NULL || job->peer != channel_peer(ch) ||
	    job->instance != channel_instance(ch)) {
		log_warn("a body is asked for by who has no part in it");
		return;
	}
	env = batch_envelope(q->batch, job->msgid, &status);
	if (env != NULL) {
		job->lend_at = loop_now(worker_loop(q->worker)) + LEND_AFTER +
		    (int64_t)(env->body_size / LEND_RATE);
		status = store_body_open(q->store, env, &body);
	}
	if (status == STORE_OK) {
		sent = send_body(ch, job->id, env, body);
		status = store_body_status(body);
		store_body_close(body);
	}
	if (sent == SENT)
		return;
	ipc_send(ch, transfer_cancel, &cancel);
	if (sent == NOT_TAKEN)
		/* no fault of the message, which is tried again */
		dispatch_finish(q, job, SCHED_ROUTE_UNKNOWN);
	else
		set_aside(q, job, status);
}
