/*
 * What only the whole tree can show: names that are defined nowhere, tables
 * that do not suit their use, strings over their limit. check_rules.c has the
 * rules and actions. Also numbers the tables that stand in place, in the
 * order in which the canonical form meets them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/tablefile.h"
#include "master/parser.h"

/* ---- references ------------------------------------------------------- */

static bool
reference_defined(const struct conf *conf, const struct reference *reference)
{
	const char *name = reference->name;

	switch (reference->kind) {
	case REF_TABLE:
		return conf_find_table(conf, name) != NULL;
	case REF_PKI:
		return conf_find_pki(conf, name) != NULL;
	case REF_CA:
		return conf_find_ca(conf, name) != NULL;
	case REF_ACTION:
		return conf_find_action(conf, name) != NULL;
	case REF_FILTER:
		return conf_find_filter(conf, name) != NULL;
	case REF_PROC:
		return conf_find_proc(conf, name) != NULL;
	case REF_WRAPPER:
		return conf_find_wrapper(conf, name) != NULL;
	}
	return false;
}

/* The list that a kind of name is defined in. Each element has its name
 * behind its place. */
static const char *
name_nearest(
    const struct conf *conf, enum reference_kind kind, const char *word)
{
	const char *names[256];
	size_t n = 0;
	uint32_t i;

#define COLLECT(list)                                  \
	for (i = 0; i < conf->n##list && n < 256; i++) \
	names[n++] = conf->list[i].name
	switch (kind) {
	case REF_TABLE:
		COLLECT(tables);
		break;
	case REF_PKI:
		COLLECT(pkis);
		break;
	case REF_CA:
		COLLECT(cas);
		break;
	case REF_ACTION:
		COLLECT(actions);
		break;
	case REF_FILTER:
		COLLECT(filters);
		break;
	case REF_PROC:
		COLLECT(procs);
		break;
	case REF_WRAPPER:
		COLLECT(wrappers);
		break;
	}
#undef COLLECT
	return advice_nearest(word, names, n);
}

static void
check_reference(struct parser *p, const struct reference *reference)
{
	static const struct {
		const char *what;
		const char *how;
	} kinds[] = {
		[REF_TABLE] = { "table", "table %s file:/path" },
		[REF_PKI] = { "pki", "pki %s cert \"/path\"" },
		[REF_CA] = { "ca", "ca %s cert \"/path\"" },
		[REF_ACTION] = { "action", "action \"%s\" ..." },
		[REF_FILTER] = { "filter", "filter \"%s\" ..." },
		[REF_PROC] = { "proc", "proc \"%s\" \"command\"" },
		[REF_WRAPPER] = { "mda wrapper",
		    "mda wrapper \"%s\" \"command\"" },
	};
	const char *name = reference->name, *nearest;
	const char *how = kinds[reference->kind].how;
	const char *hole = strstr(how, "%s");

	if (reference_defined(p->conf, reference))
		return;
	nearest = name_nearest(p->conf, reference->kind, name);
	if (nearest != NULL)
		parse_error(p, &reference->where,
		    "the %s `%s` is not "
		    "defined; did you mean `%s`?",
		    kinds[reference->kind].what, name, nearest);
	else
		parse_error(p, &reference->where,
		    "the %s `%s` is not "
		    "defined; write `%.*s%s%s` for it",
		    kinds[reference->kind].what, name, (int)(hole - how), how,
		    name, hole + 2);
}

/* ---- strings over their limit ----------------------------------------- */

static int
check_length(void *arg, const struct field *field, void *element,
    const struct conf_where *where)
{
	const char *text = *field_string(field, element);

	if (strlen(text) > field->limit)
		parse_error(arg, where,
		    "`%.40s...` is longer than %llu "
		    "octets",
		    text, (unsigned long long)field->limit);
	return 0;
}

/* ---- tables ----------------------------------------------------------- */

static enum conf_service
condition_service(const struct conf_condition *condition)
{
	static const enum conf_service services[] = {
		[CONF_FROM_SRC] = CONF_SERVICE_NETADDR,
		[CONF_FROM_RDNS] = CONF_SERVICE_DOMAIN,
		[CONF_FROM_AUTH] = CONF_SERVICE_STRING,
		[CONF_FROM_MAIL_FROM] = CONF_SERVICE_MAILADDR,
		[CONF_FOR_DOMAIN] = CONF_SERVICE_DOMAIN,
		[CONF_FOR_RCPT_TO] = CONF_SERVICE_MAILADDR,
		[CONF_IF_TAG] = CONF_SERVICE_STRING,
		[CONF_IF_HELO] = CONF_SERVICE_DOMAIN,
		[CONF_IF_AUTH] = CONF_SERVICE_STRING,
		[CONF_IF_MAIL_FROM] = CONF_SERVICE_MAILADDR,
		[CONF_IF_RCPT_TO] = CONF_SERVICE_MAILADDR,
	};

	return condition->regex ? CONF_SERVICE_REGEX
				: services[condition->kind];
}

static enum conf_service
test_service(const struct conf_filter *filter)
{
	static const enum conf_service services[] = {
		[CONF_TEST_RDNS] = CONF_SERVICE_DOMAIN,
		[CONF_TEST_SRC] = CONF_SERVICE_NETADDR,
		[CONF_TEST_HELO] = CONF_SERVICE_DOMAIN,
		[CONF_TEST_AUTH] = CONF_SERVICE_STRING,
		[CONF_TEST_MAIL_FROM] = CONF_SERVICE_MAILADDR,
		[CONF_TEST_RCPT_TO] = CONF_SERVICE_MAILADDR,
	};

	return filter->regex ? CONF_SERVICE_REGEX : services[filter->test];
}

static void
table_mark(struct conf *conf, const char *name, enum conf_service service)
{
	uint32_t i;

	for (i = 0; name != NULL && i < conf->ntables; i++)
		if (strcmp(conf->tables[i].name, name) == 0)
			conf->tables[i].uses |= 1U << service;
}

/* Uses that their field names; those of rules and filters depend on what
 * stands beside them. */
static int
mark_use(void *arg, const struct field *field, void *element,
    const struct conf_where *where)
{
	if (field->type == FIELD_TABLE && field->service != CONF_SERVICE_STRING)
		table_mark(arg, *field_string(field, element), field->service);
	return 0;
}

static void
mark_uses(struct conf *conf)
{
	const struct conf_match *match;
	uint32_t i, j;

	field_walk_strings(conf, mark_use, conf);
	for (i = 0; i < conf->nmatches; i++) {
		match = &conf->matches[i];
		for (j = 0; j < match->nconditions; j++)
			table_mark(conf, match->conditions[j].table,
			    condition_service(&match->conditions[j]));
	}
	for (i = 0; i < conf->nfilters; i++)
		table_mark(conf, conf->filters[i].table,
		    test_service(&conf->filters[i]));
}

/* A table that stands in the configuration, against one of its uses. */
static void
check_static(
    struct parser *p, const struct conf_table *table, enum conf_service service)
{
	const struct conf_entry *entry = table->entries;
	char error[512];
	uint32_t i;
	int rc;

	if (!table_service_takes(service, table->mapping)) {
		parse_error(p, &table->where, "%s need %s here; write `{ %s }`",
		    table_service_name(service),
		    table->mapping ? "a list" : "keys and values",
		    table->mapping ? "value, ..." : "key = value, ...");
		return;
	}
	for (i = 0; i < table->nentries; i++, entry++) {
		rc = table_check_entry(
		    service, entry->key, entry->value, error, sizeof(error));
		if (rc == 1 ||
		    (rc == -1 && service == CONF_SERVICE_CREDENTIALS))
			parse_warning(p, &table->where, "%s", error);
		else if (rc == -1)
			parse_error(p, &table->where, "%s", error);
	}
}

/* A file is one form or the other. */
static void
check_forms(struct parser *p, const struct conf_table *table)
{
	const char *list = NULL, *mapping = NULL;
	unsigned int service;

	for (service = 0; service < CONF_NSERVICES; service++) {
		if ((table->uses & (1U << service)) == 0)
			continue;
		if (!table_service_takes(service, true))
			list = table_service_name(service);
		if (!table_service_takes(service, false))
			mapping = table_service_name(service);
	}
	if (list != NULL && mapping != NULL)
		parse_error(p, &table->where,
		    "the table `%s` is used for %s, "
		    "which are a list, and for %s, which are keys and values; "
		    "make two tables",
		    table->name, list, mapping);
}

static void
check_table(struct parser *p, const struct conf_table *table)
{
	unsigned int service;

	if (table->kind != CONF_TABLE_STATIC) {
		check_forms(p, table);
		return;
	}
	for (service = 0; service < CONF_NSERVICES; service++)
		if ((table->uses & (1U << service)) != 0)
			check_static(p, table, service);
	if (table->uses == 0 && !table->is_inline)
		parse_warning(p, &table->where, "the table `%s` is not used",
		    table->name);
}

/* ---- numbering -------------------------------------------------------- */

struct numbering {
	struct parser *p;
	struct conf_table *ordered; /* room for all of them */
	uint32_t count;
};

/* FNV-1a of what a table holds, but for secrets: smtpd hears the name. */
static uint64_t
content_hash(const struct conf_table *table)
{
	const uint32_t secret =
	    1U << CONF_SERVICE_CREDENTIALS | 1U << CONF_SERVICE_RELAY_AUTH;
	uint64_t h = 0xcbf29ce484222325u ^ table->uses;

	for (uint32_t i = 0; i < table->nentries; i++) {
		const struct conf_entry *e = &table->entries[i];
		const char *const texts[] = { e->key, "=",
			(table->uses & secret) == 0 ? e->value : NULL, "," };

		for (size_t n = 0; n < 4; n++)
			for (const char *c = texts[n]; c && *c != '\0'; c++)
				h = (h ^ (unsigned char)*c) * 0x100000001b3u;
	}
	return h;
}

/* Takes the tables in place over in the order in which they are met. What a
 * table holds is a part of its name: who asks for one of a configuration that
 * is no longer, or not yet, that of auth must not be given another. */
static int
number_use(void *arg, const struct field *field, void *element,
    const struct conf_where *where)
{
	struct numbering *numbering = arg;
	struct conf *conf = numbering->p->conf;
	char **name = field_string(field, element), text[40];
	struct conf_table *table;
	uint32_t i;

	if (field->type != FIELD_TABLE)
		return 0;
	for (i = 0; i < conf->ntables; i++) {
		table = &conf->tables[i];
		if (!table->is_inline || table->name == NULL ||
		    strcmp(table->name, *name) != 0)
			continue;
		free(table->name);
		free(*name);
		snprintf(text, sizeof(text), "<%u.%" PRIx64 ">",
		    numbering->count + 1, content_hash(table));
		*name = parse_strdup(numbering->p, text);
		table->name = NULL;
		numbering->ordered[numbering->count] = *table;
		numbering->ordered[numbering->count++].name =
		    parse_strdup(numbering->p, text);
		break;
	}
	return 0;
}

/* Named tables first, as defined; then those in place. All of the latter are
 * in use once an error-free tree is numbered. */
static void
number_tables(struct parser *p)
{
	struct conf *conf = p->conf;
	struct numbering numbering = { .p = p };
	uint32_t i, kept = 0;

	if (conf->ntables == 0)
		return;
	numbering.ordered = calloc(conf->ntables, sizeof(*conf->tables));
	if (numbering.ordered == NULL) {
		parse_out_of_memory(p);
		return;
	}
	field_walk_strings(conf, number_use, &numbering);
	for (i = 0; i < conf->ntables; i++)
		if (!conf->tables[i].is_inline)
			conf->tables[kept++] = conf->tables[i];
	memcpy(conf->tables + kept, numbering.ordered,
	    numbering.count * sizeof(*conf->tables));
	conf->ntables = kept + numbering.count;
	free(numbering.ordered);
}

/* ---- the whole -------------------------------------------------------- */

static void
check_pkis(struct parser *p)
{
	const struct conf_pki *pki;
	uint32_t i;

	for (i = 0; i < p->conf->npkis; i++) {
		pki = &p->conf->pkis[i];
		if (pki->cert_path == NULL)
			parse_error(p, &pki->where,
			    "the pki `%s` has no "
			    "certificate; write `pki %s cert \"/path\"`",
			    pki->name, pki->name);
		if (pki->key_path == NULL)
			parse_error(p, &pki->where,
			    "the pki `%s` has no key; "
			    "write `pki %s key \"/path\"`",
			    pki->name, pki->name);
	}
}

/* A local program may always hand in mail. */
static void
add_socket_listener(struct parser *p)
{
	struct conf *conf = p->conf;
	struct conf_listener *listener;
	uint32_t i;

	for (i = 0; i < conf->nlisteners; i++)
		if (conf->listeners[i].is_socket)
			return;
	listener =
	    conf_append(&conf->listeners, &conf->nlisteners, sizeof(*listener));
	if (listener == NULL)
		parse_out_of_memory(p);
	else
		listener->is_socket = true;
}

static void
check_filters(struct parser *p)
{
	const struct conf_filter *filter, *inner;
	uint32_t i, j;

	for (i = 0; i < p->conf->nfilters; i++) {
		filter = &p->conf->filters[i];
		for (j = 0; j < filter->nchain; j++) {
			inner =
			    conf_find_filter(p->conf, filter->chain[j].text);
			if (inner != NULL && inner->kind == CONF_FILTER_CHAIN)
				parse_error(p, &filter->where,
				    "the chain "
				    "`%s` holds the chain `%s`; name its "
				    "filters instead",
				    filter->name, inner->name);
		}
	}
}

void
check_tree(struct parser *p)
{
	uint32_t i;

	for (i = 0; i < p->nreferences; i++)
		check_reference(p, &p->references[i]);
	check_pkis(p);
	check_filters(p);
	field_walk_strings(p->conf, check_length, p);
	mark_uses(p->conf);
	for (i = 0; i < p->conf->ntables; i++)
		check_table(p, &p->conf->tables[i]);
	check_rules(p);
	if (p->nerrors > 0)
		return;
	number_tables(p);
	add_socket_listener(p);
}
