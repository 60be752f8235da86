/*
 * Hash index of slab items that grows by one bucket an insertion (linear
 * hashing), so that no insertion ever pays for all. The items carry their
 * hash chain; the index holds only the buckets.
 */
#ifndef QUEUE_SCHEDULE_INDEX_H
#define QUEUE_SCHEDULE_INDEX_H

#include <stdint.h>

struct hindex {
	uint32_t *buckets;
	uint32_t count; /* buckets in use */
	uint32_t room;
	uint32_t level; /* power of two, level <= count < 2 level */
	uint32_t items;
	/* What the index must know of an item. */
	uint32_t (*hash)(void *arg, uint32_t item);
	uint32_t *(*next)(void *arg, uint32_t item);
	void *arg;
};

/* -1 when out of memory. */
int hindex_init(struct hindex *, uint32_t (*hash)(void *, uint32_t),
    uint32_t *(*next)(void *, uint32_t), void *arg);
void hindex_clear(struct hindex *);
/* First of the chain in which an item of this hash is, NIL if it is empty;
 * the others follow by next. */
uint32_t hindex_chain(const struct hindex *, uint32_t hash);
/* Never fails: without memory for a bucket, chains grow longer. */
void hindex_insert(struct hindex *, uint32_t item);
void hindex_remove(struct hindex *, uint32_t item);

#endif
