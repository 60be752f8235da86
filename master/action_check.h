/*
 * What the rest of the machine lacks for an action to work. Called with a
 * configuration that is well-formed, by load.c and options.c.
 */
#ifndef MASTER_ACTION_CHECK_H
#define MASTER_ACTION_CHECK_H

#include <stdio.h>

#include "conf/conf.h"

/* Writes a warning of each account that an action writes by and that does not
 * exist, and of each label of a relay host that the action's table of
 * credentials does not know. Mail for such an action waits, and it may all be
 * put right while it does, so neither is an error. */
void action_check(const struct conf *, FILE *errors);

#endif
