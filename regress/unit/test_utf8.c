/*
 * UTF-8: each malformed form of RFC 3629, and a round trip of every
 * character.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/utf8.h"

static void
test_round_trip(void **state)
{
	char octets[4];
	uint32_t back;
	size_t n;

	for (uint32_t c = 0; c <= 0x110000; c++) {
		n = utf8_encode(c, octets);
		if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
			assert_int_equal(n, 0);
			continue;
		}
		assert_int_equal(utf8_decode(octets, n, &back), n);
		assert_int_equal(back, c);
		/* cut short, it is malformed */
		if (n > 1)
			assert_int_equal(utf8_decode(octets, n - 1, NULL), 0);
	}
	assert_int_equal(utf8_decode("", 0, NULL), 0);
}

static void
test_malformed(void **state)
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80",
		"\xc1\xbf", "\xc3\x28", "\xe0\x80\x80", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x28\xa1", "\xe2\x82\x28",
		"\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf0\x9f\x98\x28", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80",
		"\xfe", "\xff" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), NULL), 0);
		assert_int_equal(utf8_is_text(bad[i], strlen(bad[i])), 0);
	}
}

static void
test_safe(void **state)
{
	static const uint32_t unsafe[] = { 0, 1, 9, 10, 13, 0x1f, 0x7f, 0x80,
		0x85, 0x9f, 0xad, 0x61c, 0x200b, 0x200e, 0x200f, 0x2028, 0x2029,
		0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0xfeff, 0xfffe, 0xffff,
		0xfdd0, 0xd800, 0xdfff, 0x1ffff, 0xe0001, 0x10ffff, 0x110000 };
	static const uint32_t safe[] = { ' ', 'a', '~', 0xa0, 0xfc, 0x430,
		0x200c, 0x200d, 0x2027, 0x202f, 0x4e2d, 0xff0e, 0x1f600 };

	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		assert_int_equal(utf8_is_safe(unsafe[i]), 0);
	for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
		assert_int_equal(utf8_is_safe(safe[i]), 1);
	assert_int_equal(utf8_is_text("gr\xc3\xbc\xc3\x9f", 6), 1);
	assert_int_equal(utf8_is_text("a\nb", 3), 0);
	assert_int_equal(utf8_is_text("a\0b", 3), 0);
	assert_int_equal(utf8_is_text("a\xe2\x80\xae", 4), 0);
	assert_int_equal(utf8_is_ascii("abc\x7f", 4), 1);
	assert_int_equal(utf8_is_ascii("ab\xc3\xbc", 4), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
