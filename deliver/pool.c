/*
 * See pool.h. Only routes of this process are here: the queue gives all
 * transfers of one destination to one process.
 */
#include "config.h"

#include <sys/queue.h>
#include <sys/tree.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/pool.h"
#include "deliver/session.h"
#include "ipc/worker.h"
#include "net/loop.h"
#include "net/stream.h"

enum {
	IDLE_MAX = 500, /* sessions, of all routes */
	ROUTE_LIFE = 600 * 1000, /* milliseconds without use */
	REPORT_PART = 100, /* routes in one message */
	NOTE_MAX = 399 /* octets of a text that is shown */
};

/* One idle session, and its owner as long as it is idle. */
struct idle {
	TAILQ_ENTRY(idle) of_route;
	TAILQ_ENTRY(idle) of_pool; /* oldest first */
	struct route *route;
	struct session *session;
	int64_t until; /* milliseconds */
};

TAILQ_HEAD(idle_list, idle);

struct route {
	RB_ENTRY(route) entry;
	struct pool *pool;
	char *key; /* action, newline, destination */
	const char *destination; /* inside key */
	struct idle_list idle;
	uint32_t idle_count;
	uint32_t sessions;
	uint32_t users;
	struct route_probes probes;
	uint64_t transfers;
	int64_t used; /* milliseconds, when last */
	/* owned; NULL is none */
	char *host;
	char *address;
	char *last_error;
};

RB_HEAD(route_tree, route);

struct pool {
	struct deliver *deliver;
	struct route_tree routes;
	struct idle_list idle;
	uint32_t idle_count;
};

static int
compare(const struct route *a, const struct route *b)
{
	return strcmp(a->key, b->key);
}

RB_GENERATE_INTERNAL(
    route_tree, route, entry, compare, __attribute__((unused)) static)

struct pool *
pool_new(struct deliver *deliver)
{
	struct pool *pool;

	if ((pool = calloc(1, sizeof(*pool))) == NULL)
		return NULL;
	pool->deliver = deliver;
	RB_INIT(&pool->routes);
	TAILQ_INIT(&pool->idle);
	return pool;
}

static void
free_route(struct route *r)
{
	RB_REMOVE(route_tree, &r->pool->routes, r);
	free(r->key);
	free(r->host);
	free(r->address);
	free(r->last_error);
	free(r);
}

void
pool_free(struct pool *pool)
{
	struct route *r;

	if (pool == NULL)
		return;
	while ((r = RB_MIN(route_tree, &pool->routes)) != NULL)
		free_route(r);
	free(pool);
}

struct route *
pool_route(struct pool *pool, const char *action, const char *destination)
{
	struct route key, *r;
	char *text;

	if (asprintf(&text, "%s\n%s", action, destination) == -1)
		return NULL;
	key.key = text;
	if ((r = RB_FIND(route_tree, &pool->routes, &key)) != NULL) {
		free(text);
		return r;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		free(text);
		return NULL;
	}
	r->pool = pool;
	r->key = text;
	r->destination = text + strlen(action) + 1;
	TAILQ_INIT(&r->idle);
	r->used = loop_now(pool->deliver->loop);
	RB_INSERT(route_tree, &pool->routes, r);
	return r;
}

void
pool_hold(struct route *r)
{
	r->users++;
}

void
pool_release(struct route *r)
{
	r->users--;
	r->used = loop_now(r->pool->deliver->loop);
}

struct route_probes *
pool_probes(struct route *r)
{
	return &r->probes;
}

/* ---- idle sessions ---------------------------------------------------- */

static struct session *
remove_idle(struct idle *idle)
{
	struct session *s = idle->session;

	TAILQ_REMOVE(&idle->route->idle, idle, of_route);
	TAILQ_REMOVE(&idle->route->pool->idle, idle, of_pool);
	idle->route->idle_count--;
	idle->route->pool->idle_count--;
	session_set_owner(s, NULL, NULL);
	free(idle);
	return s;
}

static void
on_idle_closed(void *owner, struct session *s)
{
	remove_idle(owner);
}

/* An idle session can only end. */
static const struct session_events idle_events = {
	.closed = on_idle_closed,
};

struct session *
pool_take(struct route *r)
{
	struct idle *idle;
	struct session *s;

	/* the one used last is the most likely to be alive */
	while ((idle = TAILQ_LAST(&r->idle, idle_list)) != NULL) {
		s = remove_idle(idle);
		if (client_may_continue(session_client(s)))
			return s;
		session_quit(s);
	}
	return NULL;
}

void
pool_keep(struct session *s, uint32_t seconds)
{
	struct route *r = session_route(s);
	struct pool *pool = r->pool;
	struct idle *idle;

	if (!client_may_continue(session_client(s)) || seconds == 0 ||
	    session_settings(s) != pool->deliver->settings ||
	    pool->deliver->stop_by != 0 || pool->idle_count >= IDLE_MAX ||
	    (idle = calloc(1, sizeof(*idle))) == NULL) {
		session_quit(s);
		return;
	}
	idle->route = r;
	idle->session = s;
	idle->until = loop_now(pool->deliver->loop) + (int64_t)seconds * 1000;
	TAILQ_INSERT_TAIL(&r->idle, idle, of_route);
	TAILQ_INSERT_TAIL(&pool->idle, idle, of_pool);
	r->idle_count++;
	pool->idle_count++;
	session_set_owner(s, &idle_events, idle);
}

/* Each session may need two descriptors, for a body is perhaps a file. An idle
 * one makes room for another. Call-aheads are strangers' doing, and may not
 * take what mail needs. */
int
pool_has_room(struct pool *pool, int probe)
{
	const struct deliver *d = pool->deliver;
	size_t count = stream_set_count(d->streams);
	size_t most = (size_t)worker_reserve(d->worker) / (probe ? 4 : 2);

	if (count < most)
		return 1;
	if (count - pool->idle_count >= most)
		return 0;
	session_quit(remove_idle(TAILQ_FIRST(&pool->idle)));
	return 1;
}

void
pool_close_idle(struct pool *pool)
{
	struct idle *idle;

	while ((idle = TAILQ_FIRST(&pool->idle)) != NULL)
		session_quit(remove_idle(idle));
}

void
pool_tick(struct pool *pool)
{
	int64_t now = loop_now(pool->deliver->loop);
	struct idle *idle, *next_idle;
	struct route *r, *next;

	TAILQ_FOREACH_SAFE (idle, &pool->idle, of_pool, next_idle)
		if (idle->until <= now)
			session_quit(remove_idle(idle));
	RB_FOREACH_SAFE (r, route_tree, &pool->routes, next)
		if (r->users == 0 && r->sessions == 0 &&
		    r->used + ROUTE_LIFE <= now)
			free_route(r);
}

/* ---- figures ---------------------------------------------------------- */

/* What is only shown may be missing for want of memory. */
static void
note(char **slot, const char *text)
{
	if (*slot != NULL && strcmp(*slot, text) == 0)
		return;
	free(*slot);
	*slot = strndup(text, NOTE_MAX);
}

static const char *
noted(const char *slot)
{
	return slot != NULL ? slot : "";
}

void
pool_session_opened(struct route *r, const char *host, const char *address)
{
	r->sessions++;
	note(&r->host, host);
	note(&r->address, address);
}

void
pool_session_closed(struct route *r, const struct client_outcome *o)
{
	r->sessions--;
	r->used = loop_now(r->pool->deliver->loop);
	if (o->end != CLIENT_END_QUIT)
		note(&r->last_error, o->text);
}

void
pool_failed(struct route *r, const char *text)
{
	note(&r->last_error, text);
}

void
pool_transfer_done(struct route *r)
{
	r->transfers++;
}

void
pool_report(struct pool *pool, struct channel *ch, uint64_t id)
{
	struct msg_route_answer m = { .id = id };
	struct ipc_buf buf = { 0 };
	struct msg_route_info info;
	struct route *r;

	RB_FOREACH (r, route_tree, &pool->routes) {
		info = (struct msg_route_info){ .destination = r->destination,
			.host = noted(r->host),
			.address = noted(r->address),
			.sessions = r->sessions,
			.idle = r->idle_count,
			.transfers = r->transfers,
			.last_error = noted(r->last_error) };
		ipc_add_route_info(&buf, &info);
		if (buf.count < REPORT_PART)
			continue;
		m.routes = ipc_buf_list(&buf);
		ipc_send(ch, route_answer, &m);
		ipc_buf_reset(&buf);
	}
	m.last = 1;
	m.routes = ipc_buf_list(&buf);
	ipc_send(ch, route_answer, &m);
	ipc_buf_free(&buf);
}
