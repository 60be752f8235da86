/*
 * Which host to try next. Pure: a plan walks the candidates of one transfer
 * (mx.h), a memory of hosts remembers for a while who could not be reached.
 * Time is an argument. Trusts no server: the memory is bounded, whatever the
 * world looks like.
 */
#ifndef DELIVER_ROUTE_H
#define DELIVER_ROUTE_H

#include "deliver/client.h"
#include "deliver/mx.h"

enum {
	ROUTE_TRIES_MAX = 10, /* hosts tried for one transfer */
	ROUTE_TRIES_KEPT = 4, /* of these at most for worse preferences */
	ROUTE_HOSTS_MAX = 2048 /* remembered */
};

struct route_hosts;

/* NULL when memory is out. */
struct route_hosts *route_hosts_new(void);
void route_hosts_free(struct route_hosts *);

/* Borrows the candidates. Zero is no plan. */
struct route_plan {
	const struct mx_candidate *list;
	size_t count; /* at most MX_CANDIDATE_LIMIT */
	uint16_t port;
	unsigned tries;
	int current; /* index, -1 before the first */
	int plain; /* TLS is not to be tried with the current host */
	uint8_t tried[MX_CANDIDATE_LIMIT];
};

enum route_advice {
	ROUTE_ADVICE_AGAIN, /* the same host, by a new connection; with
			       plan.plain without TLS */
	ROUTE_ADVICE_NEXT, /* ask route_next */
	ROUTE_ADVICE_STOP /* no other host would answer otherwise */
};

void route_begin(
    struct route_plan *, const struct mx_candidate *, size_t, uint16_t port);
/*
 * The next candidate: the first that was not tried, hosts last that could not
 * be reached a short while ago. However many addresses a preference has, one
 * try is kept for each worse one as far as ROUTE_TRIES_KEPT goes (RFC 5321
 * section 5.1). NULL when all were tried or it is enough.
 */
const struct mx_candidate *route_next(
    struct route_plan *, const struct route_hosts *, int64_t now);
/*
 * What to do after a session ended without a verdict on the mail, and what to
 * remember of its host. A host that is ourselves takes all out of the plan
 * that are not better than it (RFC 5321 section 5.1). With an opportunistic
 * policy (RFC 7435) a failed handshake leads to the same host in clear; with
 * any other never. That is not remembered: whoever owns a domain chooses the
 * name that the handshake asks for at somebody else's address.
 */
enum route_advice route_judge(struct route_plan *, struct route_hosts *,
    enum client_tls, const struct client_outcome *, int64_t now);
/* Whether a host of another name is left to try; none of that name is tried
 * any more. */
int route_has_other(const struct route_plan *, const char *name);
void route_leave(struct route_plan *, const char *name);
/* A host that took all of a message and said nothing of it comes after the
 * others for a while, whatever else it takes. */
void route_doubt(struct route_hosts *, const struct mx_address *, uint16_t port,
    int64_t now);
/* The current host took a session: what was remembered against it goes. */
void route_worked(const struct route_plan *, struct route_hosts *, int64_t now);
/* What the end of the last session says of the whole route. */
enum route_status route_status(const struct client_outcome *);

/* For tests: how many hosts are remembered. */
size_t route_hosts_count(const struct route_hosts *);

#endif
