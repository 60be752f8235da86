/*
 * Completing a parsed configuration with what stands elsewhere on the
 * machine. Private to load.c, interfaces.c, options.c and sockets.c.
 */
#ifndef MASTER_LOAD_H
#define MASTER_LOAD_H

#include "conf/conf.h"

struct sockaddr_in6;

/* Reads the certificates of each authority, and of the system's; -1 after
 * logging. */
int load_authorities(struct conf *);

/* Fills in the name of this machine if the configuration has none; -1 when it
 * is not known. */
int load_server_name(struct conf *);

/* Fills in the addresses that the names of listeners stand for, and calls
 * report with each name that stands for nothing here now. How many these
 * were, or -1 after logging. */
int load_addresses(struct conf *, conf_report *, void *arg);

/* Whether an interface of this machine has the address, in use or not yet. */
bool load_address_is_ours(const struct sockaddr_in6 *);

#endif
