/*
 * The content of a table: parsed from the text of a file, or copied from the
 * entries that stand in the configuration, then sorted for binary search.
 * Pure; called by master to check and by auth to answer.
 */
#ifndef CONF_TABLEFILE_H
#define CONF_TABLEFILE_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

struct table_entry {
	char *key; /* as written, without quotes */
	char *value; /* NULL in a list */
	uint32_t line; /* from 1; or which entry of a table that
			* stands in the configuration */
	uint32_t column;
};

struct table_data {
	bool mapping;
	struct table_entry *entries; /* sorted by key without case */
	uint32_t nentries;
	struct table_entry *lacking; /* aliases without a value: never found */
	uint32_t nlacking;
};

/* Called for each thing that is wrong: an error makes the table unusable, a
 * warning does not. */
typedef void table_report(
    void *arg, bool is_error, uint32_t line, uint32_t column, const char *text);

/* Parses the text of a table file. `uses` (conf_table.uses) decides between
 * list and mapping where it can, else the first entry does. NULL after the
 * errors were reported, or when memory is short. Of two entries with the same
 * key the later counts, and a warning says so. */
struct table_data *table_parse(
    const char *text, size_t len, uint32_t uses, table_report *, void *arg);

/* The same for a table whose entries stand in the configuration. */
struct table_data *table_from_conf(const struct conf_table *);

void table_data_free(struct table_data *);

/* The entry of a key, compared without case of ASCII letters; NULL if none. */
const struct table_entry *table_data_lookup(
    const struct table_data *, const char *key);

/* Reports each entry that does not suit what the table is used for; returns
 * how many. */
unsigned int table_data_check(
    const struct table_data *, uint32_t uses, table_report *, void *arg);

/* One entry against one use. 0, or with a clause in `error` -1 for what is
 * wrong and 1 for what is well-formed and never found. value is NULL in a
 * list. */
int table_check_entry(enum conf_service, const char *key, const char *value,
    char *error, size_t errorlen);

/* The name of a use in messages, as in "domains", "credentials". */
const char *table_service_name(enum conf_service);

/* Whether the use takes lists, takes mappings. */
bool table_service_takes(enum conf_service, bool mapping);

#endif
