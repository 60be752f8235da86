/*
 * The end of data and nothing but it. Every ending that has been used for
 * smuggling, cut at every octet; and, for all short streams of the octets that
 * matter, the decoder against a plain model and the encoder against both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/transparency.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

enum { OUT_MAX = 4096 };

struct result {
	char out[OUT_MAX];
	size_t len; /* octets in out */
	size_t consumed; /* octets of the stream */
	int done;
	enum body_fault fault;
};

/* Hands one piece, in a heap block of its exact size, to the decoder. */
static void
feed(struct body_decoder *d, const char *piece, size_t len, struct result *r)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct smtp_span span;
	size_t at = 0, used;

	assert_non_null(copy);
	memcpy(copy, piece, len);
	while (at < len && !d->done) {
		body_decode(d, copy + at, len - at, &used, &span);
		assert_true(used > 0 && used <= len - at);
		if (span.len > 0)
			assert_true(span.data >= copy + at &&
			    span.data + span.len <= copy + at + used);
		memcpy(r->out + r->len, span.data, span.len);
		r->len += span.len;
		at += used;
	}
	r->consumed += at;
	free(copy);
}

/* Decodes a stream cut at a and b. */
static void
decode(const char *s, size_t len, size_t a, size_t b, size_t line_max,
    struct result *r)
{
	struct body_decoder d;

	memset(r, 0, offsetof(struct result, out));
	r->len = r->consumed = 0;
	body_decoder_init(&d, BODY_DATA, line_max);
	feed(&d, s, a, r);
	feed(&d, s + a, b - a, r);
	feed(&d, s + b, len - b, r);
	r->done = d.done;
	r->fault = d.fault;
	assert_int_equal(d.size, r->len);
}

static const struct {
	const char *stream;
	size_t len;
	int done;
	enum body_fault fault;
	const char *body; /* when there is no fault */
	size_t left; /* octets behind the end */
} table[] = {
#define S(s) s, sizeof(s) - 1
	{ S(".\r\n"), 1, BODY_OK, "", 0 },
	{ S("\r\n.\r\n"), 1, BODY_OK, "\r\n", 0 },
	{ S("a\r\n.\r\n"), 1, BODY_OK, "a\r\n", 0 },
	{ S("a\r\n.\r\nQUIT\r\n"), 1, BODY_OK, "a\r\n", 6 },
	{ S("a\r\n.\r\n.\r\n"), 1, BODY_OK, "a\r\n", 3 },
	{ S("..\r\n.\r\n"), 1, BODY_OK, ".\r\n", 0 },
	{ S("...\r\n.\r\n"), 1, BODY_OK, "..\r\n", 0 },
	{ S(".a\r\n.\r\n"), 1, BODY_OK, "a\r\n", 0 },
	{ S("a.\r\n.\r\n"), 1, BODY_OK, "a.\r\n", 0 },
	{ S("a\r\n..\r\nb\r\n.\r\n"), 1, BODY_OK, "a\r\n.\r\nb\r\n", 0 },
	{ S("a\r\n.b\r\n..c\r\n.\r\n"), 1, BODY_OK, "a\r\nb\r\n.c\r\n", 0 },
	{ S("0123456789abcdef0123456789abcdef\r\n.\r\n"), 1, BODY_OK,
	    "0123456789abcdef0123456789abcdef\r\n", 0 },
	{ S("a\r\n"), 0, BODY_OK, "a\r\n", 0 },
	{ S("a\r\n."), 0, BODY_OK, "a\r\n", 0 },
	{ S("a\r\n.\r"), 0, BODY_OK, "a\r\n", 0 },
	{ S("a."), 0, BODY_OK, "a.", 0 },
	/* smuggling: no end, and a fault */
	{ S("a\n.\n"), 0, BODY_BARE_LF, NULL, 0 },
	{ S("a\n.\r\n"), 0, BODY_BARE_LF, NULL, 0 },
	{ S("a\r.\r\n"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\r.\r"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\r\n.\n"), 0, BODY_BARE_LF, NULL, 0 },
	{ S("a\r\n.\rx"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\n.\r"), 0, BODY_BARE_LF, NULL, 0 },
	{ S("a\r.\n"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\n\n.\r\n"), 0, BODY_BARE_LF, NULL, 0 },
	{ S("a\n\r.\r\n"), 0, BODY_BARE_LF, NULL, 0 },
	{ S("a\r\r.\r\r"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\r\n\0.\r\n"), 0, BODY_NUL, NULL, 0 },
	{ S("a\r\n.\0\r\n"), 0, BODY_NUL, NULL, 0 },
	{ S("a\r\0\n.\r\n"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\r\n.\r\0\n"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\r\n.\r\r\n"), 0, BODY_BARE_CR, NULL, 0 },
	{ S("a\r\n. \r\n"), 0, BODY_OK, "a\r\n \r\n", 0 },
	{ S("a\r\n .\r\n"), 0, BODY_OK, "a\r\n .\r\n", 0 },
	/* a fault, then the true end: refused, and in step */
	{ S("a\r\r\n.\r\nQUIT"), 1, BODY_BARE_CR, NULL, 4 },
	{ S("a\r\n.\r\r\n.\r\nQUIT"), 1, BODY_BARE_CR, NULL, 4 },
	{ S("a\n.\nMAIL FROM:<x@y>\r\n.\r\nQUIT"), 1, BODY_BARE_LF, NULL, 4 },
	{ S("a\n.\r\nMAIL FROM:<x@y>\r\n.\r\nQUIT"), 1, BODY_BARE_LF, NULL, 4 },
	{ S("a\r\n.\nMAIL FROM:<x@y>\r\n.\r\nQUIT"), 1, BODY_BARE_LF, NULL, 4 },
	{ S("a\r.\r\nMAIL FROM:<x@y>\r\n.\r\nQUIT"), 1, BODY_BARE_CR, NULL, 4 },
	{ S("a\0b\r\n.\r\n"), 1, BODY_NUL, NULL, 0 },
	{ S("\n.\r\n.\r\n"), 1, BODY_BARE_LF, NULL, 0 },
	/* the first fault counts */
	{ S("a\0b\nc\rd\r\n.\r\n"), 1, BODY_NUL, NULL, 0 },
	{ S("a\nb\0c\rd\r\n.\r\n"), 1, BODY_BARE_LF, NULL, 0 },
	{ S("0123456789abcdef0123456789abcdef0\r\n.\r\n"), 1, BODY_LONG_LINE,
	    NULL, 0 },
	{ S("0123456789abcdef0123456789abcdef0\n\r\n.\r\n"), 1, BODY_LONG_LINE,
	    NULL, 0 },
	{ S("0123456789abcdef0123456789abcdef\n0\r\n.\r\n"), 1, BODY_BARE_LF,
	    NULL, 0 },
	/* a stuffed dot does not count */
	{ S(".0123456789abcdef0123456789abcdef\r\n.\r\n"), 1, BODY_OK,
	    "0123456789abcdef0123456789abcdef\r\n", 0 },
#undef S
};

static void
test_every_split(void **state)
{
	struct result r;

	for (size_t t = 0; t < NITEMS(table); t++) {
		size_t len = table[t].len;

		for (size_t a = 0; a <= len; a++)
			for (size_t b = a; b <= len; b++) {
				decode(table[t].stream, len, a, b, 32, &r);
				assert_int_equal(r.done, table[t].done);
				assert_int_equal(r.fault, table[t].fault);
				assert_int_equal(
				    len - r.consumed, table[t].left);
				if (table[t].body == NULL)
					continue;
				assert_int_equal(r.len, strlen(table[t].body));
				assert_memory_equal(
				    r.out, table[t].body, r.len);
			}
	}
}

/* A model of the decoder, an octet a step, that looks back in the stream. */
static void
model(const char *s, size_t len, struct result *r)
{
	int start = 1; /* at the start of a line */
	size_t i;

	r->len = r->consumed = 0;
	r->done = 0;
	r->fault = BODY_OK;
	for (i = 0; i < len; i++) {
		if (start && len - i >= 3 && memcmp(s + i, ".\r\n", 3) == 0) {
			r->done = 1;
			r->consumed = i + 3;
			return;
		}
		if (s[i] == '\r' && i + 1 < len && s[i + 1] != '\n' &&
		    r->fault == BODY_OK)
			r->fault = BODY_BARE_CR;
		if (s[i] == '\n' && (i == 0 || s[i - 1] != '\r') &&
		    r->fault == BODY_OK)
			r->fault = BODY_BARE_LF;
		if (s[i] == '\0' && r->fault == BODY_OK)
			r->fault = BODY_NUL;
		/* a CR behind a lone dot may yet be part of the end */
		if (!(start && s[i] == '.') &&
		    !(s[i] == '\r' && i + 1 == len && i > 0 &&
			s[i - 1] == '.' &&
			(i == 1 ||
			    (i > 2 && s[i - 2] == '\n' && s[i - 3] == '\r'))))
			r->out[r->len++] = s[i];
		start = s[i] == '\n' && i > 0 && s[i - 1] == '\r';
	}
	r->consumed = len;
}

/*
 * All streams of up to 8 octets over the alphabet. A pad in the middle, when
 * there is one, shifts them over the 16-octet steps of the scanner.
 */
static void
test_all_streams(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a', '\0' };
	struct result r, want;
	char s[64];

	for (size_t len = 0; len <= 8; len++) {
		size_t count = 1;

		for (size_t i = 0; i < len; i++)
			count *= sizeof(alphabet);
		for (size_t k = 0; k < count; k++) {
			size_t pad = k % 18, rest = k;

			memset(s, 'p', pad);
			for (size_t i = 0; i < len; i++) {
				s[pad + i] = alphabet[rest % sizeof(alphabet)];
				rest /= sizeof(alphabet);
			}
			model(s, pad + len, &want);
			decode(s, pad + len, k % (pad + len + 1), pad + len, 0,
			    &r);
			assert_int_equal(r.done, want.done);
			assert_int_equal(r.fault, want.fault);
			assert_int_equal(r.consumed, want.consumed);
			if (want.fault != BODY_OK)
				continue;
			assert_int_equal(r.len, want.len);
			assert_memory_equal(r.out, want.out, r.len);
		}
	}
}

static size_t
encode_piece(struct body_encoder *e, const char *piece, size_t len, char *out)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct smtp_span span;
	size_t at = 0, n = 0, used;

	assert_non_null(copy);
	memcpy(copy, piece, len);
	while (at < len) {
		body_encode(e, copy + at, len - at, &used, &span);
		assert_true(used > 0 || span.len > 0);
		assert_true(used <= len - at);
		memcpy(out + n, span.data, span.len);
		n += span.len;
		at += used;
	}
	free(copy);
	return n;
}

static size_t
encode(const char *s, size_t len, size_t a, char *out)
{
	struct body_encoder e;
	struct smtp_span end;
	size_t n;

	body_encoder_init(&e);
	n = encode_piece(&e, s, a, out);
	n += encode_piece(&e, s + a, len - a, out + n);
	end = body_encode_end(&e);
	memcpy(out + n, end.data, end.len);
	return n + end.len;
}

static void
test_encode(void **state)
{
	static const struct {
		const char *body, *wire;
	} cases[] = {
		{ "", ".\r\n" },
		{ "a", "a\r\n.\r\n" },
		{ "a\r\n", "a\r\n.\r\n" },
		{ ".", "..\r\n.\r\n" },
		{ ".\r\n", "..\r\n.\r\n" },
		{ "..\r\n", "...\r\n.\r\n" },
		{ "a.\r\n", "a.\r\n.\r\n" },
		{ "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\n.\nb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "\r", "\r\n.\r\n" },
		{ "\n", "\r\n.\r\n" },
		{ "\r\r\n", "\r\n\r\n.\r\n" },
		{ "\n\r\n.", "\r\n\r\n..\r\n.\r\n" },
		{ "a\r", "a\r\n.\r\n" },
	};
	char out[OUT_MAX];
	size_t n;

	for (size_t t = 0; t < NITEMS(cases); t++)
		for (size_t a = 0; a <= strlen(cases[t].body); a++) {
			n = encode(
			    cases[t].body, strlen(cases[t].body), a, out);
			assert_int_equal(n, strlen(cases[t].wire));
			assert_memory_equal(out, cases[t].wire, n);
		}
}

/* Whatever is stored, what is sent is one body without fault and with the
 * end where the stream ends; what was in order comes back as it was. */
static void
test_round_trip(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a' };
	char s[16], wire[OUT_MAX], again[OUT_MAX];
	struct result r;
	size_t n;

	for (size_t len = 0; len <= 7; len++)
		for (size_t k = 0; k < (size_t)1 << 2 * len; k++) {
			for (size_t i = 0; i < len; i++)
				s[i] = alphabet[k >> 2 * i & 3];
			n = encode(s, len, 0, wire);
			for (size_t a = 1; a <= len; a++) {
				assert_int_equal(encode(s, len, a, again), n);
				assert_memory_equal(again, wire, n);
			}
			decode(wire, n, n, n, 0, &r);
			assert_int_equal(r.fault, BODY_OK);
			assert_int_equal(r.done, 1);
			assert_int_equal(r.consumed, n);
			/* a second way is the same as the first */
			assert_int_equal(encode(r.out, r.len, 0, again), n);
			assert_memory_equal(again, wire, n);
		}
}

static void
test_chunks(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum body_fault fault;
		int open_line;
	} cases[] = {
#define S(s) s, sizeof(s) - 1
		{ S(""), BODY_OK, 0 },
		{ S("a\r\n.\r\nb\r\n"), BODY_OK, 0 },
		{ S(".\r\n"), BODY_OK, 0 },
		{ S("..\r\n"), BODY_OK, 0 },
		{ S("a"), BODY_OK, 1 },
		{ S("a\r\n."), BODY_OK, 1 },
		{ S("a\r"), BODY_BARE_CR, 1 },
		{ S("a\n"), BODY_BARE_LF, 1 },
		{ S("a\0"), BODY_NUL, 1 },
		{ S("a\n.\r\nb\r\n"), BODY_BARE_LF, 0 },
#undef S
	};
	struct body_decoder d;
	struct result r;
	int open_line;

	for (size_t t = 0; t < NITEMS(cases); t++)
		for (size_t a = 0; a <= cases[t].len; a++) {
			r.len = r.consumed = 0;
			body_decoder_init(&d, BODY_CHUNKS, 0);
			feed(&d, cases[t].data, a, &r);
			feed(&d, cases[t].data + a, cases[t].len - a, &r);
			assert_int_equal(body_decoder_finish(&d, &open_line),
			    cases[t].fault);
			assert_int_equal(open_line, cases[t].open_line);
			assert_int_equal(d.done, 0);
			assert_int_equal(r.consumed, cases[t].len);
			if (cases[t].fault != BODY_OK)
				continue;
			assert_int_equal(r.len, cases[t].len);
			assert_memory_equal(r.out, cases[t].data, r.len);
		}
}

/* eightbit is found at each place of a line of any length, and never without
 * cause. */
static void
test_eightbit(void **state)
{
	struct body_decoder d;
	char s[64];
	struct result r;

	for (size_t len = 0; len <= 40; len++)
		for (size_t at = 0; at <= len; at++) {
			memset(s, 'a', len);
			if (at < len)
				s[at] = (char)0xc3;
			memcpy(s + len, "\r\n.\r\n", 5);
			/* behind the end: no part of the body */
			memset(s + len + 5, 0xff, 16);
			r.len = r.consumed = 0;
			body_decoder_init(&d, BODY_DATA, 0);
			feed(&d, s, len + 21, &r);
			assert_int_equal(d.eightbit, at < len);
			assert_int_equal(d.done, 1);
		}
}

/* Lines at the limit, over it, and of a megabyte without an end. */
static void
test_line_limit(void **state)
{
	static char big[1 << 20];
	struct body_decoder d;
	struct smtp_span span;
	size_t used;

	memset(big, 'a', sizeof(big));
	for (size_t n = 997; n <= 1001; n++) {
		body_decoder_init(&d, BODY_DATA, TRANSPARENCY_LINE_MAX);
		body_decode(&d, big, n, &used, &span);
		body_decode(&d, "\r\n", 2, &used, &span);
		assert_int_equal(d.fault,
		    n > TRANSPARENCY_LINE_MAX ? BODY_LONG_LINE : BODY_OK);
	}
	body_decoder_init(&d, BODY_DATA, 0);
	for (int i = 0; i < 100; i++) {
		body_decode(&d, big, sizeof(big), &used, &span);
		assert_int_equal(used, sizeof(big));
		assert_int_equal(span.len, sizeof(big));
	}
	assert_int_equal(d.fault, BODY_OK);
	assert_int_equal(d.size, 100 * sizeof(big));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_all_streams),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_eightbit),
		cmocka_unit_test(test_line_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
