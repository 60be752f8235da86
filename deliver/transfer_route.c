/*
 * See transfer.h. The way to a host: the relay URL of the action or the MX of
 * the destination, candidates, one host after the other.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/lookup.h"
#include "deliver/pool.h"
#include "deliver/question.h"
#include "deliver/session.h"
#include "deliver/settings.h"
#include "deliver/transfer_private.h"
#include "net/loop.h"

static void
fail_internal(struct transfer *t, const char *text)
{
	transfer_fail(t, ROUTE_DNS, DELIVERY_TEMPFAIL, 451, "4.3.0", text);
}

/* ---- hosts ------------------------------------------------------------ */

/* To the current candidate; source NULL is any own address. */
static void
begin_session(struct transfer *t, const struct mx_address *source)
{
	const struct conf_mta_limit *limit =
	    conf_find_mta_limit(t->settings->conf, t->destination);
	const struct mx_candidate *candidate = &t->plan.list[t->plan.current];
	struct session_options o = { .settings = t->settings,
		.action = t->action,
		.route = t->route,
		.candidate = candidate,
		.source = source,
		.port = t->plan.port,
		.protocol = t->url.protocol,
		.label = t->url.label,
		.explicit_host = t->explicit_host,
		.transactions_max = limit->session_mail_max,
		.rcpt_max = t->rcpt_max,
		.log_id = t->log_id };

	if (!pool_has_room(t->deliver->pool, t->mail.probe)) {
		transfer_untried(t, "too many connections are open here");
		return;
	}
	o.tls = settings_tls_policy(t->action, t->url.protocol);
	if (o.tls == CLIENT_TLS_OPPORTUNISTIC && t->plan.plain) {
		o.tls = CLIENT_TLS_NEVER;
		o.fallen_back = 1;
	}
	t->session = session_open(t->deliver, &o, &transfer_events, t);
	if (t->session == NULL)
		fail_internal(t, "out of memory");
}

static uint8_t
current_family(const struct transfer *t)
{
	return t->plan.list[t->plan.current].address.family;
}

/* Nothing leaves from another address because it cannot be asked. */
static void
on_source(void *arg, const union ipc_msg *answer)
{
	struct transfer *t = arg;
	struct mx_address source;

	t->question = NULL;
	if (answer == NULL)
		transfer_untried(
		    t, "the table of own addresses cannot be asked");
	else if (answer->table_answer.status == LOOKUP_TEMPFAIL)
		fail_internal(t, "the table of own addresses cannot be asked");
	else if (answer->table_answer.status == LOOKUP_FOUND &&
	    settings_own_address(answer->table_answer.value,
		(enum mx_family)current_family(t), &source) == 0)
		begin_session(t, &source);
	else
		begin_session(t, NULL);
}

static void
ask_source(struct transfer *t)
{
	t->question = question_table(t->deliver->questions,
	    t->action->relay.src, CONF_SERVICE_SOURCE,
	    current_family(t) == MX_INET4 ? "inet4" : "inet6", on_source, t);
	if (t->question == NULL)
		on_source(t, NULL);
}

/* To the current candidate. */
static void
open_session(struct transfer *t)
{
	struct mx_address source;
	int elsewhere;

	if (settings_source(t->settings, t->action,
		(enum mx_family)current_family(t), arc4random(), &source,
		&elsewhere) == 0)
		begin_session(t, &source);
	else if (!elsewhere)
		begin_session(t, NULL);
	else
		ask_source(t);
}

/* Nobody is left to try. */
static void
fail_route(struct transfer *t)
{
	const struct transfer_failure *f = &t->failure;

	t->said = f->said;
	transfer_fail(t, f->route, f->status, f->code, f->enhanced,
	    f->text != NULL ? f->text : "there is no host to try");
}

/* Goes on with the next relay host of a list, where it has one. */
static void
next_relay(struct transfer *t)
{
	if (t->relays_tried >= ROUTE_TRIES_MAX) {
		fail_route(t);
		return;
	}
	free(t->candidates);
	t->candidates = NULL;
	route_begin(&t->plan, NULL, 0, 0);
	transfer_resolve(t);
}

/*
 * A destination, or one relay host of a list, could not take it. What one of
 * them said for good holds only if none of the others failed for now.
 */
static void
fail_host(struct transfer *t, enum route_status route,
    enum delivery_status status, unsigned code, const char *enhanced,
    const char *text, int said)
{
	struct transfer_failure *f = &t->failure;

	if (status == DELIVERY_PERMFAIL && t->transient) {
		fail_host(
		    t, ROUTE_DOWN, DELIVERY_TEMPFAIL, 451, "4.4.1", text, 0);
		return;
	}
	t->transient |= status != DELIVERY_PERMFAIL;
	f->route = route;
	f->status = status;
	f->code = (uint16_t)code;
	f->said = said;
	snprintf(f->enhanced, sizeof(f->enhanced), "%s", enhanced);
	free(f->text);
	f->text = strdup(text);
	if (t->relay != NULL)
		next_relay(t);
	else
		fail_route(t);
}

/* No candidate is left. A loop is for good, but not for a backup: see mx.h. */
static void
give_up(struct transfer *t, const struct client_outcome *last)
{
	if (last->end == CLIENT_END_LOOP && t->action->relay.backup)
		fail_host(t, ROUTE_DNS, DELIVERY_TEMPFAIL, 451, "4.4.6",
		    last->text, 0);
	else
		fail_host(t,
		    last->status == DELIVERY_PERMFAIL ? ROUTE_BAD
						      : route_status(last),
		    last->status, last->code, last->enhanced, last->text,
		    last->said);
}

static void
try_next(struct transfer *t, const struct client_outcome *last)
{
	if (route_next(&t->plan, t->deliver->hosts,
		loop_now(t->deliver->loop)) != NULL)
		open_session(t);
	else if (last == NULL)
		fail_internal(t, "there is no host to try");
	else
		give_up(t, last);
}

void
transfer_retry(struct transfer *t, const struct client_outcome *outcome)
{
	enum client_tls tls = t->candidates == NULL
	    ? CLIENT_TLS_NEVER
	    : settings_tls_policy(t->action, t->url.protocol);

	t->transient |= outcome->status != DELIVERY_PERMFAIL;
	/* nothing was taken: the same host once more, and fewer at a time */
	if (outcome->cut_at > 0 && t->rcpt_max == 0 && t->candidates != NULL) {
		t->rcpt_max = outcome->cut_at;
		open_session(t);
		return;
	}
	switch (route_judge(&t->plan, t->deliver->hosts, tls, outcome,
	    loop_now(t->deliver->loop))) {
	case ROUTE_ADVICE_AGAIN:
		open_session(t);
		break;
	case ROUTE_ADVICE_NEXT:
		/* a kept session has no plan behind it */
		if (t->candidates == NULL)
			transfer_resolve(t);
		else
			try_next(t, outcome);
		break;
	case ROUTE_ADVICE_STOP:
		if (outcome->untried) {
			transfer_untried(t, outcome->text);
			break;
		}
		transfer_fail(t, route_status(outcome), outcome->status,
		    outcome->code, outcome->enhanced, outcome->text);
		break;
	}
}

/* ---- one more host ---------------------------------------------------- */

/* Only MX records and a list of relay hosts say that another host serves the
 * same addresses. */
static int
has_another(const struct transfer *t)
{
	const struct conf_relay *relay = &t->action->relay;

	if (relay->host != NULL)
		return settings_has_several(t->settings, relay->host);
	return relay->domain == NULL &&
	    (t->candidates == NULL ||
		route_has_other(&t->plan, t->remote->name));
}

int
transfer_may_ask_another(const struct transfer *t)
{
	if (t->asks_another || t->orphan || t->remote == NULL ||
	    t->deliver->stop_by != 0 || t->origin != PROC_QUEUE ||
	    !has_another(t))
		return 0;
	/* whom a host before the last put off would pass over the last */
	for (size_t i = 0; i < t->count; i++)
		if (t->results[i].put_off)
			return 1;
	return 0;
}

static void
try_another(struct transfer *t)
{
	/* nobody was asked since */
	route_leave(&t->plan, t->remote->name);
	try_next(t, NULL);
}

void
transfer_ask_another(struct transfer *t)
{
	t->asks_another = 1;
	t->first_status = t->route_status;
	for (size_t i = 0; i < t->count; i++) {
		struct transfer_result *r = &t->results[i];

		if (!r->put_off)
			continue;
		r->done = 0;
		t->undone++;
	}
	/* a kept session has no plan behind it */
	if (t->candidates == NULL)
		transfer_resolve(t);
	else if (t->relay != NULL)
		next_relay(t);
	else
		try_another(t);
}

/* Whether the entry of a list is the host that put recipients off, or one that
 * was tried since. */
static int
was_asked(const struct transfer *t)
{
	const struct transfer_remote *r;
	char address[64], port[8];

	snprintf(port, sizeof(port), "%u", t->plan.port);
	for (size_t i = 0; i < t->plan.count; i++) {
		mx_address_text(
		    &t->plan.list[i].address, address, sizeof(address));
		for (r = t->remote; r != NULL; r = r->before)
			if (strcmp(address, r->addr) == 0 &&
			    strcmp(port, r->port) == 0)
				return 1;
	}
	return 0;
}

/* ---- lookups ---------------------------------------------------------- */

/*
 * Whether what the DNS says for good may be mended by others than the sender: a
 * name that the operator gave, or the zone of a domain that we hold mail for,
 * may be wrong for an hour. That it takes no mail (RFC 7505) is its own word.
 */
static int
may_be_mended(const struct transfer *t, const struct mx_failure *f)
{
	return f->status == DELIVERY_PERMFAIL &&
	    (t->explicit_host ||
		(t->action->relay.backup && f->code != MX_NULL));
}

static void
fail_lookup(struct transfer *t, const struct mx_failure *f)
{
	char text[400];

	if (!may_be_mended(t, f)) {
		fail_host(
		    t, f->route, f->status, f->code, f->enhanced, f->text, 0);
		return;
	}
	if (t->explicit_host)
		snprintf(text, sizeof(text), "the relay host %s has no address",
		    t->url.host);
	else
		snprintf(text, sizeof(text), "%s", f->text);
	fail_host(t, ROUTE_DNS, DELIVERY_TEMPFAIL, 451,
	    t->explicit_host ? "4.3.5" : "4.4.4", text, 0);
}

static void
on_lookup(void *arg, const struct mx *mx)
{
	struct transfer *t = arg;
	size_t n;

	t->lookup = NULL;
	if (mx == NULL) {
		transfer_untried(t, "the resolver is not there");
		return;
	}
	if (mx_state(mx) != MX_READY) {
		fail_lookup(t, mx_failure(mx));
		return;
	}
	t->candidates = calloc(MX_CANDIDATE_LIMIT, sizeof(*t->candidates));
	if (t->candidates == NULL) {
		fail_internal(t, "out of memory");
		return;
	}
	t->transient |= mx_is_partial(mx);
	n = mx_candidates(mx, (uint64_t)arc4random() << 32 | arc4random(),
	    t->candidates, MX_CANDIDATE_LIMIT);
	route_begin(&t->plan, t->candidates, n, t->url.port);
	if (t->asks_another && t->relay == NULL)
		try_another(t);
	else if (t->asks_another && was_asked(t))
		next_relay(t);
	else
		try_next(t, NULL);
}

static void
begin_lookup(struct transfer *t, const char *name)
{
	const struct conf *conf = t->settings->conf;
	const struct conf_mta_limit *limit =
	    conf_find_mta_limit(conf, t->destination);
	struct mx_policy policy = { .own_names = t->own_names,
		.own_names_count = 1,
		.own_addresses = t->deliver->own_addresses,
		.own_addresses_count = t->deliver->own_addresses_count,
		.explicit_host = t->explicit_host,
		.backup = t->action->relay.backup,
		.allow_loopback = conf->mta.allow_loopback,
		.use_inet4 = limit->family != CONF_INET6,
		.use_inet6 = limit->family != CONF_INET4 };

	t->own_names[0] = conf->server_name;
	if (t->action->relay.backup_mx != NULL) {
		t->own_names[1] = t->action->relay.backup_mx;
		policy.own_names_count = 2;
	}
	t->lookup = lookup_begin(t->deliver, &policy, name, on_lookup, t);
	if (t->lookup == NULL)
		fail_internal(t, "out of memory");
}

/* ---- relay URLs ------------------------------------------------------- */

static void
use_url(struct transfer *t, const char *text)
{
	char error[256];

	if (url_parse(text, &t->url, error, sizeof(error)) == -1) {
		fail_host(t, ROUTE_DNS, DELIVERY_TEMPFAIL, 451, "4.3.5",
		    "the relay host in the configuration is malformed", 0);
		return;
	}
	/* in the configuration this is an error; here it came from a table */
	if (settings_tls_contradicts(t->action, t->url.protocol)) {
		fail_host(t, ROUTE_TLS, DELIVERY_TEMPFAIL, 451, "4.7.4",
		    "TLS is required, and the relay's URL has none", 0);
		return;
	}
	t->explicit_host = 1;
	begin_lookup(t, t->url.host);
}

/* Each entry of a list once, from one that is chosen by chance. */
static void
use_relay(struct transfer *t, const char *text)
{
	if (t->first_relay == NULL)
		t->first_relay = strdup(text);
	else if (strcmp(text, t->first_relay) == 0) {
		fail_route(t);
		return;
	}
	free(t->relay);
	t->relay = strdup(text);
	if (t->first_relay == NULL || t->relay == NULL) {
		fail_internal(t, "out of memory");
		return;
	}
	t->relays_tried++;
	use_url(t, text);
}

/* The operator can mend it: what he took mail for is nobody's to give back. */
static void
fail_no_entry(struct transfer *t)
{
	const struct conf_relay *relay = &t->action->relay;
	const char *name = relay->host != NULL ? relay->host : relay->domain;
	const struct conf_table *table =
	    conf_find_table(t->settings->conf, name);
	bool by_domain = relay->host == NULL;
	char text[400];

	if (table != NULL && table->is_inline)
		snprintf(text, sizeof(text), "action %s", t->action->name);
	else
		snprintf(text, sizeof(text), "table %s", name);
	strlcat(text, " has no relay host", sizeof(text));
	if (by_domain) {
		strlcat(text, " for ", sizeof(text));
		strlcat(text, t->destination, sizeof(text));
	}
	transfer_fail(t, ROUTE_DNS, DELIVERY_TEMPFAIL, 451, "4.3.5", text);
}

static void
on_url(void *arg, const union ipc_msg *answer)
{
	struct transfer *t = arg;
	static const char unasked[] =
	    "the table of relay hosts cannot be asked";
	int found;

	t->question = NULL;
	if (answer == NULL) {
		transfer_untried(t, unasked);
		return;
	}
	found = answer->table_answer.status == LOOKUP_FOUND;
	if (found && t->action->relay.host != NULL)
		use_relay(t, answer->table_answer.value);
	else if (found)
		use_url(t, answer->table_answer.value);
	else if (t->relay == NULL && answer->table_answer.status == LOOKUP_NONE)
		fail_no_entry(t);
	else
		fail_internal(t, unasked);
}

static void
ask_url(struct transfer *t, const char *table, const char *key)
{
	t->question = question_table(t->deliver->questions, table,
	    CONF_SERVICE_RELAYHOST, key, on_url, t);
	if (t->question == NULL)
		on_url(t, NULL);
}

void
transfer_resolve(struct transfer *t)
{
	const struct conf_relay *relay = &t->action->relay;
	const char *text;
	int elsewhere;

	if (relay->host != NULL) {
		text = settings_next(t->settings, relay->host, t->relay,
		    arc4random(), &elsewhere);
		if (text != NULL)
			use_relay(t, text);
		else
			ask_url(
			    t, relay->host, t->relay != NULL ? t->relay : "");
	} else if (relay->domain != NULL && *t->destination != '\0') {
		/* of a table in place nobody need be asked, least of all auth
		 * that may have another configuration now */
		text = settings_entry(
		    t->settings, relay->domain, t->destination, &elsewhere);
		if (text != NULL)
			use_url(t, text);
		else if (elsewhere)
			ask_url(t, relay->domain, t->destination);
		else
			fail_no_entry(t);
	} else {
		t->url.protocol = URL_SMTP;
		t->url.port = (uint16_t)t->settings->conf->mta.port;
		begin_lookup(t, t->destination);
	}
}
