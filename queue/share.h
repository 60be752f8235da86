/*
 * How far each use of descriptors in the queue goes before the reserve of
 * os/reserve.h, in eighths of those: so the uses do without in this order, and
 * the one that does harm ends first (doc/decisions/queue.md has the table).
 * Called by the store and the control socket. Pure.
 */
#ifndef QUEUE_SHARE_H
#define QUEUE_SHARE_H

#include <stdint.h>

enum share {
	SHARE_FOLDERS = 1, /* opened anew each time then */
	SHARE_INCOMING = 6, /* refused for now */
	SHARE_CONNECTIONS = 7, /* hung up on */
	SHARE_BODIES = 8 /* on their way out: they wait */
};

/* Whether a descriptor is one of that share; reserve: the first number that is
 * kept back. */
static inline int
share_has(enum share share, int reserve, int fd)
{
	return fd < (int64_t)reserve * share / SHARE_BODIES;
}

#endif
