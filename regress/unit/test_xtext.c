/*
 * xtext and the addresses of RFC 6533: no way to bring a control character
 * through, and what was encoded decodes to itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/xtext.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static void
test_decode(void **state)
{
	static const struct {
		const char *in, *out; /* out is NULL when refused */
	} table[] = { { "abc", "abc" }, { "", "" }, { "a+2Bb", "a+b" },
		{ "a+3Db", "a=b" }, { "a+20b", "a b" }, { "<>", "<>" },
		{ "a+7E", "a~" }, { "a+0Ab", NULL }, { "a+0Db", NULL },
		{ "+0D+0A", NULL }, { "a+00", NULL }, { "a+09", NULL },
		{ "a+1F", NULL }, { "a+7F", NULL }, { "a+80", NULL },
		{ "+C3+BC", NULL }, { "+", NULL }, { "+0", NULL },
		{ "a+", NULL }, { "a+2", NULL }, { "a+2b", NULL },
		{ "a+GG", NULL }, { "a+ 1", NULL }, { "a=b", NULL },
		{ "a b", NULL }, { "a\nb", NULL }, { "a\x7f", NULL },
		{ "\xc3\xbc", NULL } };
	char out[64];
	ssize_t n;

	for (size_t i = 0; i < NITEMS(table); i++) {
		n = xtext_decode(
		    table[i].in, strlen(table[i].in), out, sizeof(out));
		if (table[i].out == NULL) {
			assert_int_equal(n, -1);
			continue;
		}
		assert_int_equal(n, strlen(table[i].out));
		assert_string_equal(out, table[i].out);
	}
	assert_int_equal(xtext_decode("a\0b", 3, out, sizeof(out)), -1);
	assert_int_equal(xtext_decode("abc", 3, out, 3), -1);
	assert_int_equal(xtext_decode("abc", 3, out, 4), 3);
	assert_int_equal(xtext_decode("", 0, out, 0), -1);
}

static void
test_encode(void **state)
{
	char in[1], out[8], back[8];
	ssize_t n;

	for (int c = 0; c < 256; c++) {
		in[0] = (char)c;
		n = xtext_encode(in, 1, out, sizeof(out));
		assert_int_equal(
		    n, c > ' ' && c < 0x7f && c != '+' && c != '=' ? 1 : 3);
		if (c < ' ' || c > '~') {
			assert_int_equal(
			    xtext_decode(out, (size_t)n, back, 8), -1);
			continue;
		}
		assert_int_equal(xtext_decode(out, (size_t)n, back, 8), 1);
		assert_int_equal(back[0], in[0]);
	}
	assert_int_equal(xtext_encode("+", 1, out, 3), -1);
	assert_int_equal(xtext_encode("+", 1, out, 4), 3);
	assert_string_equal(out, "+2B");
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *in;
		int unitext;
		const char *out;
	} table[] = { { "abc", 0, "abc" }, { "\\x{FC}", 0, "\xc3\xbc" },
		{ "\\x{fc}", 0, "\xc3\xbc" },
		{ "\\x{1F600}", 0, "\xf0\x9f\x98\x80" },
		{ "a\\x{20}b", 0, "a b" },
		{ "\\x{5C}\\x{2B}\\x{3D}", 0, "\\+=" },
		{ "\xc3\xbc", 1, "\xc3\xbc" }, { "\xc3\xbc", 0, NULL },
		{ "\xc3", 1, NULL }, { "\xc0\xaf", 1, NULL },
		{ "\xe2\x80\xae", 1, NULL }, { "\\x{202E}", 0, NULL },
		{ "\\x{0A}", 0, NULL }, { "\\x{0D}", 0, NULL },
		{ "\\x{10}", 0, NULL }, { "\\x{85}", 0, NULL },
		{ "\\x{7F}", 0, NULL }, { "\\x{41}", 0, NULL },
		{ "\\x{D800}", 0, NULL }, { "\\x{110000}", 0, NULL },
		{ "\\x{00FC}", 0, NULL }, { "\\x{}", 0, NULL },
		{ "\\x{F", 0, NULL }, { "\\x{FC", 0, NULL },
		{ "\\x{FCFCFCFC}", 0, NULL }, { "\\", 0, NULL },
		{ "\\y{FC}", 0, NULL }, { "a b", 0, NULL }, { "a+b", 0, NULL },
		{ "a\nb", 1, NULL } };
	char out[64], again[64];
	ssize_t n;

	for (size_t i = 0; i < NITEMS(table); i++) {
		n = xtext_decode_utf8(table[i].in, strlen(table[i].in),
		    table[i].unitext, out, sizeof(out));
		if (table[i].out == NULL) {
			assert_int_equal(n, -1);
			continue;
		}
		assert_int_equal(n, strlen(table[i].out));
		assert_string_equal(out, table[i].out);
		n = xtext_encode_utf8(out, (size_t)n, again, sizeof(again));
		assert_true(n > 0);
		n = xtext_decode_utf8(again, (size_t)n, 0, out, sizeof(out));
		assert_string_equal(out, table[i].out);
	}
	assert_int_equal(xtext_encode_utf8("\xff", 1, out, 64), -1);
	assert_int_equal(xtext_encode_utf8("\xc3\xbc", 2, out, 6), -1);
	assert_int_equal(xtext_encode_utf8("\xc3\xbc", 2, out, 7), 6);
	assert_string_equal(out, "\\x{FC}");
}

static void
test_orcpt(void **state)
{
	static const struct {
		const char *in, *out, *again;
	} table[] = {
		{ "rfc822;a@b", "rfc822;a@b", "rfc822;a@b" },
		{ "RFC822;a+2Bc@b", "rfc822;a+c@b", "rfc822;a+2Bc@b" },
		{ "utf-8;\\x{FC}@b", "utf-8;\xc3\xbc@b", "utf-8;\\x{FC}@b" },
		{ "x400;/S=a/", NULL, NULL },
		{ "x400;/S+3Da/", "x400;/S=a/", "x400;/S+3Da/" },
		{ "rfc822;a+0Ab", NULL, NULL },
		{ "rfc822;", NULL, NULL },
		{ ";a@b", NULL, NULL },
		{ "rfc822", NULL, NULL },
		{ "rfc 822;a", NULL, NULL },
		{ "rfc+0A;a", NULL, NULL },
		{ "rfc:822;a", NULL, NULL },
		{ "", NULL, NULL },
	};
	char out[64], again[64];
	ssize_t n;

	for (size_t i = 0; i < NITEMS(table); i++) {
		n = xtext_decode_orcpt(
		    table[i].in, strlen(table[i].in), 0, out, sizeof(out));
		if (table[i].out == NULL) {
			assert_int_equal(n, -1);
			continue;
		}
		assert_int_equal(n, strlen(table[i].out));
		assert_string_equal(out, table[i].out);
		n = xtext_encode_orcpt(out, (size_t)n, again, sizeof(again));
		assert_int_equal(n, strlen(table[i].again));
		assert_string_equal(again, table[i].again);
	}
	for (size_t size = 0; size < 11; size++)
		assert_int_equal(
		    xtext_decode_orcpt("rfc822;a@b", 10, 0, out, size), -1);
	assert_int_equal(xtext_decode_orcpt("rfc822;a@b", 10, 0, out, 11), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_orcpt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
