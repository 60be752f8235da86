/*
 * What libunbound is told: a context for the servers and the trust anchor of a
 * configuration. Private to resolver.c.
 */
#ifndef AUTH_UNBOUND_H
#define AUTH_UNBOUND_H

#include <stddef.h>

#include "conf/conf.h"

struct loop;
struct ub_ctx;

/* How many ports libunbound may open: each is a descriptor, of which there may
 * be few. To be asked before the sandbox, which raises the limit to its
 * maximum. */
unsigned unbound_count_ports(void);
/* One that asks nothing yet; NULL with the reason in error. */
struct ub_ctx *unbound_new(struct loop *, const struct conf_resolver *,
    int validate, unsigned ports, char *error, size_t size);

#endif
