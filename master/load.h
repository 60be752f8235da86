/*
 * Completing a parsed configuration with what stands elsewhere on the
 * machine. Private to load.c, interfaces.c and recipient.c.
 */
#ifndef MASTER_LOAD_H
#define MASTER_LOAD_H

#include <stddef.h>

#include "conf/conf.h"

/* The text of a table's file, NUL-terminated and allocated; NULL if it cannot
 * be read or is out of bounds. */
char *load_read_table(int fd, size_t *len);

/* Fills in the addresses that the listener's name stands for. -1 after
 * logging. */
int load_listener_addresses(const struct conf *, struct conf_listener *);

#endif
