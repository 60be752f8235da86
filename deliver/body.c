/*
 * See body.h. The file is read with pread, not mapped: a file that shrinks
 * must be an error, not a signal.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdeflate.h>

#include "deliver/body.h"

void
body_init(struct body *b)
{
	memset(b, 0, sizeof(*b));
	b->fd = -1;
}

void
body_free(struct body *b)
{
	if (b->fd != -1)
		close(b->fd);
	free(b->data);
	body_init(b);
}

int
body_add(struct body *b, const void *data, size_t len, int last)
{
	char *grown;

	if (b->fd != -1 || b->complete || len > BODY_MEMORY_MAX - b->len)
		return -1;
	if (len > 0) {
		if ((grown = realloc(b->data, b->len + len)) == NULL)
			return -1;
		memcpy(grown + b->len, data, len);
		b->data = grown;
		b->len += len;
	}
	b->complete = last;
	return 0;
}

void
body_set_file(struct body *b, int fd, uint64_t size, uint32_t crc)
{
	body_free(b);
	b->fd = fd;
	b->size = size;
	b->crc = crc;
	b->complete = 1;
	body_rewind(b);
}

void
body_rewind(struct body *b)
{
	b->at = 0;
	b->sum = libdeflate_crc32(0, NULL, 0);
	b->damaged = 0;
}

int
body_ready(const struct body *b)
{
	return b->complete || b->at < b->len;
}

static ssize_t
read_file(struct body *b, char *out, size_t size, int *last)
{
	uint64_t left = b->size - b->at;
	ssize_t n = 0;

	if (left < size)
		size = (size_t)left;
	if (size > 0 && (n = pread(b->fd, out, size, (off_t)b->at)) == -1)
		return -1;
	if (n > 0) /* of no data it begins anew */
		b->sum = libdeflate_crc32(b->sum, out, (size_t)n);
	b->at += (uint64_t)n;
	*last = b->at == b->size;
	b->damaged = *last ? b->sum != b->crc : n == 0;
	return b->damaged ? -1 : n;
}

ssize_t
body_read(struct body *b, char *out, size_t size, int *last)
{
	size_t left;

	*last = 0;
	if (b->fd != -1)
		return read_file(b, out, size, last);
	left = b->len - (size_t)b->at;
	if (left < size)
		size = left;
	if (size > 0)
		memcpy(out, b->data + b->at, size);
	b->at += size;
	*last = b->complete && b->at == b->len;
	return (ssize_t)size;
}
