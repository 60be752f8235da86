/*
 * Whether a server that takes mail from everybody also takes it for its own
 * postmaster, as RFC 5321 section 4.5.1 wants. Only the rules of the
 * configuration can say where that mail goes, so what lacks is told, and not
 * made up. See postmaster.h. Called by load.c and options.c.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/closed.h"
#include "conf/tablefile.h"
#include "master/files.h"
#include "master/postmaster.h"

/* What can be said of a stranger's mail for postmaster@NAME: MAYBE counts as
 * YES for a rule that takes it, for nobody wants to be warned in vain. */
enum answer { NO, MAYBE, YES };

static enum answer not(enum answer a) {
	return a == MAYBE ? MAYBE
	    : a == YES    ? NO
			  : YES;
}

static enum answer
is_domain(const char *entry, const char *name)
{
	if (strchr(entry, '*') != NULL)
		return MAYBE;
	return strcasecmp(entry, name) == 0 ? YES : NO;
}

static enum answer
is_address(const char *entry, const char *name)
{
	static const char user[] = "postmaster";
	size_t len = strcspn(entry, "@");

	if (len > 0 &&
	    (len != sizeof(user) - 1 || strncasecmp(entry, user, len) != 0))
		return NO;
	entry += len;
	return *entry == '\0' || entry[1] == '\0' ? YES
						  : is_domain(entry + 1, name);
}

/* The most that an entry of the table says. */
static enum answer
ask_table(const struct conf *conf, const struct conf_condition *c,
    enum answer (*is)(const char *, const char *), const char *name)
{
	const struct conf_table *table = conf_find_table(conf, c->table);
	struct table_data *data;
	enum answer a, best = NO;

	if (c->regex || table == NULL || table->kind == CONF_TABLE_BACKEND ||
	    (data = files_read_table(table)) == NULL)
		return MAYBE;
	for (uint32_t i = 0; i < data->nentries; i++)
		if ((a = is(data->entries[i].key, name)) > best)
			best = a;
	table_data_free(data);
	return best;
}

static enum answer
condition_holds(
    const struct conf *conf, const struct conf_condition *c, const char *name)
{
	switch (c->kind) {
	case CONF_FROM_ANY:
	case CONF_FOR_ANY:
	case CONF_FOR_LOCAL:
		return YES;
	case CONF_FROM_LOCAL:
	case CONF_FROM_SOCKET:
	case CONF_FROM_AUTH:
	case CONF_IF_AUTH:
		return NO;
	case CONF_FOR_DOMAIN:
		return ask_table(conf, c, is_domain, name);
	case CONF_FOR_RCPT_TO:
	case CONF_IF_RCPT_TO:
		return ask_table(conf, c, is_address, name);
	default:
		return MAYBE;
	}
}

static enum answer
rule_matches(
    const struct conf *conf, const struct conf_match *m, const char *name)
{
	enum answer a, least = YES;

	for (uint32_t i = 0; i < m->nconditions; i++) {
		a = condition_holds(conf, &m->conditions[i], name);
		if (m->conditions[i].negated)
			a = not(a);
		if (a < least)
			least = a;
	}
	return least;
}

static int
is_taken(const struct conf *conf, const char *name)
{
	enum answer a;

	for (uint32_t i = 0; i < conf->nmatches; i++) {
		a = rule_matches(conf, &conf->matches[i], name);
		if (a != NO && !conf->matches[i].reject)
			return 1;
		if (a == YES)
			return 0;
	}
	return 0;
}

/* The first rule that lets strangers in. */
static const struct conf_match *
find_open_door(const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->nmatches; i++)
		if (!conf->matches[i].reject &&
		    !conf_names_source(conf, &conf->matches[i]))
			return &conf->matches[i];
	return NULL;
}

static enum answer
is_everybody(const char *entry, const char *name)
{
	return entry[strspn(entry, "*.@")] == '\0' ? MAYBE : NO;
}

static enum answer
is_said(const char *entry, const char *word)
{
	return strchr(entry, '*') != NULL || strcasecmp(entry, word) == 0
	    ? MAYBE
	    : NO;
}

/* Whether a report to anybody may meet the condition: it is from local, and no
 * session is behind it. */
static int
may_hold(const struct conf *conf, const struct conf_condition *c)
{
	/* these fail then, negated or not */
	if (c->kind == CONF_FROM_SOCKET || c->kind == CONF_FROM_RDNS)
		return 0;
	if (c->negated)
		return 1;
	switch (c->kind) {
	case CONF_FROM_AUTH:
	case CONF_IF_AUTH:
	case CONF_IF_TLS:
	case CONF_FOR_LOCAL:
		return 0;
	case CONF_FROM_SRC:
		return ask_table(conf, c, is_said, "local") != NO;
	case CONF_IF_TAG:
	case CONF_IF_HELO:
		return ask_table(conf, c, is_said, "") != NO;
	case CONF_FOR_DOMAIN:
	case CONF_FOR_RCPT_TO:
	case CONF_IF_RCPT_TO:
		return ask_table(conf, c, is_everybody, NULL) != NO;
	default:
		return 1;
	}
}

static int
may_take_report(const struct conf *conf, const struct conf_match *m)
{
	if (m->reject)
		return 0;
	for (uint32_t i = 0; i < m->nconditions; i++)
		if (!may_hold(conf, &m->conditions[i]))
			return 0;
	return 1;
}

/* Whoever's mail was taken hears of it where it is not delivered, by a report
 * that needs a rule like any mail of this machine. */
static void
check_reports(
    const struct conf *conf, const struct conf_match *door, FILE *errors)
{
	char at[512];

	for (uint32_t i = 0; i < conf->nmatches; i++)
		if (may_take_report(conf, &conf->matches[i]))
			return;
	conf_where_text(conf, &door->where, at, sizeof(at));
	fprintf(errors,
	    "%s: warning: mail is taken from everybody here, and reports that "
	    "it could not be delivered nowhere, so they are lost; write `match "
	    "from local for any` with an action that relays\n",
	    at);
}

static const char *
local_action(const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->nactions; i++)
		if (conf->actions[i].kind <= CONF_ACTION_LMTP)
			return conf->actions[i].name;
	return NULL;
}

/* A name for one that is still to be written. */
static const char *
new_action(const struct conf *conf)
{
	return conf_find_action(conf, "own") == NULL ? "own" : "postmaster";
}

void
postmaster_check(const struct conf *conf, FILE *errors)
{
	const char *name = conf->server_name;
	const struct conf_match *door = find_open_door(conf);
	const char *action = local_action(conf), *made = new_action(conf);
	char at[512], more[64] = "";

	if (door == NULL)
		return;
	check_reports(conf, door, errors);
	if (is_taken(conf, name))
		return;
	conf_where_text(conf, &door->where, at, sizeof(at));
	if (action == NULL)
		snprintf(more, sizeof(more),
		    ", and above it `action \"%s\" mbox`", made);
	fprintf(errors,
	    "%s: warning: mail is taken from everybody here, and for this "
	    "server's own postmaster nowhere, as RFC 5321 wants it; write "
	    "`match from any for rcpt-to \"postmaster@%s\" action \"%s\"`%s\n",
	    at, name, action != NULL ? action : made, more);
}
