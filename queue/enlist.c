/*
 * Envelopes into the schedule: which kind of work a recipient is, where it
 * goes, until when it is tried. What the scheduler gets to know of a message
 * is decided here and nowhere else.
 */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ipc/worker.h"
#include "net/loop.h"
#include "os/log.h"
#include "queue/queue.h"
#include "smtp/address.h"

enum {
	EXPAND_INFLIGHT = 200, /* auth takes no more */
	LOCAL_INFLIGHT = 200,
	LOCAL_PER_USER = 7, /* processes */
	/* Where one process does many in turn, a user may hold more than has
	 * processes while it is quick, but this part of all: others must get
	 * theirs when it no longer is. */
	LOCAL_PART = 4,
	/* What hangs may be what an action delivers to, with all of its users
	 * behind it: this part of all is then left to the other actions. */
	ACTION_PART = 2,
	/* quarters of that, for one account with many addresses */
	ACCOUNT_QUARTERS = 3,
	/* looks of a step: a thousand, for which mail waits */
	RECHECK_PAGE = 64,
	RECHECK_PAGES = 16,
	RECHECK_KEPT = 4096 /* recipients of messages that were read for it */
};

static uint32_t
first_set(uint32_t a, uint32_t b)
{
	return a != 0 ? a : b;
}

static struct sched_class
retries_of(const struct queue *q, const struct conf_action *action)
{
	const struct conf_relay *relay = &action->relay;
	struct sched_class class = { 0 };

	class.retry_floor = first_set(relay->retry_min, q->conf->retry.min);
	class.retry_ceiling = first_set(relay->retry_max, q->conf->retry.max);
	if (relay->backup)
		class.probe_floor = class.probe_ceiling =
		    first_set(relay->probe_interval, 5);
	return class;
}

/* The class of a relay action: those that are tried alike share one. */
static uint8_t
class_of(const struct queue *q, const struct conf_action *action)
{
	struct sched_class class = retries_of(q, action);

	for (unsigned n = CLASS_RELAY; n < SCHED_CLASSES; n++)
		if (memcmp(&q->classes[n], &class, sizeof(class)) == 0)
			return (uint8_t)n;
	return CLASS_UNKNOWN;
}

/* Classes for the actions that have none yet, in the place of such as no
 * action has any more. */
static void
configure_actions(struct queue *q)
{
	const struct conf *conf = q->conf;
	uint8_t used[SCHED_CLASSES] = { 0 };
	unsigned n = CLASS_RELAY;

	for (uint32_t i = 0; i < conf->nactions; i++)
		if (conf->actions[i].kind == CONF_ACTION_RELAY)
			used[class_of(q, &conf->actions[i])] = 1;
	for (uint32_t i = 0; i < conf->nactions; i++) {
		const struct conf_action *action = &conf->actions[i];

		if (action->kind != CONF_ACTION_RELAY ||
		    class_of(q, action) != CLASS_UNKNOWN)
			continue;
		while (n < SCHED_CLASSES && used[n])
			n++;
		if (n == SCHED_CLASSES) {
			log_warn("too many actions differ in their times of "
				 "retry: %s has those of `set retry`",
			    action->name);
			continue;
		}
		q->classes[n] = retries_of(q, action);
		sched_set_class(q->sched, (uint8_t)n, &q->classes[n]);
		n++;
	}
}

/* A part of so many that one user does not fill, nor the part all. */
static uint32_t
part_of(uint32_t all, uint32_t part, uint32_t user)
{
	if (part <= user)
		part = user < all ? user + 1 : all;
	if (part >= all)
		part = all - 1;
	return part != 0 ? part : 1;
}

/* What one action may have of all local deliveries, where there is another,
 * and what one account may have of that. */
static void
set_parts(const struct conf *conf, uint32_t user, struct sched_params *params)
{
	uint32_t part = params->max_inflight[SCHED_LOCAL], n = 0;

	for (uint32_t i = 0; i < conf->nactions; i++)
		n += conf->actions[i].kind != CONF_ACTION_RELAY;
	if (n > 1)
		part = part_of(part, part / ACTION_PART, user);
	params->max_action = part;
	params->max_owner = part_of(part, part * ACCOUNT_QUARTERS / 4, user);
}

void
enlist_configure(struct queue *q)
{
	const struct conf *conf = q->conf;
	struct sched_params params = { 0 };
	struct sched_class retry = { .retry_floor = conf->retry.min,
		.retry_ceiling = conf->retry.max };
	struct sched_class expand = { .retry_floor = conf->retry.min,
		.retry_ceiling = conf->retry.max,
		.window_start = EXPAND_INFLIGHT,
		.window_max = EXPAND_INFLIGHT,
		.batch_max = 1 };
	struct sched_class local = expand;

	params.max_inflight[SCHED_RELAY] = conf->scheduler.max_inflight;
	params.max_inflight[SCHED_EXPAND] = EXPAND_INFLIGHT;
	params.max_inflight[SCHED_LOCAL] = LOCAL_INFLIGHT;
	if (conf->mda.max_session != 0 &&
	    conf->mda.max_session < LOCAL_INFLIGHT)
		params.max_inflight[SCHED_LOCAL] = conf->mda.max_session;
	local.window_start = local.window_max =
	    first_set(conf->mda.max_session_per_user, LOCAL_PER_USER);
	set_parts(conf, local.window_max, &params);
	sched_set_params(q->sched, &params);
	sched_set_class(q->sched, CLASS_UNKNOWN, &retry);
	sched_set_class(q->sched, CLASS_EXPAND, &expand);
	sched_set_class(q->sched, CLASS_LOCAL, &local);
	if (local.window_max < params.max_inflight[SCHED_LOCAL] / LOCAL_PART)
		local.window_max =
		    params.max_inflight[SCHED_LOCAL] / LOCAL_PART;
	sched_set_class(q->sched, CLASS_PLACE, &local);
	configure_actions(q);
}

enum envelope_state
enlist_first_state(struct queue *q, const char *name)
{
	const struct conf_action *action = conf_find_action(q->conf, name);

	return action != NULL && action->kind == CONF_ACTION_RELAY
	    ? ENVELOPE_READY
	    : ENVELOPE_INCOMING;
}

/* When a message came, by the schedule's clock: what was dated by one that was
 * ahead of it comes now. */
static int64_t
came_at(struct queue *q, const struct envelope *env)
{
	int64_t now = queue_now(q);

	return env->arrival < now ? env->arrival : now;
}

int64_t
enlist_expiry(struct queue *q, const struct envelope *env,
    const struct envelope_rcpt *rcpt)
{
	const struct conf_action *action =
	    conf_find_action(q->conf, rcpt->action);
	uint32_t lifetime = env->lifetime;

	if (lifetime == 0)
		lifetime = action != NULL ? conf_action_ttl(q->conf, action)
					  : q->conf->queue.ttl;
	return came_at(q, env) + lifetime;
}

int64_t
enlist_warning(struct queue *q, const struct envelope *env,
    const struct envelope_rcpt *rcpt)
{
	uint32_t delay;

	if (rcpt->warned >= CONF_BOUNCE_WARN_MAX || *env->sender == '\0')
		return 0;
	delay = q->conf->bounce.warn[rcpt->warned];
	return delay != 0 ? came_at(q, env) + delay : 0;
}

void
enlist_times(struct queue *q, const struct envelope *env, uint32_t index)
{
	const struct envelope_rcpt *rcpt = &env->rcpts[index];

	sched_set_times(q->sched, env->msgid, index,
	    enlist_expiry(q, env, rcpt), enlist_warning(q, env, rcpt),
	    queue_now(q));
}

/* What the configuration lets one destination have at once. */
static uint32_t
window_of(const struct queue *q, const char *domain)
{
	const struct conf_mta_limit *l = conf_find_mta_limit(q->conf, domain);
	uint32_t relay = l->max_conn_per_relay, one = l->max_conn_per_domain;

	if (relay == 0 || one == 0)
		return first_set(relay, one);
	return relay < one ? relay : one;
}

/* Whether master lets one process deliver many messages to a user's place. */
static int
has_places(const struct conf_action *action)
{
	return action->kind == CONF_ACTION_MBOX ||
	    action->kind == CONF_ACTION_MAILDIR;
}

int
enlist_has_action(struct queue *q, const struct envelope_rcpt *rcpt)
{
	const struct conf_action *action =
	    conf_find_action(q->conf, rcpt->action);

	/* the rules choose one where there is none yet */
	if (!rcpt->routed)
		return *rcpt->action == '\0' || action != NULL;
	return action != NULL &&
	    (action->kind == CONF_ACTION_RELAY) == (rcpt->kind == DEST_RELAY);
}

/* Whether virtual users may share an account, and are told apart by their
 * addresses. */
static int
has_virtual_places(const struct conf_action *action)
{
	return action->local.virtual_table != NULL && action->local.by_address;
}

/* The destination of a virtual user, until the next call: his account, and his
 * address without what any sender may change of it, the tag and the case. */
static const char *
virtual_place(const struct queue *q, const struct envelope_rcpt *rcpt)
{
	static char place[2 * ADDRESS_SIZE];
	const char *delim = q->conf->smtp.sub_addr_delim;
	char name[ADDRESS_LOCAL_SIZE];

	address_user(rcpt->address, name, sizeof(name));
	if (*name != '\0' && delim != NULL && *delim != '\0')
		name[1 + strcspn(name + 1, delim)] = '\0';
	snprintf(place, sizeof(place), "%s:%s@%s", rcpt->user, name,
	    address_domain(rcpt->address));
	for (char *p = place; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return place;
}

static void
find_local(struct queue *q, const struct envelope_rcpt *rcpt,
    const struct conf_action *action, struct sched_add *add)
{
	add->class = rcpt->kind == DEST_USER && has_places(action)
	    ? CLASS_PLACE
	    : CLASS_LOCAL;
	if (rcpt->kind != DEST_USER || !has_virtual_places(action))
		return;
	add->domain = virtual_place(q, rcpt);
	add->owner = rcpt->user;
}

/* Fills in kind, class, action, domain and owner. -1 when the configuration has
 * no such action: the class is CLASS_UNKNOWN then, as enlist_again wants it. A
 * host that an action names serves all domains as one destination, but what
 * goes to a paused one waits apart. */
static int
find_route(
    struct queue *q, const struct envelope_rcpt *rcpt, struct sched_add *add)
{
	const struct conf_action *action =
	    conf_find_action(q->conf, rcpt->action);

	add->action = rcpt->action;
	if (!rcpt->routed) {
		add->kind = SCHED_EXPAND;
		add->class = CLASS_EXPAND;
		add->domain = "";
		return 0;
	}
	if (rcpt->kind != DEST_RELAY) {
		add->kind = SCHED_LOCAL;
		add->domain = *rcpt->user != '\0' ? rcpt->user : rcpt->alias;
		if (!enlist_has_action(q, rcpt))
			return -1;
		find_local(q, rcpt, action, add);
		return 0;
	}
	add->kind = SCHED_RELAY;
	add->domain = address_domain(rcpt->address);
	if (!enlist_has_action(q, rcpt))
		return -1;
	add->class = class_of(q, action);
	if (action->relay.host != NULL &&
	    !sched_domain_paused(q->sched, add->domain))
		add->domain = "";
	add->window_max = window_of(q, add->domain);
	return 0;
}

void
enlist_warn_of_action(
    const struct envelope *env, const struct envelope_rcpt *rcpt)
{
	log_warn("%08x: the configuration has no action %s any more, or one of "
		 "another kind: a recipient is held until it is added and "
		 "read by a reload",
	    env->msgid, rcpt->action);
}

/* As the envelope has it: by the operator or a policy. What the schedule alone
 * holds waits for its action, or is damaged and is looked at once more. */
static int
is_held(const struct envelope *env, uint32_t index)
{
	return env->hold || env->rcpts[index].state == ENVELOPE_HELD;
}

/* With the next attempt at that time. */
static uint32_t
enlist_at(
    struct queue *q, const struct envelope *env, uint32_t index, int64_t next)
{
	const struct envelope_rcpt *rcpt = &env->rcpts[index];
	struct sched_add add = { .msgid = env->msgid,
		.rcpt = index,
		.priority = SCHED_NORMAL,
		.sender_key = sched_sender_key(q->sched, env->sender),
		.size = env->size,
		.attempts = rcpt->attempts,
		.next = next };

	if (rcpt->state == ENVELOPE_DONE || envelope_removing(rcpt))
		return 0;
	if (is_held(env, index))
		add.flags |= SCHED_ADD_HELD;
	if (find_route(q, rcpt, &add) == -1) {
		enlist_warn_of_action(env, rcpt);
		add.flags |= SCHED_ADD_HELD;
	}
	add.expiry = enlist_expiry(q, env, rcpt);
	add.warn = enlist_warning(q, env, rcpt);
	if (sched_add(q->sched, &add, queue_now(q)) == 0)
		return 1;
	/* the disk knows it: the next start takes it up again */
	log_fatal("%08x: a recipient cannot be scheduled", env->msgid);
}

uint32_t
enlist_rcpt(struct queue *q, const struct envelope *env, uint32_t index)
{
	return enlist_at(q, env, index, env->rcpts[index].next);
}

uint32_t
enlist_all(struct queue *q, const struct envelope *env)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < env->rcpt_count; i++)
		n += enlist_rcpt(q, env, i);
	return n;
}

/* Where its route leads now, with its next attempt, unless that was brought
 * forward; held if it was. */
static uint32_t
enlist_elsewhere(struct queue *q, const struct envelope *env, uint32_t index,
    const struct sched_info *was)
{
	int64_t next = env->rcpts[index].next;
	int held = was->state == SCHED_HELD;

	if (was->state == SCHED_READY)
		next = 0;
	else if (was->state == SCHED_WAITING && was->next < next)
		next = was->next;
	if (sched_remove(q->sched, env->msgid, index) != 1 ||
	    enlist_at(q, env, index, next) == 0)
		return 0;
	/* the envelope does not say so of what was found damaged */
	if (held)
		sched_hold(q->sched, env->msgid, index);
	return 1;
}

uint32_t
enlist_reroute(struct queue *q, const struct envelope *env, uint32_t index)
{
	const char *domain = address_domain(env->rcpts[index].address);
	struct sched_info info;

	if (!sched_domain_paused(q->sched, domain) ||
	    !sched_lookup(q->sched, env->msgid, index, &info) ||
	    info.kind != SCHED_RELAY || info.state == SCHED_INFLIGHT ||
	    info.state == SCHED_DONE || strcasecmp(info.domain, domain) == 0)
		return 0;
	return enlist_elsewhere(q, env, index, &info);
}

int
enlist_is_astray(
    struct queue *q, const struct envelope_rcpt *rcpt, const char *destination)
{
	const struct conf_action *action =
	    conf_find_action(q->conf, rcpt->action);

	return *destination == '\0' && action != NULL &&
	    action->kind == CONF_ACTION_RELAY && action->relay.host == NULL &&
	    *address_domain(rcpt->address) != '\0';
}

/* Into the schedule again, as if it were new there: what it waited for was
 * the route that it had. */
static void
enlist_anew(struct queue *q, const struct envelope *env, uint32_t index)
{
	if (sched_remove(q->sched, env->msgid, index) == 1 &&
	    enlist_rcpt(q, env, index) == 1)
		sched_schedule(q->sched, env->msgid, index, queue_now(q));
}

/* What came of it decides; only what then is left is held. */
static void
enlist_inflight(struct queue *q, const struct envelope *env, uint32_t index,
    int lacks, const struct sched_info *info)
{
	if (lacks)
		sched_hold(q->sched, env->msgid, index);
	else if (info->holding && !is_held(env, index))
		sched_release(q->sched, env->msgid, index, queue_now(q));
}

uint32_t
enlist_again(struct queue *q, const struct envelope *env, uint32_t index)
{
	const struct envelope_rcpt *rcpt = &env->rcpts[index];
	struct sched_add now = { 0 };
	struct sched_info info;
	int lacks;

	if (!sched_lookup(q->sched, env->msgid, index, &info) ||
	    info.state == SCHED_DONE)
		return 0;
	lacks = find_route(q, rcpt, &now) == -1;
	if (info.state == SCHED_INFLIGHT) {
		enlist_inflight(q, env, index, lacks, &info);
		return 0;
	}
	if (!lacks) {
		/* the operator held it, or it was under way, while it lacked
		 * its action */
		if ((info.class == CLASS_UNKNOWN && now.class != info.class) ||
		    (info.kind == SCHED_RELAY &&
			enlist_is_astray(q, rcpt, info.domain)))
			enlist_elsewhere(q, env, index, &info);
		return 0;
	}
	if (info.class != CLASS_UNKNOWN) {
		enlist_anew(q, env, index);
		return 1;
	}
	if (sched_hold(q->sched, env->msgid, index) == 0)
		return 0;
	enlist_warn_of_action(env, rcpt);
	return 1;
}

/* ---- after a reload ----------------------------------------------------- */

int
enlist_times_differ(const struct conf *before, const struct conf *now)
{
	const struct conf_action *was;

	if (before->queue.ttl != now->queue.ttl ||
	    memcmp(before->bounce.warn, now->bounce.warn,
		sizeof(now->bounce.warn)) != 0)
		return 1;
	for (uint32_t i = 0; i < now->nactions; i++) {
		was = conf_find_action(before, now->actions[i].name);
		if (was != NULL &&
		    conf_action_ttl(before, was) !=
			conf_action_ttl(now, &now->actions[i]))
			return 1;
	}
	return 0;
}

/* What its destination may have at once, and how it is tried. One of the
 * unknown class is looked at by its recipients. */
static void
recheck_limits(struct queue *q, const struct sched_info *info)
{
	const struct conf_action *action =
	    conf_find_action(q->conf, info->action);

	if (action == NULL || info->class == CLASS_UNKNOWN)
		return;
	if (info->kind == SCHED_RELAY && action->kind == CONF_ACTION_RELAY)
		sched_set_dest(q->sched, info->dest, class_of(q, action),
		    window_of(q, info->domain));
	else if (info->class == CLASS_PLACE && !has_places(action))
		sched_set_dest(q->sched, info->dest, CLASS_LOCAL, 0);
}

/* Whether the configuration may have taken away, or brought, what it needs, as
 * an action or the host of one. What waits to be expanded needs no action, but
 * is held if rules do not take it in place of one. */
static int
is_concerned(const struct queue *q, const struct sched_info *info)
{
	const struct conf_action *action =
	    conf_find_action(q->conf, info->action);

	if (q->recheck_times)
		return 1;
	if (info->kind == SCHED_EXPAND)
		return info->state == SCHED_HELD;
	if (action == NULL || info->state == SCHED_HELD || info->holding ||
	    (action->kind == CONF_ACTION_RELAY) != (info->kind == SCHED_RELAY))
		return 1;
	return info->kind == SCHED_RELAY && *info->domain == '\0' &&
	    action->relay.host == NULL;
}

static void
recheck_route(
    struct queue *q, const struct envelope *env, const struct sched_info *info)
{
	/* it is held for that already, and has been told of */
	if (info->state == SCHED_HELD && info->class == CLASS_UNKNOWN &&
	    !enlist_has_action(q, &env->rcpts[info->rcpt]))
		return;
	if (info->state == SCHED_HELD &&
	    (info->kind == SCHED_EXPAND || !is_held(env, info->rcpt)))
		enlist_anew(q, env, info->rcpt);
	else
		enlist_again(q, env, info->rcpt);
}

/* How many recipients its message has, which was read for it. */
static uint32_t
enlist_concerned(struct queue *q, const struct sched_info *info)
{
	enum store_status status;
	struct envelope *env = batch_envelope(q->batch, info->msgid, &status);

	if (env == NULL || info->rcpt >= env->rcpt_count)
		return 0;
	recheck_route(q, env, info);
	if (q->recheck_times)
		enlist_times(q, env, info->rcpt);
	return env->rcpt_count;
}

int
enlist_recheck(struct queue *q, uint64_t *cursor)
{
	static const struct sched_filter all = { 0 };
	struct sched_info rows[RECHECK_PAGE];
	size_t n = RECHECK_PAGE, concerned;
	uint32_t msgid = 0, read, kept = 0;

	for (int page = 0; page < RECHECK_PAGES && n == RECHECK_PAGE; page++) {
		n = sched_list(q->sched, &all, cursor, rows, RECHECK_PAGE);
		/* their names of actions do not outlive a change */
		concerned = 0;
		for (size_t i = 0; i < n; i++) {
			recheck_limits(q, &rows[i]);
			if (is_concerned(q, &rows[i]))
				rows[concerned++] = rows[i];
		}
		for (size_t i = 0; i < concerned; i++) {
			/* the batch keeps all that it has read, and one
			 * message of many thousands is to be read once */
			if (rows[i].msgid != msgid && kept >= RECHECK_KEPT) {
				batch_flush(q->batch);
				kept = 0;
			}
			read = enlist_concerned(q, &rows[i]);
			kept += rows[i].msgid != msgid ? read : 0;
			msgid = rows[i].msgid;
		}
	}
	if (msgid != 0)
		batch_flush(q->batch);
	if (n == RECHECK_PAGE)
		return 1;
	q->recheck_times = 0;
	return 0;
}

/* Whether the configuration, and not the DNS, names where its mail goes. */
static int
names_hosts(void *arg, const char *name)
{
	const struct queue *q = arg;
	const struct conf_action *action = conf_find_action(q->conf, name);

	return action != NULL && action->kind == CONF_ACTION_RELAY &&
	    (action->relay.host != NULL || action->relay.domain != NULL);
}

int
enlist_is_bygone(struct queue *q, const struct job *job, const char *action)
{
	return job->started < q->all_anew ||
	    (job->started < q->hosts_anew && names_hosts(q, action));
}

void
enlist_retry_hosts(struct queue *q)
{
	uint32_t n = sched_retry(q->sched, names_hosts, q);

	q->hosts_anew = loop_now(worker_loop(q->worker));
	if (n > 0)
		log_info("%u next hops that the configuration names were not "
			 "reached: what was read may be another, so they are "
			 "tried now",
		    n);
}

static int
is_any(void *arg, const char *name)
{
	return 1;
}

void
enlist_retry_all(struct queue *q)
{
	uint32_t n = sched_retry(q->sched, is_any, q);

	q->all_anew = loop_now(worker_loop(q->worker));
	if (n > 0)
		log_info("%u next hops were not reached: their names may be "
			 "known now, so they are tried",
		    n);
}

/* ---- at start ----------------------------------------------------------- */

struct loading {
	struct queue *q;
	int64_t count;
};

static int
load_envelope(void *arg, const struct envelope *env)
{
	struct loading *l = arg;

	l->count += enlist_all(l->q, env);
	owed_load(l->q, env);
	return 0;
}

int64_t
enlist_load(struct queue *q)
{
	struct loading l = { .q = q };
	uint32_t next;

	if (store_iterate(q->store, 0, 0, load_envelope, &l, &next) != STORE_OK)
		return -1;
	return l.count;
}
