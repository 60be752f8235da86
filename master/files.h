/*
 * The files that a configuration names, looked at before it is used.
 */
#ifndef MASTER_FILES_H
#define MASTER_FILES_H

#include <stdbool.h>
#include <stdio.h>

#include "conf/conf.h"
#include "ipc/messages.h"

struct table_data;

/* Reports certificates, keys, authorities and table files that cannot be
 * read, are malformed, or are secrets that others can read, a line each as
 * file:line:column. Returns how many errors there were, warnings aside. An
 * alias that leads nowhere is an error if `strict`, else a warning: a daemon
 * starts without it, who edits the file wants to know. */
unsigned int files_check(const struct conf *, bool strict, FILE *errors);
/* What a table holds that is a file or stands in the configuration; NULL if it
 * cannot be read. */
struct table_data *files_read_table(const struct conf_table *);
/* Appends an alias_count for each table of aliases or virtual users. */
void files_count_aliases(const struct conf *, struct ipc_buf *);

#endif
