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

static int
is_needed(const struct conf_table *t)
{
	return (t->kind == CONF_TABLE_STATIC || t->kind == CONF_TABLE_FILE) &&
	    (t->uses & 1U << CONF_SERVICE_USERINFO) != 0;
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
		c->data = files_read_table(t);
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
