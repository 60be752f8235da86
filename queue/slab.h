/*
 * Where the scheduler keeps its items: slabs of equal items that are named by
 * 32-bit handles and never move, and rings that link items of one slab. Half
 * the memory of pointers, and no cost that depends on how much there is.
 */
#ifndef QUEUE_SLAB_H
#define QUEUE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define SLAB_SHIFT 12
#define SLAB_CHUNK (1u << SLAB_SHIFT)
#define NIL UINT32_MAX

struct slab {
	uint8_t **chunks;
	size_t item; /* size of an item, at least 4 */
	size_t link; /* where in an item its ring_link is */
	uint32_t nchunks;
	uint32_t used; /* handles under this have been given out */
	uint32_t free; /* first of those given back, chained */
	uint32_t count;
};

/* Neighbours in a ring; the head's prev is the tail. */
struct ring_link {
	uint32_t next;
	uint32_t prev;
};

void slab_init(struct slab *, size_t item, size_t link);
void slab_clear(struct slab *);
/* A zeroed item, or NIL when out of memory. */
uint32_t slab_alloc(struct slab *);
/* Overwrites the item's first four octets. */
void slab_free(struct slab *, uint32_t);
size_t slab_memory(const struct slab *);

static inline void *
slab_get(const struct slab *s, uint32_t handle)
{
	return s->chunks[handle >> SLAB_SHIFT] +
	    (size_t)(handle & (SLAB_CHUNK - 1)) * s->item;
}

/* A ring is its head's handle, NIL when it is empty. */
void ring_append(const struct slab *, uint32_t *head, uint32_t);
void ring_remove(const struct slab *, uint32_t *head, uint32_t);

#endif
