/*
 * See route.h. The memory is a table of fixed size, four places for each
 * value of a hash; the oldest of the four gives way.
 */
#include <stdlib.h>
#include <string.h>

#include "deliver/route.h"

enum {
	SECOND = 1000,
	/* pause for a host that could not be reached: doubled with each
	 * failure in a row, up to the longest */
	DOWN_FIRST = 30 * SECOND,
	DOWN_LONGEST = 480 * SECOND,
	DOUBT = 1800 * SECOND,
	WAYS = 4
};

struct host {
	struct mx_address address; /* family 0: free */
	uint16_t port;
	uint8_t failures; /* in a row */
	int64_t down_until;
	int64_t doubt_until;
	int64_t touched;
};

struct route_hosts {
	struct host hosts[ROUTE_HOSTS_MAX];
};

struct route_hosts *
route_hosts_new(void)
{
	return calloc(1, sizeof(struct route_hosts));
}

void
route_hosts_free(struct route_hosts *hosts)
{
	free(hosts);
}

size_t
route_hosts_count(const struct route_hosts *hosts)
{
	size_t n = 0;

	for (size_t i = 0; i < ROUTE_HOSTS_MAX; i++)
		n += hosts->hosts[i].address.family != 0;
	return n;
}

/* The first of the WAYS places where a host may be. */
static size_t
set_of(const struct mx_address *a, uint16_t port)
{
	size_t len = a->family == MX_INET4 ? 4 : 16;
	uint32_t h = 2166136261u ^ port;

	for (size_t i = 0; i < len; i++)
		h = (h ^ a->octets[i]) * 16777619u;
	return (h ^ h >> 15) % (ROUTE_HOSTS_MAX / WAYS) * WAYS;
}

static const struct host *
find(const struct route_hosts *hosts, const struct mx_address *a, uint16_t port)
{
	const struct host *h = &hosts->hosts[set_of(a, port)];

	for (size_t i = 0; i < WAYS; i++, h++)
		if (h->port == port && mx_address_equal(&h->address, a))
			return h;
	return NULL;
}

static struct host *
find_or_add(struct route_hosts *hosts, const struct mx_address *a,
    uint16_t port, int64_t now)
{
	struct host *h = &hosts->hosts[set_of(a, port)], *oldest = h;

	for (size_t i = 0; i < WAYS; i++, h++) {
		if (h->port == port && mx_address_equal(&h->address, a)) {
			h->touched = now;
			return h;
		}
		if (h->touched < oldest->touched)
			oldest = h;
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->address = *a;
	oldest->port = port;
	oldest->touched = now;
	return oldest;
}

void
route_begin(struct route_plan *plan, const struct mx_candidate *list,
    size_t count, uint16_t port)
{
	memset(plan, 0, sizeof(*plan));
	plan->list = list;
	plan->count = count < MX_CANDIDATE_LIMIT ? count : MX_CANDIDATE_LIMIT;
	plan->port = port;
	plan->current = -1;
}

/* Whether a candidate may have a try, or those that are left are kept for
 * worse preferences. Candidates stand in order of preference. */
static int
may_try(const struct route_plan *plan, size_t at)
{
	uint16_t preference = plan->list[at].preference, last = preference;
	unsigned left = ROUTE_TRIES_MAX - plan->tries, worse = 0;
	int had_one = 0;

	for (size_t i = 0; i < plan->count; i++) {
		if (plan->list[i].preference == preference)
			had_one |= plan->tried[i];
		if (plan->list[i].preference <= last || plan->tried[i])
			continue;
		last = plan->list[i].preference;
		worse++;
	}
	if (worse > ROUTE_TRIES_KEPT)
		worse = ROUTE_TRIES_KEPT;
	return !had_one || left > worse;
}

int
route_has_other(const struct route_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++)
		if (!plan->tried[i] && strcmp(plan->list[i].host, name) != 0)
			return plan->tries < ROUTE_TRIES_MAX;
	return 0;
}

void
route_leave(struct route_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->list[i].host, name) == 0)
			plan->tried[i] = 1;
}

void
route_doubt(struct route_hosts *hosts, const struct mx_address *a,
    uint16_t port, int64_t now)
{
	find_or_add(hosts, a, port, now)->doubt_until = now + DOUBT;
}

const struct mx_candidate *
route_next(
    struct route_plan *plan, const struct route_hosts *hosts, int64_t now)
{
	const struct host *h;
	int first_down = -1, choice = -1;

	if (plan->tries >= ROUTE_TRIES_MAX)
		return NULL;
	for (size_t i = 0; i < plan->count && choice == -1; i++) {
		if (plan->tried[i] || !may_try(plan, i))
			continue;
		h = find(hosts, &plan->list[i].address, plan->port);
		if (h == NULL ||
		    (h->down_until <= now && h->doubt_until <= now))
			choice = (int)i;
		else if (first_down == -1)
			first_down = (int)i;
	}
	if (choice == -1)
		choice = first_down;
	if (choice == -1)
		return NULL;
	plan->tries++;
	plan->tried[choice] = 1;
	plan->current = choice;
	plan->plain = 0;
	return &plan->list[choice];
}

static struct host *
current_host(
    const struct route_plan *plan, struct route_hosts *hosts, int64_t now)
{
	if (plan->current < 0)
		return NULL;
	return find_or_add(
	    hosts, &plan->list[plan->current].address, plan->port, now);
}

static void
mark_down(struct host *h, int64_t now)
{
	int64_t pause = DOWN_FIRST;

	for (unsigned i = 0; i < h->failures && pause < DOWN_LONGEST; i++)
		pause *= 2;
	h->failures += h->failures < UINT8_MAX;
	h->down_until = now + (pause < DOWN_LONGEST ? pause : DOWN_LONGEST);
}

static void
drop_worse(struct route_plan *plan)
{
	for (size_t i = 0; plan->current >= 0 && i < plan->count; i++)
		if (plan->list[i].preference >=
		    plan->list[plan->current].preference)
			plan->tried[i] = 1;
}

enum route_advice
route_judge(struct route_plan *plan, struct route_hosts *hosts,
    enum client_tls tls, const struct client_outcome *outcome, int64_t now)
{
	struct host *h = current_host(plan, hosts, now);

	if (outcome->stale)
		return h != NULL ? ROUTE_ADVICE_AGAIN : ROUTE_ADVICE_NEXT;
	switch (outcome->end) {
	case CLIENT_END_HANDSHAKE:
		if (tls != CLIENT_TLS_OPPORTUNISTIC || plan->plain || h == NULL)
			return ROUTE_ADVICE_NEXT;
		plan->plain = 1;
		return ROUTE_ADVICE_AGAIN;
	case CLIENT_END_CONNECT:
	case CLIENT_END_REFUSED:
	case CLIENT_END_BUSY:
	case CLIENT_END_LOST:
	case CLIENT_END_TIMEOUT:
	case CLIENT_END_PROTOCOL:
		if (h != NULL)
			mark_down(h, now);
		return ROUTE_ADVICE_NEXT;
	case CLIENT_END_LOOP:
		drop_worse(plan);
		return ROUTE_ADVICE_NEXT;
	case CLIENT_END_SOURCE:
	case CLIENT_END_TLS:
	case CLIENT_END_AUTH:
		return ROUTE_ADVICE_NEXT;
	default:
		/* we gave up ourselves */
		return ROUTE_ADVICE_STOP;
	}
}

void
route_worked(
    const struct route_plan *plan, struct route_hosts *hosts, int64_t now)
{
	struct host *h;

	if (plan->current < 0 ||
	    find(hosts, &plan->list[plan->current].address, plan->port) == NULL)
		return;
	h = current_host(plan, hosts, now);
	h->failures = 0;
	h->down_until = 0;
}

enum route_status
route_status(const struct client_outcome *outcome)
{
	static const enum route_status statuses[] = {
		[CLIENT_END_NONE] = ROUTE_OK,
		[CLIENT_END_QUIT] = ROUTE_OK,
		[CLIENT_END_SOURCE] = ROUTE_DOWN,
		[CLIENT_END_CONNECT] = ROUTE_DOWN,
		[CLIENT_END_REFUSED] = ROUTE_DOWN,
		[CLIENT_END_BUSY] = ROUTE_SLOW,
		[CLIENT_END_TLS] = ROUTE_TLS,
		[CLIENT_END_HANDSHAKE] = ROUTE_TLS,
		[CLIENT_END_AUTH] = ROUTE_DOWN,
		[CLIENT_END_LOST] = ROUTE_DOWN,
		[CLIENT_END_TIMEOUT] = ROUTE_DOWN,
		[CLIENT_END_PROTOCOL] = ROUTE_DOWN,
		[CLIENT_END_LOOP] = ROUTE_BAD,
		[CLIENT_END_ABORTED] = ROUTE_CANCELLED,
	};

	return statuses[outcome->end];
}
