/*
 * Which host deliver tries next, whatever the hosts do: the input is a policy
 * and a number of candidates, then what came of each session. No candidate is
 * chosen twice by a plan and no more than ROUTE_TRIES_MAX; clear text is only
 * tried where the policy allows it and the plan's own handshake with the host
 * has failed; a host that could not be reached comes after those that may be;
 * behind one that is ourselves only better ones come; each preference has a try
 * as far as tries are kept for it; and the memory of hosts is bounded.
 */
#include <string.h>

#include "deliver/route.h"
#include "regress/fuzz/fuzz.h"

/* pauses are at least and at most as long */
enum {
	HOSTS = 16,
	ENDS = CLIENT_END_ABORTED + 1,
	SHORTEST = 30000,
	LONGEST = 480000
};

struct play {
	struct route_hosts *hosts;
	struct mx_candidate list[HOSTS];
	size_t count;
	int64_t now;
	int64_t failed[HOSTS]; /* last, and not worked since; -1: no */
	enum client_tls tls;
};

static void
fill(struct play *p, struct input *in)
{
	p->count = input_u8(in) % (HOSTS + 1);
	for (size_t i = 0; i < p->count; i++) {
		p->list[i].address.family = MX_INET4;
		p->list[i].address.octets[3] = (uint8_t)i;
		p->list[i].preference = (uint16_t)(i * (p->count % 4) / 4);
		p->failed[i] = -1;
	}
}

/* Whether the end of a session speaks against its host. */
static int
is_down(enum client_end end)
{
	return end == CLIENT_END_CONNECT || end == CLIENT_END_REFUSED ||
	    end == CLIENT_END_BUSY || end == CLIENT_END_LOST ||
	    end == CLIENT_END_TIMEOUT || end == CLIENT_END_PROTOCOL;
}

static enum route_advice
judge(struct play *p, struct route_plan *plan, struct input *in, int *looped)
{
	struct client_outcome outcome = { 0 };
	enum route_advice advice;
	int was_plain = plan->plain, i = plan->current;

	outcome.end = input_u8(in) % ENDS;
	outcome.stale = input_u8(in) % 8 == 0;
	require(route_status(&outcome) < ROUTE_STATUS_MAX);
	if (outcome.end <= CLIENT_END_QUIT) {
		route_worked(plan, p->hosts, p->now);
		if (i >= 0)
			p->failed[i] = -1;
		return ROUTE_ADVICE_STOP;
	}
	advice = route_judge(plan, p->hosts, p->tls, &outcome, p->now);
	require(plan->current == i);
	*looped = outcome.end == CLIENT_END_LOOP && !outcome.stale;
	if (!outcome.stale && outcome.end == CLIENT_END_HANDSHAKE && i >= 0 &&
	    p->tls == CLIENT_TLS_OPPORTUNISTIC) {
		/* once in clear, and never in a ring */
		require(advice ==
		    (was_plain ? ROUTE_ADVICE_NEXT : ROUTE_ADVICE_AGAIN));
		require(plan->plain);
	} else {
		require(plan->plain == was_plain);
		require(advice != ROUTE_ADVICE_AGAIN || outcome.stale);
	}
	if (!outcome.stale && i >= 0 && is_down(outcome.end))
		p->failed[i] = p->now;
	return advice;
}

/* Whether a host that has just failed was taken before one that has not, or
 * not for long. So few are never forgotten. */
static int
is_unfair(const struct play *p, const uint8_t *tried, size_t chosen)
{
	if (p->count > 4 || p->failed[chosen] == -1 ||
	    p->now - p->failed[chosen] >= SHORTEST)
		return 0;
	for (size_t i = 0; i < p->count; i++)
		if (!tried[i] && i != chosen &&
		    (p->failed[i] == -1 || p->now - p->failed[i] >= LONGEST))
			return 1;
	return 0;
}

/* Takes those out that are no better than the last; returns how many. */
static size_t
drop_worse(const struct play *p, const struct route_plan *plan, uint8_t *tried)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		if (!tried[i] &&
		    p->list[i].preference >=
			p->list[plan->current].preference) {
			tried[i] = 1;
			n++;
		}
	return n;
}

/* Few enough preferences, and none passed over. */
static int
each_had_one(const struct play *p, const uint8_t *tried)
{
	unsigned preferences = 0;
	int missed = 0;

	for (size_t i = 0; i < p->count; i++) {
		int had = 0;

		if (i > 0 && p->list[i].preference == p->list[i - 1].preference)
			continue;
		for (size_t k = i; k < p->count; k++)
			had |= tried[k] &&
			    p->list[k].preference == p->list[i].preference;
		preferences++;
		missed |= !had;
	}
	return !missed || preferences > ROUTE_TRIES_KEPT + 1;
}

static void
one_transfer(struct play *p, struct input *in)
{
	uint8_t tried[HOSTS] = { 0 };
	size_t dropped = 0;
	struct route_plan plan;
	const struct mx_candidate *c;
	unsigned tries = 0;

	route_begin(&plan, p->list, p->count, 25);
	require(plan.current == -1);
	while ((c = route_next(&plan, p->hosts, p->now)) != NULL) {
		size_t i = (size_t)(c - p->list);
		int again = 0, looped = 0;

		require(i < p->count && !tried[i]);
		require(plan.current == (int)i);
		require(!is_unfair(p, tried, i));
		tried[i] = 1;
		require(++tries <= ROUTE_TRIES_MAX);
		require(!plan.plain);
		for (; again < 4; again++)
			if (judge(p, &plan, in, &looped) != ROUTE_ADVICE_AGAIN)
				break;
		if (looped)
			dropped += drop_worse(p, &plan, tried);
		if (in->left == 0)
			return;
	}
	require(tries == ROUTE_TRIES_MAX || tries + dropped == p->count);
	require(each_had_one(p, tried));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct play p = { 0 };

	p.tls = input_u8(&in) % 4;
	fill(&p, &in);
	require((p.hosts = route_hosts_new()) != NULL);
	for (unsigned n = 0; in.left > 0 && n < 200; n++) {
		one_transfer(&p, &in);
		require(route_hosts_count(p.hosts) <= p.count);
		p.now += input_u8(&in) * 4000;
		/* a policy may change between transfers, a plain one stays */
		if (input_u8(&in) % 4 == 0)
			p.tls = input_u8(&in) % 4;
	}
	route_hosts_free(p.hosts);
	return 0;
}
