/*
 * resolv.conf(5): which name servers the machine uses. Pure, but for the
 * interfaces, whose numbers the kernel knows; called by servers.c.
 */
#ifndef MASTER_RESOLV_H
#define MASTER_RESOLV_H

#include <stdbool.h>

#include "conf/conf.h"

/* Adds the name servers of the file's text, in its order; those that cannot be
 * used stand in `bad`, as far as there is room. -1 without memory. */
int resolv_parse(
    const char *text, struct conf_resolver *, char *bad, size_t size);
/* Whether both name the same servers in the same order. */
bool resolv_equal(const struct conf_resolver *, const struct conf_resolver *);
/* The addresses for people, as far as there is room. */
void resolv_text(const struct conf_resolver *, char *buf, size_t size);

#endif
