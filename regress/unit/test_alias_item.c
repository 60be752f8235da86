/*
 * conf/alias_item: which item of an alias a mark means, after edits too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/alias_item.h"

static void
parse(const char *text, struct alias *alias)
{
	char error[128];
	size_t at;

	assert_int_equal(
	    alias_parse(text, strlen(text), alias, error, sizeof(error), &at),
	    0);
}

/* Marks are kept in envelopes, so they may never change. */
static void
test_stays(void **state)
{
	static const struct {
		const char *text;
		uint32_t mark; /* of the first item */
	} rows[] = {
		{ "|/bin/a", 0xc25babad },
		{ "/bin/a, |/bin/a", 0xc5621db4 },
		{ ":include:/bin/a", 0xdfe7d73f },
		{ "|/bin/a, x, |/bin/b", 0x825babad },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct alias alias;

		parse(rows[i].text, &alias);
		assert_int_equal(
		    alias_item_mark(&alias, &alias.items[0]), rows[i].mark);
		alias_free(&alias);
	}
}

static void
test_edits(void **state)
{
	static const struct {
		const char *was;
		const char *now;
		int at[3]; /* where those of before are now, -1: nowhere */
	} rows[] = {
		{ "|a, /b, :include:/c", "|a, /b, :include:/c", { 0, 1, 2 } },
		{ "|a, /b, :include:/c", "x, |a, y, /b, :include:/c",
		    { 1, 3, 4 } },
		{ "|a, /b, :include:/c", ":include:/c, \"|a\"", { 1, -1, 0 } },
		{ "|a, |b, /c", "|new, |a, |b, /c", { 1, 2, 3 } },
		{ "|a, |b, /c", "|b, |new", { -1, 0, -1 } },
		/* one of several is nobody's successor, nor has one */
		{ "|a, |b, |c", "|b", { -1, 0, -1 } },
		{ "|a, /b", "|c, |d, /b", { -1, 2 } },
		/* put right */
		{ "|a", "|a -x", { 0 } },
		{ "joe, /b, |a", "|a -x, /c", { -1, 1, 0 } },
		/* the same words of another kind */
		{ "/b, |/b", ":include:/b", { -1, -1 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct alias was, now;

		parse(rows[i].was, &was);
		parse(rows[i].now, &now);
		for (uint32_t n = 0; n < was.nitems; n++) {
			const struct alias_item *item = &was.items[n];
			int at = rows[i].at[n];

			assert_ptr_equal(alias_item_find(&now, item->kind,
					     alias_item_mark(&was, item)),
			    at == -1 ? NULL : &now.items[at]);
		}
		alias_free(&was);
		alias_free(&now);
	}
}

static void
test_numbers(void **state)
{
	struct alias alias;

	parse("joe, |/bin/a", &alias);
	assert_null(alias_item_find(&alias, ALIAS_COMMAND, 0));
	assert_ptr_equal(
	    alias_item_find(&alias, ALIAS_COMMAND, 1), &alias.items[1]);
	assert_null(alias_item_find(&alias, ALIAS_FILE, 1));
	assert_null(alias_item_find(&alias, ALIAS_COMMAND, 2));
	alias_free(&alias);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stays),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
