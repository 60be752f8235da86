/*
 * What smtpctl may change: when a message is tried, held, removed; what is
 * paused; and what only master can do, which it is asked for. Also `submit`,
 * which gives anybody an SMTP session of his own.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/worker.h"
#include "net/loop.h"
#include "os/log.h"
#include "os/passed.h"
#include "queue/control_private.h"
#include "queue/scheduler.h"
#include "smtp/address.h"

static int64_t
now_of(const struct control_conn *c)
{
	return loop_time(worker_loop(c->control->env.worker));
}

/* The argument as an id; -1 after ending. */
static int
named_id(struct control_conn *c, uint32_t *msgid, uint32_t *rcpt)
{
	if (control_parse_id(c->words[c->arg], msgid, rcpt) == 0)
		return 0;
	control_end(c,
	    "that is no id: 8 hexadecimal digits name a message, "
	    "16 an envelope");
	return -1;
}

/* ---- one change to all that a filter matches -------------------------- */

/* Changes recipients of one message, as control_ops has them; how many. */
typedef uint32_t control_change(
    struct control_conn *, uint32_t msgid, const uint32_t *rcpts, uint32_t n);

/* Found first, changed after: nothing may change while the store walks. */
struct matches {
	control_change *change;
	uint32_t count;
	uint32_t msgids[CONTROL_STEP];
	uint32_t rcpts[CONTROL_STEP];
};

static void
visit_match(struct control_conn *c, const struct envelope *env, uint32_t index,
    const char *state, int64_t next, int64_t expiry)
{
	struct matches *m = c->state;

	m->msgids[m->count] = env->msgid;
	m->rcpts[m->count++] = index;
}

/* One message after the other. */
static void
change_matches(struct control_conn *c, struct matches *m)
{
	uint32_t end;

	for (uint32_t i = 0; i < m->count; i = end) {
		for (end = i + 1;
		     end < m->count && m->msgids[end] == m->msgids[i]; end++)
			;
		c->changed += m->change(c, m->msgids[i], m->rcpts + i, end - i);
	}
}

static int
step_change(struct control_conn *c)
{
	struct matches *m = c->state;
	int more;

	m->count = 0;
	if ((more = control_walk(c, visit_match)) == -1)
		return 0;
	change_matches(c, m);
	if (more) {
		c->control->env.ops->kick(c->control->env.ctx);
		return 1;
	}
	c->control->env.ops->commit(c->control->env.ctx);
	control_end_count(c, c->changed);
	return 0;
}

static void
change_all(struct control_conn *c, control_change *change)
{
	struct matches *m;

	if ((m = calloc(1, sizeof(*m))) == NULL) {
		control_end(c, "out of memory");
		return;
	}
	m->change = change;
	c->state = m;
	c->state_free = free;
	c->step = step_change;
}

/* Nothing was done to what the id names: says what state it is in. */
static void
end_unchanged(struct control_conn *c)
{
	const char *id = c->words[c->arg], *state = NULL;
	struct envelope *env;
	char text[500];
	uint32_t rcpt, shown = 0;

	if ((env = control_read_named(c, &rcpt)) == NULL)
		return;
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		const struct envelope_rcpt *r = &env->rcpts[i];
		int64_t next, expiry;

		if ((rcpt == UINT32_MAX || rcpt == i) &&
		    (state == NULL || strcmp(state, "done") == 0)) {
			state =
			    control_state(c, env->msgid, i, r, &next, &expiry);
			shown = i;
		}
	}
	if (state != NULL && strcmp(state, "held") == 0)
		control_held_text(
		    c, &env->rcpts[shown], id, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%s is %s: this changes nothing",
		    id, state != NULL ? state : "without recipients");
	envelope_free(env);
	control_end(c, text);
}

/* `all` with filters, or an id. */
static void
change_named(struct control_conn *c, control_change *change)
{
	uint32_t msgid, rcpt, n;

	if (strcmp(c->words[c->arg], "all") != 0) {
		if (named_id(c, &msgid, &rcpt) == -1)
			return;
		if (!control_is_unfiltered(c))
			return;
		if ((n = change(c, msgid, &rcpt, 1)) == 0) {
			end_unchanged(c);
			return;
		}
		c->control->env.ops->commit(c->control->env.ctx);
		control_end_count(c, n);
		return;
	}
	change_all(c, change);
}

static uint32_t
remove_rcpts(
    struct control_conn *c, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	const struct control_env *e = &c->control->env;

	return e->ops->remove(e->ctx, msgid, rcpts, n);
}

static uint32_t
schedule_rcpts(
    struct control_conn *c, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	uint32_t changed = 0;

	for (uint32_t i = 0; i < n; i++)
		changed += sched_schedule(
		    c->control->env.sched, msgid, rcpts[i], now_of(c));
	return changed;
}

static uint32_t
hold_rcpts(
    struct control_conn *c, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	const struct control_env *e = &c->control->env;

	return e->ops->hold(e->ctx, msgid, rcpts, n, 1);
}

static uint32_t
release_rcpts(
    struct control_conn *c, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	const struct control_env *e = &c->control->env;

	return e->ops->hold(e->ctx, msgid, rcpts, n, 0);
}

static void
remove_named(struct control_conn *c)
{
	change_named(c, remove_rcpts);
}

static void
schedule_named(struct control_conn *c)
{
	change_named(c, schedule_rcpts);
}

static void
hold_named(struct control_conn *c)
{
	change_named(c, hold_rcpts);
}

static void
release_named(struct control_conn *c)
{
	change_named(c, release_rcpts);
}

static int
step_flush(struct control_conn *c)
{
	const struct control_env *e = &c->control->env;
	int more = sched_flush(
	    e->sched, &c->cursor, CONTROL_STEP, &c->changed, now_of(c));

	e->ops->kick(e->ctx);
	if (!more)
		control_end_count(c, c->changed);
	return more;
}

static void
flush(struct control_conn *c)
{
	c->step = step_flush;
}

/* The argument as a domain; NULL after ending. */
static const char *
named_domain(struct control_conn *c)
{
	const char *domain = c->words[c->arg];
	char canonical[ADDRESS_DOMAIN_SIZE], error[128];
	enum address_error e;

	e = address_parse_domain(domain, strlen(domain), 0, canonical);
	if (e == ADDRESS_OK)
		return domain;
	snprintf(
	    error, sizeof(error), "that is no domain: %s", address_strerror(e));
	control_end(c, error);
	return NULL;
}

/* All is sought in the store: what waits for a host that serves many domains
 * is one destination, and a destination may be of any length. */
static void
schedule_domain(struct control_conn *c)
{
	if ((c->filter.domain = named_domain(c)) != NULL)
		change_all(c, schedule_rcpts);
}

static uint32_t
discover_rcpts(
    struct control_conn *c, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	const struct control_env *e = &c->control->env;

	return e->ops->discover(e->ctx, msgid, rcpts, n);
}

static void
discover(struct control_conn *c)
{
	static const uint32_t all = SCHED_ALL;
	uint32_t msgid, rcpt, n;

	if (c->arg == c->word_count)
		change_all(c, discover_rcpts);
	else if (named_id(c, &msgid, &rcpt) == 0) {
		n = discover_rcpts(c, msgid, &all, 1);
		c->control->env.ops->kick(c->control->env.ctx);
		control_end_count(c, n);
	}
}

/* ---- pause ------------------------------------------------------------ */

static const char not_kept[] =
    "done, but not safe from a restart: the log says why";

/* The end of a command that changed what is paused. */
static void
end_pause(struct control_conn *c)
{
	const struct control_env *e = &c->control->env;

	control_end(c, e->ops->keep_pauses(e->ctx) == -1 ? not_kept : NULL);
}

static void
set_paused(struct control_conn *c, enum sched_kind kind, int paused)
{
	const struct control_env *e = &c->control->env;

	sched_pause_kind(e->sched, kind, paused);
	if (!paused)
		e->ops->kick(e->ctx);
	log_info("%s: %s", kind == SCHED_RELAY ? "mta" : "mda",
	    paused ? "paused" : "resumed");
	end_pause(c);
}

static void
pause_mta(struct control_conn *c)
{
	set_paused(c, SCHED_RELAY, 1);
}

static void
resume_mta(struct control_conn *c)
{
	set_paused(c, SCHED_RELAY, 0);
}

static void
pause_mda(struct control_conn *c)
{
	set_paused(c, SCHED_LOCAL, 1);
}

static void
resume_mda(struct control_conn *c)
{
	set_paused(c, SCHED_LOCAL, 0);
}

static void
pause_smtp(struct control_conn *c)
{
	c->control->env.ops->pause_intake(c->control->env.ctx, 1);
	end_pause(c);
}

static void
resume_smtp(struct control_conn *c)
{
	c->control->env.ops->pause_intake(c->control->env.ctx, 0);
	end_pause(c);
}

static uint32_t
reroute_rcpts(
    struct control_conn *c, uint32_t msgid, const uint32_t *rcpts, uint32_t n)
{
	const struct control_env *e = &c->control->env;

	return e->ops->reroute(e->ctx, msgid, rcpts, n);
}

/* What waits for a host that serves many domains is sought in the store. */
static void
pause_domain(struct control_conn *c)
{
	const char *domain = named_domain(c);
	int64_t n;

	if (domain == NULL)
		return;
	n = sched_pause_domain(c->control->env.sched, domain, 1);
	if (n == -1) {
		control_end(c, "too many domains are paused");
		return;
	}
	log_info("domain %s: paused", domain);
	if (c->control->env.ops->keep_pauses(c->control->env.ctx) == -1) {
		control_end(c, not_kept);
		return;
	}
	c->changed = (uint32_t)n;
	c->filter.domain = domain;
	change_all(c, reroute_rcpts);
}

static void
resume_domain(struct control_conn *c)
{
	const struct control_env *e = &c->control->env;
	const char *domain = c->words[c->arg];
	int64_t n = sched_pause_domain(e->sched, domain, 0);

	log_info("domain %s: resumed", domain);
	e->ops->kick(e->ctx);
	if (e->ops->keep_pauses(e->ctx) == -1)
		control_end(c, not_kept);
	else
		control_end_count(c, (uint32_t)n);
}

/* ---- what master does ------------------------------------------------- */

static void
ask_master(struct control_conn *c, enum master_verb verb, uint32_t argument)
{
	struct channel *master = worker_master(c->control->env.worker);
	struct msg_master_request m = {
		.id = c->id, .verb = (uint8_t)verb, .argument = argument
	};

	if (master == NULL || ipc_send(master, master_request, &m) == -1)
		control_end(c, "master cannot be asked");
}

static void
reload(struct control_conn *c)
{
	ask_master(c, MASTER_RELOAD, 0);
}

/* Tables are swapped as a whole, with the configuration that names them. */
static void
update_table(struct control_conn *c)
{
	struct channel *master = worker_master(c->control->env.worker);
	struct msg_master_request m = {
		.id = c->id, .verb = MASTER_RELOAD, .table = c->words[c->arg]
	};

	if (master == NULL || ipc_send(master, master_request, &m) == -1)
		control_end(c, "master cannot be asked");
}

static void
update_aliases(struct control_conn *c)
{
	ask_master(c, MASTER_ALIASES, 0);
}

static void
stop(struct control_conn *c)
{
	ask_master(c, MASTER_STOP, 0);
}

static void
log_verbose_on(struct control_conn *c)
{
	ask_master(c, MASTER_VERBOSE, 1);
}

static void
log_verbose_off(struct control_conn *c)
{
	ask_master(c, MASTER_VERBOSE, 0);
}

static void
change_trace(struct control_conn *c, int on)
{
	uint32_t bits = log_trace_mask(c->words[c->arg]);
	/* master tells every process the mask, this one too */
	uint32_t mask = log_traced();
	char error[128];

	if (bits != 0) {
		ask_master(c, MASTER_TRACE, on ? mask | bits : mask & ~bits);
		return;
	}
	snprintf(error, sizeof(error),
	    "nothing of that name can be traced: there are %s",
	    log_trace_names);
	control_end(c, error);
}

static void
trace_on(struct control_conn *c)
{
	change_trace(c, 1);
}

static void
trace_off(struct control_conn *c)
{
	change_trace(c, 0);
}

/* ---- submission ------------------------------------------------------- */

static void
submit(struct control_conn *c)
{
	struct control *ctl = c->control;
	struct msg_local_session m = { .user = c->user };
	struct msg_ctl_session s = { .id = c->request };
	struct channel *ch = NULL;
	uint16_t n = worker_peer_count(ctl->env.worker, PROC_SMTPD);
	int sv[2];

	for (uint16_t i = 0; i < n && ch == NULL; i++)
		ch = worker_peer(ctl->env.worker, PROC_SMTPD,
		    (uint16_t)(ctl->next_smtpd++ % n));
	if (ch == NULL) {
		control_end(c, "no smtpd process is up: try again");
		return;
	}
	/* or who does not fetch them would have us keep any number */
	if (c->has_session) {
		control_end(c, "a connection opens one session: use another");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1) {
		control_end(c, strerror(errno));
		return;
	}
	passed_refuse(sv[0]);
	if (ipc_send_fd(ch, local_session, &m, sv[0]) == -1) {
		close(sv[1]);
		control_end(c, "the session could not be opened");
		return;
	}
	c->has_session = 1;
	ipc_send_fd(c->channel, ctl_session, &s, sv[1]);
	control_end(c, NULL);
}

const struct control_verb control_act_verbs[] = {
	{ "submit", 0, 0, 0, submit },
	{ "schedule domain", 1, 1, 1, schedule_domain },
	{ "schedule", 1, 1, 1, schedule_named, CONTROL_FILTERS },
	{ "flush", 1, 0, 0, flush },
	{ "remove", 1, 1, 1, remove_named, CONTROL_FILTERS },
	{ "discover", 1, 0, 1, discover },
	{ "pause mta", 1, 0, 0, pause_mta },
	{ "pause mda", 1, 0, 0, pause_mda },
	{ "pause smtp", 1, 0, 0, pause_smtp },
	{ "pause domain", 1, 1, 1, pause_domain },
	{ "pause envelope", 1, 1, 1, hold_named, CONTROL_FILTERS },
	{ "resume mta", 1, 0, 0, resume_mta },
	{ "resume mda", 1, 0, 0, resume_mda },
	{ "resume smtp", 1, 0, 0, resume_smtp },
	{ "resume domain", 1, 1, 1, resume_domain },
	{ "resume envelope", 1, 1, 1, release_named, CONTROL_FILTERS },
	{ "reload", 1, 0, 0, reload },
	{ "update table", 1, 1, 1, update_table },
	{ "update aliases", 1, 0, 0, update_aliases },
	{ "stop", 1, 0, 0, stop },
	{ "log verbose", 1, 0, 0, log_verbose_on },
	{ "log brief", 1, 0, 0, log_verbose_off },
	{ "trace", 1, 1, 1, trace_on },
	{ "untrace", 1, 1, 1, trace_off },
	{ NULL, 0, 0, 0, NULL },
};
