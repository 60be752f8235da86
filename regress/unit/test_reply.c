/*
 * Replies: every entry of the table is well-formed on the wire and reads back
 * as what it says; what a hostile server sends is bounded and escaped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/reply.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define SS(s) s, sizeof(s) - 1

/* Feeds a stream in pieces of step octets; the last event, and in *used what
 * was taken up to it. */
static enum reply_event
parse(struct reply_parser *p, const char *s, size_t len, size_t step,
    size_t *taken)
{
	enum reply_event event = REPLY_EVENT_MORE;
	size_t at = 0, n, used;
	char *copy;

	reply_parser_init(p);
	while (at < len) {
		n = len - at < step ? len - at : step;
		copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, s + at, n);
		event = reply_parse(p, copy, n, &used);
		free(copy);
		assert_true(used <= n);
		at += used;
		if (event == REPLY_EVENT_MORE)
			assert_int_equal(used, n);
		if (event == REPLY_EVENT_DONE || event == REPLY_EVENT_ERROR)
			break;
	}
	*taken = at;
	return event;
}

/* Each line: at most 512 octets, printable, one code throughout, the hyphen
 * in all but the last. */
static void
check_wire(const char *wire, size_t len, int code)
{
	const char *line = wire, *end;
	char prefix[4];

	snprintf(prefix, sizeof(prefix), "%03d", code);
	assert_int_equal(strlen(wire), len);
	assert_true(len > 0);
	for (; line < wire + len; line = end + 2) {
		end = strstr(line, "\r\n");
		assert_non_null(end);
		assert_true(end + 2 - line <= REPLY_LINE_MAX);
		assert_memory_equal(line, prefix, 3);
		assert_int_equal(line[3], end + 2 < wire + len ? '-' : ' ');
		for (const char *c = line; c < end; c++)
			assert_true(*c >= ' ' && *c <= '~');
	}
}

static void
test_table(void **state)
{
	char out[REPLY_SIZE], enhanced[REPLY_ENHANCED_SIZE];
	struct reply_parser p;
	unsigned short parts[3];
	size_t n, taken;

	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		int code = reply_code((enum reply_id)id);
		const char *text = reply_text((enum reply_id)id);
		const char *want = reply_enhanced((enum reply_id)id);

		assert_true(code >= 200 && code <= 599);
		if (*want != '\0')
			assert_int_equal(
			    reply_enhanced_parse(want, code, parts),
			    strlen(want));
		/* %s is all that is filled in */
		for (const char *c = text; (c = strchr(c, '%')) != NULL; c++)
			assert_int_equal(c[1], 's');
		n = reply_format(
		    out, sizeof(out), (enum reply_id)id, "one", "two", NULL);
		check_wire(out, n, code);
		assert_null(strchr(out, '%'));
		assert_int_equal(
		    parse(&p, out, n, n, &taken), REPLY_EVENT_DONE);
		assert_int_equal(taken, n);
		assert_int_equal(p.reply.code, code);
		assert_string_equal(
		    reply_enhanced_format(&p.reply, enhanced), want);
		if (strchr(text, '%') == NULL)
			assert_string_equal(p.reply.text, text);
	}
}

static void
test_format(void **state)
{
	char out[REPLY_SIZE], big[5000];
	size_t n;

	reply_format(
	    out, sizeof(out), REPLY_HELO, "mx.example", "client", NULL);
	assert_string_equal(out, "250 mx.example greets client\r\n");
	reply_format(out, sizeof(out), REPLY_HELO, "mx.example", NULL);
	assert_string_equal(out, "250 mx.example greets ?\r\n");
	/* an argument neither ends the line nor is it a format */
	reply_format(out, sizeof(out), REPLY_PARAMETER_UNKNOWN,
	    "a\r\n250 OK\r\n%s%n\x1b\xff", NULL);
	assert_string_equal(
	    out, "555 5.5.4 Parameter a??250 OK??%s%n?? is not known here\r\n");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	n = reply_format(out, sizeof(out), REPLY_PARAMETER_UNKNOWN, big, NULL);
	check_wire(out, n, 555);
	n = reply_format(
	    out, REPLY_LINE_MAX + 1, REPLY_PARAMETER_UNKNOWN, big, NULL);
	assert_true(n > 0 && n <= REPLY_LINE_MAX);
	check_wire(out, n, 555);
}

static void
test_build(void **state)
{
	static const struct {
		int code;
		const char *enhanced, *text, *wire;
	} table[] = {
		{ 250, "2.0.0", "OK", "250 2.0.0 OK\r\n" },
		{ 250, "", "OK", "250 OK\r\n" },
		{ 250, NULL, "OK", "250 OK\r\n" },
		{ 550, "5.7.1", "a\nb", "550-5.7.1 a\r\n550 5.7.1 b\r\n" },
		{ 550, "5.7.1", "a\r\nb\n", "550-5.7.1 a\r\n550 5.7.1 b\r\n" },
		{ 550, "5.7.1", "a\rb", "550 5.7.1 a?b\r\n" },
		{ 550, "5.7.1", "\n\na",
		    "550-5.7.1 \r\n550-5.7.1 \r\n550 5.7.1 a\r\n" },
		{ 550, "", "", "550 \r\n" },
		{ 550, "5.7.1", "", "550 5.7.1 \r\n" },
		/* what a filter may get wrong */
		{ 550, "2.0.0", "no", "550 5.0.0 no\r\n" },
		{ 250, "5.7.1", "no", "250 2.0.0 no\r\n" },
		{ 451, "9.9.9", "no", "451 4.0.0 no\r\n" },
		{ 451, "4.7", "no", "451 4.0.0 no\r\n" },
		{ 451, "4.7.1 x", "no", "451 4.0.0 no\r\n" },
		{ 451, "4.7.1\r\n", "no", "451 4.0.0 no\r\n" },
		{ 451, "junk", "no", "451 4.0.0 no\r\n" },
		{ 354, "3.0.0", "go", "354 go\r\n" },
		{ 0, "", "", "451 \r\n" },
		{ 199, "", "a", "451 a\r\n" },
		{ 600, "5.0.0", "a", "451 4.0.0 a\r\n" },
		{ -550, "", "a", "451 a\r\n" },
		{ 250, "", "gr\xc3\xbc\x01\x7f", "250 gr????\r\n" },
	};
	char out[REPLY_SIZE];
	size_t n;

	for (size_t i = 0; i < NITEMS(table); i++) {
		n = reply_build(out, sizeof(out), table[i].code,
		    table[i].enhanced, table[i].text);
		assert_string_equal(out, table[i].wire);
		assert_int_equal(n, strlen(table[i].wire));
	}
}

/* A long text is folded, words whole where there are words, and nothing of
 * it is lost while there is room. */
static void
test_fold(void **state)
{
	char text[3000], out[REPLY_SIZE], back[REPLY_SIZE] = "";
	size_t n, at = 0;

	while (at + 8 < sizeof(text))
		at += (size_t)snprintf(
		    text + at, sizeof(text) - at, "w%05zu ", at);
	text[at - 1] = '\0';
	n = reply_build(out, sizeof(out), 550, "5.7.1", text);
	check_wire(out, n, 550);
	for (char *line = out; *line != '\0'; line = strchr(line, '\n') + 1) {
		if (*back != '\0')
			strcat(back, " ");
		strncat(back, line + 10, strcspn(line, "\r") - 10);
	}
	assert_string_equal(back, text);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = reply_build(out, sizeof(out), 550, "5.7.1", text);
	check_wire(out, n, 550);
	assert_true(n > sizeof(text));
}

static const struct {
	const char *stream;
	size_t len;
	enum reply_event event;
	int code;
	const char *enhanced, *text;
	unsigned lines;
	size_t left;
} replies[] = {
	{ SS("250 OK\r\n"), REPLY_EVENT_DONE, 250, "", "OK", 1, 0 },
	{ SS("250\r\n"), REPLY_EVENT_DONE, 250, "", "", 1, 0 },
	{ SS("250 \r\n"), REPLY_EVENT_DONE, 250, "", "", 1, 0 },
	{ SS("250\n"), REPLY_EVENT_DONE, 250, "", "", 1, 0 },
	{ SS("553-\r\n553\r\n"), REPLY_EVENT_DONE, 553, "", "", 2, 0 },
	{ SS("553-a\r\n553 b\r\n250 c\r\n"), REPLY_EVENT_DONE, 553, "", "a b",
	    2, 7 },
	{ SS("250 2.1.5 OK\r\n"), REPLY_EVENT_DONE, 250, "2.1.5", "OK", 1, 0 },
	{ SS("550 5.7.123\r\n"), REPLY_EVENT_DONE, 550, "5.7.123", "", 1, 0 },
	{ SS("550-5.1.1 no\r\n550 5.1.1 such\r\n"), REPLY_EVENT_DONE, 550,
	    "5.1.1", "no such", 2, 0 },
	{ SS("550-no\r\n550 5.1.1 such\r\n"), REPLY_EVENT_DONE, 550, "5.1.1",
	    "no such", 2, 0 },
	{ SS("550-a\r\n550-\r\n550 b\r\n"), REPLY_EVENT_DONE, 550, "", "a b", 3,
	    0 },
	{ SS("550 2.1.1 lie\r\n"), REPLY_EVENT_DONE, 550, "", "2.1.1 lie", 1,
	    0 },
	{ SS("550 4.1.1 lie\r\n"), REPLY_EVENT_DONE, 550, "", "4.1.1 lie", 1,
	    0 },
	{ SS("250 9.9.9 lie\r\n"), REPLY_EVENT_DONE, 250, "", "9.9.9 lie", 1,
	    0 },
	{ SS("354 3.0.0 go\r\n"), REPLY_EVENT_DONE, 354, "", "3.0.0 go", 1, 0 },
	{ SS("550 5.1\r\n"), REPLY_EVENT_DONE, 550, "", "5.1", 1, 0 },
	{ SS("550 5.1.\r\n"), REPLY_EVENT_DONE, 550, "", "5.1.", 1, 0 },
	{ SS("550 5.1.1234 x\r\n"), REPLY_EVENT_DONE, 550, "", "5.1.1234 x", 1,
	    0 },
	{ SS("550 5.01.1 x\r\n"), REPLY_EVENT_DONE, 550, "", "5.01.1 x", 1, 0 },
	{ SS("550 5.1.1x\r\n"), REPLY_EVENT_DONE, 550, "", "5.1.1x", 1, 0 },
	{ SS("550 a\0b\x1b[c\rd\xff\r\n"), REPLY_EVENT_DONE, 550, "",
	    "a?b?[c?d?", 1, 0 },
	{ SS("550 a\r\r\n"), REPLY_EVENT_DONE, 550, "", "a?", 1, 0 },
	{ SS(""), REPLY_EVENT_MORE, 0, "", "", 0, 0 },
	{ SS("250 OK"), REPLY_EVENT_MORE, 0, "", "", 0, 0 },
	{ SS("250-OK\r\n"), REPLY_EVENT_LINE, 250, "", "OK", 1, 0 },
	{ SS("\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("25\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("2500\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("2x0 OK\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("25\0 OK\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS(" 250 OK\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("100 OK\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("600 OK\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("000 OK\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("HTTP/1.1 200 OK\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	/* the last line decides, whatever the others are */
	{ SS("250-2.0.0 a\r\n550 b\r\n"), REPLY_EVENT_DONE, 550, "", "a b", 2,
	    0 },
	{ SS("550-5.1.1 no\r\n554 5.7.1 b\r\n"), REPLY_EVENT_DONE, 554, "5.1.1",
	    "no b", 2, 0 },
	{ SS("250-2.0.0 queued\r\nThank you!\r\n\r\n2500 octets\r\n250 x\r\n"),
	    REPLY_EVENT_DONE, 250, "2.0.0", "queued Thank you! 2500 octets x",
	    5, 0 },
	{ SS("250-a\r\n150 b\r\n"), REPLY_EVENT_ERROR, 250, "", "a", 1, 0 },
	{ SS("250\tok\r\n"), REPLY_EVENT_DONE, 250, "", "ok", 1, 0 },
	{ SS("250\0ok\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 0 },
	{ SS("Thank you!\r\n250 x\r\n"), REPLY_EVENT_ERROR, 0, "", "", 0, 7 },
};

static void
test_parse(void **state)
{
	char enhanced[REPLY_ENHANCED_SIZE];
	struct reply_parser p;
	size_t taken;

	for (size_t i = 0; i < NITEMS(replies); i++)
		for (size_t step = 1; step <= replies[i].len + 1; step++) {
			assert_int_equal(parse(&p, replies[i].stream,
					     replies[i].len, step, &taken),
			    replies[i].event);
			assert_int_equal(
			    replies[i].len - taken, replies[i].left);
			assert_int_equal(p.reply.code, replies[i].code);
			assert_string_equal(p.reply.text, replies[i].text);
			assert_int_equal(p.reply.lines, replies[i].lines);
			assert_string_equal(
			    reply_enhanced_format(&p.reply, enhanced),
			    replies[i].enhanced);
			assert_int_equal(p.error != NULL,
			    replies[i].event == REPLY_EVENT_ERROR);
		}
}

/* An error stays one, whatever comes. */
static void
test_error_stays(void **state)
{
	struct reply_parser p;
	size_t used;

	reply_parser_init(&p);
	assert_int_equal(reply_parse(&p, "x\r\n", 3, &used), REPLY_EVENT_ERROR);
	assert_int_equal(
	    reply_parse(&p, "250 OK\r\n", 8, &used), REPLY_EVENT_ERROR);
	assert_int_equal(used, 0);
}

static void
test_bounds(void **state)
{
	static char s[65536];
	struct reply_parser p;
	size_t n, taken;

	/* text of a line beyond 1024 octets is dropped */
	memset(s, 'x', sizeof(s));
	memcpy(s, "250 ", 4);
	memcpy(s + REPLY_READ_MAX - 1, "\r\n", 2);
	for (size_t step = 1; step < 5000; step += 977) {
		assert_int_equal(parse(&p, s, REPLY_READ_MAX + 1, step, &taken),
		    REPLY_EVENT_DONE);
		assert_int_equal(strlen(p.reply.text), REPLY_TEXT_SIZE - 1);
		assert_int_equal(strlen(p.line), REPLY_TEXT_SIZE - 1);
	}
	/* so it is of a line that has no code, within a reply */
	memset(s + 4, 'x', sizeof(s) - 4);
	memcpy(s, "250-a\r\n", 7);
	memcpy(s + 2000, "\r\n", 2);
	assert_int_equal(parse(&p, s, 2002, 2002, &taken), REPLY_EVENT_LINE);
	assert_int_equal(strlen(p.line), REPLY_TEXT_SIZE - 1);
	/* an octet more is too much, with and without an end */
	memcpy(s, "250 xxx", 7);
	memset(s + 4, 'x', sizeof(s) - 4);
	memcpy(s + REPLY_READ_MAX, "\r\n", 2);
	assert_int_equal(
	    parse(&p, s, REPLY_READ_MAX + 2, 100, &taken), REPLY_EVENT_ERROR);
	memset(s + 4, 'x', sizeof(s) - 4);
	assert_int_equal(
	    parse(&p, s, sizeof(s), 1000, &taken), REPLY_EVENT_ERROR);
	assert_true(taken <= REPLY_READ_MAX);
	/* 200 continuation lines and the last one */
	for (n = 0; n < 200; n++)
		memcpy(s + n * 7, "250-a\r\n", 7);
	memcpy(s + n * 7, "250 b\r\n", 7);
	assert_int_equal(parse(&p, s, n * 7 + 7, 50, &taken), REPLY_EVENT_DONE);
	assert_int_equal(p.reply.lines, 201);
	memcpy(s + n * 7, "250-b\r\n250 c\r\n", 14);
	assert_int_equal(
	    parse(&p, s, n * 7 + 14, 50, &taken), REPLY_EVENT_ERROR);
	/* long lines joined */
	memset(s, 'y', sizeof(s));
	for (n = 0; n < 10; n++) {
		memcpy(s + n * 506, n < 9 ? "250-" : "250 ", 4);
		memcpy(s + n * 506 + 504, "\r\n", 2);
	}
	assert_int_equal(parse(&p, s, n * 506, 100, &taken), REPLY_EVENT_DONE);
	assert_int_equal(strlen(p.reply.text), REPLY_TEXT_SIZE - 1);
}

static void
test_class(void **state)
{
	assert_int_equal(reply_class(250), REPLY_POSITIVE);
	assert_int_equal(reply_class(354), REPLY_INTERMEDIATE);
	assert_int_equal(reply_class(421), REPLY_TRANSIENT);
	assert_int_equal(reply_class(599), REPLY_PERMANENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_error_stays),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
