/*
 * A heap with four children a node: half the depth of a binary one, and the
 * four lie in one cache line. See schedule_heap.h.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/schedule_heap.h"

#define FAN 4

void
heap_init(struct heap *h, uint32_t *(*where)(void *, uint32_t), void *arg)
{
	memset(h, 0, sizeof(*h));
	h->where = where;
	h->arg = arg;
}

void
heap_clear(struct heap *h)
{
	free(h->slots);
	heap_init(h, h->where, h->arg);
}

int
heap_reserve(struct heap *h, uint32_t count)
{
	uint64_t *slots;
	uint32_t room = h->room;

	if (count <= room)
		return 0;
	room += room / 2 > 1024 ? room / 2 : 1024;
	if (room < count)
		room = count;
	slots = reallocarray(h->slots, room, sizeof(*slots));
	if (slots == NULL)
		return -1;
	h->slots = slots;
	h->room = room;
	return 0;
}

static void
place(struct heap *h, uint32_t i, uint64_t slot)
{
	h->slots[i] = slot;
	*h->where(h->arg, (uint32_t)slot) = i + 1;
}

static void
move_up(struct heap *h, uint32_t i, uint64_t slot)
{
	uint32_t parent;

	while (i > 0) {
		parent = (i - 1) / FAN;
		if (h->slots[parent] <= slot)
			break;
		place(h, i, h->slots[parent]);
		i = parent;
	}
	place(h, i, slot);
}

static void
move_down(struct heap *h, uint32_t i, uint64_t slot)
{
	uint64_t child, end, least;

	for (;;) {
		child = (uint64_t)i * FAN + 1;
		if (child >= h->count)
			break;
		end = child + FAN < h->count ? child + FAN : h->count;
		for (least = child++; child < end; child++)
			if (h->slots[child] < h->slots[least])
				least = child;
		if (h->slots[least] >= slot)
			break;
		place(h, i, h->slots[least]);
		i = least;
	}
	place(h, i, slot);
}

/* The slot at i has a new content: to where it belongs. */
static void
settle(struct heap *h, uint32_t i, uint64_t slot)
{
	if (i > 0 && h->slots[(i - 1) / FAN] > slot)
		move_up(h, i, slot);
	else
		move_down(h, i, slot);
}

void
heap_set(struct heap *h, uint32_t item, uint32_t time)
{
	uint64_t slot = (uint64_t)time << 32 | item;
	uint32_t where = *h->where(h->arg, item);

	if (where == 0)
		move_up(h, h->count++, slot);
	else
		settle(h, where - 1, slot);
}

void
heap_remove(struct heap *h, uint32_t item)
{
	uint32_t *where = h->where(h->arg, item);
	uint32_t i = *where;

	if (i == 0)
		return;
	*where = 0;
	h->count--;
	if (i - 1 < h->count)
		settle(h, i - 1, h->slots[h->count]);
}

int
heap_first(const struct heap *h, uint32_t *item, uint32_t *time)
{
	if (h->count == 0)
		return 0;
	*item = (uint32_t)h->slots[0];
	*time = h->slots[0] >> 32;
	return 1;
}
