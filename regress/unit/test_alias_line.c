/*
 * common/conf/alias_line: comments and continued lines of a list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/alias_line.h"

/* Each line as "number:text;" */
static const struct {
	const char *text;
	const char *lines;
} lists[] = {
	{ "", "" },
	{ "\n \n\t\r\n", "" },
	{ "joe", "1:joe;" },
	{ "joe\r\n\n  ann, zoe\n", "1:joe;3:ann, zoe;" },
	/* comments */
	{ "# joe\n  # joe\n\t#\nann", "4:ann;" },
	{ "joe # at work\nann\t# at home\r\n", "1:joe ;2:ann\t;" },
	{ "joe, # ann\nzoe # \"x\n", "1:joe, ;2:zoe ;" },
	{ "a#b@c, d #e@f\n", "1:a#b@c, d ;" },
	{ "\\joe # copy", "1:\\joe ;" },
	{ "|grep '#'\n|\"grep '#'\"", "1:|grep '#';2:|\"grep '#'\";" },
	{ "\"|cat # x\" # y", "1:\"|cat # x\" ;" },
	{ "|\"cat # x\", joe # y", "1:|\"cat # x\", joe ;" },
	{ "\"|a \\\" # b\" # c", "1:\"|a \\\" # b\" ;" },
	{ "|a 'b # c' # d, e", "1:|a 'b # c' ;" },
	{ "\"|a\" 'b # c' # d", "1:\"|a\" 'b # c' ;" },
	{ "o'joe # ann's", "1:o'joe ;" },
	{ "|a, o'joe # b", "1:|a, o'joe ;" },
	{ "/a # b\n\"/a # b\"", "1:/a ;2:\"/a # b\";" },
	{ "\"a # b\"@c # d", "1:\"a # b\"@c ;" },
	{ "joe (a # (b) \\) # c) # d", "1:joe (a # (b) \\) # c) ;" },
	{ "(a # b) joe", "1:(a # b) joe;" },
	{ "|a (b # c\n/a (b # c", "1:|a (b ;2:/a (b ;" },
	{ "\"open # x\njoe # y", "1:\"open # x;2:joe ;" },
	/* lines that go on */
	{ "joe, \\\nann\nzoe", "1:joe, ann;3:zoe;" },
	{ "joe, \\\r\n  ann\r\nzoe", "1:joe,   ann;3:zoe;" },
	{ "jo\\\ne", "1:joe;" },
	{ "a, \\\n\\\nb\nc", "1:a, b;4:c;" },
	{ "joe\\", "1:joe;" },
	{ "joe\\\n", "1:joe;" },
	{ "\\\n\\\n\njoe", "4:joe;" },
	{ "joe, \\\n# ann\nzoe", "1:joe, ;3:zoe;" },
	{ "joe, \\\nann # x\nzoe", "1:joe, ann ;3:zoe;" },
	{ "joe # ann \\\nzoe", "1:joe ;2:zoe;" },
	{ "# joe \\\nzoe", "2:zoe;" },
	{ "\"|a \\\n# b\" # c", "1:\"|a # b\" ;" },
	{ "joe (a \\\n# b) # c", "1:joe (a # b) ;" },
};

static void
test_lines(void **state)
{
	char text[128], flat[128];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct alias_lines lines = { .rest = text };
		const char *line;
		size_t len = 0;

		snprintf(text, sizeof(text), "%s", lists[i].text);
		for (flat[0] = '\0'; (line = alias_next_line(&lines)) != NULL;)
			len += (size_t)snprintf(flat + len, sizeof(flat) - len,
			    "%d:%s;", lines.line, line);
		assert_string_equal(flat, lists[i].lines);
		assert_null(alias_next_line(&lines));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
