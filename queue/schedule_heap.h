/*
 * A heap of timers: (time, item) with the earliest first, items of equal time
 * by their handle, so that what was added together comes out together. Each
 * item records where it stands, so any can be moved or taken out.
 */
#ifndef QUEUE_SCHEDULE_HEAP_H
#define QUEUE_SCHEDULE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap {
	uint64_t *slots; /* time << 32 | item */
	uint32_t count;
	uint32_t room;
	/* Where item keeps its position: 0 is not in the heap. */
	uint32_t *(*where)(void *arg, uint32_t item);
	void *arg;
};

void heap_init(struct heap *, uint32_t *(*where)(void *, uint32_t), void *arg);
void heap_clear(struct heap *);
/* Makes room, so that heap_set cannot fail while no more than count items
 * are in. -1 when out of memory. */
int heap_reserve(struct heap *, uint32_t count);
/* Puts item in, or moves it. */
void heap_set(struct heap *, uint32_t item, uint32_t time);
/* Takes item out, if it is in. */
void heap_remove(struct heap *, uint32_t item);
/* 1 and the first, 0 when empty. */
int heap_first(const struct heap *, uint32_t *item, uint32_t *time);

#endif
