/*
 * The files that a configuration names, looked at before it is used.
 */
#ifndef MASTER_FILES_H
#define MASTER_FILES_H

#include <stdio.h>

#include "conf/conf.h"

/* Reports certificates, keys, authorities and table files that cannot be
 * read, are malformed, or are secrets that others can read, a line each as
 * file:line:column. Returns how many errors there were, warnings aside. */
unsigned int files_check(const struct conf *, FILE *errors);

#endif
