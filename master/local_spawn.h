/*
 * Starting a `local` process as its recipient. Called by hand_off.c.
 */
#ifndef MASTER_LOCAL_SPAWN_H
#define MASTER_LOCAL_SPAWN_H

#include "master/master.h"
#include "master/recipient.h"

/* The pid, and our end of its channel in *fd; -1 with errno. */
pid_t local_spawn(const struct master *, const struct recipient *, int *fd);
/* Seconds that one delivery may take; local gives up a little earlier. */
int local_deadline(void);

#endif
