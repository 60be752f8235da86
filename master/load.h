/*
 * Completing a parsed configuration with what stands elsewhere on the
 * machine. Private to load.c and interfaces.c.
 */
#ifndef MASTER_LOAD_H
#define MASTER_LOAD_H

#include "conf/conf.h"

/* Fills in the addresses that the listener's name stands for. -1 after
 * logging. */
int load_listener_addresses(const struct conf *, struct conf_listener *);

#endif
