/*
 * Actions. The options of a backup are words of ours that OpenSMTPD does not
 * reserve; relay_word() takes them one at a time, an option first and its
 * value in the next call.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <stdio.h>
#include <string.h>

#include "conf/format.h"
#include "conf/url.h"
#include "master/parser.h"

#define PROBE_INTERVAL                                  \
	5 /* seconds; a primary that is back is noticed \
	   * within this time */

void
action_begin(struct parser *p, const struct conf_where *where, const char *name)
{
	struct conf *conf = p->conf;
	const struct conf_action *earlier = conf_find_action(conf, name);
	char at[512];

	if (earlier != NULL) {
		conf_where_text(conf, &earlier->where, at, sizeof(at));
		parse_error(p, where,
		    "the action `%s` is already defined at "
		    "%s; choose another name",
		    name, at);
	}
	p->action =
	    conf_append(&conf->actions, &conf->nactions, sizeof(*p->action));
	if (p->action == NULL) {
		parse_out_of_memory(p);
		return;
	}
	p->action->where = *where;
	p->action->name = parse_strdup(p, name);
	p->pending = NULL;
}

void
action_kind(struct parser *p, enum conf_action_kind kind)
{
	p->action->kind = kind;
}

void
action_ttl(struct parser *p, const struct conf_where *where, const char *ttl)
{
	if (p->action->ttl != 0)
		parse_error(p, where, "`ttl` stands here twice");
	parse_duration(p, where, ttl, &p->action->ttl);
}

void
local_format(struct parser *p, const struct conf_where *where, char **slot,
    const char *text)
{
	struct conf_where at = *where;
	const char *unknown, *line, *found;
	size_t len, left = 0;

	*slot = parse_strdup(p, text);
	if ((unknown = format_unknown(text, &len)) == NULL)
		return;
	/* the word may have escapes, or come from a macro */
	line = lex_line_text(p, where, &left);
	if (line != NULL && where->column <= left) {
		line += where->column - 1;
		left -= where->column - 1;
		found = memmem(line, left, unknown, len);
		at.column += found != NULL ? (uint32_t)(found - line) : 0;
	}
	parse_error(p, &at,
	    "there is no format `%.*s`; relais.conf(5) lists them under "
	    "FORMATS",
	    (int)len, unknown);
}

void
local_lmtp(struct parser *p, const struct conf_where *where,
    const char *destination, bool rcpt_to)
{
	struct conf_local *local = &p->action->local;
	struct sockaddr_un sun;
	char text[1024], error[256];
	struct url url;

	if (destination[0] == '/') {
		if (strlen(destination) >= sizeof(sun.sun_path))
			parse_error(p, where,
			    "the path of a socket has at "
			    "most %zu octets",
			    sizeof(sun.sun_path) - 1);
	} else if (snprintf(text, sizeof(text), "lmtp://%s", destination) >=
		(int)sizeof(text) ||
	    url_parse(text, &url, error, sizeof(error)) == -1)
		parse_error(p, where,
		    "`%s` names no LMTP server; write "
		    "host:port, or the path of a socket",
		    destination);
	local->destination = parse_strdup(p, destination);
	local->rcpt_to = rcpt_to;
}

void
local_user(struct parser *p, const struct conf_where *where, const char *user)
{
	switch (p->action->kind) {
	case CONF_ACTION_MBOX:
		parse_error(p, where,
		    "`mbox` is each user's own; write "
		    "`maildir`, `mda` or `lmtp` to deliver as one `user`");
		break;
	case CONF_ACTION_EXPAND_ONLY:
	case CONF_ACTION_FORWARD_ONLY:
		parse_error(p, where,
		    "`user` has no use where nothing is "
		    "delivered");
		break;
	default:
		set_string(p, where, &p->action->local.user, "user", user);
		break;
	}
}

void
local_aliases(struct parser *p, const struct conf_where *where, char **slot,
    const char *option, const char *table)
{
	const struct conf_local *local = &p->action->local;

	if (*slot == NULL &&
	    (local->alias != NULL || local->virtual_table != NULL))
		parse_error(p, where,
		    "an action has `alias` or `virtual`, "
		    "not both; a virtual table may hold the aliases too");
	set_string(p, where, slot, option, table);
}

void
relay_tls(
    struct parser *p, const struct conf_where *where, enum conf_relay_tls tls)
{
	if (p->action->relay.tls != CONF_RELAY_TLS_OPPORTUNISTIC)
		parse_error(p, where, "`tls` stands here twice");
	p->action->relay.tls = tls;
}

/* An address, or @domain, which takes the place of the sender's: the form
 * alone, as in the tables, since root's process parses no addresses. */
void
relay_mail_from(
    struct parser *p, const struct conf_where *where, const char *address)
{
	const char *at = strrchr(address, '@');

	if (at == NULL || !url_host_valid(at + 1) ||
	    strpbrk(address, " \t<>") != NULL)
		parse_error(p, where,
		    "`%s` is no mail address; write `user@example.org`, or "
		    "`@example.org` to change the domain only",
		    address);
	set_string(p, where, &p->action->relay.mail_from, "mail-from", address);
}

void
relay_backup(struct parser *p, const struct conf_where *where, const char *mx)
{
	struct conf_relay *relay = &p->action->relay;

	if (relay->backup)
		parse_error(p, where, "`backup` stands here twice");
	relay->backup = true;
	if (relay->probe_interval == 0)
		relay->probe_interval = PROBE_INTERVAL;
	set_string(p, where, &relay->backup_mx, "backup mx", mx);
}

/* ---- words of ours ---------------------------------------------------- */

static const char *const relay_words[] = { "recipients", "call-ahead",
	"probe-interval", "unknown", "refused", "retry" };

static const char unknown_option[] = "";

/* One of a few values: its index, or the one that is there after an error. */
static unsigned int
choice(struct parser *p, const struct conf_where *where, const char *option,
    const char *value, const char *const *choices, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (strcmp(choices[i], value) == 0)
			return i;
	parse_error(p, where,
	    "`%s %s` is unknown; write `%s %s`%s%s%s or "
	    "`%s %s`",
	    option, value, option, choices[0], count > 2 ? ", `" : "",
	    count > 2 ? choices[1] : "", count > 2 ? "`" : "", option,
	    choices[count - 1]);
	return 0;
}

static void
relay_value(struct parser *p, const struct conf_where *where,
    const char *option, const char *value)
{
	static const char *const unknown[] = { "accept", "tempfail" };
	static const char *const refused[] = { "hold", "drop", "bounce" };
	struct conf_relay *relay = &p->action->relay;

	if (strcmp(option, "recipients") == 0)
		set_string(p, where, &relay->recipients, option,
		    table_use_value(p, where, value));
	else if (strcmp(option, "probe-interval") == 0)
		parse_duration(p, where, value, &relay->probe_interval);
	else if (strcmp(option, "unknown") == 0)
		relay->unknown = choice(p, where, option, value, unknown, 2);
	else if (strcmp(option, "refused") == 0)
		relay->refused = choice(p, where, option, value, refused, 3);
	else if (strcmp(option, "min") == 0)
		parse_duration(p, where, value, &relay->retry_min);
	else if (strcmp(option, "max") == 0)
		parse_duration(p, where, value, &relay->retry_max);
}

static void
relay_option(struct parser *p, const struct conf_where *where, const char *word)
{
	const size_t count = sizeof(relay_words) / sizeof(relay_words[0]);
	const char *nearest, *advice;
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(relay_words[i], word) == 0) {
			p->pending = relay_words[i];
			p->pending_where = *where;
			return;
		}
	/* What follows is most likely its value: no second error. */
	p->pending = unknown_option;
	nearest = advice_nearest(word, relay_words, count);
	if ((advice = advice_find(p, word)) != NULL)
		parse_error(
		    p, where, "`relay` has no option `%s`; %s", word, advice);
	else if (nearest != NULL)
		parse_error(p, where,
		    "`relay` has no option `%s`; did you "
		    "mean `%s`?",
		    word, nearest);
	else
		parse_error(p, where,
		    "`relay` has no option `%s`; write "
		    "`host \"%s\"` to name a relay host",
		    word, word);
}

void
relay_word(struct parser *p, const struct conf_where *where, const char *word)
{
	const char *option = p->pending;

	p->pending = NULL;
	if (option == NULL) {
		/* `max` after `retry min T`, whatever order they have. */
		if (strcmp(word, "min") == 0 || strcmp(word, "max") == 0) {
			p->pending = strcmp(word, "min") == 0 ? "min" : "max";
			p->pending_where = *where;
			return;
		}
		relay_option(p, where, word);
		if (p->pending != unknown_option &&
		    strcmp(word, "call-ahead") == 0) {
			p->pending = NULL;
			set_flag(p, where, &p->action->relay.call_ahead, word);
		}
	} else if (strcmp(option, "retry") != 0)
		relay_value(p, where, option, word);
	else if (strcmp(word, "min") == 0 || strcmp(word, "max") == 0) {
		p->pending = strcmp(word, "min") == 0 ? "min" : "max";
		p->pending_where = *where;
	} else
		parse_error(p, where, "write `retry min 5m max 4h`");
}

void
relay_table(struct parser *p, const struct conf_where *where, const char *table)
{
	const char *option = p->pending;

	p->pending = NULL;
	if (option == unknown_option)
		return;
	if (option != NULL && strcmp(option, "recipients") == 0)
		set_string(
		    p, where, &p->action->relay.recipients, option, table);
	else
		parse_error(p, where,
		    "no option before this takes a table; "
		    "write `host`, `domain`, `auth`, `src` or `recipients` "
		    "before it");
}

/* ---- the end ---------------------------------------------------------- */

static void
relay_end_backup(struct parser *p, const struct conf_action *action)
{
	const struct conf_relay *relay = &action->relay;
	const char *option = NULL;

	if (relay->backup) {
		if (relay->host != NULL || relay->domain != NULL)
			parse_error(p, &action->where,
			    "`backup` goes to the "
			    "other MX, so `host` and `domain` cannot stand "
			    "beside it");
		return;
	}
	if (relay->recipients != NULL)
		option = "recipients";
	else if (relay->call_ahead)
		option = "call-ahead";
	else if (relay->probe_interval != 0)
		option = "probe-interval";
	else if (relay->unknown != CONF_UNKNOWN_ACCEPT)
		option = "unknown";
	else if (relay->refused != CONF_REFUSED_HOLD)
		option = "refused";
	if (option != NULL)
		parse_error(p, &action->where,
		    "`%s` is an option of `relay "
		    "backup`; add `backup`",
		    option);
}

void
action_end(struct parser *p)
{
	const struct conf_action *action = p->action;
	struct conf_relay *relay = &p->action->relay;

	if (p->pending != NULL && p->pending != unknown_option)
		parse_error(
		    p, &p->pending_where, "`%s` needs a value", p->pending);
	p->pending = NULL;
	if (action->kind != CONF_ACTION_RELAY)
		return;
	if (relay->host != NULL && relay->domain != NULL)
		parse_error(p, &action->where,
		    "`host` sends everything to one "
		    "relay and `domain` asks a table; write one of them");
	if (relay->auth != NULL && relay->host == NULL && relay->domain == NULL)
		parse_error(p, &action->where,
		    "`auth` needs a relay to log "
		    "in to; add `host \"smtps://label@relay.example.org\"`");
	relay_end_backup(p, action);
	if (relay->retry_min == 0 && relay->retry_max == 0)
		return;
	if (relay->retry_min == 0)
		relay->retry_min =
		    relay->retry_max < 300 ? relay->retry_max : 300;
	if (relay->retry_max == 0)
		relay->retry_max =
		    relay->retry_min > 14400 ? relay->retry_min : 14400;
	if (relay->retry_min > relay->retry_max)
		parse_error(p, &action->where,
		    "`retry min` is longer than "
		    "`max`");
}
