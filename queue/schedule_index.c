/*
 * Linear hashing; see schedule_index.h. Bucket b of the lower half is split
 * into b and b + level when bucket b + level is added.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/schedule_index.h"
#include "queue/slab.h"

#define BUCKETS_MIN 64

int
hindex_init(struct hindex *x, uint32_t (*hash)(void *, uint32_t),
    uint32_t *(*next)(void *, uint32_t), void *arg)
{
	memset(x, 0, sizeof(*x));
	x->buckets = reallocarray(NULL, BUCKETS_MIN, sizeof(*x->buckets));
	if (x->buckets == NULL)
		return -1;
	memset(x->buckets, 0xff, BUCKETS_MIN * sizeof(*x->buckets));
	x->count = x->level = x->room = BUCKETS_MIN;
	x->hash = hash;
	x->next = next;
	x->arg = arg;
	return 0;
}

void
hindex_clear(struct hindex *x)
{
	free(x->buckets);
	memset(x, 0, sizeof(*x));
}

static uint32_t *
bucket(const struct hindex *x, uint32_t hash)
{
	uint32_t b = hash & (2 * x->level - 1);

	return &x->buckets[b < x->count ? b : b - x->level];
}

uint32_t
hindex_chain(const struct hindex *x, uint32_t hash)
{
	return *bucket(x, hash);
}

static void
add_bucket(struct hindex *x)
{
	uint32_t *buckets, room, item, next, *link;

	if (x->count == x->room) {
		room = x->room + x->room / 2;
		buckets = reallocarray(x->buckets, room, sizeof(*buckets));
		if (buckets == NULL)
			return;
		x->buckets = buckets;
		x->room = room;
	}
	item = x->buckets[x->count - x->level];
	x->buckets[x->count - x->level] = NIL;
	x->buckets[x->count] = NIL;
	x->count++;
	for (; item != NIL; item = next) {
		next = *x->next(x->arg, item);
		link = bucket(x, x->hash(x->arg, item));
		*x->next(x->arg, item) = *link;
		*link = item;
	}
	if (x->count == 2 * x->level)
		x->level *= 2;
}

void
hindex_insert(struct hindex *x, uint32_t item)
{
	uint32_t *link;

	if (++x->items > x->count && x->level < 1u << 30)
		add_bucket(x);
	link = bucket(x, x->hash(x->arg, item));
	*x->next(x->arg, item) = *link;
	*link = item;
}

void
hindex_remove(struct hindex *x, uint32_t item)
{
	uint32_t *link = bucket(x, x->hash(x->arg, item));

	while (*link != item)
		link = x->next(x->arg, *link);
	*link = *x->next(x->arg, item);
	x->items--;
}
