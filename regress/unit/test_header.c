/*
 * The header scanner: each case is scanned whole, one octet at a time, and
 * split in two at every place, and must say the same each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/header.h"

struct expectation {
	const char *text;
	const char *fields; /* "id:name_len:body" of each, by | */
	unsigned lines;
	unsigned body; /* where it begins */
	unsigned malformed, eight_bit, bare, long_line;
};

static const struct expectation cases[] = {
	{ "Subject: a\r\n\r\nbody\r\n", "12:7: a\r\n|", 1, 14, 0, 0, 0, 10 },
	{ "SUBJECT: a\n\nbody\n", "12:7: a\n|", 1, 12, 0, 0, 0, 10 },
	{ "To: a\r\n\tb\r\n c\r\nX-Y:\r\n\r\n",
	    "9:2: a\r\n\tb\r\n c\r\n|0:3:\r\n|", 4, 23, 0, 0, 0, 5 },
	{ "\r\nbody", "", 0, 2, 0, 0, 0, 0 },
	{ "\nbody", "", 0, 1, 0, 0, 0, 0 },
	{ "", "", 0, 0, 0, 0, 0, 0 },
	{ "To: a", "9:2: a|", 1, 5, 0, 0, 0, 5 },
	{ "To: a\r\n", "9:2: a\r\n|", 1, 7, 0, 0, 0, 5 },
	{ "To: a\r\n\r", "9:2: a\r\n|", 1, 7, 1, 0, 0, 5 },
	{ "To : a\r\n\r\n", "9:2: a\r\n|", 1, 10, 0, 0, 0, 6 },
	{ "From me@x Mon\r\nTo: a\r\n", "", 0, 0, 1, 0, 0, 0 },
	{ "To: a\r\nno field\r\n", "9:2: a\r\n|", 1, 7, 1, 0, 0, 5 },
	{ " a: b\r\n", "", 0, 0, 1, 0, 0, 0 },
	{ ": b\r\n", "", 0, 0, 1, 0, 0, 0 },
	{ "a\r: b\r\n", "", 0, 0, 1, 0, 0, 0 },
	{ "\rTo: b\r\n", "", 0, 0, 1, 0, 0, 0 },
	{ "To: a\rb\r\n\r\n", "9:2: a\rb\r\n|", 1, 11, 0, 0, 1, 7 },
	{ "To: a\r\r\n\r\n", "9:2: a\r\r\n|", 1, 10, 0, 0, 1, 6 },
	{ "To: \xc3\xa9\r\n\r\n", "9:2: \xc3\xa9\r\n|", 1, 10, 0, 1, 0, 6 },
	{ "To: a\r\n \r\n\r\n", "9:2: a\r\n \r\n|", 2, 12, 0, 0, 0, 5 },
	{ "Received: 1\r\nreceived: 2\r\nMessage-Id: <x>\r\n\r\n",
	    "1:8: 1\r\n|1:8: 2\r\n|5:10: <x>\r\n|", 3, 45, 0, 0, 0, 15 },
};

/* Feeds pieces of `first` octets, then of `rest`. */
static void
scan(struct header_scan *h, const char *text, size_t len, size_t first,
    size_t rest, char *out, size_t size)
{
	struct header_field f;
	enum header_status status = HEADER_MORE;
	size_t at = 0, piece = first, used, n = 0;

	header_init(h, NULL);
	out[0] = '\0';
	for (;;) {
		if (at < len) {
			if (piece > len - at)
				piece = len - at;
			status = header_scan(h, text + at, piece, &used, &f);
			assert_true(used <= piece);
			at += used;
			piece = status == HEADER_FIELD ? piece - used : rest;
			if (piece == 0)
				piece = rest;
		} else {
			status = header_finish(h, &f);
			assert_int_not_equal(status, HEADER_MORE);
		}
		if (status == HEADER_END)
			break;
		if (status == HEADER_FIELD)
			n += snprintf(out + n, size - n, "%d:%u:%.*s|", f.id,
			    f.name_len, (int)(f.end - f.body), text + f.body);
	}
}

static void
check(const struct expectation *c, size_t first, size_t rest)
{
	struct header_scan h;
	char out[512];

	scan(&h, c->text, strlen(c->text), first, rest, out, sizeof(out));
	assert_string_equal(out, c->fields);
	assert_int_equal(h.lines, c->lines);
	assert_int_equal(h.body, c->body);
	assert_int_equal(h.malformed, c->malformed);
	assert_int_equal(h.eight_bit, c->eight_bit);
	assert_int_equal(h.bare, c->bare);
	assert_int_equal(h.long_line, c->long_line);
}

static void
every_split(void **state)
{
	size_t i, first;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(&cases[i], 1, 1);
		for (first = 1; first <= strlen(cases[i].text) + 1; first++)
			check(&cases[i], first, 1000);
	}
}

static void
counts(void **state)
{
	struct header_scan h;
	char out[512];

	scan(
	    &h, cases[20].text, strlen(cases[20].text), 7, 7, out, sizeof(out));
	assert_int_equal(h.count[HEADER_RECEIVED], 2);
	assert_int_equal(h.count[HEADER_MESSAGE_ID], 1);
	assert_int_equal(h.count[HEADER_DATE], 0);
	assert_int_equal(h.fields, 3);
}

static void
nul_is_bare(void **state)
{
	static const char text[] = "To: a\0b\r\n\r\n";
	struct header_scan h;
	char out[512];

	scan(&h, text, sizeof(text) - 1, 1000, 1000, out, sizeof(out));
	assert_int_equal(h.bare, 1);
	assert_int_equal(h.count[HEADER_TO], 1);
}

static enum header_status
scan_limited(const char *text, struct header_limits limits, size_t piece)
{
	struct header_scan h;
	struct header_field f;
	enum header_status status = HEADER_MORE;
	size_t len = strlen(text), at = 0, used;

	header_init(&h, &limits);
	while (at < len && status != HEADER_END && status != HEADER_TOO_LONG) {
		status = header_scan(&h, text + at,
		    piece < len - at ? piece : len - at, &used, &f);
		at += used;
	}
	return status;
}

static void
limits(void **state)
{
	static const struct {
		struct header_limits limits;
		enum header_status status;
	} table[] = {
		{ { 0, 0, 0, 0 }, HEADER_END },
		{ { .octets = 16 }, HEADER_END },
		{ { .octets = 13 }, HEADER_TOO_LONG },
		{ { .fields = 2 }, HEADER_END },
		{ { .fields = 1 }, HEADER_TOO_LONG },
		{ { .lines = 2 }, HEADER_END },
		{ { .lines = 1 }, HEADER_TOO_LONG },
		{ { .field_octets = 7 }, HEADER_END },
		{ { .field_octets = 6 }, HEADER_TOO_LONG },
	};
	size_t i, piece;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (piece = 1; piece < 20; piece++)
			assert_int_equal(
			    scan_limited("To: a\r\nCc: b\r\n\r\nbody",
				table[i].limits, piece),
			    table[i].status);
}

static void
names(void **state)
{
	assert_int_equal(header_id("delivered-TO", 12), HEADER_DELIVERED_TO);
	assert_int_equal(header_id("Delivered-T", 11), HEADER_OTHER);
	assert_int_equal(header_id("X", 1), HEADER_OTHER);
	assert_int_equal(header_id("", 0), HEADER_OTHER);
}

static void
delivered_to(void **state)
{
	static const char section[] =
	    "Received: x\r\n"
	    "Delivered-To: first@example.org\r\n"
	    "To: third@example.org\r\n"
	    "delivered-to:\r\n <second@example.org>  \r\n"
	    "\r\nDelivered-To: body@example.org\r\n";
	size_t len = sizeof(section) - 1;

	assert_true(header_delivered_to(section, len, "first@example.org"));
	assert_true(header_delivered_to(section, len, "FIRST@example.ORG"));
	assert_true(header_delivered_to(section, len, "second@example.org"));
	assert_false(header_delivered_to(section, len, "third@example.org"));
	assert_false(header_delivered_to(section, len, "body@example.org"));
	assert_false(header_delivered_to(section, len, "irst@example.org"));
	assert_false(header_delivered_to("", 0, "a@b"));
}

static void
unfolded(void **state)
{
	static const char section[] = "Subject: \r\n a\tb\r\n  c \r\n\r\n";
	struct header_field f;
	char out[32];
	size_t pos = 0;

	assert_int_equal(
	    header_next(section, sizeof(section) - 1, &pos, &f), 1);
	assert_int_equal(header_body(section, &f, out, sizeof(out)), 6);
	assert_string_equal(out, "a b  c");
	assert_int_equal(header_body(section, &f, out, 4), 6);
	assert_string_equal(out, "a b");
	assert_int_equal(
	    header_next(section, sizeof(section) - 1, &pos, &f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split),
		cmocka_unit_test(counts),
		cmocka_unit_test(nul_is_bare),
		cmocka_unit_test(limits),
		cmocka_unit_test(names),
		cmocka_unit_test(delivered_to),
		cmocka_unit_test(unfolded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
