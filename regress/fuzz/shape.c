/*
 * See fuzz.h: mutations of an input by its pieces. A mutator must give the
 * same for the same seed, or a finding could not be made again.
 */
#include <stdio.h>
#include <string.h>

#include "regress/fuzz/fuzz.h"

enum { PIECES_MAX = 512, TRIES = 4 };

struct pieces {
	unsigned count;
	size_t at[PIECES_MAX + 1]; /* the last one is where they end */
};

void
fuzz_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

uint8_t
input_u8(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

uint32_t
input_u32(struct input *in)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 8 | input_u8(in);
	return v;
}

const uint8_t *
input_octets(struct input *in, size_t *len)
{
	const uint8_t *data;

	*len = input_u8(in);
	if (*len > in->left)
		*len = in->left;
	data = in->data;
	in->data += *len;
	in->left -= *len;
	return data;
}

const char *
input_text(struct input *in, char *buf, size_t size)
{
	const uint8_t *data;
	size_t len;

	data = input_octets(in, &len);
	if (len >= size)
		len = size - 1;
	if (len > 0)
		memcpy(buf, data, len);
	buf[len] = '\0';
	return buf;
}

/* ---- chance ----------------------------------------------------------- */

uint32_t
dice_roll(struct dice *d, uint32_t sides)
{
	/* splitmix64 */
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return sides == 0 ? 0 : (uint32_t)((z ^ z >> 31) >> 16) % sides;
}

uint64_t
dice_number(struct dice *d)
{
	switch (dice_roll(d, 4)) {
	case 0:
		return dice_roll(d, 20);
	case 1: /* about a power of two */
		return (UINT64_C(1) << dice_roll(d, 64)) - 2 + dice_roll(d, 4);
	case 2: /* the last numbers of any width */
		return UINT64_MAX - dice_roll(d, 4);
	default:
		return (uint64_t)dice_roll(d, UINT32_MAX) << 32 |
		    dice_roll(d, UINT32_MAX);
	}
}

void
fuzz_put_number(uint8_t *p, unsigned octets, uint64_t v)
{
	for (unsigned i = 0; i < octets; i++)
		p[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
}

/* ---- pieces ----------------------------------------------------------- */

static void
cut(const struct fuzz_shape *shape, const uint8_t *data, size_t size,
    struct pieces *p)
{
	size_t at = shape->head < size ? shape->head : size, len;

	for (p->count = 0; p->count < PIECES_MAX; at += len) {
		p->at[p->count] = at;
		if (at >= size ||
		    (len = shape->length(data, size, at, p->count)) == 0)
			return;
		if (len > size - at)
			len = size - at;
		p->count++;
	}
	p->at[p->count] = at;
}

static size_t
piece_size(const struct pieces *p, unsigned i)
{
	return p->at[i + 1] - p->at[i];
}

/* Puts octets in at a place; the new size, the old one if they do not fit. */
static size_t
put_in(uint8_t *data, size_t size, size_t max, size_t at, const uint8_t *from,
    size_t len)
{
	if (len > max - size)
		return size;
	memmove(data + at + len, data + at, size - at);
	memcpy(data + at, from, len);
	return size + len;
}

static size_t
take_out(uint8_t *data, size_t size, size_t at, size_t len)
{
	memmove(data + at, data + at + len, size - at - len);
	return size - len;
}

static size_t
change_piece(const struct fuzz_shape *shape, struct dice *d, uint8_t *data,
    size_t size, size_t max, const struct pieces *p, unsigned i)
{
	size_t len = piece_size(p, i), room = len + (max - size), now;
	uint8_t *copy;

	if ((copy = malloc(room)) == NULL)
		return size;
	memcpy(copy, data + p->at[i], len);
	if (shape->change != NULL && dice_roll(d, 4) != 0)
		now = shape->change(d, copy, len, room, i);
	else
		now = fuzz_octets(copy, len, room);
	size = take_out(data, size, p->at[i], len);
	size = put_in(data, size, max, p->at[i], copy, now);
	free(copy);
	return size;
}

/* A piece also stands elsewhere, or only elsewhere. */
static size_t
copy_piece(struct dice *d, uint8_t *data, size_t size, size_t max,
    const struct pieces *p, unsigned i, int keep)
{
	size_t len = piece_size(p, i), to = p->at[dice_roll(d, p->count + 1)];
	uint8_t *copy;

	if ((copy = malloc(len)) == NULL)
		return size;
	memcpy(copy, data + p->at[i], len);
	if (!keep) {
		size = take_out(data, size, p->at[i], len);
		if (to > p->at[i])
			to -= len;
	}
	size = put_in(data, size, max, to, copy, len);
	free(copy);
	return size;
}

static size_t
mutate_once(const struct fuzz_shape *shape, struct dice *d, uint8_t *data,
    size_t size, size_t max)
{
	struct pieces p;
	unsigned i, n;

	cut(shape, data, size, &p);
	if (p.count == 0)
		return fuzz_octets(data, size, max);
	i = dice_roll(d, p.count);
	switch (dice_roll(d, 8)) {
	case 0: /* some in a row go */
		n = 1 + dice_roll(d, 3);
		n = n < p.count - i ? n : p.count - i;
		return p.count == 1
		    ? size
		    : take_out(data, size, p.at[i], p.at[i + n] - p.at[i]);
	case 1:
		return copy_piece(d, data, size, max, &p, i, 1);
	case 2:
		return copy_piece(d, data, size, max, &p, i, 0);
	case 3:
		if (shape->head > 0 && size >= shape->head) {
			fuzz_octets(data, shape->head, shape->head);
			return size;
		}
		/* FALLTHROUGH */
	default:
		return change_piece(shape, d, data, size, max, &p, i);
	}
}

size_t
fuzz_mutate(const struct fuzz_shape *shape, uint8_t *data, size_t size,
    size_t max, unsigned seed)
{
	struct dice d = { seed };
	unsigned n = 1 + dice_roll(&d, TRIES);

	/* what no shape would ever make must be tried too */
	if (dice_roll(&d, 5) == 0)
		return fuzz_octets(data, size, max);
	while (n-- > 0)
		size = mutate_once(shape, &d, data, size, max);
	return size;
}

size_t
fuzz_cross(const struct fuzz_shape *shape, const uint8_t *a, size_t a_size,
    const uint8_t *b, size_t b_size, uint8_t *out, size_t max, unsigned seed)
{
	struct dice d = { seed };
	struct pieces in_a, in_b;
	size_t len, from;

	cut(shape, a, a_size, &in_a);
	cut(shape, b, b_size, &in_b);
	len = in_a.at[dice_roll(&d, in_a.count + 1)];
	from = in_b.at[dice_roll(&d, in_b.count + 1)];
	if (len > max)
		len = max;
	memcpy(out, a, len);
	if (b_size - from > max - len)
		b_size = from + (max - len);
	memcpy(out + len, b + from, b_size - from);
	return len + (b_size - from);
}

size_t
fuzz_event_length(const uint8_t *data, size_t size, size_t at, unsigned index)
{
	return at + 1 < size ? 2 + (size_t)data[at + 1] : 0;
}
