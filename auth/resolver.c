/*
 * See resolver.h. Owns the libunbound context and the questions under way.
 *
 * A forwarder that strips DNSSEC would make every answer bogus and stop all
 * mail. So after each configuration the signed root is asked for: if that
 * does not come out secure, validation is given up with a warning, and
 * nothing counts as secure any more.
 */
#include "config.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unbound.h>
#include <unbound-event.h>

#include "auth/dns_packet.h"
#include "auth/resolver.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	ACTIVE_MAX = 500, /* more, and dead domains fill libunbound */
	WAITING_MAX = 20000,
	DEADLINE_SECONDS = 25,
	CLASS_IN = 1,
	RCODE_NXDOMAIN = 3
};

enum question_state { QUESTION_WAITING, QUESTION_ACTIVE };

struct question {
	TAILQ_ENTRY(question) entry;
	struct resolver *resolver;
	enum question_state state;
	void *asker;
	uint64_t id;
	resolver_done *done;
	struct event *deadline;
	int async_id;
	int answered; /* inside ub_resolve_event, not to be freed there */
	int starting;
	uint16_t type;
	char name[DNS_NAME_SIZE];
};

TAILQ_HEAD(questions, question);

struct resolver {
	struct loop *loop;
	struct ub_ctx *ctx;
	struct conf_resolver settings; /* borrowed from the configuration */
	struct questions active;
	struct questions waiting;
	size_t active_count;
	size_t waiting_count;
	int validating;
	struct loop_deferred pump; /* starts what waits */
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
	{ "outgoing-range:", "512" },
	{ "num-queries-per-thread:", "512" },
};

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
make_context(struct loop *loop, const struct conf_resolver *s, int validate,
    char *error, size_t size)
{
	struct ub_ctx *ctx;
	int rc = 0;

	if ((ctx = ub_ctx_create_event(loop_base(loop))) == NULL) {
		strlcpy(error, "libunbound: out of memory", size);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (rc == 0)
			rc = ub_ctx_set_option(
			    ctx, options[i].name, options[i].value);
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

static void
question_free(struct question *q)
{
	struct resolver *r = q->resolver;

	if (q->state == QUESTION_ACTIVE) {
		TAILQ_REMOVE(&r->active, q, entry);
		r->active_count--;
		loop_defer(r->loop, &r->pump);
	} else {
		TAILQ_REMOVE(&r->waiting, q, entry);
		r->waiting_count--;
	}
	event_free(q->deadline);
	free(q);
}

static void
question_finish(struct question *q, const struct resolver_answer *a)
{
	resolver_done *done = q->done;
	void *asker = q->asker;
	uint64_t id = q->id;

	/* libunbound may answer while the question is being asked */
	if (q->starting)
		q->answered = 1;
	else
		question_free(q);
	if (done != NULL)
		done(asker, id, a);
}

static void
question_fail(struct question *q)
{
	const struct resolver_answer a = { .status = DNS_TEMPFAIL,
		.owner = q->name };

	question_finish(q, &a);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct question *q = arg;

	if (q->state == QUESTION_ACTIVE)
		ub_cancel(q->resolver->ctx, q->async_id);
	question_fail(q);
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
	struct question *q = arg;
	struct resolver_answer a = { .status = DNS_TEMPFAIL };
	struct ipc_buf records = { 0 };
	struct dns_reply reply;
	char name[DNS_NAME_SIZE];

	memcpy(name, q->name, sizeof(name));
	a.owner = name;
	if (rc != 0 || len <= 0 ||
	    dns_packet_parse(packet, (size_t)len, q->name, q->type, &records,
		&reply) == -1 ||
	    (reply.rcode != 0 && reply.rcode != RCODE_NXDOMAIN)) {
		log_trace(TRACE_DNS, "%s type %u: no answer", name, q->type);
	} else if (security == 1) {
		log_info("%s type %u fails DNSSEC: %s", name, q->type,
		    why_bogus ? why_bogus : "bogus");
	} else {
		a.status = reply.rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN
		    : reply.count == 0                   ? DNS_NODATA
							 : DNS_OK;
		a.secure = security == 2 && q->resolver->validating;
		a.ttl = reply.ttl;
		a.owner = reply.owner;
		a.records = ipc_buf_list(&records);
	}
	if (records.failed)
		a.status = DNS_TEMPFAIL;
	question_finish(q, &a);
	ipc_buf_free(&records);
}

static void
question_start(struct question *q)
{
	struct resolver *r = q->resolver;
	int rc;

	q->starting = 1;
	rc = ub_resolve_event(
	    r->ctx, q->name, q->type, CLASS_IN, q, on_result, &q->async_id);
	q->starting = 0;
	if (q->answered)
		question_free(q);
	else if (rc != 0)
		question_fail(q);
}

static void
on_pump(void *arg)
{
	struct resolver *r = arg;
	struct question *q;

	while (r->active_count < ACTIVE_MAX &&
	    (q = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, q, entry);
		r->waiting_count--;
		TAILQ_INSERT_TAIL(&r->active, q, entry);
		r->active_count++;
		q->state = QUESTION_ACTIVE;
		question_start(q);
	}
}

void
resolver_ask(struct resolver *r, void *asker, uint64_t id, const char *name,
    uint16_t type, resolver_done *done)
{
	struct timeval tv = { DEADLINE_SECONDS, 0 };
	struct resolver_answer fail = { .status = DNS_TEMPFAIL, .owner = name };
	struct question *q;

	if (r->waiting_count >= WAITING_MAX || r->ctx == NULL ||
	    (q = calloc(1, sizeof(*q))) == NULL) {
		done(asker, id, &fail);
		return;
	}
	q->resolver = r;
	q->asker = asker;
	q->id = id;
	q->done = done;
	q->type = type;
	q->deadline = evtimer_new(loop_base(r->loop), on_deadline, q);
	if (q->deadline == NULL || event_add(q->deadline, &tv) == -1 ||
	    strlcpy(q->name, name, sizeof(q->name)) >= sizeof(q->name)) {
		if (q->deadline != NULL)
			event_free(q->deadline);
		free(q);
		done(asker, id, &fail);
		return;
	}
	TAILQ_INSERT_TAIL(&r->waiting, q, entry);
	r->waiting_count++;
	loop_defer(r->loop, &r->pump);
}

static void
drop(struct resolver *r, struct question *q)
{
	if (q->state == QUESTION_ACTIVE)
		ub_cancel(r->ctx, q->async_id);
	question_free(q);
}

static void
drop_matching(struct resolver *r, void *asker, const uint64_t *id)
{
	struct questions *lists[] = { &r->active, &r->waiting };
	struct question *q, *next;

	for (size_t i = 0; i < 2; i++)
		for (q = TAILQ_FIRST(lists[i]); q != NULL; q = next) {
			next = TAILQ_NEXT(q, entry);
			if (q->asker == asker && (id == NULL || q->id == *id))
				drop(r, q);
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

/* Everything under way goes back to the head of the line, for the new
 * context to answer. */
static void
ask_again(struct resolver *r)
{
	struct question *q;

	while ((q = TAILQ_LAST(&r->active, questions)) != NULL) {
		ub_cancel(r->ctx, q->async_id);
		TAILQ_REMOVE(&r->active, q, entry);
		r->active_count--;
		TAILQ_INSERT_HEAD(&r->waiting, q, entry);
		r->waiting_count++;
		q->state = QUESTION_WAITING;
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

	plain = make_context(r->loop, &r->settings, 0, error, sizeof(error));
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

	ctx = make_context(r->loop, s, 1, error, size);
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
	TAILQ_INIT(&r->active);
	TAILQ_INIT(&r->waiting);
	loop_deferred_init(&r->pump, on_pump, r);
	loop_deferred_init(&r->give_up, on_give_up, r);
	return r;
}

void
resolver_free(struct resolver *r)
{
	struct question *q;

	if (r == NULL)
		return;
	while ((q = TAILQ_FIRST(&r->active)) != NULL ||
	    (q = TAILQ_FIRST(&r->waiting)) != NULL)
		drop(r, q);
	if (r->ctx != NULL)
		ub_ctx_delete(r->ctx);
	loop_undefer(r->loop, &r->pump);
	loop_undefer(r->loop, &r->give_up);
	free(r);
}
