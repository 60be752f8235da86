/*
 * See reserve.h.
 */
#include <limits.h>

#include "os/reserve.h"

enum {
	/* a channel to each peer and the one that replaces it, descriptors
	 * that pass through, the listening sockets of two configurations */
	LEAST = 64,
	PART = 8 /* of many, one in so many: there may be many sockets */
};

int
reserve_begin(uint64_t limit)
{
	uint64_t reserve = limit / PART;

	if (reserve < LEAST)
		reserve = limit < 2 * LEAST ? limit / 2 : LEAST;
	limit -= reserve;
	return limit < INT_MAX ? (int)limit : INT_MAX;
}
