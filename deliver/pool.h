/*
 * Routes, one for each action and destination: their idle sessions, which are
 * kept for a few seconds for the next message, and what smtpctl may know.
 */
#ifndef DELIVER_POOL_H
#define DELIVER_POOL_H

#include "deliver/client.h"
#include "deliver/deliver.h"

struct channel;
struct route;
struct session;

struct route_probes {
	uint32_t count;
	uint32_t begun; /* of these; the others wait */
};

struct pool *pool_new(struct deliver *);
/* Frees routes; there must be no session any more. */
void pool_free(struct pool *);

/* Made when there is none; NULL without memory. It lives while it has
 * sessions or users (pool_hold), and some minutes longer. */
struct route *pool_route(
    struct pool *, const char *action, const char *destination);
void pool_hold(struct route *);
void pool_release(struct route *);
/* Its call-aheads, counted by who has them. */
struct route_probes *pool_probes(struct route *);

/* An idle session of the route under the present configuration, or NULL; it
 * has no owner then. */
struct session *pool_take(struct route *);
/* Keeps an idle session for `seconds`, or lets it go when it may not be used
 * again. The caller no longer owns it. */
void pool_keep(struct session *, uint32_t seconds);

/* Whether a session may be opened, for mail or a call-ahead; if not, and one
 * is idle, that one goes. */
int pool_has_room(struct pool *, int probe);
void pool_session_opened(struct route *, const char *host, const char *address);
void pool_session_closed(struct route *, const struct client_outcome *);
/* It was not reached, perhaps without a session. */
void pool_failed(struct route *, const char *text);
void pool_transfer_done(struct route *);

/* Says goodbye to all idle sessions. */
void pool_close_idle(struct pool *);
/* Ends what was idle for too long; called once a second. */
void pool_tick(struct pool *);
/* Answers a route_query. */
void pool_report(struct pool *, struct channel *, uint64_t id);

#endif
