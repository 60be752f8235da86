/*
 * See tables.h. A table is an array of entries sorted by key; what cannot be
 * found by key (wildcards, networks, expressions) is kept beside it, compiled.
 */
#include <sys/types.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/match.h"
#include "auth/tables.h"
#include "conf/tablefile.h"

enum { KEY_MAX = 1024 };

struct net_entry {
	struct match_net net;
	const struct table_entry *entry;
};

struct table {
	char *name;
	struct table_data *data; /* sorted by key */
	const struct table_entry **wild; /* keys with `*` */
	size_t nwild;
	struct net_entry *nets;
	size_t nnets;
	regex_t *regexes; /* one for each entry */
	size_t nregexes;
};

struct tables {
	char delim;
	struct table **list;
	size_t count;
};

/* The first error of a table, for whoever loads it. */
struct complaint {
	const char *table;
	char *error;
	size_t errorlen;
	int given;
};

static int
fail(char *error, size_t errorlen, const char *what, const char *detail)
{
	snprintf(error, errorlen, "%s%s%s", what, *detail ? ": " : "", detail);
	return -1;
}

static void
complain(
    void *arg, bool is_error, uint32_t line, uint32_t column, const char *text)
{
	struct complaint *c = arg;

	if (!is_error || c->given)
		return;
	c->given = 1;
	snprintf(c->error, c->errorlen, "table %s, line %u, column %u: %s",
	    c->table, line, column, text);
}

static void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->nregexes; i++)
		regfree(&t->regexes[i]);
	free(t->regexes);
	free(t->wild);
	free(t->nets);
	table_data_free(t->data);
	free(t->name);
	free(t);
}

static int
compile_wild(struct table *t)
{
	for (size_t i = 0; i < t->data->nentries; i++)
		t->nwild += strchr(t->data->entries[i].key, '*') != NULL;
	if (t->nwild == 0)
		return 0;
	if ((t->wild = calloc(t->nwild, sizeof(*t->wild))) == NULL)
		return -1;
	t->nwild = 0;
	for (size_t i = 0; i < t->data->nentries; i++)
		if (strchr(t->data->entries[i].key, '*') != NULL)
			t->wild[t->nwild++] = &t->data->entries[i];
	return 0;
}

static int
compile_nets(struct table *t, char *error, size_t errorlen)
{
	if (t->data->nentries == 0)
		return 0;
	if ((t->nets = calloc(t->data->nentries, sizeof(*t->nets))) == NULL)
		return fail(error, errorlen, "out of memory", "");
	for (size_t i = 0; i < t->data->nentries; i++) {
		const struct table_entry *e = &t->data->entries[i];
		struct net_entry *n = &t->nets[t->nnets];

		/* the sender on this machine has no address */
		if (strcasecmp(e->key, "local") == 0)
			continue;
		if (!match_parse_net(e->key, &n->net))
			return fail(error, errorlen,
			    "neither an address nor a network", e->key);
		n->entry = e;
		t->nnets++;
	}
	return 0;
}

/* `(?i)` is taken and means nothing: letter case never counts here. */
static int
compile_regexes(struct table *t, char *error, size_t errorlen)
{
	char reason[128];

	if (t->data->nentries == 0)
		return 0;
	if ((t->regexes = calloc(t->data->nentries, sizeof(regex_t))) == NULL)
		return fail(error, errorlen, "out of memory", "");
	for (size_t i = 0; i < t->data->nentries; i++) {
		const char *pattern = t->data->entries[i].key;
		int rc;

		if (strncmp(pattern, "(?i)", 4) == 0)
			pattern += 4;
		rc = regcomp(&t->regexes[i], pattern,
		    REG_EXTENDED | REG_NOSUB | REG_ICASE);
		if (rc != 0) {
			regerror(rc, &t->regexes[i], reason, sizeof(reason));
			return fail(error, errorlen, reason, pattern);
		}
		t->nregexes++;
	}
	return 0;
}

static int
table_compile(struct table *t, uint32_t uses, char *error, size_t errorlen)
{
	if (compile_wild(t) == -1)
		return fail(error, errorlen, "out of memory", "");
	if ((uses & 1U << CONF_SERVICE_REGEX) != 0 &&
	    compile_regexes(t, error, errorlen) == -1)
		return -1;
	if ((uses & 1U << CONF_SERVICE_NETADDR) != 0)
		return compile_nets(t, error, errorlen);
	return 0;
}

static struct table *
tables_find(const struct tables *ts, const char *name)
{
	for (size_t i = 0; name != NULL && i < ts->count; i++)
		if (strcmp(ts->list[i]->name, name) == 0)
			return ts->list[i];
	return NULL;
}

struct tables *
tables_new(char delim)
{
	struct tables *ts;

	if ((ts = calloc(1, sizeof(*ts))) != NULL)
		ts->delim = delim;
	return ts;
}

void
tables_free(struct tables *ts)
{
	if (ts == NULL)
		return;
	for (size_t i = 0; i < ts->count; i++)
		table_free(ts->list[i]);
	free(ts->list);
	free(ts);
}

static int
tables_insert(struct tables *ts, struct table *t)
{
	struct table **grown;

	for (size_t i = 0; i < ts->count; i++) {
		if (strcmp(ts->list[i]->name, t->name) == 0) {
			table_free(ts->list[i]);
			ts->list[i] = t;
			return 0;
		}
	}
	grown = reallocarray(ts->list, ts->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -1;
	ts->list = grown;
	ts->list[ts->count++] = t;
	return 0;
}

int
tables_add(struct tables *ts, const struct conf_table *conf,
    const char *content, size_t len, char *error, size_t errorlen)
{
	struct complaint c = { conf->name, error, errorlen, 0 };
	struct table *t;

	snprintf(error, errorlen, "out of memory");
	if ((t = calloc(1, sizeof(*t))) == NULL ||
	    (t->name = strdup(conf->name)) == NULL)
		goto out;
	t->data = content != NULL
	    ? table_parse(content, len, conf->uses, complain, &c)
	    : table_from_conf(conf);
	if (t->data == NULL)
		goto out;
	/* an entry that only draws a warning is simply never found */
	table_data_check(t->data, conf->uses, complain, &c);
	if (c.given || table_compile(t, conf->uses, error, errorlen) == -1)
		goto out;
	if (tables_insert(ts, t) == 0)
		return 0;
out:
	table_free(t);
	return -1;
}

static const struct table_entry *
find_domain(const struct table *t, const char *key)
{
	const struct table_entry *e = table_data_lookup(t->data, key);

	for (size_t i = 0; e == NULL && i < t->nwild; i++)
		if (match_domain(t->wild[i]->key, key))
			e = t->wild[i];
	return e;
}

static const struct table_entry *
find_net(const struct table *t, const char *key)
{
	struct in6_addr addr;

	if (!match_parse_address(key, &addr))
		return table_data_lookup(t->data, key);
	for (size_t i = 0; i < t->nnets; i++)
		if (match_in_net(&t->nets[i].net, &addr))
			return t->nets[i].entry;
	return NULL;
}

/* An address of a table whose keys are addresses: brackets or not. */
static const struct table_entry *
find_address(const struct table *t, const char *key)
{
	struct in6_addr addr, own;

	if (!match_parse_address(key, &addr))
		return table_data_lookup(t->data, key);
	for (size_t i = 0; i < t->data->nentries; i++)
		if (match_parse_address(t->data->entries[i].key, &own) &&
		    memcmp(&own, &addr, sizeof(own)) == 0)
			return &t->data->entries[i];
	return NULL;
}

static const struct table_entry *
find_regex(const struct table *t, const char *key)
{
	for (size_t i = 0; i < t->nregexes; i++)
		if (regexec(&t->regexes[i], key, 0, NULL, 0) == 0)
			return &t->data->entries[i];
	return NULL;
}

/* Without wildcards, the keys that an address may be found under are few:
 * with and without its tag, its domain, and each part alone. */
static const struct table_entry *
find_mailaddr(const struct table *t, const char *addr, char delim)
{
	const char *at = strrchr(addr, '@');
	size_t local = at != NULL ? (size_t)(at - addr) : strlen(addr);
	const char *domain = at != NULL ? at + 1 : "";
	const char *tag = delim != '\0' && local > 1
	    ? memchr(addr + 1, delim, local - 1)
	    : NULL;
	size_t bare = tag != NULL ? (size_t)(tag - addr) : local;
	char key[KEY_MAX + 1];
	const struct table_entry *e = NULL;
	const struct {
		size_t local;
		int with_domain;
	} forms[] = { { local, 1 }, { bare, 1 }, { local, 0 }, { bare, 0 },
		{ 0, 1 } };

	for (size_t i = 0; e == NULL && i < 5; i++) {
		/* a local part that looks like an address is none */
		if (!forms[i].with_domain &&
		    (local == 0 || memchr(addr, '@', local) != NULL))
			continue;
		snprintf(key, sizeof(key), "%.*s%s%s", (int)forms[i].local,
		    addr, forms[i].with_domain ? "@" : "",
		    forms[i].with_domain ? domain : "");
		e = table_data_lookup(t->data, key);
	}
	for (size_t i = 0; e == NULL && i < t->nwild; i++)
		if (match_mailaddr(t->wild[i]->key, addr, delim))
			e = t->wild[i];
	return e != NULL ? e : table_data_lookup(t->data, "@");
}

enum lookup_status
tables_lookup(const struct tables *ts, const char *table,
    enum conf_service service, const char *key, const char **value)
{
	const struct table *t = tables_find(ts, table);
	const struct table_entry *e;

	if (value != NULL)
		*value = "";
	if (t == NULL)
		return LOOKUP_TEMPFAIL;
	if (strlen(key) > KEY_MAX)
		return LOOKUP_NONE;
	switch (service) {
	case CONF_SERVICE_DOMAIN:
		e = find_domain(t, key);
		break;
	case CONF_SERVICE_NETADDR:
		e = find_net(t, key);
		break;
	case CONF_SERVICE_SOURCE:
	case CONF_SERVICE_ADDRNAME:
		e = find_address(t, key);
		break;
	case CONF_SERVICE_MAILADDR:
	case CONF_SERVICE_RECIPIENTS:
		e = find_mailaddr(t, key, ts->delim);
		break;
	case CONF_SERVICE_REGEX:
		e = find_regex(t, key);
		break;
	default:
		e = table_data_lookup(t->data, key);
		break;
	}
	if (e == NULL)
		return LOOKUP_NONE;
	if (value != NULL && e->value != NULL)
		*value = e->value;
	return LOOKUP_FOUND;
}

static int
list_has(const char *list, const char *addr, char delim)
{
	static const char separators[] = ", \t";
	char pattern[KEY_MAX + 1];
	size_t len;

	for (; *list != '\0'; list += len) {
		list += strspn(list, separators);
		len = strcspn(list, separators);
		/* a longer one matches no address */
		if (len == 0 || len > KEY_MAX)
			continue;
		memcpy(pattern, list, len);
		pattern[len] = '\0';
		if (match_mailaddr(pattern, addr, delim))
			return 1;
	}
	return 0;
}

enum lookup_status
tables_sender(const struct tables *ts, const char *table, const char *user,
    const char *sender)
{
	enum lookup_status status;
	const char *list;

	status = tables_lookup(ts, table, CONF_SERVICE_SENDERS, user, &list);
	if (status != LOOKUP_FOUND)
		return status;
	return *sender != '\0' && list_has(list, sender, ts->delim)
	    ? LOOKUP_FOUND
	    : LOOKUP_NONE;
}

size_t
tables_count(const struct tables *ts, const char *table)
{
	const struct table *t = tables_find(ts, table);

	return t != NULL ? t->data->nentries : 0;
}

enum lookup_status
tables_entry(const struct tables *ts, const char *table, size_t n,
    const char **key, const char **value)
{
	const struct table *t = tables_find(ts, table);

	if (t == NULL)
		return LOOKUP_TEMPFAIL;
	if (n >= t->data->nentries)
		return LOOKUP_NONE;
	if (key != NULL)
		*key = t->data->entries[n].key;
	if (value != NULL)
		*value = t->data->entries[n].value != NULL
		    ? t->data->entries[n].value
		    : "";
	return LOOKUP_FOUND;
}
