/*
 * `set`, the limits, and what else is one value for the whole system. `set`
 * takes plain words, so its table is here and not in the grammar.
 */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/url.h"
#include "ipc/worker.h"
#include "master/parser.h"

/* The one value of a setting, NULL after an error. */
static const char *
only_value(struct parser *p, const struct conf_where *where, const char *word)
{
	if (p->nitems == 1 && !p->items_mapping)
		return p->items[0].key;
	parse_error(p, where, "`set %s` takes one value", word);
	return NULL;
}

/* ---- set -------------------------------------------------------------- */

/* The last `set` of a word counts, as with all settings. */
static void
replace_string(struct parser *p, char **slot, const char *text)
{
	free(*slot);
	*slot = parse_strdup(p, text);
}

static void
set_path(struct parser *p, const struct conf_where *where, const char *word,
    const struct field *field)
{
	bool is_name = strcmp(word, "user-prefix") == 0 ||
	    strcmp(word, "admin-group") == 0;
	const char *value = only_value(p, where, word);

	if (value == NULL)
		return;
	if (!is_name && *value != '/')
		parse_error(p, where,
		    "`set %s` takes a path that begins with "
		    "/, not `%s`",
		    word, value);
	else if (is_name && (strchr(value, '/') != NULL || *value == '\0'))
		parse_error(
		    p, where, "`set %s` takes a name, not `%s`", word, value);
	else
		replace_string(p, field_string(field, &p->conf->paths), value);
}

static void
set_server_name(struct parser *p, const struct conf_where *where)
{
	const char *value = only_value(p, where, "server-name");

	if (value == NULL)
		return;
	if (!url_host_valid(value))
		parse_error(p, where, "`%s` is no host name", value);
	else
		replace_string(p, &p->conf->server_name, value);
}

/* workers N, workers smtpd N, workers deliver N */
static void
set_workers(struct parser *p, const struct conf_where *where)
{
	struct conf_workers *workers = &p->conf->workers;
	const char *kind = p->nitems == 2 ? p->items[0].key : NULL;
	uint32_t count = 0;

	if (p->nitems == 0 || p->nitems > 2 ||
	    (kind != NULL && strcmp(kind, "smtpd") != 0 &&
		strcmp(kind, "deliver") != 0)) {
		parse_error(p, where,
		    "write `set workers 4`, `set workers "
		    "smtpd 4` or `set workers deliver 4`");
		return;
	}
	if (!parse_number(
		p, where, p->items[p->nitems - 1].key, 1, WORKERS_MAX, &count))
		return;
	if (kind == NULL || strcmp(kind, "smtpd") == 0)
		workers->smtpd = count;
	if (kind == NULL || strcmp(kind, "deliver") == 0)
		workers->deliver = count;
}

/* retry min T max T, or one of them */
static void
set_retry(struct parser *p, const struct conf_where *where)
{
	struct conf_retry *retry = &p->conf->retry;
	uint32_t i, *slot;

	if (p->nitems == 0 || p->nitems % 2 != 0)
		parse_error(p, where, "write `set retry min 5m max 4h`");
	for (i = 0; i + 1 < p->nitems; i += 2) {
		if (strcmp(p->items[i].key, "min") == 0)
			slot = &retry->min;
		else if (strcmp(p->items[i].key, "max") == 0)
			slot = &retry->max;
		else {
			parse_error(p, where,
			    "`set retry` knows min and max, "
			    "not `%s`",
			    p->items[i].key);
			return;
		}
		parse_duration(p, where, p->items[i + 1].key, slot);
	}
	if (retry->min > retry->max)
		parse_error(p, where, "`retry min` is longer than `max`");
}

/* addr, addr@port */
static void
resolver_add(struct parser *p, const struct conf_where *where, const char *text)
{
	struct conf_resolver *resolver = &p->conf->resolver;
	struct conf_address address, *slot;
	const char *at = strrchr(text, '@');
	uint32_t port = 53;
	char buf[64];

	snprintf(buf, sizeof(buf), "%.*s",
	    (int)(at != NULL ? at - text : (ptrdiff_t)strlen(text)), text);
	if (at != NULL && !parse_number(p, where, at + 1, 1, 65535, &port))
		return;
	if (url_address_parse(buf, &address, NULL) == -1) {
		parse_error(p, where,
		    "`%s` is no address of a resolver; "
		    "write `192.0.2.53` or `192.0.2.53@5353`",
		    text);
		return;
	}
	address.port = (uint16_t)port;
	slot =
	    conf_append(&resolver->servers, &resolver->nservers, sizeof(*slot));
	if (slot == NULL)
		parse_out_of_memory(p);
	else
		*slot = address;
}

static void
set_resolver(struct parser *p, const struct conf_where *where)
{
	struct conf_resolver *resolver = &p->conf->resolver;
	uint32_t i;

	if (p->nitems == 0 || p->items_mapping)
		parse_error(p, where,
		    "write `set resolver { 192.0.2.53 }`, "
		    "or `set resolver recursive`");
	if (p->nitems == 1 && strcmp(p->items[0].key, "recursive") == 0) {
		resolver->recursive = true;
		return;
	}
	free(resolver->servers);
	resolver->servers = NULL;
	resolver->nservers = 0;
	for (i = 0; i < p->nitems; i++)
		resolver_add(p, where, p->items[i].key);
}

static void
set_domain_insecure(struct parser *p, const struct conf_where *where)
{
	struct conf_resolver *resolver = &p->conf->resolver;
	struct conf_string *slot;

	if (p->nitems == 0 || p->items_mapping)
		parse_error(
		    p, where, "write `set domain-insecure { corp.example }`");
	for (uint32_t i = 0; i < resolver->ninsecure; i++)
		free(resolver->insecure[i].text);
	free(resolver->insecure);
	resolver->insecure = NULL;
	resolver->ninsecure = 0;
	for (uint32_t i = 0; i < p->nitems; i++) {
		if (!url_host_valid(p->items[i].key)) {
			parse_error(
			    p, where, "`%s` is no domain", p->items[i].key);
			continue;
		}
		slot = conf_append(
		    &resolver->insecure, &resolver->ninsecure, sizeof(*slot));
		if (slot == NULL)
			parse_out_of_memory(p);
		else
			slot->text = parse_strdup(p, p->items[i].key);
	}
}

static void
set_trust_anchor(struct parser *p, const struct conf_where *where)
{
	const char *value = only_value(p, where, "trust-anchor");

	if (value != NULL && *value != '/')
		parse_error(p, where,
		    "`set trust-anchor` takes a path that "
		    "begins with /, not `%s`",
		    value);
	else if (value != NULL)
		replace_string(p, &p->conf->resolver.trust_anchor_path, value);
}

static void
set_mx_port(struct parser *p, const struct conf_where *where)
{
	const char *value = only_value(p, where, "mx-port");

	if (value != NULL)
		parse_number(p, where, value, 1, 65535, &p->conf->mta.port);
}

static void
set_mx_loopback(struct parser *p, const struct conf_where *where)
{
	const char *value = only_value(p, where, "mx-loopback");

	if (value == NULL)
		return;
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		parse_error(p, where, "write `set mx-loopback yes` or `no`");
	p->conf->mta.allow_loopback = strcmp(value, "yes") == 0;
}

static const struct {
	const char *word;
	void (*apply)(struct parser *, const struct conf_where *);
} settings[] = {
	{ "domain-insecure", set_domain_insecure },
	{ "mx-loopback", set_mx_loopback },
	{ "mx-port", set_mx_port },
	{ "resolver", set_resolver },
	{ "retry", set_retry },
	{ "server-name", set_server_name },
	{ "trust-anchor", set_trust_anchor },
	{ "workers", set_workers },
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

static void
setting_unknown(
    struct parser *p, const struct conf_where *where, const char *word)
{
	static const char *const paths[] = { "spool", "control-socket",
		"drop-folder", "pid-file", "chroot", "libexec", "user-prefix",
		"admin-group" };
	const char *names[NSETTINGS + sizeof(paths) / sizeof(paths[0])];
	const char *nearest;
	size_t i, n = 0;

	for (i = 0; i < NSETTINGS; i++)
		names[n++] = settings[i].word;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		names[n++] = paths[i];
	if ((nearest = advice_nearest(word, names, n)) != NULL)
		parse_error(p, where,
		    "there is no setting `%s`; did you mean "
		    "`set %s`?",
		    word, nearest);
	else
		parse_error(p, where,
		    "there is no setting `%s`; "
		    "relais.conf(5) lists them under `set`",
		    word);
}

void
setting_apply(
    struct parser *p, const struct conf_where *where, const char *word)
{
	const struct field *field;
	size_t i;

	if ((field = field_by_word(&shape_paths, FIELD_STRING, word)) != NULL) {
		set_path(p, where, word, field);
		return;
	}
	for (i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].word, word) == 0) {
			settings[i].apply(p, where);
			return;
		}
	setting_unknown(p, where, word);
}

/* ---- limits and the rest ---------------------------------------------- */

/* The word of the row that is nearest to a misspelt one. */
static const char *
limit_nearest(const struct shape *shape, const char *word)
{
	const char *names[64];
	char folded[64];
	size_t i, n = 0;

	for (i = 0; word[i] != '\0' && i < sizeof(folded) - 1; i++)
		folded[i] = word[i] == '-' ? '_' : word[i];
	folded[i] = '\0';
	for (i = 0; i < shape->nfields && n < 64; i++)
		if (shape->fields[i].type == FIELD_U32 ||
		    shape->fields[i].type == FIELD_SECONDS)
			names[n++] = shape->fields[i].name;
	return advice_nearest(folded, names, n);
}

void
limit_set(struct parser *p, const struct conf_where *where,
    const struct shape *shape, void *group, const char *word,
    const char *number)
{
	const struct field *field = field_by_word(shape, FIELD_U32, word);
	const char *nearest;
	char name[64], *c;
	uint32_t value, most;

	if (field != NULL) {
		most = field->limit != 0 ? (uint32_t)field->limit : UINT32_MAX;
		if (parse_number(p, where, number, 0, most, &value))
			memcpy(field_at(field, group), &value, sizeof(value));
		return;
	}
	field = field_by_word(shape, FIELD_SECONDS, word);
	if (field != NULL) {
		if (parse_duration(p, where, number, &value))
			memcpy(field_at(field, group), &value, sizeof(value));
		return;
	}
	if ((nearest = limit_nearest(shape, word)) == NULL) {
		parse_error(p, where, "there is no limit `%s`", word);
		return;
	}
	snprintf(name, sizeof(name), "%s", nearest);
	for (c = name; *c != '\0'; c++)
		if (*c == '_')
			*c = '-';
	parse_error(
	    p, where, "there is no limit `%s`; did you mean `%s`?", word, name);
}

void
mta_limit_begin(
    struct parser *p, const struct conf_where *where, const char *domain)
{
	struct conf_mta *mta = &p->conf->mta;
	struct conf_mta_limit *limit;
	uint32_t i;

	p->limit = &mta->limits[0];
	if (domain == NULL) {
		p->limit->where = *where;
		return;
	}
	for (i = 1; i < mta->nlimits; i++)
		if (strcasecmp(mta->limits[i].domain, domain) == 0) {
			p->limit = &mta->limits[i];
			return;
		}
	limit = conf_append(&mta->limits, &mta->nlimits, sizeof(*limit));
	if (limit == NULL) {
		parse_out_of_memory(p);
		return;
	}
	/* What is not said for the domain is as it stands for all. */
	*limit = mta->limits[0];
	limit->where = *where;
	limit->domain = NULL;
	if ((limit->domain = parse_strdup(p, domain)) == NULL)
		mta->nlimits--;
	else
		p->limit = limit;
}

void
bounce_delay(
    struct parser *p, const struct conf_where *where, const char *delay)
{
	struct conf_bounce *bounce = &p->conf->bounce;
	uint32_t seconds;

	if (p->nwarn == 0)
		memset(bounce, 0, sizeof(*bounce));
	if (p->nwarn == CONF_BOUNCE_WARN_MAX)
		parse_error(p, where, "at most %d delays can stand here",
		    CONF_BOUNCE_WARN_MAX);
	else if (parse_duration(p, where, delay, &seconds))
		bounce->warn[p->nwarn++] = seconds;
}

void
smtp_delimiter(
    struct parser *p, const struct conf_where *where, const char *text)
{
	if (strlen(text) != 1 || !isgraph((unsigned char)*text) || *text == '@')
		parse_error(p, where,
		    "`sub-addr-delim` takes one character, "
		    "such as \"+\", not `%s`",
		    text);
	else
		replace_string(p, &p->conf->smtp.sub_addr_delim, text);
}
