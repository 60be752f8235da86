/*
 * The command line splitter: the same events wherever the stream is cut, and
 * nothing behind a spoilt line taken for a command.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/line.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

enum { LIMIT = 8 };

/* Feeds one piece; what happens is appended to seen: a line as (text), O for
 * OVERLONG, B for BARE. The piece is on the heap, so that a sanitizer sees
 * each step outside. */
static void
feed(struct line_splitter *ls, const char *piece, size_t len, char *seen)
{
	char *copy = malloc(len + 1);
	const char *data = copy, *line;
	size_t used, n;

	assert_non_null(copy);
	copy = realloc(copy, len > 0 ? len : 1);
	data = copy;
	memcpy(copy, piece, len);
	for (;;) {
		switch (line_next(ls, data, len, &used, &line, &n)) {
		case LINE_MORE:
			assert_int_equal(used, len);
			free(copy);
			return;
		case LINE_READY:
			assert_true(n <= LIMIT);
			sprintf(seen + strlen(seen), "(%.*s)", (int)n, line);
			break;
		case LINE_OVERLONG:
			strcat(seen, "O");
			break;
		case LINE_BARE:
			strcat(seen, "B");
			break;
		}
		assert_true(used <= len);
		data += used;
		len -= used;
	}
}

static const struct {
	const char *stream, *seen;
	int idle;
} table[] = {
	{ "", "", 1 },
	{ "QUIT\r\n", "(QUIT)", 1 },
	{ "\r\n", "()", 1 },
	{ "A\r\nB\r\nC\r\n", "(A)(B)(C)", 1 },
	{ "A\r\nB", "(A)", 0 },
	{ "A\r\nB\r", "(A)", 0 },
	{ "12345678\r\nA\r\n", "(12345678)(A)", 1 },
	{ "123456789\r\nA\r\n", "O(A)", 1 },
	{ "123456789012345678901234567890\r\nA\r\n", "O(A)", 1 },
	{ "123456789\nB\rC\r\nA\r\n", "O(A)", 1 },
	{ "123456789", "O", 0 },
	{ "A\nB\r\nC\r\n", "B(C)", 1 },
	{ "A\n", "B", 0 },
	{ "A\nB\nC\nD\r\n", "B", 1 },
	{ "A\rB\r\nC\r\n", "B(C)", 1 },
	{ "A\r\r\nC\r\n", "B(C)", 1 },
	{ "\n\r\nC\r\n", "B(C)", 1 },
	{ "\r\r\r\n\r\n", "B()", 1 },
	{ "\n\n\r\nA\r\n", "B(A)", 1 },
	{ "12345678\nA\r\nB\r\n", "B(B)", 1 },
	{ "12345678\rA\r\nB\r\n", "B(B)", 1 },
	{ "A\r\nMAIL\nRCPT\r\nB\r\n", "(A)B(B)", 1 },
	{ "A\n\r\n\n\r\nB\r\n", "BB(B)", 1 },
};

static void
test_every_split(void **state)
{
	char buf[LIMIT], seen[256];
	struct line_splitter ls;

	for (size_t t = 0; t < NITEMS(table); t++) {
		const char *s = table[t].stream;
		size_t len = strlen(s);

		for (size_t a = 0; a <= len; a++)
			for (size_t b = a; b <= len; b++) {
				*seen = '\0';
				line_init(&ls, buf, sizeof(buf));
				feed(&ls, s, a, seen);
				feed(&ls, s + a, b - a, seen);
				feed(&ls, s + b, len - b, seen);
				assert_string_equal(seen, table[t].seen);
				assert_int_equal(
				    line_is_idle(&ls), table[t].idle);
			}
		*seen = '\0';
		line_init(&ls, buf, sizeof(buf));
		for (size_t i = 0; i < len; i++)
			feed(&ls, s + i, 1, seen);
		assert_string_equal(seen, table[t].seen);
	}
}

static void
test_limit(void **state)
{
	char buf[LIMIT], seen[64] = "";
	struct line_splitter ls;

	line_init(&ls, buf, sizeof(buf));
	line_set_limit(&ls, 2);
	feed(&ls, "12\r\n123\r\n", 9, seen);
	assert_string_equal(seen, "(12)O");
	/* never over the buffer */
	line_set_limit(&ls, 100);
	feed(&ls, "12345678\r\n123456789\r\n", 21, seen);
	assert_string_equal(seen, "(12)O(12345678)O");
}

/* A NUL is an octet of its line: the command parser refuses it. */
static void
test_nul(void **state)
{
	char buf[LIMIT];
	struct line_splitter ls;
	const char *line;
	size_t used, n;

	line_init(&ls, buf, sizeof(buf));
	assert_int_equal(
	    line_next(&ls, "A\0B\r\n", 5, &used, &line, &n), LINE_READY);
	assert_int_equal(n, 3);
	assert_memory_equal(line, "A\0B", 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
