/*
 * What smtpctl may look at: the queue, one message, one envelope, figures,
 * routes. What may be long goes in steps, so mail flows on between them.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ipc/worker.h"
#include "net/loop.h"
#include "queue/control_private.h"
#include "queue/scheduler.h"
#include "queue/store.h"

enum {
	PAGE = 100, /* destinations a step */
	BODY_PAGE = 65536,
	TEXT_SIZE = 400
};

static int64_t
now_of(const struct control_conn *c)
{
	return loop_time(worker_loop(c->control->env.worker));
}

int
control_may_see(const struct control_conn *c, const struct envelope *env)
{
	return c->admin ||
	    ((env->flags & MAIL_LOCAL) != 0 &&
		strcmp(env->auth_user, c->user) == 0);
}

/* A time of the schedule, beside the dates of a message; 0 is none. */
static int64_t
date_of(const struct control_conn *c, int64_t at)
{
	const struct control_env *e = &c->control->env;

	return at != 0 ? at + e->ops->ahead(e->ctx) : 0;
}

const char *
control_state(const struct control_conn *c, uint32_t msgid, uint32_t rcpt,
    const struct envelope_rcpt *r, int64_t *next, int64_t *expiry)
{
	static const char *const by_sched[SCHED_STATES] = { "incoming",
		"pending", "inflight", "pending", "held", "done" };
	static const char *const by_envelope[ENVELOPE_STATES] = { "pending",
		"pending", "pending", "held", "done" };
	struct sched_info info;

	*next = date_of(c, r->next);
	*expiry = 0;
	if (sched_lookup(c->control->env.sched, msgid, rcpt, &info) != 1)
		return by_envelope[r->state % ENVELOPE_STATES];
	*next = date_of(c, info.next);
	*expiry = date_of(c, info.expiry);
	return by_sched[info.state];
}

static const char *
family(const char *addr)
{
	if (strncasecmp(addr, "IPv6:", 5) == 0 || strchr(addr, ':') != NULL)
		return "inet6";
	return strchr(addr, '.') != NULL ? "inet4" : "local";
}

#define NOT_REACHED "%s was not reached: `smtpctl show hosts` tells why"

static const char *
next_hop(const struct sched_info *info)
{
	return *info->domain != '\0' ? info->domain : "its next hop";
}

/* Which kind of action a recipient wants: one of its name may be of the other.
 * Before it was looked at by its action either is good. */
static const char *
wanted_kind(const struct envelope_rcpt *r)
{
	if (!r->routed)
		return "";
	return r->kind == DEST_RELAY ? " that relays" : " for local mail";
}

/* What was said of a recipient last, or why it is not tried. */
static const char *
error_of(const struct control_conn *c, const struct envelope *env,
    uint32_t index, const char *state, char *text, size_t size)
{
	const struct control_env *e = &c->control->env;
	const struct envelope_rcpt *r = &env->rcpts[index];
	struct sched_info info;

	if (strcmp(state, "held") == 0 && !e->ops->has_action(e->ctx, r))
		snprintf(text, size,
		    "the configuration has no action %s%s: add it and reload",
		    r->action, wanted_kind(r));
	else if (*r->text == '\0' &&
	    sched_lookup(e->sched, env->msgid, index, &info) == 1 &&
	    info.blocked)
		snprintf(text, size, NOT_REACHED, next_hop(&info));
	else
		return r->text;
	return text;
}

/* The columns of smtpctl(8); those that begin with `+` are for JSON and for
 * mailq only. */
static void
send_queue_row(struct control_conn *c, const struct envelope *env,
    uint32_t index, const char *state, int64_t next, int64_t expiry)
{
	const struct envelope_rcpt *r = &env->rcpts[index];
	int64_t now = now_of(c);
	struct control_row row = { 0 };
	char text[TEXT_SIZE];

	control_field(&row, "envelope", "%016llx",
	    (unsigned long long)envelope_evpid(env->msgid, index));
	control_field(&row, "family", "%s", family(env->client_addr));
	control_field(&row, "type", "%s",
	    (env->flags & MAIL_DSN)     ? "bounce"
		: r->kind == DEST_RELAY ? "mta"
					: "mda");
	control_field(&row, "flags", "%s%s",
	    (env->flags & MAIL_AUTHENTICATED) ? "auth" : "",
	    env->hold ? ",held" : "");
	control_field(&row, "sender", "%s", env->sender);
	control_field(&row, "recipient", "%s", control_given(env, r));
	control_field(&row, "destination", "%s", r->address);
	control_field(&row, "created", "%lld", (long long)env->arrival);
	control_field(&row, "expires", "%lld", (long long)expiry);
	control_field(&row, "last", "%lld", (long long)r->last);
	control_field(&row, "attempts", "%u", r->attempts);
	control_field(&row, "state", "%s", state);
	control_field(
	    &row, "delay", "%lld", (long long)(next > now ? next - now : 0));
	control_field(&row, "error", "%s",
	    error_of(c, env, index, state, text, sizeof(text)));
	control_field(&row, "+message", "%08x", env->msgid);
	control_field(&row, "+size", "%llu", (unsigned long long)env->size);
	control_field(&row, "+action", "%s", r->action);
	control_field(&row, "+user", "%s", envelope_account(r));
	control_row_send(c, &row);
}

static int
step_queue(struct control_conn *c)
{
	int more = control_walk(c, send_queue_row);

	if (more == 0)
		control_end(c, NULL);
	return more == 1;
}

int
control_is_unfiltered(struct control_conn *c)
{
	if (c->filter.beyond[CONTROL_NO_FILTER] == NULL)
		return 1;
	control_end(c,
	    "an id says what is meant: filters go with `all`, and with `show "
	    "queue` alone");
	return 0;
}

struct envelope *
control_read_named(struct control_conn *c, uint32_t *rcpt)
{
	struct envelope *env;
	uint32_t msgid;

	if (control_parse_id(c->words[c->arg], &msgid, rcpt) == -1) {
		control_end(c,
		    "that is no id: 8 hexadecimal digits name a "
		    "message, 16 an envelope");
		return NULL;
	}
	if ((env = envelope_new(msgid)) == NULL) {
		control_end(c, "out of memory");
		return NULL;
	}
	/* what one may not see is answered as what does not exist */
	if (store_read_envelope(c->control->env.store, msgid, env) !=
		STORE_OK ||
	    !control_may_see(c, env) ||
	    (*rcpt != UINT32_MAX && *rcpt >= env->rcpt_count)) {
		envelope_free(env);
		control_end(c,
		    "no such message in the queue: the log tells "
		    "what became of others");
		return NULL;
	}
	return env;
}

/* A step of an answer that has a row for the message, unless head is NULL, and
 * rows for those of its recipients that the id names. */
static int
step_named(struct control_conn *c,
    void (*head)(struct control_conn *, const struct envelope *),
    void (*row)(struct control_conn *, const struct envelope *, uint32_t index))
{
	struct envelope *env;
	uint32_t rcpt, end;

	if ((env = control_read_named(c, &rcpt)) == NULL)
		return 0;
	if (c->next == 0) {
		if (head != NULL)
			head(c, env);
		c->next = env->msgid;
		c->next_rcpt = rcpt != UINT32_MAX ? rcpt : 0;
	}
	end = rcpt != UINT32_MAX ? rcpt + 1 : env->rcpt_count;
	for (uint32_t n = 0; c->next_rcpt < end; n++) {
		if (n == CONTROL_STEP || channel_busy(c->channel)) {
			envelope_free(env);
			return 1;
		}
		row(c, env, c->next_rcpt++);
	}
	envelope_free(env);
	control_end(c, NULL);
	return 0;
}

static void
named_queue_row(
    struct control_conn *c, const struct envelope *env, uint32_t index)
{
	const struct envelope_rcpt *r = &env->rcpts[index];
	int64_t next, expiry;
	const char *state;

	if (r->state == ENVELOPE_DONE)
		return;
	state = control_state(c, env->msgid, index, r, &next, &expiry);
	send_queue_row(c, env, index, state, next, expiry);
}

static int
step_queue_named(struct control_conn *c)
{
	return step_named(c, NULL, named_queue_row);
}

/* With filters, or with an id. */
static void
show_queue(struct control_conn *c)
{
	if (c->arg == c->word_count)
		c->step = step_queue;
	else if (control_is_unfiltered(c))
		c->step = step_queue_named;
}

static void
envelope_head(struct control_conn *c, const struct envelope *env)
{
	struct control_row row = { 0 };

	control_field(&row, "message", "%08x", env->msgid);
	control_field(
	    &row, "session", "%016llx", (unsigned long long)env->session);
	control_field(&row, "sender", "%s", env->sender);
	control_field(&row, "created", "%lld", (long long)env->arrival);
	control_field(&row, "size", "%llu", (unsigned long long)env->size);
	control_field(&row, "client-address", "%s", env->client_addr);
	control_field(&row, "client-name", "%s", env->client_name);
	control_field(&row, "helo", "%s", env->helo);
	control_field(&row, "user", "%s", env->auth_user);
	control_field(&row, "tag", "%s", env->tag);
	control_field(&row, "envid", "%s", env->envid);
	control_row_send(c, &row);
}

static void
envelope_row(struct control_conn *c, const struct envelope *env, uint32_t index)
{
	const struct envelope_rcpt *r = &env->rcpts[index];
	struct control_row row = { 0 };
	int64_t next, expiry;
	const char *state;
	char text[TEXT_SIZE];

	state = control_state(c, env->msgid, index, r, &next, &expiry);
	control_field(&row, "envelope", "%016llx",
	    (unsigned long long)envelope_evpid(env->msgid, index));
	control_field(&row, "recipient", "%s", r->address);
	control_field(&row, "orcpt", "%s", r->orcpt);
	control_field(&row, "action", "%s", r->action);
	control_field(&row, "state", "%s", state);
	control_field(&row, "attempts", "%u", r->attempts);
	control_field(&row, "last", "%lld", (long long)r->last);
	control_field(&row, "next", "%lld", (long long)next);
	control_field(&row, "expires", "%lld", (long long)expiry);
	control_field(&row, "host", "%s", r->remote);
	control_field(&row, "status", "%s", r->enhanced);
	control_field(&row, "error", "%s",
	    error_of(c, env, index, state, text, sizeof(text)));
	control_field(&row, "user", "%s", envelope_account(r));
	control_row_send(c, &row);
}

static int
step_envelope(struct control_conn *c)
{
	return step_named(c, envelope_head, envelope_row);
}

static void
show_envelope(struct control_conn *c)
{
	c->step = step_envelope;
}

void
control_held_text(const struct control_conn *c, const struct envelope_rcpt *r,
    const char *id, char *text, size_t size)
{
	const struct control_env *e = &c->control->env;

	if (e->ops->has_action(e->ctx, r))
		snprintf(text, size, CONTROL_HELD, id, id);
	else
		snprintf(text, size,
		    "held: the configuration has no action %s%s: add it and "
		    "reload, or `smtpctl remove %s` drops it",
		    r->action, wanted_kind(r), id);
}

/* One row of a history. */
static void
tell(struct control_conn *c, int64_t when, const char *event,
    const struct envelope *env, uint32_t index, const char *text)
{
	struct control_row row = { 0 };

	control_field(&row, "time", "%lld", (long long)when);
	control_field(&row, "event", "%s", event);
	if (index == UINT32_MAX)
		control_field(&row, "envelope", "%08x", env->msgid);
	else
		control_field(&row, "envelope", "%016llx",
		    (unsigned long long)envelope_evpid(env->msgid, index));
	control_field(&row, "address", "%s",
	    index == UINT32_MAX ? env->sender : env->rcpts[index].address);
	control_field(&row, "text", "%s", text);
	control_row_send(c, &row);
}

/* What one that is pending waits for, apart from its time. */
static void
pending_text(const struct control_conn *c, uint32_t msgid, uint32_t rcpt,
    int64_t expiry, char *text, size_t size)
{
	const struct sched *sched = c->control->env.sched;
	struct sched_info info;
	size_t n;

	snprintf(text, size, "expires at %lld", (long long)expiry);
	n = strlen(text);
	if (sched_lookup(sched, msgid, rcpt, &info) != 1)
		return;
	if (info.paused && info.kind != SCHED_RELAY)
		snprintf(text + n, size - n,
		    ", paused: `smtpctl resume mda` ends it");
	else if (info.paused && sched_kind_paused(sched, SCHED_RELAY))
		snprintf(text + n, size - n,
		    ", paused: `smtpctl resume mta` ends it");
	else if (info.paused)
		snprintf(text + n, size - n,
		    ", paused: `smtpctl resume domain %s` ends it",
		    info.domain);
	else if (info.blocked)
		snprintf(text + n, size - n, ", " NOT_REACHED, next_hop(&info));
}

static void
tell_rcpt(struct control_conn *c, const struct envelope *env, uint32_t index)
{
	static const char *const outcomes[ENVELOPE_OUTCOMES] = { "deferred",
		"delivered", "relayed", "expanded", "failed", "expired",
		"dropped", "removed" };
	const struct envelope_rcpt *r = &env->rcpts[index];
	int done = r->state == ENVELOPE_DONE;
	int64_t next, expiry;
	const char *state;
	char text[1200], id[20];

	if (r->parent < env->rcpt_count)
		tell(c, env->arrival, "made", env, index,
		    env->rcpts[r->parent].address);
	else
		tell(c, env->arrival, "accepted", env, index, r->action);
	snprintf(text, sizeof(text), "%u %s %s%s%s (attempts that failed: %u)",
	    r->code, r->enhanced, r->text, *r->remote != '\0' ? " from " : "",
	    r->remote, r->attempts);
	if (r->last != 0 || done)
		tell(c, r->last,
		    /* and held, or released since: not what was put off */
		    !done && r->code >= 500
			? "refused"
			: outcomes[done ? r->outcome % ENVELOPE_OUTCOMES
					: ENVELOPE_PENDING],
		    env, index, text);
	if (done)
		return;
	state = control_state(c, env->msgid, index, r, &next, &expiry);
	snprintf(id, sizeof(id), "%016llx",
	    (unsigned long long)envelope_evpid(env->msgid, index));
	if (strcmp(state, "held") == 0)
		control_held_text(c, r, id, text, sizeof(text));
	else
		pending_text(c, env->msgid, index, expiry, text, sizeof(text));
	tell(c, next, state, env, index, text);
}

static void
tell_message(struct control_conn *c, const struct envelope *env)
{
	char text[700];

	snprintf(text, sizeof(text), "session %016llx from %s%s%s%s, helo %s",
	    (unsigned long long)env->session,
	    *env->client_addr != '\0' ? env->client_addr : "this machine",
	    *env->client_name != '\0' ? " (" : "", env->client_name,
	    *env->client_name != '\0' ? ")" : "", env->helo);
	tell(c, env->arrival, "received", env, UINT32_MAX, text);
}

static int
step_history(struct control_conn *c)
{
	return step_named(c, tell_message, tell_rcpt);
}

/* What is recorded of a message that is queued; of one that is gone the log
 * has each event under its id. */
static void
show_history(struct control_conn *c)
{
	c->step = step_history;
}

static int
step_body(struct control_conn *c)
{
	uint8_t page[BODY_PAGE];
	struct msg_ctl_data m = { .id = c->request };
	ssize_t n = store_body_read(c->state, page, sizeof(page));

	if (n <= 0) {
		control_end(c,
		    n == 0 ? NULL
			   : store_strstatus(store_body_status(c->state)));
		return 0;
	}
	m.data = ipc_blob(page, (size_t)n);
	ipc_send(c->channel, ctl_data, &m);
	return 1;
}

static void
free_body(void *body)
{
	store_body_close(body);
}

static void
show_message(struct control_conn *c)
{
	struct store_body *body;
	struct envelope *env;
	enum store_status status;
	uint32_t rcpt;

	if ((env = control_read_named(c, &rcpt)) == NULL)
		return;
	status = store_body_open(c->control->env.store, env, &body);
	envelope_free(env);
	if (status != STORE_OK) {
		control_end(c, store_strstatus(status));
		return;
	}
	c->state = body;
	c->state_free = free_body;
	c->step = step_body;
}

/* ---- figures ---------------------------------------------------------- */

static void
status_row(struct control_conn *c, const char *what, const char *name,
    const char *status)
{
	struct control_row row = { 0 };

	control_field(&row, "part", "%s%s", what, name);
	control_field(&row, "status", "%s", status);
	control_row_send(c, &row);
}

static const char *
running_unless(int paused)
{
	return paused ? "paused" : "running";
}

static void
show_status(struct control_conn *c)
{
	const struct control_env *e = &c->control->env;
	const char *domain;

	status_row(c, "MDA", "",
	    running_unless(sched_kind_paused(e->sched, SCHED_LOCAL)));
	status_row(c, "MTA", "",
	    running_unless(sched_kind_paused(e->sched, SCHED_RELAY)));
	status_row(c, "SMTP", "",
	    e->ops->takes_mail(e->ctx)
		? running_unless(e->ops->intake_paused(e->ctx))
		: "full");
	for (size_t i = 0; (domain = sched_paused_domain(e->sched, i)) != NULL;
	     i++)
		status_row(c, "domain ", domain, "paused");
	control_end(c, NULL);
}

static void
send_figures(struct control_conn *c)
{
	struct sched_stats s;
	struct store_stats t;
	struct control_row row = { 0 };
	struct worker *worker = c->control->env.worker;
	int64_t uptime =
	    (loop_now(worker_loop(worker)) - worker_begun(worker)) / 1000;

	sched_stats(c->control->env.sched, &s);
	store_stats(c->control->env.store, &t);
	const struct {
		const char *name;
		uint64_t value;
	} figures[] = {
		{ "queue.messages", s.messages },
		{ "queue.envelopes", s.entries },
		{ "queue.ready", s.states[SCHED_READY] },
		{ "queue.inflight", s.states[SCHED_INFLIGHT] },
		{ "queue.waiting", s.states[SCHED_WAITING] },
		{ "queue.held", s.states[SCHED_HELD] },
		{ "queue.destinations", s.dests },
		{ "queue.destinations.blocked", s.dests_blocked },
		{ "delivery.started", s.started },
		{ "delivery.ok", s.delivered },
		{ "delivery.refused", s.refused },
		{ "delivery.tempfail", s.tempfail },
		{ "delivery.expired", s.expired },
		{ "delivery.route-failures", s.route_failures },
		{ "store.accepted", t.puts },
		{ "store.updates", t.updates },
		{ "store.removed", t.removes },
		{ "store.batches", t.batches },
		{ "store.damaged", t.damaged },
		{ "store.unreadable", t.unreadable },
		{ "store.checkpoints", t.checkpoints },
		{ "store.log-bytes", t.log_bytes },
		{ "scheduler.memory", s.memory },
		{ "uptime", uptime > 0 ? (uint64_t)uptime : 0 },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		control_field(&row, figures[i].name, "%llu",
		    (unsigned long long)figures[i].value);
	control_row_send(c, &row);
}

static void
show_stats(struct control_conn *c)
{
	send_figures(c);
	control_end(c, NULL);
}

/* A row of figures each second, until the asker goes away. */
static int
step_monitor(struct control_conn *c)
{
	send_figures(c);
	c->wake = loop_now(worker_loop(c->control->env.worker)) + 1000;
	return 1;
}

static void
monitor(struct control_conn *c)
{
	c->step = step_monitor;
}

/* A domain or a user; one destination for all domains is shown by the hosts
 * that its action names. */
static const char *
destination_name(const struct control_conn *c, const struct sched_dest_info *d)
{
	struct msg_relay_info info;
	struct ipc_list list = { 0 };

	if (c->state != NULL)
		list = ipc_buf_list(c->state);
	if (d->kind == SCHED_RELAY && *d->domain == '\0')
		while (ipc_next_relay_info(&list, &info))
			if (strcmp(info.action, d->action) == 0)
				return info.hosts;
	return d->domain;
}

static int
step_destinations(struct control_conn *c)
{
	struct sched_dest_info d;
	const char *name;

	for (int i = 0; i < PAGE; i++) {
		struct control_row row = { 0 };

		if (!sched_list_dests(c->control->env.sched, &c->cursor, &d)) {
			control_end(c, NULL);
			return 0;
		}
		name = destination_name(c, &d);
		if (c->filter.domain != NULL &&
		    !control_glob(c->filter.domain, name))
			continue;
		control_field(&row, "destination", "%s", name);
		control_field(&row, "action", "%s", d.action);
		control_field(&row, "status", "%s",
		    d.paused        ? "paused"
			: d.blocked ? "blocked"
				    : "open");
		control_field(&row, "envelopes", "%u", d.entries);
		control_field(&row, "ready", "%u", d.ready);
		control_field(&row, "inflight", "%u", d.inflight);
		control_field(&row, "window", "%u", d.window);
		control_field(&row, "failures", "%u", d.failures);
		control_field(&row, "probe", "%lld", (long long)d.probe_at);
		control_row_send(c, &row);
	}
	return 1;
}

static void
free_relays(void *relays)
{
	ipc_buf_free(relays);
	free(relays);
}

void
control_relays(struct control_conn *c, const struct msg_relay_answer *m)
{
	struct ipc_list list = m->relays;
	struct msg_relay_info info;
	struct ipc_buf *relays;

	c->step = step_destinations;
	if ((relays = calloc(1, sizeof(*relays))) == NULL)
		return;
	while (ipc_next_relay_info(&list, &info))
		ipc_add_relay_info(relays, &info);
	c->state = relays;
	c->state_free = free_relays;
}

static void
show_routes(struct control_conn *c)
{
	struct channel *deliver =
	    worker_peer(c->control->env.worker, PROC_DELIVER, 0);
	struct msg_relay_query q = { .id = c->id };

	c->asked = PROC_DELIVER;
	if (deliver != NULL && ipc_send(deliver, relay_query, &q) == 0)
		c->waiting = 1;
	else
		c->step = step_destinations;
}

static void
show_hosts(struct control_conn *c)
{
	struct worker *w = c->control->env.worker;
	struct msg_route_query q = { .id = c->id };
	uint16_t n = worker_peer_count(w, PROC_DELIVER);

	c->asked = PROC_DELIVER;
	for (uint16_t i = 0; i < n; i++) {
		struct channel *ch = worker_peer(w, PROC_DELIVER, i);

		if (ch != NULL && ipc_send(ch, route_query, &q) == 0)
			c->waiting++;
	}
	if (c->waiting == 0)
		control_end(c, "no deliver process is up: try again");
}

const struct control_verb control_show_verbs[] = {
	{ "show queue", 0, 0, 1, show_queue, CONTROL_FILTERS },
	{ "show message", 0, 1, 1, show_message },
	{ "show envelope", 0, 1, 1, show_envelope },
	{ "history", 0, 1, 1, show_history },
	{ "show status", 0, 0, 0, show_status },
	{ "show stats", 1, 0, 0, show_stats },
	{ "show hosts", 1, 0, 0, show_hosts, CONTROL_DOMAIN },
	{ "show routes", 1, 0, 0, show_routes, CONTROL_DOMAIN },
	{ "monitor", 1, 0, 0, monitor },
	{ NULL, 0, 0, 0, NULL },
};
