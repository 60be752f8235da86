/*
 * See expand.h. A list of nodes is worked off from the front: a node is an
 * address or a user name under an action, and leaves destinations or further
 * nodes behind. What was visited once is not visited again, which removes
 * duplicates and ends loops.
 */
#include "config.h"

#include <sys/types.h>

#include <ctype.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/expand.h"
#include "conf/alias.h"
#include "conf/alias_item.h"
#include "smtp/address.h"

struct node {
	int is_name; /* else an address */
	char *text;
	const char *address; /* the nearest address on the way here */
	const struct conf_action *action; /* NULL: the rules choose */
	const struct node *parent;
	unsigned int depth;
	int is_request; /* what was asked for, not what an alias holds */
	struct node *next;
};

struct run {
	const struct policy_host *host;
	const struct expand_request *request;
	struct expand_result *result;
	struct node *first; /* all nodes, visited or not */
	struct node *last;
	void *visited; /* a tree of strings */
	size_t successes;
	int pending;
	int failed; /* result->reply says how */
	/* of a look at RCPT TO, which asks only whether anything comes out */
	int looks;
	size_t looked; /* items so far */
	int beyond; /* more than it looks at: taken */
	int mute; /* something could not be looked up */
};

static int
string_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
fail(struct run *run, uint16_t code, const char *enhanced, const char *text)
{
	if (run->failed)
		return;
	run->failed = 1;
	recipient_set_reply(&run->result->reply, code, enhanced, text);
}

static void
fail_memory(struct run *run)
{
	fail(run, 451, "4.3.0", "Out of memory");
}

/* Whether this is the first time. Names of our own are without letter case,
 * but what a local part means elsewhere is for that host to say (RFC 5321
 * section 2.4). */
static int
first_visit(struct run *run, char kind, const struct conf_action *action,
    const char *text)
{
	char **found, *key, *lower;

	if (asprintf(&key, "%c%s %s", kind, action->name, text) == -1) {
		fail_memory(run);
		return 0;
	}
	lower = key;
	if (action->kind == CONF_ACTION_RELAY)
		lower += strlen(key) - strlen(address_domain(text));
	for (; *lower != '\0'; lower++)
		*lower = (char)tolower((unsigned char)*lower);
	found = tsearch(key, &run->visited, string_compare);
	if (found == NULL)
		fail_memory(run);
	if (found != NULL && *found == key)
		return 1;
	free(key);
	return 0;
}

/* The same for a name. Virtual users may share an account: where the action
 * has a place for each address, each is another. */
static int
first_naming(struct run *run, char kind, const struct node *n, const char *name)
{
	const struct conf_local *local = &n->action->local;
	char text[RECIPIENT_KEY_SIZE + ADDRESS_SIZE];

	if (local->virtual_table == NULL || !local->by_address)
		return first_visit(run, kind, n->action, name);
	snprintf(text, sizeof(text), "%s %s", name, n->address);
	return first_visit(run, kind, n->action, text);
}

static struct expand_entry *
add_dest(struct run *run, enum dest_kind kind, const char *address,
    const struct conf_action *action)
{
	struct expand_result *r = run->result;
	struct expand_entry *grown, *e;

	if (r->count >= EXPAND_DESTS_MAX) {
		fail(run, 550, "5.2.4", "The list is too long");
		return NULL;
	}
	if ((r->count & (r->count - 1)) == 0) {
		grown = reallocarray(
		    r->dests, r->count == 0 ? 1 : 2 * r->count, sizeof(*grown));
		if (grown == NULL) {
			fail_memory(run);
			return NULL;
		}
		r->dests = grown;
	}
	e = &r->dests[r->count];
	memset(e, 0, sizeof(*e));
	if ((e->address = strdup(address)) == NULL) {
		fail_memory(run);
		return NULL;
	}
	e->kind = kind;
	e->action = action != NULL ? action->name : "";
	r->count++;
	run->successes += kind != DEST_ERROR;
	return e;
}

static void
add_error(struct run *run, const char *address, uint16_t code,
    const char *enhanced, const char *text)
{
	struct expand_entry *e = add_dest(run, DEST_ERROR, address, NULL);

	if (e != NULL)
		recipient_set_reply(&e->reply, code, enhanced, text);
}

static void
add_node(struct run *run, int is_name, const char *text,
    const struct conf_action *action, const struct node *parent)
{
	struct node *n;

	if ((n = calloc(1, sizeof(*n))) == NULL ||
	    (n->text = strdup(text)) == NULL) {
		free(n);
		fail_memory(run);
		return;
	}
	n->is_name = is_name;
	n->action = action;
	n->parent = parent;
	n->depth = parent != NULL ? parent->depth + 1 : run->request->depth;
	n->is_request = parent == NULL;
	n->address = !is_name ? n->text
	    : parent != NULL  ? parent->address
			      : run->request->recipient;
	if (run->last != NULL)
		run->last->next = n;
	else
		run->first = n;
	run->last = n;
}

/* The user name that an address stands for under its local action. */
static void
add_name_of(struct run *run, const struct node *n, const char *name)
{
	struct node *before = run->last;

	add_node(run, 1, name, n->action, n);
	if (run->last != before) {
		run->last->is_request = n->is_request;
		run->last->depth = n->depth;
	}
}

static void
fail_mute(struct run *run)
{
	fail(run, 451, "4.3.0", "Recipients cannot be looked up now");
}

/* Whether an answer is not yes or no, in which case it is noted. */
static int
is_unknown(struct run *run, enum policy_answer a)
{
	if (a == POLICY_PENDING)
		run->pending = 1;
	else if (a == POLICY_ERROR && run->looks)
		run->mute = 1;
	else if (a == POLICY_ERROR)
		fail_mute(run);
	return a == POLICY_PENDING || a == POLICY_ERROR;
}

/* An ancestor of the same kind, text and action. */
static int
has_ancestor(const struct node *n)
{
	const struct node *a;

	for (a = n->parent; a != NULL; a = a->parent)
		if (a->is_name == n->is_name && a->action == n->action &&
		    strcasecmp(a->text, n->text) == 0)
			return 1;
	return 0;
}

/* The address under which a name is spoken of to a sender. */
static void
name_address(const struct run *run, const char *name, char out[ADDRESS_SIZE])
{
	const char *domain = run->host->conf->server_name;
	struct address a;

	if (address_parse(name, strlen(name),
		ADDRESS_BARE | ADDRESS_UTF8 | ADDRESS_LONG, &a) != ADDRESS_OK) {
		snprintf(out, ADDRESS_SIZE, "%s", run->request->recipient);
		return;
	}
	address_qualify(&a, domain != NULL ? domain : "localhost");
	address_format(&a, out);
}

static void
expand_address_item(struct run *run, const struct node *n, const char *text)
{
	char formatted[ADDRESS_SIZE];
	struct address a;

	if (address_parse(text, strlen(text),
		ADDRESS_BARE | ADDRESS_UTF8 | ADDRESS_LONG, &a) != ADDRESS_OK) {
		add_error(run, n->address, 550, "5.1.3",
		    "An alias holds a malformed address");
		return;
	}
	if (a.kind == ADDRESS_IS_BARE)
		add_node(run, 1, text, n->action, n);
	else
		add_node(run, 0, address_format(&a, formatted), NULL, n);
}

/* What only master may open is named by its alias and a mark. */
static void
expand_place_item(struct run *run, const struct node *n, enum dest_kind kind,
    const char *key, uint32_t mark)
{
	struct expand_entry *e;

	if (n->action->kind == CONF_ACTION_FORWARD_ONLY &&
	    kind != DEST_INCLUDE) {
		fail(run, 451, "4.3.5",
		    "A command or file where only addresses may be");
		return;
	}
	if ((e = add_dest(run, kind, n->address, n->action)) == NULL)
		return;
	snprintf(e->alias, sizeof(e->alias), "%s", key);
	e->entry = mark;
}

/* Whether a look has seen enough of what aliases hold. */
static int
ends_look(struct run *run)
{
	if (!run->looks || run->looked++ < EXPAND_LOOK_MAX)
		return 0;
	run->beyond = 1;
	return 1;
}

static void
expand_alias(
    struct run *run, const struct node *n, const char *key, const char *value)
{
	struct recipient_reply reply;
	struct alias alias;
	char error[128];
	size_t at;

	if (alias_parse(value, strlen(value), &alias, error, sizeof(error),
		&at) == -1) {
		fail(run, 451, "4.3.5", "An alias is malformed");
		return;
	}
	for (uint32_t i = 0; i < alias.nitems && !run->failed; i++) {
		const struct alias_item *item = &alias.items[i];
		uint32_t mark;

		if (item->kind != ALIAS_ERROR && ends_look(run))
			continue;
		mark = alias_item_mark(&alias, item);
		switch (item->kind) {
		case ALIAS_ADDRESS:
			expand_address_item(run, n, item->text);
			break;
		case ALIAS_COMMAND:
			expand_place_item(run, n, DEST_COMMAND, key, mark);
			break;
		case ALIAS_FILE:
			expand_place_item(run, n, DEST_FILE, key, mark);
			break;
		case ALIAS_INCLUDE:
			expand_place_item(run, n, DEST_INCLUDE, key, mark);
			break;
		case ALIAS_ERROR:
			recipient_error_reply(&reply, item->text);
			fail(run, reply.code, reply.enhanced, reply.text);
			break;
		}
	}
	alias_free(&alias);
}

/* The entry of the action's table for a name. A virtual one has names beside
 * addresses. */
static enum policy_answer
name_entry(const struct run *run, const struct node *n, const char *name,
    char key[RECIPIENT_KEY_SIZE], const char **value)
{
	return n->action->local.virtual_table != NULL
	    ? recipient_virtual(run->host, n->action, name, key, value)
	    : recipient_alias(run->host, n->action, name, key, value);
}

/* owner-ALIAS becomes the reverse-path of what goes to the list itself; the
 * null sender stays, or bounces of bounces would go round. */
static void
note_owner(struct run *run, const struct node *n, const char *key)
{
	const char *domain = address_domain(n->address), *value;
	char name[RECIPIENT_KEY_SIZE + 8], found[RECIPIENT_KEY_SIZE];
	char address[ADDRESS_SIZE];
	enum policy_answer a;
	struct address parsed;

	if (!n->is_request || *run->request->sender == '\0' || *key == '@')
		return;
	/* nor is a virtual owner anybody without a domain */
	if (n->action->local.virtual_table != NULL && *domain == '\0')
		return;
	snprintf(name, sizeof(name), "owner-%s", key);
	if (strchr(name, '@') == NULL && n->action->local.virtual_table != NULL)
		snprintf(address, sizeof(address), "%s@%s", name, domain);
	else
		snprintf(address, sizeof(address), "%s", name);
	a = name_entry(run, n, address, found, &value);
	if (is_unknown(run, a) || a == POLICY_NO ||
	    strcasecmp(found, name) != 0)
		return;
	if (address_parse(address, strlen(address),
		ADDRESS_BARE | ADDRESS_UTF8 | ADDRESS_LONG,
		&parsed) != ADDRESS_OK)
		return;
	if (*domain == '\0')
		domain = run->host->conf->server_name != NULL
		    ? run->host->conf->server_name
		    : "localhost";
	address_qualify(&parsed, domain);
	if ((run->result->owner = strdup(address_format(&parsed, address))) ==
	    NULL)
		fail_memory(run);
}

/* The account itself, or what it means that there is none. */
static void
visit_account(struct run *run, const struct node *n, int looped)
{
	char account[RECIPIENT_NAME_SIZE], address[ADDRESS_SIZE];
	struct expand_entry *e;
	enum policy_answer a;

	/* a look has its answer, which no account makes another */
	if (run->looks && run->successes > 0)
		return;
	a = recipient_account(run->host, n->action, n->text, account);
	if (a == POLICY_NO && n->is_request &&
	    recipient_is_postmaster(n->text)) {
		/* taken at RCPT TO whether there is one or not */
		add_node(run, 1, "root", n->action, n);
		return;
	}
	if (is_unknown(run, a))
		return;
	if (a == POLICY_NO) {
		name_address(run, n->text, address);
		if (looped)
			add_error(run, address, 550, "5.4.6",
			    "An alias leads back to itself");
		else
			add_error(run, n->is_request ? n->address : address,
			    550, "5.1.1", "No such recipient");
		return;
	}
	if (!first_naming(run, 'U', n, account))
		return;
	e = add_dest(run, DEST_USER, n->address, n->action);
	if (e != NULL)
		memcpy(e->user, account, sizeof(e->user));
}

/* Whether the name is that of the user whose .forward is carried out. */
static int
is_own_name(const struct run *run, const char *name)
{
	const char *user = run->request->user;
	const char *delim = run->host->conf->smtp.sub_addr_delim;
	size_t len = strlen(user);

	return run->request->forwarded && len > 0 &&
	    strncasecmp(name, user, len) == 0 &&
	    (name[len] == '\0' ||
		(delim != NULL && *delim != '\0' && name[len] == *delim));
}

/* Whether the entry of such a name or address leads to him again: it has his
 * name, or says itself. Any other is for somebody else, as where a table gives
 * what is called as he is at another domain to another. */
static int
leads_back(const struct run *run, const char *text, const char *value)
{
	struct alias alias;
	char error[128];
	size_t at;
	int found = 0;

	if (alias_parse(
		value, strlen(value), &alias, error, sizeof(error), &at) == -1)
		return 0;
	for (uint32_t i = 0; i < alias.nitems && !found; i++)
		found = alias.items[i].kind == ALIAS_ADDRESS &&
		    (is_own_name(run, alias.items[i].text) ||
			strcasecmp(alias.items[i].text, text) == 0);
	alias_free(&alias);
	return found;
}

static void
visit_name(struct run *run, const struct node *n)
{
	char key[RECIPIENT_KEY_SIZE];
	const char *value = "";
	enum policy_answer a;

	if (has_ancestor(n)) {
		visit_account(run, n, 1);
		return;
	}
	if (!first_naming(run, 'N', n, n->text))
		return;
	a = name_entry(run, n, n->text, key, &value);
	if (is_unknown(run, a))
		return;
	if (a == POLICY_NO ||
	    (is_own_name(run, n->text) && leads_back(run, n->text, value))) {
		visit_account(run, n, 0);
		return;
	}
	note_owner(run, n, key);
	expand_alias(run, n, key, value);
}

static void
visit_virtual(struct run *run, const struct node *n)
{
	char key[RECIPIENT_KEY_SIZE], name[ADDRESS_LOCAL_SIZE];
	const char *value = "";
	enum policy_answer a;

	a = recipient_virtual(run->host, n->action, n->text, key, &value);
	if (is_unknown(run, a))
		return;
	/* a .forward that names its own user's address */
	if (n->parent == NULL &&
	    address_user(n->text, name, sizeof(name)) == 0 &&
	    is_own_name(run, name) &&
	    (a == POLICY_NO || leads_back(run, n->text, value)))
		add_name_of(run, n, name);
	else if (a == POLICY_YES) {
		note_owner(run, n, key);
		expand_alias(run, n, key, value);
	} else if (n->parent == NULL && recipient_is_postmaster(n->text))
		add_node(run, 1, "root", n->action, n);
	else
		add_error(run, n->text, 550, "5.1.1", "No such recipient");
}

/* Whether a rule is for the world outside, whose hosts owe us no trust. */
static int
is_for_world(const struct conf_match *m)
{
	for (uint32_t i = 0; i < m->nconditions; i++) {
		const struct conf_condition *c = &m->conditions[i];

		if (c->kind == CONF_FOR_ANY ||
		    (c->negated && c->kind > CONF_FOR_ANY &&
			c->kind <= CONF_FOR_RCPT_TO))
			return 1;
	}
	return 0;
}

/*
 * Whether an address is a way through the next hop for a stranger. It is the
 * sender of what a report tells of, whom he may have named as himself, and the
 * rules let this machine write to whom they refuse to him: by v, which may
 * also name a domain that is none of his.
 */
static enum policy_answer
leads_stranger_on(const struct run *run, const struct node *n,
    struct policy_facts facts, struct policy_verdict v)
{
	struct policy_verdict his;

	if (!n->is_request || run->request->forwarded)
		return POLICY_NO;
	facts.internal = 0;
	his = policy_decide(run->host, &facts);
	if (his.kind == POLICY_ACTION)
		v = his;
	else if (is_for_world(&run->host->conf->matches[v.rule]))
		return POLICY_NO;
	return policy_refuses_route(run->host, &facts, &v);
}

/* The action of an address that came out of an alias, or of a report's; NULL
 * when there is none, which is noted. */
static const struct conf_action *
choose_action(struct run *run, const struct node *n)
{
	const char *address = n->text;
	/* An alias or a .forward gave the address and vouches for it. For the
	 * recipient himself a tag does not speak again: its listeners may be
	 * others since a reload. */
	int given = !n->is_request || run->request->forwarded;
	struct policy_facts facts = { .tag = given ? run->request->tag : "",
		.client_addr = "",
		.client_name = "",
		.helo = given ? run->request->helo : "",
		.auth_user = "",
		.sender = run->request->sender,
		.recipient = address,
		.internal = 1 };
	struct policy_verdict v = policy_decide(run->host, &facts);
	enum policy_answer a;

	switch (v.kind) {
	case POLICY_ACTION:
		a = leads_stranger_on(run, n, facts, v);
		if (a == POLICY_NO)
			return v.action;
		if (!is_unknown(run, a))
			add_error(run, address, 550, "5.7.1",
			    "A stranger's local part with %, ! or @");
		break;
	case POLICY_REJECT:
		add_error(run, address, 550, "5.7.1", "A rule rejects it");
		break;
	case POLICY_NO_RULE:
		add_error(run, address, 550, "5.7.1", "No rule takes it");
		break;
	case POLICY_TEMPFAIL:
		is_unknown(run, POLICY_ERROR);
		break;
	case POLICY_WAIT:
		is_unknown(run, POLICY_PENDING);
		break;
	}
	return NULL;
}

static void
visit_address(struct run *run, struct node *n)
{
	char name[ADDRESS_LOCAL_SIZE];
	int looped;

	if (n->action == NULL && (n->action = choose_action(run, n)) == NULL)
		return;
	looped = has_ancestor(n);
	if (looped && n->action->kind != CONF_ACTION_RELAY &&
	    n->action->local.virtual_table == NULL &&
	    address_user(n->text, name, sizeof(name)) == 0) {
		/* `bob: bob@our.name, ...` keeps a copy, as `bob: bob` does */
		add_name_of(run, n, name);
		return;
	}
	if (looped) {
		add_error(run, n->text, 550, "5.4.6",
		    "An alias leads back to itself");
		return;
	}
	if (!first_visit(run, 'A', n->action, n->text))
		return;
	if (n->action->kind == CONF_ACTION_RELAY)
		add_dest(run, DEST_RELAY, n->text, n->action);
	else if (n->action->local.virtual_table != NULL)
		visit_virtual(run, n);
	else if (address_user(n->text, name, sizeof(name)) == 0)
		add_name_of(run, n, name);
	else
		add_error(run, n->text, 550, "5.1.1", "No such recipient");
}

static void
begin(struct run *run)
{
	const struct expand_request *q = run->request;
	const struct conf_action *action;
	int is_name = strchr(q->recipient, '@') == NULL;
	const char *name = q->recipient;

	/* an action that a reload took away: the rules choose another */
	action = conf_find_action(
	    run->host->conf, *q->action != '\0' ? q->action : NULL);
	run->result->lacking = action == NULL && *q->action != '\0';
	if (is_name && (action == NULL || action->kind == CONF_ACTION_RELAY))
		is_name = 0;
	/* \user in a .forward: the user and no alias of that name */
	if (*name == '\\')
		name++;
	add_node(run, is_name, is_name ? name : q->recipient, action, NULL);
}

/* Nothing but errors: the first one is that of the whole. */
static void
conclude(struct run *run)
{
	struct expand_result *r = run->result;

	if (run->failed)
		return;
	if (run->looks && (run->successes > 0 || run->beyond))
		recipient_set_reply(&r->reply, 250, "2.1.5", "");
	else if (run->pending)
		r->reply.code = 0;
	else if (run->mute)
		fail_mute(run);
	else if (run->successes > 0)
		recipient_set_reply(&r->reply, 250, "2.1.5", "");
	else if (r->count > 0)
		r->reply = r->dests[0].reply;
	else
		recipient_set_reply(
		    &r->reply, 550, "5.2.4", "The list is empty");
}

static void
visit_all(struct run *run)
{
	struct node *n;

	memset(run->result, 0, sizeof(*run->result));
	begin(run);
	for (n = run->first; n != NULL && !run->failed && !run->beyond;
	     n = n->next) {
		if (n->depth > EXPAND_DEPTH_MAX)
			add_error(run, n->address, 550, "5.4.6",
			    "Aliases are nested too deep");
		else if (n->is_name)
			visit_name(run, n);
		else
			visit_address(run, n);
	}
	conclude(run);
	while ((n = run->first) != NULL) {
		run->first = n->next;
		free(n->text);
		free(n);
	}
	tdestroy(run->visited, free);
}

void
expand_run(const struct policy_host *host, const struct expand_request *q,
    struct expand_result *result)
{
	struct run run = { .host = host, .request = q, .result = result };

	visit_all(&run);
}

void
expand_check(const struct policy_host *host, const struct policy_facts *f,
    const struct conf_action *action, struct recipient_reply *reply)
{
	struct expand_request q = { .tag = f->tag,
		.helo = f->helo,
		.sender = f->sender,
		.recipient = f->recipient,
		.action = action->name,
		.user = "" };
	struct policy_host untraced = *host;
	struct expand_result result;
	struct run run = {
		.host = &untraced, .request = &q, .result = &result, .looks = 1
	};

	/* a trace is of the rules for the recipient itself */
	untraced.trace = NULL;
	visit_all(&run);
	*reply = result.reply;
	if (reply->code >= 500 && !run.failed &&
	    recipient_is_postmaster(f->recipient))
		recipient_set_reply(reply, 250, "2.1.5", "");
	expand_free(&result);
}

void
expand_free(struct expand_result *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->dests[i].address);
	free(r->dests);
	free(r->owner);
	memset(r, 0, sizeof(*r));
}
