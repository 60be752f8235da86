/*
 * See backoff.h.
 */
#include "master/backoff.h"

uint32_t
backoff_wait(uint32_t *next, int64_t lived)
{
	uint32_t wait = lived > BACKOFF_HEALTHY_MS ? 0 : *next;

	*next = wait == 0 ? BACKOFF_MIN_MS : 2 * wait;
	if (*next > BACKOFF_MAX_MS)
		*next = BACKOFF_MAX_MS;
	return wait;
}
