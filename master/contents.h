/*
 * What the tables that say how mail is delivered here held when the
 * configuration was loaded: users of their own, and of aliases those that hold
 * more than addresses. Deliveries go by that, as auth does, and not by a file
 * that somebody is just writing, or has not asked to be read yet. Made by
 * main.c and reload.c with the configuration, read by recipient.c.
 */
#ifndef MASTER_CONTENTS_H
#define MASTER_CONTENTS_H

#include "conf/conf.h"
#include "conf/tablefile.h"

struct contents;

/* NULL after logging. */
struct contents *contents_load(const struct conf *);
void contents_free(struct contents *);
/* The entry of a key in the table of that name; NULL if there is none. */
const struct table_entry *contents_lookup(
    const struct contents *, const char *table, const char *key);

#endif
