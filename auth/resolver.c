/*
 * See resolver.h. Owns the libunbound context, which signed_root.c makes, and
 * the questions under way.
 *
 * Those who ask the same share one lookup: the many transactions of a domain
 * whose servers are silent take one place of ACTIVE_MAX, not all of them. When
 * all places are taken, each is lent for a second, and those who ask share them
 * (turns.h).
 */
#include "config.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/tree.h>
#include <unbound.h>
#include <unbound-event.h>

#include "auth/dns_packet.h"
#include "auth/resolver.h"
#include "auth/signed_root.h"
#include "auth/turns.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	ACTIVE_MAX = 500,
	PATIENCE_MS = 999, /* with a name while others wait */
	QUESTIONS_MAX = 20000, /* of each that asks */
	DEADLINE_SECONDS = 25,
	RCODE_NXDOMAIN = 3
};

enum lookup_state { LOOKUP_WAITING, LOOKUP_ACTIVE, LOOKUP_ENDING };

/* What is asked of libunbound, for all who ask it of us. */
struct lookup {
	RB_ENTRY(lookup) by_name; /* until it ends */
	TAILQ_ENTRY(lookup) entry; /* while it is active, the oldest first */
	struct resolver *resolver;
	enum lookup_state state;
	int64_t since; /* milliseconds: when it became active */
	struct turns_asker *charged; /* with its place; asks this too */
	TAILQ_HEAD(, question) questions;
	int async_id;
	int answered; /* inside ub_resolve_event, not to be freed there */
	int starting;
	uint16_t type;
	char name[DNS_NAME_SIZE];
};

struct question {
	struct turns_ask ask; /* first */
	TAILQ_ENTRY(question) entry;
	struct lookup *lookup;
	uint64_t id;
	resolver_done *done;
	struct event *deadline;
};

static int
lookup_compare(const struct lookup *a, const struct lookup *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return strcasecmp(a->name, b->name);
}

TAILQ_HEAD(lookups, lookup);
RB_HEAD(lookup_tree, lookup);
RB_GENERATE_INTERNAL(lookup_tree, lookup, by_name, lookup_compare,
    static __attribute__((unused)))

struct resolver {
	struct loop *loop;
	struct ub_ctx *ctx;
	struct signed_root *root;
	struct lookup_tree names;
	struct turns turns;
	struct lookups active;
	size_t active_count;
	struct loop_deferred pump; /* starts what waits */
	struct event *again; /* when a place may be made */
};

/* ---- questions -------------------------------------------------------- */

/* The place counts as his who asks for it and has fewest. */
static void
lookup_charge(struct lookup *l, struct turns_asker *who)
{
	if (l->charged != NULL)
		l->charged->places--;
	if ((l->charged = who) != NULL)
		who->places++;
}

/* Who asks from now on asks anew. */
static void
lookup_leave(struct lookup *l)
{
	struct resolver *r = l->resolver;

	RB_REMOVE(lookup_tree, &r->names, l);
	if (l->state != LOOKUP_ACTIVE)
		return;
	lookup_charge(l, NULL);
	TAILQ_REMOVE(&r->active, l, entry);
	r->active_count--;
	loop_defer(r->loop, &r->pump);
}

static void
question_free(struct question *q)
{
	turns_remove(&q->lookup->resolver->turns, &q->ask);
	event_free(q->deadline);
	free(q);
}

/* Nobody may be left to hear of it. */
static void
question_drop(struct question *q)
{
	struct lookup *l = q->lookup;
	struct question *other;

	TAILQ_REMOVE(&l->questions, q, entry);
	other = TAILQ_FIRST(&l->questions);
	if (other != NULL && l->charged == q->ask.asker)
		lookup_charge(l, other->ask.asker);
	if (other != NULL || l->state == LOOKUP_ENDING) {
		question_free(q);
		return;
	}
	if (l->state == LOOKUP_ACTIVE)
		ub_cancel(l->resolver->ctx, l->async_id);
	lookup_leave(l);
	question_free(q);
	free(l);
}

/* The callbacks may ask and cancel. */
static void
lookup_finish(struct lookup *l, const struct resolver_answer *a)
{
	struct question *q;
	resolver_done *done;
	void *asker;
	uint64_t id;

	lookup_leave(l);
	l->state = LOOKUP_ENDING;
	while ((q = TAILQ_FIRST(&l->questions)) != NULL) {
		done = q->done;
		asker = q->ask.asker->who;
		id = q->id;
		TAILQ_REMOVE(&l->questions, q, entry);
		question_free(q);
		if (done != NULL)
			done(asker, id, a);
	}
	/* libunbound may answer while it is being asked */
	if (l->starting)
		l->answered = 1;
	else
		free(l);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct question *q = arg;
	struct resolver_answer a = { .status = DNS_TEMPFAIL };
	char name[DNS_NAME_SIZE];
	resolver_done *done = q->done;
	void *asker = q->ask.asker->who;
	uint64_t id = q->id;

	memcpy(name, q->lookup->name, sizeof(name));
	a.owner = name;
	question_drop(q);
	if (done != NULL)
		done(asker, id, &a);
}

/*
 * libunbound's answer. Its rcode argument says only whether there is a packet
 * to look at; a bogus answer carries its data all the same, so the order of
 * the checks is what keeps forged data out.
 */
static void
on_result(void *arg, int rc, void *packet, int len, int security,
    char *why_bogus, int was_ratelimited)
{
	struct lookup *l = arg;
	struct resolver_answer a = { .status = DNS_TEMPFAIL };
	struct ipc_buf records = { 0 };
	struct dns_reply reply;
	char name[DNS_NAME_SIZE];

	memcpy(name, l->name, sizeof(name));
	a.owner = name;
	if (rc != 0 || len <= 0 ||
	    dns_packet_parse(packet, (size_t)len, l->name, l->type, &records,
		&reply) == -1 ||
	    (reply.rcode != 0 && reply.rcode != RCODE_NXDOMAIN)) {
		log_trace(TRACE_DNS, "%s type %u: no answer", name, l->type);
	} else if (security == 1 && signed_root_explains(l->resolver->root)) {
		/* it is asked again, with all that is under way */
		ipc_buf_free(&records);
		return;
	} else if (security == 1) {
		log_info("%s type %u fails DNSSEC: %s", name, l->type,
		    why_bogus ? why_bogus : "bogus");
	} else {
		a.status = reply.rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN
		    : reply.count + reply.left_out == 0  ? DNS_NODATA
							 : DNS_OK;
		a.secure =
		    security == 2 && signed_root_validates(l->resolver->root);
		a.ttl = reply.ttl;
		a.owner = reply.owner;
		a.records = ipc_buf_list(&records);
	}
	if (records.failed)
		a.status = DNS_TEMPFAIL;
	lookup_finish(l, &a);
	ipc_buf_free(&records);
}

static void
lookup_start(struct lookup *l, struct turns_asker *for_whom)
{
	struct resolver_answer fail = { .status = DNS_TEMPFAIL,
		.owner = l->name };
	struct resolver *r = l->resolver;
	struct question *q;
	int rc;

	TAILQ_FOREACH (q, &l->questions, entry)
		turns_leave(&q->ask);
	TAILQ_INSERT_TAIL(&r->active, l, entry);
	r->active_count++;
	l->state = LOOKUP_ACTIVE;
	l->since = loop_now(r->loop);
	lookup_charge(l, for_whom);
	l->starting = 1;
	rc = ub_resolve_event(
	    r->ctx, l->name, l->type, DNS_CLASS_IN, l, on_result, &l->async_id);
	l->starting = 0;
	if (l->answered)
		free(l);
	else if (rc != 0)
		lookup_finish(l, &fail);
}

/* All places are taken, by names whose servers are silent, as a rule: then the
 * one that he had for longest is given up, but not before the servers of a
 * usual name would have answered. Whether it was. */
static int
make_place(struct resolver *r, const struct turns_asker *debtor)
{
	struct resolver_answer fail = { .status = DNS_TEMPFAIL };
	struct timeval tv = { 0 };
	struct lookup *oldest;
	int64_t age;

	TAILQ_FOREACH (oldest, &r->active, entry)
		if (oldest->charged == debtor)
			break;
	age = loop_now(r->loop) - oldest->since;
	if (age < PATIENCE_MS) {
		tv.tv_usec = (PATIENCE_MS - age) * 1000 - 1000;
		event_add(r->again, &tv);
		return 0;
	}
	fail.owner = oldest->name;
	ub_cancel(r->ctx, oldest->async_id);
	lookup_finish(oldest, &fail);
	return 1;
}

static void
on_pump(void *arg)
{
	struct resolver *r = arg;
	struct turns_asker *whose;
	struct question *q;
	int made = 0;

	if (signed_root_is_awaited(r->root))
		return;
	while ((whose = turns_next(&r->turns)) != NULL) {
		if (r->active_count >= ACTIVE_MAX) {
			if (!make_place(r, turns_debtor(&r->turns, whose)))
				return;
			/* whoever was given up may have cancelled what waited
			 */
			made = 1;
			continue;
		}
		q = (struct question *)turns_take(&r->turns, whose, made);
		made = 0;
		lookup_start(q->lookup, whose);
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	on_pump(arg);
}

/* The lookup under way for that question, or a new one. */
static struct lookup *
lookup_for(struct resolver *r, const char *name, uint16_t type)
{
	struct lookup *l, *found;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	l->type = type;
	if (strlcpy(l->name, name, sizeof(l->name)) >= sizeof(l->name)) {
		free(l);
		return NULL;
	}
	if ((found = RB_INSERT(lookup_tree, &r->names, l)) != NULL) {
		free(l);
		return found;
	}
	l->resolver = r;
	TAILQ_INIT(&l->questions);
	return l;
}

static void
question_join(struct question *q)
{
	struct lookup *l = q->lookup;

	TAILQ_INSERT_TAIL(&l->questions, q, entry);
	if (l->state == LOOKUP_WAITING) {
		turns_wait(&q->ask);
		loop_defer(l->resolver->loop, &l->resolver->pump);
	} else if (q->ask.asker->places < l->charged->places)
		lookup_charge(l, q->ask.asker);
}

static int
add_question(struct resolver *r, void *asker, const struct question *what,
    const char *name, uint16_t type)
{
	struct timeval tv = { DEADLINE_SECONDS, 0 };
	struct question *q;

	if ((q = malloc(sizeof(*q))) == NULL)
		return -1;
	*q = *what;
	if (turns_add(&r->turns, asker, QUESTIONS_MAX, &q->ask) == -1) {
		free(q);
		return -1;
	}
	q->deadline = evtimer_new(loop_base(r->loop), on_deadline, q);
	if (q->deadline == NULL || event_add(q->deadline, &tv) == -1 ||
	    (q->lookup = lookup_for(r, name, type)) == NULL) {
		if (q->deadline != NULL)
			event_free(q->deadline);
		turns_remove(&r->turns, &q->ask);
		free(q);
		return -1;
	}
	question_join(q);
	return 0;
}

void
resolver_ask(struct resolver *r, void *asker, uint64_t id, const char *name,
    uint16_t type, resolver_done *done)
{
	struct resolver_answer fail = { .status = DNS_TEMPFAIL, .owner = name };
	struct question q = { .id = id, .done = done };

	if (r->ctx == NULL || add_question(r, asker, &q, name, type) == -1)
		done(asker, id, &fail);
}

static void
drop_matching(struct resolver *r, const void *who, const uint64_t *id)
{
	struct turns_asker *asker = turns_find(&r->turns, who);
	struct turns_ask *ask, *next;

	if (asker == NULL)
		return;
	for (ask = TAILQ_FIRST(&asker->all); ask != NULL; ask = next) {
		next = TAILQ_NEXT(ask, entry);
		if (id == NULL || ((struct question *)ask)->id == *id)
			question_drop((struct question *)ask);
	}
}

void
resolver_cancel(struct resolver *r, void *asker, uint64_t id)
{
	drop_matching(r, asker, &id);
}

void
resolver_forget(struct resolver *r, void *asker)
{
	drop_matching(r, asker, NULL);
}

/* ---- configuration ---------------------------------------------------- */

/* Everything under way goes back to the head of its line, for the new
 * context to answer. */
static void
ask_again(struct resolver *r)
{
	struct question *q;
	struct lookup *l;

	while ((l = TAILQ_LAST(&r->active, lookups)) != NULL) {
		ub_cancel(r->ctx, l->async_id);
		TAILQ_REMOVE(&r->active, l, entry);
		r->active_count--;
		lookup_charge(l, NULL);
		l->state = LOOKUP_WAITING;
		TAILQ_FOREACH (q, &l->questions, entry)
			turns_wait_first(&q->ask);
	}
	loop_defer(r->loop, &r->pump);
}

static void
on_context(void *arg, struct ub_ctx *ctx)
{
	struct resolver *r = arg;

	if (r->ctx != NULL) {
		ask_again(r);
		ub_ctx_delete(r->ctx);
	}
	r->ctx = ctx;
}

static void
on_decided(void *arg)
{
	struct resolver *r = arg;

	loop_defer(r->loop, &r->pump);
}

int
resolver_configure(
    struct resolver *r, const struct conf_resolver *s, char *error, size_t size)
{
	return signed_root_configure(r->root, s, error, size);
}

struct resolver *
resolver_new(struct loop *loop)
{
	static const struct signed_root_ops root_ops = { .use = on_context,
		.decided = on_decided };
	struct resolver *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->loop = loop;
	r->again = evtimer_new(loop_base(loop), on_again, r);
	r->root = signed_root_new(loop, &root_ops, r);
	if (r->again == NULL || r->root == NULL) {
		if (r->again != NULL)
			event_free(r->again);
		signed_root_free(r->root);
		free(r);
		return NULL;
	}
	TAILQ_INIT(&r->turns);
	TAILQ_INIT(&r->active);
	RB_INIT(&r->names);
	loop_deferred_init(&r->pump, on_pump, r);
	return r;
}

void
resolver_free(struct resolver *r)
{
	struct turns_asker *a;

	if (r == NULL)
		return;
	while ((a = TAILQ_FIRST(&r->turns)) != NULL)
		resolver_forget(r, a->who);
	signed_root_free(r->root);
	if (r->ctx != NULL)
		ub_ctx_delete(r->ctx);
	loop_undefer(r->loop, &r->pump);
	event_free(r->again);
	free(r);
}
