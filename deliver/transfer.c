/*
 * See transfer.h. A transfer keeps its own copy of what the message said, and
 * its results, whatever sessions come and go.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deliver/lookup.h"
#include "deliver/pool.h"
#include "deliver/question.h"
#include "deliver/session.h"
#include "deliver/settings.h"
#include "deliver/transfer_private.h"
#include "ipc/worker.h"
#include "net/loop.h"
#include "os/log.h"
#include "smtp/address.h"

RB_HEAD(transfer_tree, transfer);

enum { UNTRIED_SILENCE = 10 * 1000 }; /* ms */

struct transfers {
	struct deliver *deliver;
	struct transfer_tree tree; /* those that somebody waits for */
	size_t count; /* all */
	struct probes *probes;
	int64_t untried_said; /* loop_now until when the log was told */
};

static int
compare(const struct transfer *a, const struct transfer *b)
{
	if (a->origin != b->origin)
		return a->origin < b->origin ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE_INTERNAL(
    transfer_tree, transfer, entry, compare, __attribute__((unused)) static)

struct transfers *
transfers_new(struct deliver *deliver)
{
	struct transfers *ts;

	if ((ts = calloc(1, sizeof(*ts))) == NULL)
		return NULL;
	ts->deliver = deliver;
	RB_INIT(&ts->tree);
	if ((ts->probes = probes_new(deliver)) == NULL) {
		free(ts);
		return NULL;
	}
	return ts;
}

void
transfers_free(struct transfers *ts)
{
	if (ts != NULL)
		probes_free(ts->probes);
	free(ts);
}

size_t
transfers_count(const struct transfers *ts)
{
	return ts->count;
}

static struct transfer *
find(struct transfers *ts, enum process_kind origin, uint64_t id)
{
	struct transfer key = { .origin = origin, .id = id };

	return RB_FIND(transfer_tree, &ts->tree, &key);
}

static void
disown(struct transfer *t)
{
	if (!t->orphan)
		RB_REMOVE(transfer_tree, &t->owner->tree, t);
	t->orphan = 1;
}

static void
free_remotes(struct transfer *t)
{
	struct transfer_remote *r;

	while ((r = t->remote) != NULL) {
		t->remote = r->before;
		free(r);
	}
}

static void
free_transfer(struct transfer *t)
{
	disown(t);
	t->owner->count--;
	probes_remove(t->owner->probes, t);
	question_cancel(t->deliver->questions, t->question);
	lookup_cancel(t->lookup);
	for (size_t i = 0; i < t->count; i++) {
		if (t->rcpts != NULL) {
			free((char *)(uintptr_t)t->rcpts[i].address);
			free((char *)(uintptr_t)t->rcpts[i].orcpt);
		}
		if (t->results != NULL)
			free(t->results[i].text);
	}
	if (t->route != NULL)
		pool_release(t->route);
	settings_release(t->settings);
	body_free(&t->body);
	free_remotes(t);
	free(t->rcpts);
	free(t->indexes);
	free(t->results);
	free(t->attempt_rcpts);
	free(t->attempt_map);
	free(t->candidates);
	free(t->first_relay);
	free(t->relay);
	free(t->failure.text);
	free(t->action_name);
	free(t->destination);
	free(t->sender);
	free(t->delivered_to);
	free(t->envid);
	free(t);
}

/* ---- the end ---------------------------------------------------------- */

/*
 * 1 if a recipient has its result already. What one more host says of a
 * recipient that the first has put off counts only if it is yes: a second
 * host that is wrongly set up must not bounce what the first may take.
 */
static int
is_settled(struct transfer *t, size_t i, enum delivery_status status)
{
	struct transfer_result *r = &t->results[i];

	if (r->done)
		return 1;
	if (r->by == NULL || status == DELIVERY_OK)
		return 0;
	r->done = 1;
	t->undone--;
	return 1;
}

static void
set_result(struct transfer *t, size_t i, enum delivery_status status,
    unsigned code, const char *enhanced, const char *text)
{
	struct transfer_result *r = &t->results[i];

	if (is_settled(t, i, status))
		return;
	r->done = 1;
	r->by = t->remote;
	t->undone--;
	r->status = status;
	r->code = (uint16_t)code;
	r->hop = HOP_DSN;
	r->scope = CLIENT_SCOPE_SESSION;
	r->said = t->said;
	snprintf(r->enhanced, sizeof(r->enhanced), "%s", enhanced);
	free(r->text);
	r->text = strndup(text, 1024);
}

static void
log_result(const struct transfer *t, size_t i)
{
	static const char *const words[] = { [DELIVERY_OK] = "ok",
		[DELIVERY_TEMPFAIL] = "tempfail",
		[DELIVERY_PERMFAIL] = "permfail",
		[DELIVERY_DAMAGED] = "damaged" };
	const struct transfer_result *r = &t->results[i];
	static const struct transfer_remote nobody;
	const struct transfer_remote *by = r->by != NULL ? r->by : &nobody;
	char id[16], reply[64];

	snprintf(id, sizeof(id), "%08" PRIx32, t->msgid);
	snprintf(reply, sizeof(reply), "%u %s", r->code, r->enhanced);
	log_event(t->log_id, t->mail.probe ? "callahead" : "delivery", "msgid",
	    id, "from", t->sender, "to", t->rcpts[i].address, "host",
	    *by->name != '\0' ? by->name : NULL, "address",
	    *by->addr != '\0' ? by->addr : NULL, "tls",
	    *by->tls != '\0' ? by->tls : NULL, "result", words[r->status],
	    "reply", reply, "text", r->text, "port",
	    *by->port != '\0' ? by->port : NULL, NULL);
}

/* Without memory for the transfer itself or for its results there is nobody to
 * say so: the channel is closed, and the queue begins again with what is
 * durable. It would wait for the results for ever. */
static void
give_up(struct deliver *d)
{
	log_error("out of memory for a transfer");
	worker_exit(d->worker, 1);
}

static void
answer_queue(struct transfer *t, struct channel *ch)
{
	struct msg_transfer_done m = { .id = t->id,
		.route = (uint8_t)t->route_status,
		.tls = t->remote != NULL ? t->remote->tls : "" };
	struct ipc_buf buf = { 0 };

	for (size_t i = 0; i < t->count; i++) {
		const struct transfer_result *r = &t->results[i];
		struct msg_rcpt_result out = { .index = t->indexes[i],
			.status = (uint8_t)r->status,
			.code = r->code,
			.enhanced = r->enhanced,
			.text = r->text != NULL ? r->text : "",
			.remote = r->said && r->by != NULL ? r->by->name : "",
			.hop = (uint8_t)r->hop };

		if (!r->done)
			continue;
		ipc_add_rcpt_result(&buf, &out);
	}
	m.results = ipc_buf_list(&buf);
	/* a queue that went away begins again by itself */
	if (buf.failed ||
	    (ipc_send(ch, transfer_done, &m) == -1 && channel_is_open(ch)))
		give_up(t->deliver);
	ipc_buf_free(&buf);
}

void
transfer_finish(struct transfer *t)
{
	struct channel *ch = worker_peer(t->deliver->worker, t->origin, 0);

	for (size_t i = 0; i < t->count; i++)
		if (t->results[i].done)
			log_result(t, i);
	if (!t->orphan && ch != NULL) {
		if (t->origin == PROC_QUEUE)
			answer_queue(t, ch);
		else
			probes_answer(t, ch);
	}
	if (t->route != NULL)
		pool_transfer_done(t->route);
	free_transfer(t);
}

void
transfer_fail(struct transfer *t, enum route_status route,
    enum delivery_status status, unsigned code, const char *enhanced,
    const char *text)
{
	/* a session may end well, with QUIT; what it left undone has failed */
	if (status == DELIVERY_OK)
		status = DELIVERY_TEMPFAIL;
	if (t->route != NULL && route != ROUTE_OK && route != ROUTE_CANCELLED)
		pool_failed(t->route, text);
	/* a host that was ready may be so for other mail, whatever the rest of
	 * them said */
	if (t->broken && route != ROUTE_CANCELLED)
		route = ROUTE_BROKEN;
	/* that nobody else took it says nothing against the first */
	t->route_status = t->asks_another ? t->first_status : route;
	/* what we end since we go down was not tried: it goes at the start */
	if (t->deliver->stop_by == 0 || route != ROUTE_CANCELLED ||
	    status != DELIVERY_TEMPFAIL)
		for (size_t i = 0; i < t->count; i++)
			set_result(t, i, status, code, enhanced, text);
	transfer_finish(t);
}

void
transfer_untried(struct transfer *t, const char *text)
{
	int64_t now = loop_now(t->deliver->loop);

	/* a message over which a session has ended waits as after any attempt,
	 * and what was put off already has its result */
	if (t->origin != PROC_QUEUE || t->asks_another || t->broken) {
		transfer_fail(
		    t, ROUTE_CANCELLED, DELIVERY_TEMPFAIL, 451, "4.3.0", text);
		return;
	}
	/* the queue asks again soon, for all that it has */
	if (now >= t->owner->untried_said) {
		t->owner->untried_said = now + UNTRIED_SILENCE;
		log_info("%08" PRIx32 ": is tried again later, as others may "
			 "be: %s",
		    t->msgid, text);
	}
	t->route_status = ROUTE_CANCELLED;
	transfer_finish(t);
}

/* ---- attempts --------------------------------------------------------- */

static void
begin_attempt(struct transfer *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++) {
		t->results[i].put_off = 0;
		if (t->results[i].done)
			continue;
		t->attempt_rcpts[n] = t->rcpts[i];
		t->attempt_map[n++] = i;
	}
	t->unanswered = 0;
	t->attempt = t->mail;
	t->attempt.rcpts = t->attempt_rcpts;
	t->attempt.rcpts_count = n;
	session_begin(t->session, &t->attempt, t->log_id);
}

/*
 * The host by the name that it was asked for by, in the log and in a report
 * (RFC 3464 section 2.3.5) alike: what a server calls itself proves nothing. A
 * bare address becomes a literal, since a report has names only.
 */
static void
fill_remote(struct transfer_remote *r, struct session *s)
{
	const char *host = session_host(s), *address = session_address(s);

	if (*host != '[' &&
	    (strchr(host, ':') != NULL || strcmp(host, address) == 0))
		snprintf(r->name, sizeof(r->name), "[%s%s]",
		    strchr(address, ':') != NULL ? "IPv6:" : "", address);
	else
		snprintf(r->name, sizeof(r->name), "%s", host);
	snprintf(r->addr, sizeof(r->addr), "%s", address);
	snprintf(r->port, sizeof(r->port), "%u", session_port(s));
	snprintf(r->tls, sizeof(r->tls), "%s", session_tls(s));
}

static int
is_remote(const struct transfer_remote *a, const struct transfer_remote *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->addr, b->addr) == 0 &&
	    strcmp(a->port, b->port) == 0 && strcmp(a->tls, b->tls) == 0;
}

static void
note_remote(struct transfer *t, struct session *s)
{
	struct transfer_remote now = { .before = t->remote }, *r;

	fill_remote(&now, s);
	if (t->remote != NULL && is_remote(t->remote, &now))
		return;
	if ((r = malloc(sizeof(*r))) == NULL) {
		give_up(t->deliver);
		return;
	}
	*r = now;
	t->remote = r;
}

static void
on_ready(void *owner, struct session *s)
{
	struct transfer *t = owner;
	const struct conf_mta_limit *limit;

	route_worked(&t->plan, t->deliver->hosts, loop_now(t->deliver->loop));
	t->route_status = ROUTE_OK;
	if (t->undone > 0) {
		begin_attempt(t);
		return;
	}
	limit = conf_find_mta_limit(t->settings->conf, t->destination);
	t->session = NULL;
	/* a host that stood in is not the one that the next mail goes to, nor
	 * has that mail the same recipients */
	pool_keep(s,
	    t->asks_another || t->rcpt_max > 0 ? 0 : limit->session_keepalive);
	if (transfer_may_ask_another(t))
		transfer_ask_another(t);
	else
		transfer_finish(t);
}

/* Recipients whom only the session failed stay undone: another host may
 * take them. */
static void
on_results(void *owner, struct session *s)
{
	struct transfer *t = owner;
	const struct client_result *r;
	size_t at;

	note_remote(t, s);
	for (size_t i = 0; i < t->attempt.rcpts_count; i++) {
		r = client_result(session_client(s), i);
		at = t->attempt_map[i];
		t->unanswered |= r->scope == CLIENT_SCOPE_MESSAGE &&
		    r->status == DELIVERY_TEMPFAIL && !r->said;
		if (r->scope == CLIENT_SCOPE_SESSION ||
		    is_settled(t, at, r->status))
			continue;
		set_result(t, at, r->status, r->code, r->enhanced, r->text);
		t->results[at].hop = r->hop;
		t->results[at].scope = r->scope;
		t->results[at].said = r->said;
		t->results[at].put_off =
		    r->status == DELIVERY_TEMPFAIL && r->said;
	}
}

static void
on_body_begin(void *owner, struct session *s)
{
	struct transfer *t = owner;
	struct msg_body_request m = { .id = t->id };
	struct channel *ch = worker_peer(t->deliver->worker, PROC_QUEUE, 0);

	body_rewind(&t->body);
	t->heading_due = t->delivered_to != NULL;
	if (t->body_asked)
		return;
	t->body_asked = 1;
	if (ch == NULL || t->orphan || ipc_send(ch, body_request, &m) == -1)
		session_body_failed(s, "the queue is not there");
}

static ssize_t
on_body(void *owner, char *out, size_t size, int *last)
{
	struct transfer *t = owner;
	size_t len;
	ssize_t n;

	if (!body_ready(&t->body))
		return SESSION_BODY_WAIT;
	len = transfer_heading(t, out, size);
	n = body_read(&t->body, out + len, size - len, last);
	return n < 0 ? n : (ssize_t)len + n;
}

/* Whether the session broke, which is no word of the server. */
static int
is_broken(const struct client_outcome *outcome)
{
	return outcome->end == CLIENT_END_LOST ||
	    outcome->end == CLIENT_END_TIMEOUT ||
	    outcome->end == CLIENT_END_PROTOCOL;
}

/* Whether it ended, or broke, in the transaction: the mail may be the reason,
 * so that this says little of the route. */
static int
ended_over_it(struct session *s, const struct client_outcome *outcome)
{
	return client_transactions(session_client(s)) > 0 && !outcome->stale &&
	    (outcome->end == CLIENT_END_BUSY || is_broken(outcome));
}

/* Every recipient has a result. */
static void
end_attempts(
    struct transfer *t, struct session *s, const struct client_outcome *outcome)
{
	enum route_status status = route_status(outcome);

	if (ended_over_it(s, outcome))
		status = ROUTE_BROKEN;
	/* the next attempt goes to another host where there is one, if the
	 * session only had to say that the mail was taken */
	if (is_broken(outcome) && t->unanswered)
		route_doubt(t->deliver->hosts, session_peer(s), session_port(s),
		    loop_now(t->deliver->loop));
	if (t->asks_another)
		t->route_status = t->first_status;
	else if (t->route_status == ROUTE_OK)
		t->route_status = status;
	if (transfer_may_ask_another(t))
		transfer_ask_another(t);
	else
		transfer_finish(t);
}

static void
on_closed(void *owner, struct session *s)
{
	struct transfer *t = owner;
	struct client_outcome outcome = *client_outcome(session_client(s));

	note_remote(t, s);
	t->session = NULL;
	t->broken |= ended_over_it(s, &outcome);
	if (t->undone == 0)
		end_attempts(t, s, &outcome);
	else if (t->body.damaged)
		transfer_fail(t, ROUTE_CANCELLED, DELIVERY_DAMAGED, 451,
		    "4.3.0", "the body in the spool is damaged");
	else
		transfer_retry(t, &outcome);
}

const struct session_events transfer_events = {
	.ready = on_ready,
	.results = on_results,
	.body_begin = on_body_begin,
	.body = on_body,
	.closed = on_closed,
};

void
transfer_use_session(struct transfer *t, struct session *s)
{
	t->session = s;
	session_set_owner(s, &transfer_events, t);
	begin_attempt(t);
}

/* ---- the beginning ---------------------------------------------------- */

/* Room for n recipients, and the strings. NULL without memory. */
static struct transfer *
new_transfer(struct transfers *ts, enum process_kind origin, uint64_t id,
    const char *action, const char *destination, const char *sender,
    const char *envid, size_t n)
{
	struct transfer *t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->owner = ts;
	t->deliver = ts->deliver;
	t->origin = origin;
	t->id = id;
	t->plan.current = -1;
	body_init(&t->body);
	if (ts->deliver->settings != NULL)
		t->settings = settings_hold(ts->deliver->settings);
	t->rcpts = calloc(n, sizeof(*t->rcpts));
	t->indexes = calloc(n, sizeof(*t->indexes));
	t->results = calloc(n, sizeof(*t->results));
	t->attempt_rcpts = calloc(n, sizeof(*t->attempt_rcpts));
	t->attempt_map = calloc(n, sizeof(*t->attempt_map));
	t->action_name = strdup(action);
	t->destination = strdup(destination);
	t->sender = strdup(sender);
	t->envid = strdup(envid);
	ts->count++;
	RB_INSERT(transfer_tree, &ts->tree, t);
	if (t->rcpts == NULL || t->indexes == NULL || t->results == NULL ||
	    t->attempt_rcpts == NULL || t->attempt_map == NULL ||
	    t->action_name == NULL || t->destination == NULL ||
	    t->sender == NULL || t->envid == NULL) {
		free_transfer(t);
		return NULL;
	}
	return t;
}

static int
add_rcpt(struct transfer *t, uint32_t index, const char *address,
    const char *orcpt, uint8_t notify)
{
	struct client_rcpt *r = &t->rcpts[t->count];

	r->address = strdup(address);
	r->orcpt = strdup(orcpt);
	r->notify = notify;
	t->indexes[t->count++] = index;
	t->undone++;
	return r->address != NULL && r->orcpt != NULL ? 0 : -1;
}

/* `mail-from`: another reverse-path, or another domain when it begins with @;
 * the null sender stays. */
static int
rewrite_sender(struct transfer *t)
{
	const char *wanted = t->action->relay.mail_from;
	char *made;

	if (wanted == NULL || *t->sender == '\0')
		return 0;
	if (*wanted != '@')
		made = strdup(wanted);
	else if (asprintf(&made, "%.*s%s",
		     (int)(strlen(t->sender) -
			 strlen(address_domain(t->sender)) - 1),
		     t->sender, wanted) == -1)
		made = NULL;
	if (made == NULL)
		return -1;
	free(t->sender);
	t->sender = made;
	return 0;
}

/* Whether the queue knows a host of the action, for which all domains are one,
 * and we know none. */
static int
is_astray(const struct transfer *t)
{
	if (*t->destination != '\0' || t->action->relay.host != NULL)
		return 0;
	for (size_t i = 0; i < t->count; i++)
		if (*address_domain(t->rcpts[i].address) != '\0')
			return 1;
	return 0;
}

void
transfer_find_session(struct transfer *t)
{
	struct session *s;

	if ((s = pool_take(t->route)) != NULL)
		transfer_use_session(t, s);
	else
		transfer_resolve(t);
}

/* All is copied: find the action, then a session. */
static void
start(struct transfer *t)
{
	if (t->settings == NULL) {
		transfer_untried(t, "this system is starting");
		return;
	}
	t->action = settings_relay(t->settings, t->action_name);
	if (t->action == NULL || is_astray(t)) {
		/* workers swap one after the other: who asks has read another
		 * configuration than we, or will */
		transfer_untried(t, "it is for another configuration");
		return;
	}
	t->route = pool_route(t->deliver->pool, t->action_name, t->destination);
	if (t->route != NULL)
		pool_hold(t->route);
	if (t->route == NULL || rewrite_sender(t) == -1) {
		transfer_fail(t, ROUTE_DNS, DELIVERY_TEMPFAIL, 451, "4.3.0",
		    "out of memory");
		return;
	}
	t->mail.sender = t->sender;
	t->mail.envid = t->envid;
	if (t->mail.probe)
		probes_add(t->owner->probes, t);
	else
		transfer_find_session(t);
}

void
transfer_begin(struct transfers *ts, const struct msg_transfer *m)
{
	struct ipc_list list = m->rcpts;
	struct msg_transfer_rcpt r;
	struct transfer *t;

	if (find(ts, PROC_QUEUE, m->id) != NULL || list.count == 0)
		return;
	t = new_transfer(ts, PROC_QUEUE, m->id, m->action, m->destination,
	    m->sender, m->envid, list.count);
	if (t == NULL) {
		give_up(ts->deliver);
		return;
	}
	t->msgid = m->msgid;
	t->log_id = m->session;
	t->mail.ret = m->ret;
	t->mail.flags = m->flags;
	t->mail.size = m->size;
	if (transfer_set_delivered_to(t, m->delivered_to) == -1) {
		give_up(ts->deliver);
		return;
	}
	while (ipc_next_transfer_rcpt(&list, &r))
		if (add_rcpt(t, r.index, r.address, r.orcpt, r.notify) == -1) {
			give_up(ts->deliver);
			return;
		}
	start(t);
}

void
transfer_begin_probe(struct transfers *ts, const struct msg_callahead *m)
{
	const struct settings *settings = ts->deliver->settings;
	const struct conf_action *action =
	    settings != NULL ? settings_relay(settings, m->action) : NULL;
	const char *destination = address_domain(m->recipient);
	struct transfer *t;

	if (find(ts, PROC_AUTH, m->id) != NULL)
		return;
	if (action != NULL && action->relay.host != NULL)
		destination = "";
	t = new_transfer(
	    ts, PROC_AUTH, m->id, m->action, destination, "", "", 1);
	if (t == NULL || add_rcpt(t, 0, m->recipient, "", 0) == -1) {
		give_up(ts->deliver);
		return;
	}
	t->mail.probe = 1;
	start(t);
}

/* ---- what else may come ----------------------------------------------- */

void
transfer_body_data(struct transfers *ts, const struct msg_body_data *m)
{
	struct transfer *t = find(ts, PROC_QUEUE, m->id);

	if (t == NULL || !t->body_asked)
		return;
	if (body_add(&t->body, m->data.data, m->data.len, m->last) == -1) {
		if (t->session != NULL)
			session_body_failed(
			    t->session, "the body is too large");
	} else if (t->session != NULL)
		session_body_ready(t->session);
}

void
transfer_body_file(struct transfers *ts, const struct msg_body_file *m, int fd)
{
	struct transfer *t = find(ts, PROC_QUEUE, m->id);

	if (t == NULL || !t->body_asked) {
		close(fd);
		return;
	}
	body_set_file(&t->body, fd, m->size, m->crc);
	if (t->session != NULL)
		session_body_ready(t->session);
}

void
transfer_give_up(struct transfer *t, const char *text)
{
	if (t->session == NULL)
		transfer_fail(
		    t, ROUTE_CANCELLED, DELIVERY_TEMPFAIL, 451, "4.3.0", text);
	else if (!client_is_committed(session_client(t->session)))
		session_abort(t->session, text);
}

void
transfer_cancel(struct transfers *ts, uint64_t id)
{
	struct transfer *t = find(ts, PROC_QUEUE, id);

	if (t != NULL)
		transfer_give_up(t, "the queue has taken it back");
}

void
transfers_peer_down(struct transfers *ts, enum process_kind origin)
{
	struct transfer *t, *next;

	RB_FOREACH_SAFE (t, transfer_tree, &ts->tree, next)
		if (t->origin == origin) {
			disown(t);
			transfer_give_up(t, "who asked for it is gone");
		}
}

void
transfers_stop(struct transfers *ts)
{
	struct transfer *t, *next;

	RB_FOREACH_SAFE (t, transfer_tree, &ts->tree, next)
		transfer_give_up(t, "this system is going down");
}

void
transfers_tick(struct transfers *ts)
{
	probes_tick(ts->probes);
}
