/*
 * How long to wait before what has ended is begun again: not at all at first,
 * then longer each time, until it has lived long enough to be called healthy.
 * Pure.
 *
 * What it is against are lives that do nothing but begin: they would take a
 * processor and fill the log. It must not do more, since mail is refused
 * meanwhile, and since whoever can end a worker has the wait as well: so the
 * longest is a few starts of a large queue, and a life that was longer than it
 * by far has none after it.
 */
#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdint.h>

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 5 * 1000,
	BACKOFF_HEALTHY_MS = 10 * 1000 /* a life this long forgets it */
};

/* Milliseconds to wait after a life of `lived` milliseconds. *next is 0 before
 * the first, and belongs to this function. */
uint32_t backoff_wait(uint32_t *next, int64_t lived);

#endif
