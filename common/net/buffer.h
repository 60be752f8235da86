/*
 * A growable octet buffer with a limit, used as a queue: octets go in at the
 * end and come out at the front. An empty buffer owns no memory, so an idle
 * session costs none.
 */
#ifndef NET_BUFFER_H
#define NET_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t start; /* first octet not consumed */
	size_t end; /* one past the last octet */
	size_t size; /* octets allocated */
	size_t limit; /* most octets held at one time */
};

/* An empty buffer that will hold at most `limit` octets. */
void buffer_init(struct buffer *, size_t limit);
/* Drops all octets and the memory; the limit stays. */
void buffer_clear(struct buffer *);

size_t buffer_length(const struct buffer *);
/* How many more octets fit below the limit. */
size_t buffer_room(const struct buffer *);
/* The octets held; valid until the buffer is next changed. */
const uint8_t *buffer_octets(const struct buffer *);

/* Adds all of them or none: -1 when they do not fit or memory is out. */
int buffer_append(struct buffer *, const void *, size_t);
/*
 * Room for `len` more octets at the end, to be filled by the caller and then
 * counted in by buffer_commit; NULL when they would not fit.
 */
uint8_t *buffer_reserve(struct buffer *, size_t len);
void buffer_commit(struct buffer *, size_t len);
/* Drops octets from the front, at most as many as are held. */
void buffer_consume(struct buffer *, size_t len);

#endif
