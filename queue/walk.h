/*
 * A walk through all recipients of the store, a step after the other, so that
 * mail goes on meanwhile. A step is bounded by recipients, since one message
 * may have many thousands, and may end in the middle of a message. What comes
 * or goes between two steps is seen or not; the rest is seen once.
 */
#ifndef QUEUE_WALK_H
#define QUEUE_WALK_H

#include <stdint.h>

#include "queue/store.h"

/* Recipients that a step looks at: their rows, or changes, are a few
 * milliseconds of work, for which mail waits. */
#define WALK_STEP 1000

/* The recipient with which the next step begins, if it is still there. */
struct walk_at {
	uint32_t msgid; /* 0: the first */
	uint32_t rcpt;
};

/* Sees a recipient, which may be done. Non-zero ends the step before it. The
 * store must not be changed. */
typedef int walk_visit(void *arg, const struct envelope *, uint32_t index);

/* One step. 1 while there is more, 0 at the end, or -1 with the reason in
 * status. */
int walk_step(struct store *, struct walk_at *, walk_visit *, void *arg,
    enum store_status *status);

#endif
