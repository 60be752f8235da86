/*
 * See store_case.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store_case.h"

int
store_case_setup(void **state)
{
	struct store_case *f = calloc(1, sizeof(*f));

	f->path = fixture_folder();
	f->st = fixture_open(f->path);
	*state = f;
	return 0;
}

int
store_case_teardown(void **state)
{
	struct store_case *f = *state;

	store_close(f->st);
	fixture_remove(f->path);
	free(f);
	return 0;
}

void
store_case_put(
    struct store *st, uint32_t msgid, uint32_t rcpts, size_t len, int spooled)
{
	assert_int_equal(store_batch_begin(st), STORE_OK);
	assert_int_equal(fixture_put(st, msgid, rcpts, len, spooled), STORE_OK);
	assert_int_equal(store_batch_commit(st), STORE_OK);
}

void
store_case_assert(struct store *st, uint32_t msgid, uint32_t rcpts, size_t len)
{
	const char *wrong = fixture_check(st, msgid, rcpts, len);

	if (wrong != NULL)
		fail_msg("%08x: %s", msgid, wrong);
}
