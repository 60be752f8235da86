/*
 * Slabs and rings; see slab.h. A free item holds the next free one's handle
 * in its first four octets.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/slab.h"

void
slab_init(struct slab *s, size_t item, size_t link)
{
	memset(s, 0, sizeof(*s));
	s->item = item;
	s->link = link;
	s->free = NIL;
}

void
slab_clear(struct slab *s)
{
	uint32_t i;

	for (i = 0; i < s->nchunks; i++)
		free(s->chunks[i]);
	free(s->chunks);
	slab_init(s, s->item, s->link);
}

static int
add_chunk(struct slab *s)
{
	uint8_t **chunks, *chunk;

	if (s->nchunks == (NIL >> SLAB_SHIFT))
		return -1;
	chunk = malloc(s->item * SLAB_CHUNK);
	if (chunk == NULL)
		return -1;
	chunks = reallocarray(s->chunks, s->nchunks + 1, sizeof(*chunks));
	if (chunks == NULL) {
		free(chunk);
		return -1;
	}
	s->chunks = chunks;
	s->chunks[s->nchunks++] = chunk;
	return 0;
}

uint32_t
slab_alloc(struct slab *s)
{
	uint32_t handle = s->free;

	if (handle != NIL) {
		memcpy(&s->free, slab_get(s, handle), sizeof(s->free));
	} else {
		if (s->used == s->nchunks << SLAB_SHIFT && add_chunk(s) == -1)
			return NIL;
		handle = s->used++;
	}
	memset(slab_get(s, handle), 0, s->item);
	s->count++;
	return handle;
}

void
slab_free(struct slab *s, uint32_t handle)
{
	memcpy(slab_get(s, handle), &s->free, sizeof(s->free));
	s->free = handle;
	s->count--;
}

size_t
slab_memory(const struct slab *s)
{
	return (size_t)s->nchunks * (s->item * SLAB_CHUNK + sizeof(uint8_t *));
}

static struct ring_link *
link_of(const struct slab *s, uint32_t handle)
{
	return (struct ring_link *)(void *)((uint8_t *)slab_get(s, handle) +
	    s->link);
}

void
ring_append(const struct slab *s, uint32_t *head, uint32_t handle)
{
	struct ring_link *self = link_of(s, handle), *first;

	if (*head == NIL) {
		self->next = self->prev = handle;
		*head = handle;
		return;
	}
	first = link_of(s, *head);
	self->next = *head;
	self->prev = first->prev;
	link_of(s, first->prev)->next = handle;
	first->prev = handle;
}

void
ring_remove(const struct slab *s, uint32_t *head, uint32_t handle)
{
	struct ring_link *self = link_of(s, handle);

	if (self->next == handle) {
		*head = NIL;
		return;
	}
	link_of(s, self->prev)->next = self->next;
	link_of(s, self->next)->prev = self->prev;
	if (*head == handle)
		*head = self->next;
}
