/*
 * Recipients behind a recipient: what auth found behind an address, and the
 * addresses of a .forward or a list file. They are added to the envelope in
 * the same change that ends their parent, so none is ever lost or left over.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ipc/channel.h"
#include "os/log.h"
#include "queue/queue.h"
#include "smtp/address.h"

/*
 * What a child takes over from its parent. RFC 3461 section 5.2.7: one
 * address behind another keeps what the sender asked for; of several none
 * promises that all got it, so their success is not reported; a list with an
 * owner is a delivery of its own, about which the owner is told.
 */
static void
init_child(struct envelope_rcpt *child, const struct envelope *env,
    uint32_t parent, int several, char orcpt[ADDRESS_SIZE + 8])
{
	const struct envelope_rcpt *p = &env->rcpts[parent];

	envelope_rcpt_init(child);
	child->parent = parent;
	child->depth = p->depth < UINT8_MAX ? p->depth + 1 : UINT8_MAX;
	child->owner = p->owner;
	child->notify = p->notify;
	if (several && child->notify != NOTIFY_UNSAID) {
		child->notify &= (uint8_t)~NOTIFY_SUCCESS;
		if (child->notify == NOTIFY_UNSAID)
			child->notify = NOTIFY_NEVER;
	}
	child->orcpt = p->orcpt;
	if (*p->orcpt == '\0') {
		snprintf(orcpt, ADDRESS_SIZE + 8, "%s;%s",
		    address_needs_utf8(p->address) ? "utf-8" : "rfc822",
		    p->address);
		child->orcpt = orcpt;
	}
}

/* What is said of a recipient that has failed before it was tried. */
static void
fail_child(struct envelope_rcpt *child, uint16_t code, const char *enhanced,
    const char *text)
{
	child->code = code;
	child->enhanced = enhanced;
	child->text = text;
}

/* Adds it to the envelope, and tells in the log which recipient it came
 * from. Its index. */
static uint32_t
add_child(struct envelope *env, const struct envelope_rcpt *child)
{
	uint32_t index = envelope_add(env, child);
	char id[20], parent[20];

	if (index == ENVELOPE_NO_PARENT)
		log_fatal("%08x: its recipients cannot be kept", env->msgid);
	snprintf(id, sizeof(id), "%016llx",
	    (unsigned long long)envelope_evpid(env->msgid, index));
	snprintf(parent, sizeof(parent), "%016llx",
	    (unsigned long long)envelope_evpid(env->msgid, child->parent));
	log_event(env->session, "made", "evpid", id, "parent", parent, "to",
	    child->address, "action",
	    *child->action != '\0' ? child->action : NULL, "user",
	    *envelope_account(child) != '\0' ? envelope_account(child) : NULL,
	    "alias", *child->alias != '\0' ? child->alias : NULL, NULL);
	return index;
}

static void
add_dest(struct queue *q, struct events *ev, uint32_t parent,
    const struct msg_expanded *m, const struct msg_expand_dest *d)
{
	char orcpt[ADDRESS_SIZE + 8];
	struct envelope_rcpt child;
	uint32_t index;

	init_child(&child, ev->env, parent, m->dests.count > 1, orcpt);
	if (*m->owner != '\0') {
		child.owner = m->owner;
		child.orcpt = "";
		child.notify = NOTIFY_UNSAID;
	}
	child.kind = d->kind;
	child.address = d->address;
	child.action = d->action;
	child.user = d->user;
	child.alias = d->alias;
	child.entry = d->entry;
	child.routed = d->kind != DEST_ADDRESS;
	child.state = child.routed ? ENVELOPE_READY : ENVELOPE_INCOMING;
	if (d->kind == DEST_ERROR)
		fail_child(&child, d->code, d->enhanced, d->text);
	index = add_child(ev->env, &child);
	if (d->kind == DEST_ERROR)
		result_failed(ev, index);
	else
		enlist_rcpt(q, ev->env, index);
}

static void
add_dests(struct queue *q, struct events *ev, uint32_t parent,
    const struct msg_expanded *m)
{
	struct ipc_list list = m->dests;
	struct msg_expand_dest d;

	while (ipc_next_expand_dest(&list, &d))
		if (d.kind < DEST_MAX)
			add_dest(q, ev, parent, m, &d);
}

static int
has_room(const struct envelope *env, uint32_t more)
{
	return more > 0 && more <= ENVELOPE_RCPTS_MAX - env->rcpt_count;
}

/* Whether the operator held or removed it meanwhile: nothing was done yet, so
 * it can stay what it is. */
static int
is_stopped(struct queue *q, const struct job *job)
{
	struct sched_info info;

	return sched_lookup(q->sched, job->msgid, job->rcpts[0], &info) &&
	    (info.holding || info.removing);
}

/* Whether auth has read another configuration than we: workers swap one after
 * the other. What it says may be the word of rules that never were for this
 * recipient, so it is asked again. */
static int
is_at_odds(struct queue *q, const struct envelope_rcpt *r,
    const struct msg_expanded *m)
{
	return (m->lacking != 0) == enlist_has_action(q, r);
}

/* What auth refuses, or cannot say now. Where the action that took it is gone
 * and no rule is there in its place, it is held and not given back. */
static struct outcome
unexpanded(struct queue *q, const struct envelope *env, uint32_t index,
    const struct msg_expanded *m)
{
	struct outcome o = { .code = m->code,
		.enhanced = m->enhanced,
		.text = m->text,
		.status =
		    m->code >= 500 ? DELIVERY_PERMFAIL : DELIVERY_TEMPFAIL };

	if (o.status == DELIVERY_PERMFAIL &&
	    !enlist_has_action(q, &env->rcpts[index])) {
		o.status = DELIVERY_TEMPFAIL;
		sched_hold(q->sched, env->msgid, index);
		enlist_warn_of_action(env, &env->rcpts[index]);
	}
	return o;
}

void
expanded_on_expanded(
    void *ctx, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_expanded *m = &msg->expanded;
	struct outcome o = { .status = DELIVERY_OK,
		.expanded = *m->owner != '\0' ? EXPANDED_LIST
		    : m->dests.count > 1      ? EXPANDED_SEVERAL
					      : EXPANDED_ONE,
		.code = 250,
		.enhanced = "2.1.5",
		.text = "expanded" };
	struct events ev = { 0 };
	enum store_status status;
	struct queue *q = ctx;
	struct job *job;

	if ((job = dispatch_find(q, m->id)) == NULL || job->peer != PROC_AUTH)
		return;
	ev.env = batch_envelope(q->batch, job->msgid, &status);
	if (ev.env != NULL && is_at_odds(q, &ev.env->rcpts[job->rcpts[0]], m)) {
		dispatch_finish(q, job, SCHED_ROUTE_UNKNOWN);
		return;
	}
	if (ev.env != NULL && !is_stopped(q, job)) {
		if (m->code != 250) {
			o = unexpanded(q, ev.env, job->rcpts[0], m);
		} else if (!has_room(ev.env, m->dests.count)) {
			o = (struct outcome){ .code = 550,
				.enhanced = "5.2.4",
				.text = "Too many recipients are behind it",
				.status = DELIVERY_PERMFAIL };
		} else
			add_dests(q, &ev, job->rcpts[0], m);
		result_apply(q, &ev, job->rcpts[0], &o);
		result_settle(q, &ev);
	}
	dispatch_finish(q, job, SCHED_ROUTE_OK);
}

/* Whether a mailbox has been named before in what came of a recipient. Only
 * its host may take two local parts for one (RFC 5321 section 2.4). */
static int
is_named(const struct envelope *env, const struct envelope_rcpt *child)
{
	for (uint32_t i = env->rcpt_count; i > 0; i--) {
		const struct envelope_rcpt *r = &env->rcpts[i - 1];

		if (r->parent == child->parent && r->forwarded &&
		    address_equal(r->address, child->address) &&
		    strcmp(r->action, child->action) == 0)
			return 1;
	}
	return 0;
}

int
expanded_forward(struct queue *q, struct events *ev, uint32_t parent,
    const struct msg_local_done *m)
{
	const struct envelope_rcpt *p = &ev->env->rcpts[parent];
	uint8_t state =
	    p->state == ENVELOPE_HELD ? ENVELOPE_HELD : ENVELOPE_INCOMING;
	struct ipc_list forward = m->forward;
	char orcpt[ADDRESS_SIZE + 8];
	struct msg_forward_dest d;
	struct envelope_rcpt child;
	uint32_t index;

	if (!has_room(ev->env, forward.count))
		return -1;
	while (ipc_next_forward_dest(&forward, &d)) {
		init_child(&child, ev->env, parent,
		    m->kept || m->forward.count > 1, orcpt);
		child.forwarded = 1;
		child.address = d.address;
		child.action = ev->env->rcpts[parent].action;
		child.user = ev->env->rcpts[parent].user;
		child.state = state;
		/* an address goes by the rules, a name by this action */
		if (strchr(d.address, '@') != NULL)
			child.action = "";
		if (d.code != 0) {
			child.address = ev->env->rcpts[parent].address;
			fail_child(&child, d.code, d.enhanced, d.text);
		} else if (is_named(ev->env, &child))
			continue;
		index = add_child(ev->env, &child);
		if (d.code != 0)
			result_failed(ev, index);
		else
			enlist_rcpt(q, ev->env, index);
	}
	return 0;
}
