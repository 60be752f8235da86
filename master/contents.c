/*
 * See contents.h.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "master/contents.h"
#include "master/files.h"
#include "os/log.h"

struct content {
	char *table;
	struct table_data *data;
};

struct contents {
	size_t count;
	struct content list[];
};

enum {
	USERS = 1U << CONF_SERVICE_USERINFO,
	ALIASES = 1U << CONF_SERVICE_ALIAS
};

static int
is_needed(const struct conf_table *t)
{
	return (t->kind == CONF_TABLE_STATIC || t->kind == CONF_TABLE_FILE) &&
	    (t->uses & (USERS | ALIASES)) != 0;
}

/* Of aliases those that may hold a command, a file or a list. There may be a
 * million others, which nobody asks master for. */
static void
keep_places(struct table_data *data)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < data->nentries; i++) {
		struct table_entry *e = &data->entries[i];

		if (e->value != NULL && strpbrk(e->value, "|/") != NULL) {
			data->entries[kept++] = *e;
			continue;
		}
		free(e->key);
		free(e->value);
	}
	data->nentries = kept;
}

static struct table_data *
read_content(const struct conf_table *t)
{
	struct table_data *data = files_read_table(t);

	if (data != NULL && (t->uses & USERS) == 0)
		keep_places(data);
	return data;
}

struct contents *
contents_load(const struct conf *conf)
{
	struct contents *all;
	struct content *c;

	all = calloc(1, sizeof(*all) + conf->ntables * sizeof(struct content));
	if (all == NULL) {
		log_error("out of memory");
		return NULL;
	}
	for (uint32_t i = 0; i < conf->ntables; i++) {
		const struct conf_table *t = &conf->tables[i];

		if (!is_needed(t))
			continue;
		c = &all->list[all->count++];
		c->table = strdup(t->name);
		c->data = read_content(t);
		if (c->table == NULL || c->data == NULL) {
			/* it was sound a moment ago */
			log_error("table %s cannot be read: is it being "
				  "written?",
			    t->name);
			contents_free(all);
			return NULL;
		}
	}
	return all;
}

void
contents_free(struct contents *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->count; i++) {
		free(all->list[i].table);
		table_data_free(all->list[i].data);
	}
	free(all);
}

const struct table_entry *
contents_lookup(const struct contents *all, const char *table, const char *key)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->list[i].table, table) == 0)
			return table_data_lookup(all->list[i].data, key);
	return NULL;
}
