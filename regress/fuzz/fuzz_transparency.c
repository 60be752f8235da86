/*
 * Bodies on the wire: the decoder's output, its fault and where it ends are
 * the same however the stream is cut; an end is nothing but CRLF dot CRLF; and
 * whatever the encoder is given, the decoder finds one body without bare CR or
 * LF that ends where the stream ends. The first two octets of the input are
 * the size of the pieces and the limit of a line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/transparency.h"

enum { IN_MAX = 8192, OUT_SIZE = 4 * IN_MAX };

struct outcome {
	enum body_fault fault;
	int done, eightbit;
	size_t taken, len;
	char out[OUT_SIZE];
};

static void
require(int condition)
{
	if (!condition)
		abort();
}

static void
decode(const char *s, size_t len, size_t step, size_t line_max,
    enum body_mode mode, struct outcome *o)
{
	struct body_decoder d;
	struct smtp_span span;
	size_t at = 0, n, used;

	o->len = 0;
	body_decoder_init(&d, mode, line_max);
	while (at < len && !d.done) {
		n = len - at < step ? len - at : step;
		body_decode(&d, s + at, n, &used, &span);
		require(used > 0 && used <= n);
		if (span.len > 0) {
			require(span.data >= s + at);
			require(span.data + span.len <= s + at + used);
			memcpy(o->out + o->len, span.data, span.len);
			o->len += span.len;
		}
		at += used;
	}
	require(d.size == o->len);
	o->taken = at;
	o->done = d.done;
	o->eightbit = d.eightbit;
	o->fault =
	    mode == BODY_CHUNKS ? body_decoder_finish(&d, NULL) : d.fault;
}

static size_t
encode(const char *s, size_t len, size_t step, char *out)
{
	struct body_encoder e;
	struct smtp_span span;
	size_t at = 0, n, used, total = 0;

	body_encoder_init(&e);
	while (at < len) {
		n = len - at < step ? len - at : step;
		body_encode(&e, s + at, n, &used, &span);
		require(used <= n && (used > 0 || span.len > 0));
		memcpy(out + total, span.data, span.len);
		total += span.len;
		at += used;
	}
	span = body_encode_end(&e);
	memcpy(out + total, span.data, span.len);
	return total + span.len;
}

static void
check_equal(const struct outcome *a, const struct outcome *b)
{
	require(a->fault == b->fault && a->done == b->done);
	require(a->taken == b->taken);
	require(a->eightbit == b->eightbit);
	if (a->fault != BODY_OK)
		return;
	require(a->len == b->len && memcmp(a->out, b->out, a->len) == 0);
}

static void
check_end(const char *s, const struct outcome *o)
{
	if (!o->done)
		return;
	require(o->taken >= 3 && memcmp(s + o->taken - 3, ".\r\n", 3) == 0);
	require(o->taken == 3 ||
	    (o->taken >= 5 && memcmp(s + o->taken - 5, "\r\n", 2) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, cut;
	static char wire[OUT_SIZE], wire_cut[OUT_SIZE];
	const char *s = (const char *)data + 2;
	size_t step, line_max, n;

	if (size < 2 || size > IN_MAX)
		return 0;
	step = data[0] + 1u;
	line_max = data[1];
	size -= 2;
	decode(s, size, size, line_max, BODY_DATA, &whole);
	decode(s, size, step, line_max, BODY_DATA, &cut);
	check_equal(&whole, &cut);
	check_end(s, &whole);
	decode(s, size, size, line_max, BODY_CHUNKS, &whole);
	decode(s, size, step, line_max, BODY_CHUNKS, &cut);
	check_equal(&whole, &cut);
	require(whole.taken == size);
	if (whole.fault == BODY_OK)
		require(whole.len == size && memcmp(whole.out, s, size) == 0);

	n = encode(s, size, size, wire);
	require(encode(s, size, step, wire_cut) == n);
	require(memcmp(wire, wire_cut, n) == 0);
	decode(wire, n, n, 0, BODY_DATA, &whole);
	require(whole.done && whole.taken == n);
	require(whole.fault == BODY_OK || whole.fault == BODY_NUL);
	/* a body in order, its last line ended, arrives as it was */
	if (cut.fault == BODY_OK &&
	    (size == 0 || (size >= 2 && memcmp(s + size - 2, "\r\n", 2) == 0)))
		require(whole.len == size && memcmp(whole.out, s, size) == 0);
	return 0;
}
