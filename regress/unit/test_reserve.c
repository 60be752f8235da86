/*
 * What is kept back of the descriptors.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/reserve.h"

static void
of_limits(void **state)
{
	static const struct {
		uint64_t limit;
		int begin;
	} rows[] = { { 0, 0 }, { 20, 10 }, { 127, 64 }, { 128, 64 },
		{ 256, 192 }, { 300, 236 }, { 512, 448 }, { 1024, 896 },
		{ 65536, 57344 }, { UINT64_MAX, INT_MAX } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(reserve_begin(rows[i].limit), rows[i].begin);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_limits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
