/*
 * How long to wait before what has ended is begun again: not at all at first,
 * then longer each time, until it has lived long enough to be called healthy.
 * Pure.
 */
#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdint.h>

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 10 * 1000,
	BACKOFF_HEALTHY_MS = 30 * 1000 /* a life this long forgets it */
};

/* Milliseconds to wait after a life of `lived` milliseconds. *next is 0 before
 * the first, and belongs to this function. */
uint32_t backoff_wait(uint32_t *next, int64_t lived);

#endif
