/*
 * Recipients behind a recipient: what auth found behind an address, and the
 * addresses of a .forward or a list file. They are added to the envelope in
 * the same change that ends their parent, so none is ever lost or left over.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/alias_item.h"
#include "ipc/channel.h"
#include "os/log.h"
#include "queue/queue.h"
#include "queue/twins.h"
#include "smtp/address.h"

enum {
	FORWARDED_MAX = 10000, /* of one accepted recipient, by .forward */
	/* of items that each brought another, since the file was changed */
	ITEM_DEPTH_MAX = 20
};

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
	child->notify = p->notify & ENVELOPE_ASKED;
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

const char *
expanded_address(const struct envelope *env, uint32_t index, const char *name,
    char out[ADDRESS_SIZE])
{
	struct address a;

	if (strchr(name, '@') != NULL)
		return name;
	while (strchr(env->rcpts[index].address, '@') == NULL &&
	    env->rcpts[index].parent != ENVELOPE_NO_PARENT)
		index = env->rcpts[index].parent;
	name += *name == '\\';
	if (address_parse(name, strlen(name),
		ADDRESS_BARE | ADDRESS_UTF8 | ADDRESS_LONG, &a) != ADDRESS_OK)
		return env->rcpts[index].address;
	address_qualify(&a, address_domain(env->rcpts[index].address));
	return address_format(&a, out);
}

/* Whether two actions mean the same user by a name. */
static int
same_users(const struct queue *q, const char *one, const char *other)
{
	const struct conf_action *a = conf_find_action(q->conf, one);
	const struct conf_action *b = conf_find_action(q->conf, other);
	const char *x =
	    a != NULL && a->local.userbase != NULL ? a->local.userbase : "";
	const char *y =
	    b != NULL && b->local.userbase != NULL ? b->local.userbase : "";

	return strcmp(one, other) == 0 || strcmp(x, y) == 0;
}

/* A user whose own .forward led back to him means his mailbox. */
static uint32_t
entry_of(const struct queue *q, const struct envelope *env, uint32_t parent,
    const struct msg_expand_dest *d)
{
	uint32_t index = twins_user(env, parent);
	const struct envelope_rcpt *user;

	if (d->kind != DEST_USER)
		return d->entry;
	if (index == ENVELOPE_NO_PARENT)
		return ENTRY_FORWARD;
	user = &env->rcpts[index];
	return strcmp(user->user, d->user) == 0 &&
		same_users(q, user->action, d->action)
	    ? ENTRY_MAILBOX
	    : ENTRY_FORWARD;
}

/* Whether each address is a place of its own. */
static int
place_varies(enum dest_kind kind, const struct conf_action *action)
{
	if (kind == DEST_USER)
		return action != NULL && action->local.by_address;
	/* a command is told the address */
	return kind == DEST_RELAY || kind == DEST_COMMAND;
}

static void
init_dest(const struct queue *q, struct envelope_rcpt *child,
    struct envelope *env, uint32_t parent, const struct msg_expanded *m,
    const struct msg_expand_dest *d, char orcpt[ADDRESS_SIZE + 8])
{
	char address[ADDRESS_SIZE];

	init_child(child, env, parent, m->dests.count > 1, orcpt);
	if (*m->owner != '\0') {
		child->owner = m->owner;
		child->orcpt = "";
		child->notify = NOTIFY_UNSAID;
	}
	child->address = expanded_address(env, parent, d->address, address);
	if (child->address == address)
		envelope_set(env, &child->address, address);
	child->kind = d->kind;
	child->action = d->action;
	child->user = d->user;
	child->alias = d->alias;
	child->entry = entry_of(q, env, parent, d);
	child->routed = d->kind != DEST_ADDRESS;
	child->state = child->routed ? ENVELOPE_READY : ENVELOPE_INCOMING;
	if (d->kind == DEST_ERROR)
		fail_child(child, d->code, d->enhanced, d->text);
}

static void
add_dest(struct queue *q, struct events *ev, struct newcomer *n)
{
	uint32_t index;

	if (n->twin == TWIN_REACHED)
		return;
	if (n->twin == TWIN_LOOP)
		fail_child(&n->rcpt, 550, "5.4.6",
		    "It is forwarded in a circle and to nobody else");
	index = add_child(ev->env, &n->rcpt);
	if (n->rcpt.code != 0 && n->rcpt.attempts == 0) {
		result_failed(ev, index);
		return;
	}
	if (n->rcpt.attempts > 0)
		result_deferred(ev, index);
	enlist_rcpt(q, ev->env, index);
}

static void
add_dests(struct queue *q, struct events *ev, uint32_t parent,
    const struct msg_expanded *m)
{
	struct newcomers newcomers = RB_INITIALIZER(&newcomers);
	struct newcomer *all = calloc(m->dests.count, sizeof(*all));
	char orcpt[ADDRESS_SIZE + 8];
	struct ipc_list list = m->dests;
	struct msg_expand_dest d;
	uint32_t n = 0;

	if (all == NULL)
		log_fatal("out of memory");
	while (ipc_next_expand_dest(&list, &d)) {
		if (d.kind >= DEST_MAX)
			continue;
		init_dest(q, &all[n].rcpt, ev->env, parent, m, &d, orcpt);
		all[n].varies =
		    place_varies(d.kind, conf_find_action(q->conf, d.action));
		if (d.kind != DEST_ERROR)
			twins_insert(&newcomers, &all[n]);
		n++;
	}
	if (twins_user(ev->env, parent) != ENVELOPE_NO_PARENT &&
	    twins_find(ev->env, parent, &newcomers) == -1)
		log_fatal("out of memory");
	for (uint32_t i = 0; i < n; i++)
		add_dest(q, ev, &all[i]);
	free(all);
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

/* Whether auth has read another configuration than we have, or had when it was
 * asked: workers swap one after the other. What it says may be the word of
 * rules that never were for this recipient, so it is asked again. */
static int
is_at_odds(struct queue *q, const struct job *job,
    const struct envelope_rcpt *r, const struct msg_expanded *m)
{
	return (m->lacking != 0) != job->lacking ||
	    (m->lacking != 0) == enlist_has_action(q, r);
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
	if (ev.env != NULL &&
	    is_at_odds(q, job, &ev.env->rcpts[job->rcpts[0]], m)) {
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

/* The place of one item of a user's .forward, which failed for now: it has had
 * its first attempt. What a user's process says is believed no further than
 * that. */
static void
init_item(struct queue *q, struct envelope_rcpt *child,
    const struct envelope_rcpt *p, const struct msg_forward_dest *d)
{
	uint32_t entry = (uint32_t)strtoul(d->address, NULL, 10);

	child->code = d->code;
	child->enhanced = d->enhanced;
	child->text = d->text;
	child->last = queue_date(q);
	child->kind = DEST_USER;
	child->address = p->address;
	child->action = p->action;
	child->entry = alias_item_is_mark(entry) ? entry : ENTRY_MAILBOX;
	child->routed = 1;
	child->attempts = 1;
	child->next = queue_now(q) + q->conf->retry.min;
	if (child->state == ENVELOPE_INCOMING)
		child->state = ENVELOPE_WAITING;
}

static void
init_forward(struct queue *q, struct envelope_rcpt *child,
    const struct envelope *env, uint32_t parent, const struct msg_local_done *m,
    const struct msg_forward_dest *d, char orcpt[ADDRESS_SIZE + 8])
{
	const struct envelope_rcpt *p = &env->rcpts[parent];

	init_child(child, env, parent,
	    m->kept != KEPT_NOTHING || m->forward.count > 1, orcpt);
	child->forwarded = 1;
	child->user = p->user;
	child->state =
	    p->state == ENVELOPE_HELD ? ENVELOPE_HELD : ENVELOPE_INCOMING;
	/* who changes his file under what waits for it comes to an end */
	if (d->code / 100 == 4 && p->kind == DEST_USER &&
	    p->depth < ITEM_DEPTH_MAX) {
		init_item(q, child, p, d);
		return;
	}
	if (d->code != 0) {
		child->address = p->address;
		child->action = p->action;
		fail_child(child, d->code, d->enhanced, d->text);
		return;
	}
	child->address = d->address;
	/* an address goes by the rules, a name by this action */
	child->action = strchr(d->address, '@') == NULL ? p->action : "";
}

static void
add_forwards(struct queue *q, struct events *ev, uint32_t parent,
    const struct msg_local_done *m)
{
	struct newcomers newcomers = RB_INITIALIZER(&newcomers);
	struct newcomer *all = calloc(m->forward.count, sizeof(*all));
	struct ipc_list forward = m->forward;
	char orcpt[ADDRESS_SIZE + 8];
	struct msg_forward_dest d;
	uint32_t n = 0;

	if (all == NULL)
		log_fatal("out of memory");
	while (ipc_next_forward_dest(&forward, &d)) {
		init_forward(q, &all[n].rcpt, ev->env, parent, m, &d, orcpt);
		all[n].varies = 1;
		if (d.code == 0)
			twins_insert(&newcomers, &all[n]);
		n++;
	}
	for (uint32_t i = 0; i < n; i++)
		add_dest(q, ev, &all[i]);
	free(all);
}

/* Whether users may add so many more. What the operator lists is his affair. */
static int
may_forward(const struct envelope *env, uint32_t parent, uint32_t more)
{
	return has_room(env, more) &&
	    (env->rcpts[parent].kind != DEST_USER ||
		twins_forwarded(env, parent) + more <= FORWARDED_MAX);
}

void
expanded_forward(struct queue *q, struct events *ev, uint32_t parent,
    const struct msg_local_done *m, struct outcome *o)
{
	if (m->forward.count == 0) {
		*o = (struct outcome){ .code = 451,
			.enhanced = "4.3.5",
			.text = "It is forwarded to nobody",
			.status = DELIVERY_TEMPFAIL };
		return;
	}
	if (!may_forward(ev->env, parent, m->forward.count)) {
		*o = (struct outcome){ .code = 550,
			.enhanced = "5.2.4",
			.text = "The list is too long",
			.status = DELIVERY_PERMFAIL };
		return;
	}
	add_forwards(q, ev, parent, m);
	o->kept = m->kept != KEPT_NOTHING;
	o->expanded =
	    o->kept || m->forward.count > 1 ? EXPANDED_SEVERAL : EXPANDED_ONE;
	if (m->kept == KEPT_MAILBOX && ev->env->rcpts[parent].kind == DEST_USER)
		envelope_edit(ev->env, parent)->entry = ENTRY_MAILBOX;
}
