/*
 * Connection limits: what counts together, windows, and that the memory is
 * bounded whatever comes.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtpd/limits.h"

static const uint64_t key[2] = { 0x1234567890abcdef, 0xfedcba0987654321 };

static struct limits_address
v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return limits_address((uint8_t[]){ a, b, c, d }, 4);
}

static struct limits_address
v6(uint8_t subnet, uint8_t host)
{
	uint8_t octets[16] = { 0x20, 0x01, 0x0d,
		0xb8, [7] = subnet, [15] = host };

	return limits_address(octets, sizeof(octets));
}

static void
test_address(void **state)
{
	const struct limits_settings s = { 100, 2, 1000, 1000 };
	struct limits *l = limits_new(&s, key);
	struct limits_address a = v4(192, 0, 2, 1), b = v4(192, 0, 2, 2);

	assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_ADDRESS);
	assert_int_equal(limits_open(l, &b, 0), LIMITS_OK);
	assert_int_equal(limits_count(l), 3);
	limits_close(l, &a);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_ADDRESS);
	/* what counts by no address is not limited by one */
	for (int i = 0; i < 97; i++)
		assert_int_equal(limits_open(l, NULL, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, NULL, 0), LIMITS_TOTAL);
	assert_int_equal(limits_open(l, &b, 0), LIMITS_TOTAL);
	limits_close(l, NULL);
	assert_int_equal(limits_open(l, &b, 0), LIMITS_OK);
	limits_free(l);
}

static void
test_subnet(void **state)
{
	const struct limits_settings s = { 100, 2, 1000, 1000 };
	struct limits *l = limits_new(&s, key);
	struct limits_address a = v6(1, 1), b = v6(1, 2), c = v6(2, 1);

	assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, &b, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_ADDRESS);
	assert_int_equal(limits_open(l, &c, 0), LIMITS_OK);
	limits_free(l);
	/* 2001:0db8:: begins like 32.1.13.184 */
	l = limits_new(&s, key);
	a = v4(0x20, 1, 0x0d, 0xb8);
	b = limits_address((uint8_t[16]){ [4] = 0x20, 1, 0x0d, 0xb8 }, 16);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	assert_int_equal(limits_open(l, &b, 0), LIMITS_OK);
	limits_free(l);
}

static void
test_rate(void **state)
{
	const struct limits_settings s = { 100, 100, 10, 1000 };
	struct limits *l = limits_new(&s, key);
	struct limits_address a = v4(192, 0, 2, 1);

	for (int i = 0; i < 10; i++) {
		assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
		limits_close(l, &a);
	}
	assert_int_equal(limits_open(l, &a, 0), LIMITS_RATE);
	assert_int_equal(limits_open(l, &a, 999), LIMITS_RATE);
	/* half of the last window still counts, which is 5 */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(limits_open(l, &a, 1500), LIMITS_OK);
		limits_close(l, &a);
	}
	assert_int_equal(limits_open(l, &a, 1500), LIMITS_RATE);
	/* and nothing after a silence of two */
	assert_int_equal(limits_open(l, &a, 10000), LIMITS_OK);
	limits_close(l, &a);
	limits_free(l);
}

/* A flood of addresses pushes out those that are silent, and never one that
 * is connected. */
static void
test_flood(void **state)
{
	const struct limits_settings s = { 40, 1, 1, 1000000 };
	struct limits *l = limits_new(&s, key);
	struct limits_address held[20], a;

	for (uint8_t i = 0; i < 20; i++) {
		held[i] = v4(10, 0, 0, i);
		assert_int_equal(limits_open(l, &held[i], 0), LIMITS_OK);
	}
	for (unsigned i = 0; i < 100000; i++) {
		a = v4(11, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
		assert_int_equal(limits_open(l, &a, i), LIMITS_OK);
		limits_close(l, &a);
	}
	/* the last one is remembered, the first one is not */
	assert_int_equal(limits_open(l, &a, 100000), LIMITS_RATE);
	a = v4(11, 0, 0, 0);
	assert_int_equal(limits_open(l, &a, 100000), LIMITS_OK);
	assert_int_equal(limits_count(l), 21);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(
		    limits_open(l, &held[i], 3000000), LIMITS_ADDRESS);
		limits_close(l, &held[i]);
	}
	assert_int_equal(limits_count(l), 1);
	limits_free(l);
}

/* Other settings hold at once, and nobody who is there is forgotten. */
static void
test_configure(void **state)
{
	const struct limits_settings small = { 40, 3, 1000, 1000 };
	const struct limits_settings large = { 4000, 2, 1000, 1000 };
	struct limits *l = limits_new(&small, key);
	struct limits_address a;

	for (uint8_t i = 0; i < 39; i++) {
		a = v4(10, 0, 0, i);
		assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	}
	limits_close(l, &a);
	assert_int_equal(limits_configure(l, &large), 0);
	assert_int_equal(limits_count(l), 38);
	for (uint8_t i = 0; i < 39; i++) {
		a = v4(10, 0, 0, i);
		assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
		assert_int_equal(
		    limits_open(l, &a, 0), i < 38 ? LIMITS_ADDRESS : LIMITS_OK);
	}
	for (unsigned i = 0; i < 3922; i++) {
		a = v4(11, 0, (uint8_t)(i >> 8), (uint8_t)i);
		assert_int_equal(limits_open(l, &a, 0), LIMITS_OK);
	}
	a = v4(12, 0, 0, 1);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_TOTAL);
	assert_int_equal(limits_configure(l, &small), 0);
	assert_int_equal(limits_open(l, &a, 0), LIMITS_TOTAL);
	limits_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_subnet),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_configure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
