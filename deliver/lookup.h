/*
 * The hosts of a destination, found by questions to the resolver: mx.h with
 * answers.
 */
#ifndef DELIVER_LOOKUP_H
#define DELIVER_LOOKUP_H

#include "deliver/deliver.h"

struct lookup;

/* mx is MX_READY or MX_FAILED, or NULL when the resolver is not there or does
 * not answer. The lookup is freed after the call; never called from
 * lookup_begin. */
typedef void lookup_done(void *arg, const struct mx *mx);

/* policy is copied, what it points to is borrowed. NULL without memory. */
struct lookup *lookup_begin(struct deliver *, const struct mx_policy *,
    const char *destination, lookup_done *, void *arg);
/* Without a call of done. NULL is fine. */
void lookup_cancel(struct lookup *);

#endif
