/*
 * The tables of the configuration that are held in memory: those written in
 * it, and files whose content master passed as a descriptor. Built once for
 * each generation of the configuration, then only read. Pure but for memory.
 *
 * Keys compare without letter case. A key that stands twice counts with its
 * last value.
 */
#ifndef AUTH_TABLES_H
#define AUTH_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "ipc/enums.h"

struct tables;

/* delim: the sub-addressing delimiter of mail addresses, 0 for none. */
struct tables *tables_new(char delim);
void tables_free(struct tables *);

/*
 * Adds a table, replacing one of the same name. content and len are those of
 * its file, NULL and 0 for a static one. -1 with a reason in error (a bad
 * line, a bad network or expression, no memory); what was there then stays.
 */
int tables_add(struct tables *, const struct conf_table *, const char *content,
    size_t len, char *error, size_t errorlen);

/*
 * Looks a key up as the service does it. *value (may be NULL) is the value of
 * the entry, "" in a list; it lives as long as the table. LOOKUP_TEMPFAIL:
 * there is no such table.
 */
enum lookup_status tables_lookup(const struct tables *, const char *table,
    enum conf_service, const char *key, const char **value);

/*
 * Whether a user may send as an address: LOOKUP_FOUND if his entry, a list with
 * commas or blanks between, has a pattern for it (match_mailaddr). The null
 * sender is in no list. LOOKUP_TEMPFAIL as above.
 */
enum lookup_status tables_sender(const struct tables *, const char *table,
    const char *user, const char *sender);

/* How many entries the table has; 0 when there is no such table. */
size_t tables_count(const struct tables *, const char *table);
/* The n-th entry in the order of keys, LOOKUP_NONE behind the last one. key
 * and value may be NULL. */
enum lookup_status tables_entry(const struct tables *, const char *table,
    size_t n, const char **key, const char **value);

#endif
