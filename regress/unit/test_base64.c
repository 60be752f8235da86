/*
 * Base64, strict both ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/base64.h"

static const struct {
	const char *octets;
	size_t len;
	const char *text;
} pairs[] = {
	{ "", 0, "" },
	{ "f", 1, "Zg==" },
	{ "fo", 2, "Zm8=" },
	{ "foo", 3, "Zm9v" },
	{ "foob", 4, "Zm9vYg==" },
	{ "fooba", 5, "Zm9vYmE=" },
	{ "foobar", 6, "Zm9vYmFy" },
	{ "\0user\0pass", 10, "AHVzZXIAcGFzcw==" },
	{ "\xfb\xff\xbe", 3, "+/++" },
};

static const char *const malformed[] = { "Z", "Zg", "Zg=", "=",
	"====", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "Zm9v\n", "Zm 9v", "Zm-_",
	"Zm9v=", "Z=g=", "\xc3\xa4gg" };

static void
test_pairs(void **state)
{
	char text[64];
	uint8_t octets[64];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		size_t tlen = strlen(pairs[i].text);

		assert_int_equal(base64_encode(pairs[i].octets, pairs[i].len,
				     text, tlen + 1),
		    tlen);
		assert_string_equal(text, pairs[i].text);
		assert_int_equal(
		    base64_decode(pairs[i].text, tlen, octets, pairs[i].len),
		    pairs[i].len);
		assert_memory_equal(octets, pairs[i].octets, pairs[i].len);
	}
}

static void
test_too_small(void **state)
{
	char text[8];
	uint8_t octets[8];

	assert_int_equal(base64_encode("foo", 3, text, 4), -1);
	assert_int_equal(base64_encode("foo", 3, text, 0), -1);
	assert_int_equal(base64_decode("Zm9v", 4, octets, 2), -1);
	assert_int_equal(base64_decode("Zg==", 4, octets, 0), -1);
}

static void
test_malformed(void **state)
{
	uint8_t octets[64];

	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_int_equal(
		    base64_decode(malformed[i], strlen(malformed[i]), octets,
			sizeof(octets)),
		    -1);
	assert_int_equal(base64_decode("Zg\0=", 4, octets, 8), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
