/*
 * The octet buffer: what goes in comes out in order, under its limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/buffer.h"

/* Steps against a model: append n octets (positive) or consume (negative). */
static const struct {
	size_t limit;
	int steps[12];
	int refused; /* how many appends must fail */
} tables[] = {
	{ 16, { 16, -16 }, 0 },
	{ 16, { 17 }, 1 },
	{ 16, { 10, 7, 6, -1, 1, 1 }, 2 },
	{ 2000, { 600, -500, 600, -600, 1900, -1, 1 }, 0 },
	{ 100000, { 100000, -99999, 99999, 1, -100000, 5 }, 1 },
	{ 700, { 500, -400, 600, -700, 700, -350, 350, -350, 350 }, 0 },
	{ 1, { 1, 1, -1, 1, -5, 1 }, 1 },
};

static void
test_model(void **state)
{
	static uint8_t model[1 << 20], chunk[100001];

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		struct buffer b;
		size_t head = 0, tail = 0;
		uint8_t next = 0;
		int refused = 0, n;

		buffer_init(&b, tables[t].limit);
		for (size_t i = 0; i < 12 && tables[t].steps[i] != 0; i++) {
			n = tables[t].steps[i];
			for (int k = 0; k < n; k++)
				chunk[k] = next++;
			if (n < 0) {
				buffer_consume(&b, (size_t)-n);
				head += (size_t)-n;
				head = head < tail ? head : tail;
			} else if (buffer_append(&b, chunk, (size_t)n) == -1)
				refused++;
			else {
				memcpy(model + tail, chunk, (size_t)n);
				tail += (size_t)n;
			}
			assert_int_equal(buffer_length(&b), tail - head);
			assert_int_equal(
			    buffer_room(&b), tables[t].limit - (tail - head));
			if (tail > head)
				assert_memory_equal(buffer_octets(&b),
				    model + head, tail - head);
			else
				assert_null(b.data);
		}
		assert_int_equal(refused, tables[t].refused);
		buffer_clear(&b);
	}
}

/* Memory stays within twice what is held, however long it is in use. */
static void
test_memory(void **state)
{
	struct buffer b;
	uint8_t chunk[1000] = { 0 };

	buffer_init(&b, 64000);
	for (int i = 0; i < 30; i++)
		assert_int_equal(buffer_append(&b, chunk, 1000), 0);
	for (int i = 0; i < 100000; i++) {
		buffer_consume(&b, 1000);
		assert_int_equal(buffer_append(&b, chunk, 1000), 0);
		assert_true(b.size <= 64000);
	}
	buffer_clear(&b);
	assert_int_equal(b.limit, 64000);
}

static void
test_reserve(void **state)
{
	struct buffer b;
	uint8_t *p;

	buffer_init(&b, 10);
	assert_null(buffer_reserve(&b, 11));
	p = buffer_reserve(&b, 10);
	assert_non_null(p);
	memcpy(p, "abcdefghij", 10);
	buffer_commit(&b, 4);
	assert_int_equal(buffer_length(&b), 4);
	assert_memory_equal(buffer_octets(&b), "abcd", 4);
	assert_null(buffer_reserve(&b, 7));
	/* a limit below what is held lets nothing in, and loses nothing */
	b.limit = 2;
	assert_int_equal(buffer_room(&b), 0);
	assert_int_equal(buffer_append(&b, "x", 1), -1);
	assert_int_equal(buffer_append(&b, "", 0), 0);
	assert_memory_equal(buffer_octets(&b), "abcd", 4);
	buffer_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
