/*
 * Rules and actions as a whole: relays and their log-ins, rules that can
 * never be reached, names that nothing uses. Whether a rule relays for
 * strangers is asked in common/conf/closed.c.
 */
#include <string.h>

#include "conf/url.h"
#include "master/parser.h"

/* ---- relays ----------------------------------------------------------- */

static void
check_relay_url(
    struct parser *p, const struct conf_action *action, const struct url *url)
{
	const struct conf_relay *relay = &action->relay;

	if (url->label[0] != '\0' && relay->auth == NULL)
		parse_error(p, &action->where,
		    "the label `%s` needs a table "
		    "of passwords; add `auth <table>`",
		    url->label);
	if (url->label[0] == '\0' && relay->auth != NULL)
		parse_warning(p, &action->where,
		    "`auth` has no use without a "
		    "label in the relay's URL that chooses a password; write "
		    "`smtps://label@%s`",
		    url->host);
	if (url->label[0] != '\0' &&
	    (url->protocol == URL_SMTP || url_without_tls(url->protocol)) &&
	    relay->tls == CONF_RELAY_TLS_OPPORTUNISTIC)
		parse_warning(p, &action->where,
		    "the password of `%s` is sent "
		    "only if the relay's certificate is valid or the relay is "
		    "on this machine; write `smtp+tls://` or `smtps://`",
		    url->label);
	if (relay->tls != CONF_RELAY_TLS_OPPORTUNISTIC &&
	    url_without_tls(url->protocol))
		parse_error(p, &action->where,
		    "`tls` and `%s` contradict each "
		    "other",
		    url->protocol == URL_LMTP ? "lmtp://" : "smtp+notls://");
}

static void
check_relay(struct parser *p, const struct conf_action *action)
{
	const struct conf_relay *relay = &action->relay;
	const struct conf_table *table;
	struct url url;
	char error[256];
	uint32_t i;

	table = conf_find_table(
	    p->conf, relay->host != NULL ? relay->host : relay->domain);
	if (table == NULL || table->kind != CONF_TABLE_STATIC)
		return;
	if (relay->host != NULL && table->mapping)
		parse_error(p, &action->where,
		    "`host` takes a list of "
		    "relays; write `domain` for a table of domains");
	if (relay->domain != NULL && !table->mapping)
		parse_error(p, &action->where,
		    "`domain` takes a table of "
		    "`domain = relay`; write `host` for one relay");
	for (i = 0; i < table->nentries; i++) {
		const struct conf_entry *entry = &table->entries[i];

		if (url_parse(entry->value != NULL ? entry->value : entry->key,
			&url, error, sizeof(error)) == 0)
			check_relay_url(p, action, &url);
	}
}

static void
check_actions(struct parser *p)
{
	const struct conf *conf = p->conf;
	const struct conf_action *action;
	uint32_t i, j;

	for (i = 0; i < conf->nactions; i++) {
		action = &conf->actions[i];
		if (action->kind == CONF_ACTION_RELAY)
			check_relay(p, action);
		for (j = 0; j < conf->nmatches; j++)
			if (conf->matches[j].action != NULL &&
			    strcmp(conf->matches[j].action, action->name) == 0)
				break;
		if (j == conf->nmatches)
			parse_warning(p, &action->where,
			    "no rule uses the "
			    "action `%s`",
			    action->name);
	}
}

/* ---- rules ------------------------------------------------------------ */

/* Nothing gets past `from any for any` without a further condition. */
static bool
takes_all(const struct conf_match *match)
{
	return match->nconditions == 2 &&
	    match->conditions[0].kind == CONF_FROM_ANY &&
	    match->conditions[1].kind == CONF_FOR_ANY &&
	    !match->conditions[0].negated && !match->conditions[1].negated;
}

static bool
takes_none(const struct conf_match *match)
{
	uint32_t i;

	for (i = 0; i < match->nconditions; i++)
		if (match->conditions[i].negated &&
		    (match->conditions[i].kind == CONF_FROM_ANY ||
			match->conditions[i].kind == CONF_FOR_ANY))
			return true;
	return false;
}

/* A rule for a tag that no listener has never matches. */
static void
check_tag(struct parser *p, const struct conf_match *match)
{
	const struct conf_condition *condition = match->conditions;
	const struct conf_table *table;
	uint32_t i, j;

	for (i = 0; i < match->nconditions; i++, condition++) {
		if (condition->kind != CONF_IF_TAG || condition->regex ||
		    condition->negated)
			continue;
		table = conf_find_table(p->conf, condition->table);
		for (j = 0; table != NULL && j < table->nentries; j++)
			if (conf_find_listener(
				p->conf, table->entries[j].key) == NULL)
				parse_warning(p, &match->where,
				    "no listener "
				    "has the tag `%s`",
				    table->entries[j].key);
	}
}

void
check_rules(struct parser *p)
{
	static const struct conf_where nowhere = { .line = 1, .column = 1 };
	const struct conf *conf = p->conf;
	const struct conf_match *all = NULL;
	char at[512];
	uint32_t i;

	if (conf->nmatches == 0)
		parse_error(p, &nowhere,
		    "there is no `match`, so no mail "
		    "would be taken; write `match for local action \"NAME\"`, "
		    "and above it `action \"NAME\" mbox`");
	check_actions(p);
	for (i = 0; i < conf->nmatches; i++) {
		if (all != NULL) {
			conf_where_text(conf, &all->where, at, sizeof(at));
			parse_warning(p, &conf->matches[i].where,
			    "this rule "
			    "is never reached: the one at %s takes all mail",
			    at);
			break;
		}
		if (takes_all(&conf->matches[i]))
			all = &conf->matches[i];
		if (takes_none(&conf->matches[i]))
			parse_warning(p, &conf->matches[i].where,
			    "this rule "
			    "never matches");
		check_tag(p, &conf->matches[i]);
	}
}
