/*
 * Whether a server takes mail for its own postmaster, and its own reports.
 */
#ifndef MASTER_POSTMASTER_H
#define MASTER_POSTMASTER_H

#include <stdio.h>

#include "conf/conf.h"

/* Warns, in a line as file:line:column with what to write, of a configuration
 * that takes mail from everybody, but not for the postmaster of its server's
 * name, which must be known; and of one that takes no report to everybody. */
void postmaster_check(const struct conf *, FILE *errors);

#endif
