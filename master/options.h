/*
 * The command line of relaisd, and `relaisd -n`.
 */
#ifndef MASTER_OPTIONS_H
#define MASTER_OPTIONS_H

#include <stdbool.h>

#include "master/master.h"

/* Fills in the options, whose strings are those of argv and whose macros
 * options_free() releases. Sets *check with -n. Ends the process after help
 * or a wrong use. */
void options_parse(struct master_options *, bool *check, int argc, char **argv);
void options_free(struct master_options *);

/* relaisd -n: tells all that is wrong with the configuration and the files
 * that it names; with verbose, prints the canonical form on standard output.
 * Returns the exit status. */
int options_check(const struct master_options *);

#endif
