/*
 * See buffer.h. Used by the streams; knows nothing of what it holds.
 */
#include <stdlib.h>
#include <string.h>

#include "net/buffer.h"

enum { BUFFER_MIN_SIZE = 512 };

void
buffer_init(struct buffer *b, size_t limit)
{
	memset(b, 0, sizeof(*b));
	b->limit = limit;
}

void
buffer_clear(struct buffer *b)
{
	free(b->data);
	b->data = NULL;
	b->start = b->end = b->size = 0;
}

size_t
buffer_length(const struct buffer *b)
{
	return b->end - b->start;
}

size_t
buffer_room(const struct buffer *b)
{
	size_t length = buffer_length(b);

	/* a limit may be lowered below what is held */
	return length < b->limit ? b->limit - length : 0;
}

const uint8_t *
buffer_octets(const struct buffer *b)
{
	return b->data + b->start;
}

/* The size to allocate for `need` octets: doubled so that growing is cheap,
 * never beyond the limit. */
static size_t
grown_size(const struct buffer *b, size_t need)
{
	size_t size = b->size > BUFFER_MIN_SIZE ? b->size : BUFFER_MIN_SIZE;

	while (size < need)
		size *= 2;
	return size < b->limit ? size : b->limit;
}

uint8_t *
buffer_reserve(struct buffer *b, size_t len)
{
	size_t length = buffer_length(b), size;
	uint8_t *data;

	if (len > buffer_room(b))
		return NULL;
	if (b->size - b->end >= len && b->data != NULL)
		return b->data + b->end;
	if (b->size >= length + len && b->start >= length) {
		/* moves no more than was consumed, so it is paid for */
		memcpy(b->data, b->data + b->start, length);
	} else {
		size = grown_size(b, length + len);
		if ((data = malloc(size > 0 ? size : 1)) == NULL)
			return NULL;
		if (length > 0)
			memcpy(data, b->data + b->start, length);
		free(b->data);
		b->data = data;
		b->size = size;
	}
	b->start = 0;
	b->end = length;
	return b->data + b->end;
}

void
buffer_commit(struct buffer *b, size_t len)
{
	b->end += len;
}

int
buffer_append(struct buffer *b, const void *data, size_t len)
{
	uint8_t *to;

	if (len == 0)
		return 0;
	if ((to = buffer_reserve(b, len)) == NULL)
		return -1;
	memcpy(to, data, len);
	buffer_commit(b, len);
	return 0;
}

void
buffer_consume(struct buffer *b, size_t len)
{
	if (len < buffer_length(b))
		b->start += len;
	else
		buffer_clear(b);
}
