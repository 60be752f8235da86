/*
 * See policy.h. One small test for each kind of condition, in a table; each
 * answers for the condition as if it were not negated.
 */
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "auth/match.h"
#include "auth/policy.h"
#include "conf/closed.h"
#include "smtp/address.h"

typedef enum policy_answer condition_test(const struct policy_host *,
    const struct policy_facts *, const struct conf_condition *);

static enum policy_answer
answer(int yes)
{
	return yes ? POLICY_YES : POLICY_NO;
}

static enum policy_answer
ask(const struct policy_host *host, const struct conf_condition *c,
    enum conf_service service, const char *key)
{
	return host->lookup(host->arg, c->table,
	    c->regex ? CONF_SERVICE_REGEX : service, key, NULL);
}

static int
from_socket(const struct policy_facts *f)
{
	return (f->flags & (SESSION_LOCAL | SESSION_SOCKET)) != 0;
}

/* smtpd saw both ends of the connection; an address alone tells only where it
 * is a loopback one, since others may move to another machine. */
static int
from_own_address(const struct policy_facts *f)
{
	struct in6_addr client;

	if (f->flags & SESSION_INSIDE)
		return 1;
	return match_parse_address(f->client_addr, &client) &&
	    match_is_loopback(&client);
}

static int
name_known(const char *name)
{
	return *name != '\0' && strcmp(name, "<unknown>") != 0 &&
	    strcmp(name, "unknown") != 0;
}

static enum policy_answer
test_always(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return POLICY_YES;
}

static enum policy_answer
test_from_local(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return answer(f->internal || from_socket(f) || from_own_address(f));
}

static enum policy_answer
test_from_socket(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return answer(from_socket(f));
}

static enum policy_answer
test_from_src(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	int local = f->internal || from_socket(f);

	return ask(
	    host, c, CONF_SERVICE_NETADDR, local ? "local" : f->client_addr);
}

static enum policy_answer
test_from_rdns(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	if (c->table == NULL)
		return answer(name_known(f->client_name));
	return ask(host, c, CONF_SERVICE_DOMAIN, f->client_name);
}

/* The whole name, or all of a domain. The `joe` of a table is not
 * joe@example.org, who may be anybody's customer. */
static enum policy_answer
test_auth(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	const char *domain = strrchr(f->auth_user, '@');
	enum policy_answer answer;

	if (f->internal || (f->flags & SESSION_AUTH) == 0)
		return POLICY_NO;
	if (c->table == NULL)
		return POLICY_YES;
	answer = ask(host, c, CONF_SERVICE_STRING, f->auth_user);
	if (answer != POLICY_NO || c->regex || domain == NULL)
		return answer;
	return ask(host, c, CONF_SERVICE_STRING, domain);
}

static enum policy_answer
test_mail_from(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	/* the null sender, which has neither part: expressions see what
	 * OpenSMTPD shows them */
	return ask(host, c, CONF_SERVICE_MAILADDR,
	    *f->sender != '\0' ? f->sender
		: c->regex     ? "@"
			       : "<>");
}

static enum policy_answer
test_rcpt_to(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return ask(host, c, CONF_SERVICE_MAILADDR, f->recipient);
}

/* The domain of the recipient; postmaster without one is ours (RFC 5321,
 * 4.5.1), and so is any other name that came without. */
static const char *
recipient_domain(const struct policy_host *host, const struct policy_facts *f)
{
	const char *at = strrchr(f->recipient, '@');

	if (at != NULL && at[1] != '\0')
		return at + 1;
	return host->conf->server_name != NULL ? host->conf->server_name
					       : "localhost";
}

/* name, or its first label. */
static int
is_named(const char *domain, const char *name)
{
	size_t len = strlen(domain);

	return name != NULL && strncasecmp(domain, name, len) == 0 &&
	    (name[len] == '\0' ||
		(name[len] == '.' && strchr(domain, '.') == NULL));
}

static enum policy_answer
test_for_local(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	const char *domain = recipient_domain(host, f);
	const char *name = host->conf->server_name;

	return answer(strcasecmp(domain, "localhost") == 0 ||
	    strcasecmp(domain, "localhost.localdomain") == 0 ||
	    (name != NULL && strcasecmp(domain, name) == 0) ||
	    is_named(domain, host->conf->host_name));
}

static enum policy_answer
test_for_domain(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return ask(host, c, CONF_SERVICE_DOMAIN, recipient_domain(host, f));
}

static enum policy_answer
test_tag(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return ask(host, c, CONF_SERVICE_STRING, f->tag);
}

static enum policy_answer
test_helo(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return ask(host, c, CONF_SERVICE_DOMAIN, f->helo);
}

static enum policy_answer
test_tls(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c)
{
	return answer((f->flags & SESSION_TLS) != 0);
}

static const struct {
	const char *name;
	condition_test *test;
	enum rcpt_reach reach; /* of what it asks about the recipient */
} conditions[] = {
	[CONF_FROM_ANY] = { "from any", test_always, REACH_ALL },
	[CONF_FROM_LOCAL] = { "from local", test_from_local, REACH_ALL },
	[CONF_FROM_SOCKET] = { "from socket", test_from_socket, REACH_ALL },
	[CONF_FROM_SRC] = { "from src", test_from_src, REACH_ALL },
	[CONF_FROM_RDNS] = { "from rdns", test_from_rdns, REACH_ALL },
	[CONF_FROM_AUTH] = { "from auth", test_auth, REACH_ALL },
	[CONF_FROM_MAIL_FROM] = { "from mail-from", test_mail_from, REACH_ALL },
	[CONF_FOR_ANY] = { "for any", test_always, REACH_ALL },
	[CONF_FOR_LOCAL] = { "for local", test_for_local, REACH_DOMAIN },
	[CONF_FOR_DOMAIN] = { "for domain", test_for_domain, REACH_DOMAIN },
	[CONF_FOR_RCPT_TO] = { "for rcpt-to", test_rcpt_to, REACH_RECIPIENT },
	[CONF_IF_TAG] = { "tag", test_tag, REACH_ALL },
	[CONF_IF_HELO] = { "helo", test_helo, REACH_ALL },
	[CONF_IF_AUTH] = { "auth", test_auth, REACH_ALL },
	[CONF_IF_TLS] = { "tls", test_tls, REACH_ALL },
	[CONF_IF_MAIL_FROM] = { "mail-from", test_mail_from, REACH_ALL },
	[CONF_IF_RCPT_TO] = { "rcpt-to", test_rcpt_to, REACH_RECIPIENT },
};

/* Whether what the condition speaks of is lacking, so that it fails negated
 * or not: no client stands behind an alias, and a name that is held against a
 * table must have been confirmed by a forward lookup, because the owner of an
 * address may write any name into its PTR. */
static int
is_unknowable(const struct policy_facts *f, const struct conf_condition *c)
{
	if (c->kind == CONF_FROM_SOCKET)
		return f->internal;
	if (c->kind == CONF_FROM_RDNS && c->table == NULL)
		return f->internal;
	if (c->kind == CONF_FROM_RDNS)
		return f->internal || !name_known(f->client_name) ||
		    (f->flags & SESSION_FCRDNS) == 0;
	return 0;
}

/* Whether the DNS could still make the condition hold or fail: of a name that
 * is there, the confirmation may be open, which only a table needs. */
static int
is_open(const struct policy_facts *f, const struct conf_condition *c)
{
	return c->kind == CONF_FROM_RDNS && !f->internal &&
	    (f->flags & SESSION_NAME_OPEN) != 0 &&
	    (c->table != NULL || !name_known(f->client_name));
}

/* *reach narrows to what the condition looks at, whatever comes of it. */
static enum policy_answer
condition_holds(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_condition *c, enum rcpt_reach *reach)
{
	int open = is_open(f, c);
	enum policy_answer a;

	if (conditions[c->kind].reach < *reach)
		*reach = conditions[c->kind].reach;
	if (open && !name_known(f->client_name))
		return POLICY_ERROR;
	if (!open && is_unknowable(f, c))
		return POLICY_NO;
	a = conditions[c->kind].test(host, f, c);
	if (c->negated && (a == POLICY_YES || a == POLICY_NO))
		a = answer(a == POLICY_NO);
	/* without confirmation a condition on the name can only fail */
	return open && a == POLICY_YES ? POLICY_ERROR : a;
}

/* A rule that lacks a from or a for option means the local one. */
static enum policy_answer
implied_holds(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_match *m, const struct conf_condition **failed,
    enum rcpt_reach *reach)
{
	static const struct conf_condition implied[] = {
		{ .kind = CONF_FROM_LOCAL },
		{ .kind = CONF_FOR_LOCAL },
	};
	int has_from = 0, has_for = 0;

	for (uint32_t i = 0; i < m->nconditions; i++) {
		enum conf_condition_kind kind = m->conditions[i].kind;

		has_from |= kind <= CONF_FROM_MAIL_FROM;
		has_for |= kind >= CONF_FOR_ANY && kind <= CONF_FOR_RCPT_TO;
	}
	*failed = &implied[0];
	if (!has_from &&
	    condition_holds(host, f, &implied[0], reach) == POLICY_NO)
		return POLICY_NO;
	*failed = &implied[1];
	if (!has_for &&
	    condition_holds(host, f, &implied[1], reach) == POLICY_NO)
		return POLICY_NO;
	return POLICY_YES;
}

/* A condition that fails decides, even where another cannot be told now. */
static enum policy_answer
rule_matches(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_match *m, const struct conf_condition **failed,
    enum rcpt_reach *reach)
{
	enum policy_answer a, all = POLICY_YES;

	if ((a = implied_holds(host, f, m, failed, reach)) != POLICY_YES)
		return a;
	for (uint32_t i = 0; i < m->nconditions; i++) {
		*failed = &m->conditions[i];
		a = condition_holds(host, f, &m->conditions[i], reach);
		if (a == POLICY_NO || a == POLICY_PENDING)
			return a;
		if (a == POLICY_ERROR)
			all = a;
	}
	*failed = NULL;
	return all;
}

/* Only mail that goes on to another host, whoever it is for, may be taken
 * without a look at each recipient. */
static int
takes_anybody(const struct conf_action *action)
{
	const struct conf_relay *relay = &action->relay;

	return action->kind == CONF_ACTION_RELAY && relay->recipients == NULL &&
	    !relay->call_ahead;
}

struct policy_verdict
policy_decide(const struct policy_host *host, const struct policy_facts *f)
{
	struct policy_verdict v = { .kind = POLICY_NO_RULE };
	const struct conf_condition *failed;
	enum rcpt_reach reach = REACH_ALL;
	const struct conf_match *m;

	for (uint32_t i = 0; i < host->conf->nmatches; i++) {
		m = &host->conf->matches[i];
		v.rule = i;
		switch (rule_matches(host, f, m, &failed, &reach)) {
		case POLICY_NO:
			if (host->trace != NULL)
				host->trace(host->arg, i, failed);
			continue;
		case POLICY_ERROR:
			v.kind = POLICY_TEMPFAIL;
			return v;
		case POLICY_PENDING:
			v.kind = POLICY_WAIT;
			return v;
		case POLICY_YES:
			break;
		}
		if (host->trace != NULL)
			host->trace(host->arg, i, NULL);
		if (m->reject) {
			v.kind = POLICY_REJECT;
			return v;
		}
		v.action = conf_find_action(host->conf, m->action);
		v.kind = v.action != NULL ? POLICY_ACTION : POLICY_TEMPFAIL;
		v.known = m->names_source;
		if (v.action != NULL && takes_anybody(v.action))
			v.reach = reach;
		return v;
	}
	return v;
}

/* Whether the rule has the whole address; one that takes a domain, or what an
 * expression holds for, knows nobody. */
static enum policy_answer
names_recipient(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_match *m)
{
	enum policy_answer a = POLICY_NO;

	for (uint32_t i = 0; a == POLICY_NO && i < m->nconditions; i++) {
		const struct conf_condition *c = &m->conditions[i];

		if ((c->kind == CONF_FOR_RCPT_TO ||
			c->kind == CONF_IF_RCPT_TO) &&
		    !c->negated && !c->regex)
			a = ask(host, c, CONF_SERVICE_STRING, f->recipient);
	}
	return a;
}

/* Whether the action itself has the whole address. */
static enum policy_answer
action_names_recipient(const struct policy_host *host,
    const struct policy_facts *f, const struct conf_action *action)
{
	const char *table = action->local.virtual_table;

	if (action->kind == CONF_ACTION_RELAY || table == NULL)
		return POLICY_NO;
	return host->lookup(
	    host->arg, table, CONF_SERVICE_STRING, f->recipient, NULL);
}

/* The rule that decided is for all the world, and one behind it may be for
 * this client. */
static enum policy_answer
is_let_in(const struct policy_host *host, const struct policy_facts *f,
    struct policy_verdict *v)
{
	const struct conf_condition *failed;
	enum rcpt_reach reach = REACH_ALL;
	enum policy_answer a = POLICY_NO;

	for (uint32_t i = v->rule; a == POLICY_NO && i < host->conf->nmatches;
	     i++) {
		const struct conf_match *m = &host->conf->matches[i];

		a = rule_matches(host, f, m, &failed, &reach);
		if (a != POLICY_YES)
			continue;
		if (m->reject)
			return POLICY_NO;
		if (m->names_source && !v->known) {
			v->known = true;
			v->reach = REACH_RECIPIENT;
		} else if (!m->open_relay && !m->names_source)
			a = names_recipient(host, f, m);
	}
	return a;
}

enum policy_answer
policy_refuses_route(const struct policy_host *host,
    const struct policy_facts *f, struct policy_verdict *v)
{
	enum policy_answer a;

	if (v->kind != POLICY_ACTION || !conf_hands_on(v->action) ||
	    !address_is_routed(f->recipient) ||
	    (f->flags & SESSION_AUTH) != 0 ||
	    test_from_local(host, f, NULL) == POLICY_YES)
		return POLICY_NO;
	a = action_names_recipient(host, f, v->action);
	if (a == POLICY_NO)
		a = is_let_in(host, f, v);
	return a == POLICY_YES || a == POLICY_NO ? answer(a == POLICY_NO) : a;
}

/* Only what a rule says of recipients is asked; a `reject` or another action
 * ahead of it may be meant for other clients. */
static enum policy_answer
is_for(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_match *m)
{
	enum policy_answer a = POLICY_NO;
	enum rcpt_reach reach = REACH_ALL;

	for (uint32_t i = 0; i < m->nconditions; i++) {
		const struct conf_condition *c = &m->conditions[i];

		if (c->kind < CONF_FOR_ANY || c->kind > CONF_FOR_RCPT_TO)
			continue;
		if ((a = condition_holds(host, f, c, &reach)) != POLICY_YES)
			return a;
	}
	return a;
}

enum policy_answer
policy_backup(const struct policy_host *host, const char *recipient)
{
	struct policy_facts f = { .tag = "",
		.client_addr = "",
		.client_name = "",
		.helo = "",
		.auth_user = "",
		.sender = "",
		.recipient = recipient };
	const struct conf_action *action;
	enum policy_answer a, result = POLICY_NO;

	for (uint32_t i = 0; i < host->conf->nmatches; i++) {
		const struct conf_match *m = &host->conf->matches[i];

		if (m->reject ||
		    (action = conf_find_action(host->conf, m->action)) ==
			NULL ||
		    action->kind != CONF_ACTION_RELAY || !action->relay.backup)
			continue;
		if ((a = is_for(host, &f, m)) == POLICY_YES)
			return a;
		if (a != POLICY_NO)
			result = a;
	}
	return result;
}

const char *
policy_condition_name(enum conf_condition_kind kind)
{
	return conditions[kind].name;
}
