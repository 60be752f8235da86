/*
 * See resolver.h. Owns the libunbound context and the questions under way.
 *
 * A forwarder that strips DNSSEC would make every answer bogus and stop all
 * mail. So after each configuration the signed root is asked for: if that
 * does not come out secure, validation is given up with a warning, and
 * nothing counts as secure any more.
 *
 * Those who ask the same share one lookup: the many transactions of a domain
 * whose servers are silent take one place of ACTIVE_MAX, not all of them. When
 * all places are taken, each is lent for a second, and those who ask share them
 * (turns.h).
 */
#include "config.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/tree.h>
#include <unbound.h>
#include <unbound-event.h>

#include "auth/dns_packet.h"
#include "auth/resolver.h"
#include "auth/turns.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	ACTIVE_MAX = 500,
	/* libunbound goes on with what was given up: it needs room for that */
	PORTS_MAX = 4096,
	PORTS_OTHERS = 64, /* descriptors for all else */
	PATIENCE_MS = 999, /* with a name while others wait */
	QUESTIONS_MAX = 20000, /* of each that asks */
	DEADLINE_SECONDS = 25,
	CLASS_IN = 1,
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
	struct conf_resolver settings; /* borrowed from the configuration */
	struct lookup_tree names;
	struct turns turns;
	struct lookups active;
	size_t active_count;
	int validating;
	unsigned ports; /* that libunbound may open */
	struct loop_deferred pump; /* starts what waits */
	struct event *again; /* when a place may be made */
	struct loop_deferred give_up; /* on validation */
};

/* ---- the context ------------------------------------------------------ */

static const struct {
	const char *name;
	const char *value;
} options[] = {
	{ "module-config:", "validator iterator" },
	{ "do-not-query-localhost:", "no" },
	{ "unblock-lan-zones:", "yes" },
	{ "insecure-lan-zones:", "yes" },
	/* a server that was down for a moment is asked again soon */
	{ "infra-host-ttl:", "15" },
	{ "cache-max-negative-ttl:", "300" },
	{ "serve-expired:", "no" },
	{ "edns-buffer-size:", "1232" },
	{ "msg-cache-size:", "8m" },
	{ "rrset-cache-size:", "16m" },
	{ "neg-cache-size:", "1m" },
	/* Streams, of up to 200 questions each. Without room libunbound breaks
	 * off the oldest, and what it sends next has no id. */
	{ "outgoing-num-tcp:", "10" },
};

/* A port is a descriptor, of which there may be few. Asked before the
 * sandbox, which raises the limit to its maximum. */
static unsigned
count_ports(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    files.rlim_max >= PORTS_MAX + PORTS_OTHERS)
		return PORTS_MAX;
	return files.rlim_max > 2 * PORTS_OTHERS
	    ? (unsigned)files.rlim_max - PORTS_OTHERS
	    : PORTS_OTHERS;
}

static int
set_ports(struct ub_ctx *ctx, unsigned ports)
{
	char text[16];
	int rc;

	snprintf(text, sizeof(text), "%u", ports);
	rc = ub_ctx_set_option(ctx, "outgoing-range:", text);
	return rc != 0
	    ? rc
	    : ub_ctx_set_option(ctx, "num-queries-per-thread:", text);
}

static int
add_server(struct ub_ctx *ctx, const struct conf_address *a)
{
	char host[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];

	inet_ntop(a->family == CONF_INET4 ? AF_INET : AF_INET6, a->octets, host,
	    sizeof(host));
	snprintf(text, sizeof(text), "%s@%u", host, a->port ? a->port : 53);
	return ub_ctx_set_fwd(ctx, text);
}

/* The trust anchor is a zone file's text: one record a line. */
static int
add_anchors(struct ub_ctx *ctx, const char *text)
{
	char line[2048];
	size_t len;
	int rc = 0;

	for (; *text != '\0' && rc == 0; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len == 0 || len >= sizeof(line) || *text == ';')
			continue;
		memcpy(line, text, len);
		line[len] = '\0';
		rc = ub_ctx_add_ta(ctx, line);
	}
	return rc;
}

static struct ub_ctx *
make_context(struct resolver *r, const struct conf_resolver *s, int validate,
    char *error, size_t size)
{
	struct ub_ctx *ctx;
	int rc = 0;

	if ((ctx = ub_ctx_create_event(loop_base(r->loop))) == NULL) {
		strlcpy(error, "libunbound: out of memory", size);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (rc == 0)
			rc = ub_ctx_set_option(
			    ctx, options[i].name, options[i].value);
	if (rc == 0)
		rc = set_ports(ctx, r->ports);
	for (uint32_t i = 0; i < s->nservers && rc == 0; i++)
		rc = add_server(ctx, &s->servers[i]);
	if (rc == 0 && validate && s->trust_anchor != NULL)
		rc = add_anchors(ctx, s->trust_anchor);
	/* libunbound would answer for .test itself. This ends the set-up, so
	 * it comes last. */
	if (rc == 0)
		rc = ub_ctx_zone_add(ctx, "test.", "transparent");
	if (rc != 0) {
		snprintf(error, size, "libunbound: %s", ub_strerror(rc));
		ub_ctx_delete(ctx);
		return NULL;
	}
	return ctx;
}

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
	} else if (security == 1) {
		log_info("%s type %u fails DNSSEC: %s", name, l->type,
		    why_bogus ? why_bogus : "bogus");
	} else {
		a.status = reply.rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN
		    : reply.count + reply.left_out == 0  ? DNS_NODATA
							 : DNS_OK;
		a.secure = security == 2 && l->resolver->validating;
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
	    r->ctx, l->name, l->type, CLASS_IN, l, on_result, &l->async_id);
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
use_context(struct resolver *r, struct ub_ctx *ctx)
{
	if (r->ctx != NULL) {
		ask_again(r);
		ub_ctx_delete(r->ctx);
	}
	r->ctx = ctx;
}

/* At the end of the turn: libunbound must not be taken away from under the
 * callback that it is making. */
static void
on_give_up(void *arg)
{
	struct resolver *r = arg;
	struct ub_ctx *plain;
	char error[128];

	plain = make_context(r, &r->settings, 0, error, sizeof(error));
	if (plain != NULL)
		use_context(r, plain);
}

static void
on_root(void *asker, uint64_t id, const struct resolver_answer *a)
{
	struct resolver *r = asker;

	if (!r->validating)
		return;
	if (a->status == DNS_OK && a->secure) {
		log_info("DNSSEC validation works");
		return;
	}
	log_warn("the resolvers do not hand on a signed root zone: DNSSEC "
		 "and what needs it (DANE) are off until the next reload");
	r->validating = 0;
	loop_defer(r->loop, &r->give_up);
}

static void
on_warm_up(void *arg, int rc, void *packet, int len, int security,
    char *why_bogus, int was_ratelimited)
{
}

int
resolver_configure(
    struct resolver *r, const struct conf_resolver *s, char *error, size_t size)
{
	struct ub_ctx *ctx;
	int id;

	ctx = make_context(r, s, 1, error, size);
	if (ctx == NULL)
		return -1;
	/* a local name makes libunbound finish its set-up now, while it may
	 * still open what it needs */
	ub_resolve_event(
	    ctx, "localhost.", DNS_A, CLASS_IN, r, on_warm_up, &id);
	r->settings = *s;
	r->validating = s->trust_anchor != NULL;
	use_context(r, ctx);
	if (r->validating)
		resolver_ask(r, r, 0, ".", DNS_NS, on_root);
	return 0;
}

struct resolver *
resolver_new(struct loop *loop)
{
	struct resolver *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->loop = loop;
	r->ports = count_ports();
	if ((r->again = evtimer_new(loop_base(loop), on_again, r)) == NULL) {
		free(r);
		return NULL;
	}
	TAILQ_INIT(&r->turns);
	TAILQ_INIT(&r->active);
	RB_INIT(&r->names);
	loop_deferred_init(&r->pump, on_pump, r);
	loop_deferred_init(&r->give_up, on_give_up, r);
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
	if (r->ctx != NULL)
		ub_ctx_delete(r->ctx);
	loop_undefer(r->loop, &r->pump);
	loop_undefer(r->loop, &r->give_up);
	event_free(r->again);
	free(r);
}
