/*
 * Tables: those that a statement defines, and those that stand in the place
 * where they are used. The latter get a name of their own, "<n>"; check.c
 * numbers them in canonical order at the end.
 */
#include <stdio.h>
#include <string.h>

#include "master/parser.h"

static struct conf_table *
table_new(struct parser *p, const struct conf_where *where, const char *name)
{
	struct conf_table *table;

	table =
	    conf_append(&p->conf->tables, &p->conf->ntables, sizeof(*table));
	if (table == NULL) {
		parse_out_of_memory(p);
		return NULL;
	}
	table->where = *where;
	table->name = parse_strdup(p, name);
	return table;
}

static struct conf_table *
table_define(struct parser *p, const struct conf_where *where, const char *name)
{
	const struct conf_table *earlier = conf_find_table(p->conf, name);
	char at[512];

	if (strpbrk(name, "<>") != NULL || *name == '\0') {
		parse_error(p, where, "a table cannot be called `%s`", name);
		return NULL;
	}
	if (earlier != NULL) {
		conf_where_text(p->conf, &earlier->where, at, sizeof(at));
		parse_error(p, where,
		    "the table `%s` is already defined at "
		    "%s; choose another name",
		    name, at);
		return NULL;
	}
	return table_new(p, where, name);
}

/* The entries read last become those of the table. */
static void
table_take_items(
    struct parser *p, const struct conf_where *where, struct conf_table *table)
{
	if (p->nitems == 0)
		parse_error(p, where,
		    "the braces are empty; a table needs "
		    "at least one value");
	table->kind = CONF_TABLE_STATIC;
	table->mapping = p->items_mapping;
	table->entries = p->items;
	table->nentries = p->nitems;
	p->items = NULL;
	p->nitems = 0;
}

void
table_define_items(
    struct parser *p, const struct conf_where *where, const char *name)
{
	struct conf_table *table;

	if ((table = table_define(p, where, name)) != NULL)
		table_take_items(p, where, table);
}

void
table_define_source(struct parser *p, const struct conf_where *where,
    const char *name, const char *source)
{
	const char *colon = strchr(source, ':'), *config;
	struct conf_table *table;
	char backend[32];
	size_t len;

	if (*source == '/') {
		snprintf(backend, sizeof(backend), "file");
		config = source;
	} else {
		len = colon != NULL ? (size_t)(colon - source) : 0;
		if (colon == NULL || len == 0 || len >= sizeof(backend)) {
			parse_error(p, where,
			    "`%s` is no source of a table; "
			    "write `file:/path`, or `{ value, ... }`",
			    source);
			return;
		}
		memcpy(backend, source, len);
		backend[len] = '\0';
		config = colon + 1;
	}
	if (*config != '/' && strcmp(backend, "proc") != 0) {
		parse_error(p, where,
		    "the path `%s` of table `%s` must begin "
		    "with /",
		    config, name);
		return;
	}
	if ((table = table_define(p, where, name)) == NULL)
		return;
	table->kind =
	    strcmp(backend, "file") == 0 ? CONF_TABLE_FILE : CONF_TABLE_BACKEND;
	table->backend = parse_strdup(p, backend);
	table->config = parse_strdup(p, config);
}

const char *
table_use_name(
    struct parser *p, const struct conf_where *where, const char *name)
{
	note_reference(p, where, REF_TABLE, name);
	return name;
}

const char *
table_use_items(struct parser *p, const struct conf_where *where)
{
	struct conf_table *table;
	char name[24];

	snprintf(name, sizeof(name), "<new %u>", p->ninline++);
	if ((table = table_new(p, where, name)) == NULL)
		return NULL;
	table->is_inline = true;
	table_take_items(p, where, table);
	/* The array of tables moves as it grows; the string does not. */
	return table->name;
}

const char *
table_use_value(
    struct parser *p, const struct conf_where *where, const char *value)
{
	items_reset(p);
	item_add(p, where, value, NULL);
	return table_use_items(p, where);
}
