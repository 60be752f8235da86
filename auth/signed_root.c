/*
 * See signed_root.h. Owns the word on the servers, and a context aside from the
 * one that questions go to, which asks for the root in the other way.
 *
 * A forwarder that strips DNSSEC would make every answer bogus. So after each
 * configuration the signed root is asked for, and nothing else before that has
 * an answer: if it does not come out secure, validation is given up with a
 * warning. Servers that do not answer have said nothing about DNSSEC, and are
 * asked again. Some answer all but what DNSSEC needs: those are known by the
 * root that they give to who does not validate, or by a name that fails DNSSEC
 * while there is no root. None of this need stay so, least of all what was seen
 * at a boot: the root is looked for again now and then, and validation begins
 * when it comes.
 */
#include "config.h"

#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <unbound.h>
#include <unbound-event.h>

#include "auth/dns_packet.h"
#include "auth/signed_root.h"
#include "auth/unbound.h"
#include "net/loop.h"
#include "os/log.h"

enum {
	/* some seconds less than a question has, for those who wait for it */
	ASK_SECONDS = 20,
	PAUSE_SECONDS = 5, /* until it is asked for again */
	LOST_SECONDS = 600, /* likewise, when it was given up */
	ROUNDS = 2, /* one may be that in which the network came up */
	RCODE_SERVFAIL = 2
};

enum state {
	ROOT_SETTLED,
	ROOT_ASKED,
	ROOT_SECURE,
	ROOT_UNSIGNED,
	ROOT_UNANSWERED,
	ROOT_PAUSE
};

struct signed_root {
	struct loop *loop;
	const struct signed_root_ops *ops;
	void *arg;
	struct conf_resolver settings; /* borrowed from the configuration */
	unsigned ports; /* that libunbound may open */
	enum state state;
	bool validating;
	bool awaited;
	bool heard; /* some server, since the root was asked */
	unsigned rounds; /* in a row without the root, but some server heard */
	int asked; /* for libunbound to cancel */
	struct ub_ctx *ctx; /* the one in use, its user's */
	struct ub_ctx *aside; /* validates if ctx does not, and does not else */
	struct event *timer; /* the next step */
};

static void
next(struct signed_root *r, enum state state, int seconds)
{
	struct timeval tv = { seconds, 0 };

	r->state = state;
	event_add(r->timer, &tv);
}

static struct ub_ctx *
make(struct signed_root *r, int validate)
{
	char error[128];

	return unbound_new(
	    r->loop, &r->settings, validate, r->ports, error, sizeof(error));
}

static void
use(struct signed_root *r, struct ub_ctx *ctx, bool validating)
{
	r->validating = validating;
	r->ctx = ctx;
	r->ops->use(r->arg, ctx);
}

static void
decide(struct signed_root *r)
{
	r->awaited = false;
	r->ops->decided(r->arg);
}

static void
drop_aside(struct signed_root *r)
{
	if (r->aside != NULL)
		ub_ctx_delete(r->aside);
	r->aside = NULL;
}

/* ---- asking ------------------------------------------------------------- */

/* libunbound says of a failure that it remembers that all went well, and the
 * packet says SERVFAIL. */
static bool
is_answer(int rc, const void *packet, int len)
{
	return rc == 0 && len >= DNS_HEADER_SIZE &&
	    (((const uint8_t *)packet)[3] & 0xf) != RCODE_SERVFAIL;
}

/* The step that follows has a turn of its own: libunbound must not be taken
 * away from under the callback that it is making. */
static void
on_answer(void *arg, int rc, void *packet, int len, int security,
    char *why_bogus, int was_ratelimited)
{
	next(arg,
	    !is_answer(rc, packet, len) ? ROOT_UNANSWERED
		: security == 2         ? ROOT_SECURE
					: ROOT_UNSIGNED,
	    0);
}

static void
on_plain_answer(void *arg, int rc, void *packet, int len, int security,
    char *why_bogus, int was_ratelimited)
{
	struct signed_root *r = arg;

	r->heard |= is_answer(rc, packet, len);
}

static void
ask(struct signed_root *r, struct ub_ctx *ctx)
{
	r->heard = false;
	next(r, ROOT_ASKED, ASK_SECONDS);
	if (ub_resolve_event(
		ctx, ".", DNS_NS, DNS_CLASS_IN, r, on_answer, &r->asked) != 0)
		next(r, ROOT_UNANSWERED, 0);
}

static void
ask_plain(struct signed_root *r)
{
	int id;

	if (r->rounds == 0 && !r->heard)
		log_warn("the resolvers do not answer: whether they hand on a "
			 "signed root zone is asked again");
	decide(r);
	if ((r->aside = make(r, 0)) != NULL)
		ub_resolve_event(r->aside, ".", DNS_NS, DNS_CLASS_IN, r,
		    on_plain_answer, &id);
	next(r, ROOT_PAUSE, PAUSE_SECONDS);
}

/* ---- the word ----------------------------------------------------------- */

static int
lost_seconds(void)
{
#ifdef RELAIS_TEST_HOOKS
	const char *value = getenv("RELAIS_TEST_ROOT");

	if (value != NULL)
		return atoi(value);
#endif
	return LOST_SECONDS;
}

static void
give_up(struct signed_root *r)
{
	struct ub_ctx *plain = make(r, 0);

	log_warn("the resolvers do not hand on a signed root zone: DNSSEC is "
		 "off until they do, which is seen within %d minutes",
	    LOST_SECONDS / 60 + 1);
	r->validating = false;
	if (plain != NULL)
		use(r, plain, false);
	decide(r);
	next(r, ROOT_PAUSE, lost_seconds());
}

static void
begin_to_validate(struct signed_root *r)
{
	struct ub_ctx *ctx = r->aside;

	log_info("DNSSEC validation works");
	r->aside = NULL;
	if (ctx != NULL)
		use(r, ctx, true);
	decide(r);
}

/* While it validates. */
static void
step(struct signed_root *r, enum state state)
{
	switch (state) {
	case ROOT_SECURE:
		begin_to_validate(r);
		break;
	case ROOT_UNSIGNED:
		drop_aside(r);
		give_up(r);
		break;
	case ROOT_ASKED:
		ub_cancel(r->ctx, r->asked);
		ask_plain(r);
		break;
	case ROOT_UNANSWERED:
		ask_plain(r);
		break;
	case ROOT_PAUSE:
		drop_aside(r);
		r->rounds = r->heard ? r->rounds + 1 : 0;
		if (r->rounds == ROUNDS)
			give_up(r);
		else
			ask(r, r->ctx);
		break;
	case ROOT_SETTLED:
		break;
	}
}

/* While it does not: what is asked has its answers meanwhile. */
static void
step_without(struct signed_root *r, enum state state)
{
	if (state == ROOT_SECURE) {
		begin_to_validate(r);
		return;
	}
	drop_aside(r);
	if (state == ROOT_PAUSE && (r->aside = make(r, 1)) != NULL)
		ask(r, r->aside);
	else
		next(r, ROOT_PAUSE, lost_seconds());
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct signed_root *r = arg;
	enum state state = r->state;

	r->state = ROOT_SETTLED;
	if (r->validating)
		step(r, state);
	else
		step_without(r, state);
}

bool
signed_root_explains(struct signed_root *r)
{
	if (!r->validating ||
	    (r->state != ROOT_PAUSE && r->state != ROOT_UNSIGNED))
		return false;
	next(r, ROOT_UNSIGNED, 0);
	return true;
}

bool
signed_root_is_awaited(const struct signed_root *r)
{
	return r->awaited;
}

bool
signed_root_validates(const struct signed_root *r)
{
	return r->validating;
}

/* ---- a configuration ---------------------------------------------------- */

static void
on_warm_up(void *arg, int rc, void *packet, int len, int security,
    char *why_bogus, int was_ratelimited)
{
}

int
signed_root_configure(struct signed_root *r, const struct conf_resolver *s,
    char *error, size_t size)
{
	struct ub_ctx *ctx;
	int id;

	ctx = unbound_new(r->loop, s, 1, r->ports, error, size);
	if (ctx == NULL)
		return -1;
	/* a local name makes libunbound finish its set-up now, while it may
	 * still open what it needs */
	ub_resolve_event(
	    ctx, "localhost.", DNS_A, DNS_CLASS_IN, r, on_warm_up, &id);
	r->settings = *s;
	r->awaited = s->trust_anchor != NULL;
	event_del(r->timer);
	r->state = ROOT_SETTLED;
	r->rounds = 0;
	drop_aside(r);
	use(r, ctx, r->awaited);
	if (r->validating)
		ask(r, ctx);
	return 0;
}

struct signed_root *
signed_root_new(struct loop *loop, const struct signed_root_ops *ops, void *arg)
{
	struct signed_root *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->loop = loop;
	r->ops = ops;
	r->arg = arg;
	r->ports = unbound_count_ports();
	if ((r->timer = evtimer_new(loop_base(loop), on_timer, r)) == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void
signed_root_free(struct signed_root *r)
{
	if (r == NULL)
		return;
	drop_aside(r);
	event_free(r->timer);
	free(r);
}
