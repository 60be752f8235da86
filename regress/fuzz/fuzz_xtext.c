/*
 * xtext, utf-8-addr-xtext and ORCPT: what decodes is safe text, and encoding
 * it gives what decodes to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/utf8.h"
#include "smtp/xtext.h"

enum { SIZE = 4096 };

typedef ssize_t decode_function(const char *, size_t, int, char *, size_t);
typedef ssize_t encode_function(const char *, size_t, char *, size_t);

static void
require(int condition)
{
	if (!condition)
		abort();
}

static ssize_t
decode_plain(const char *in, size_t len, int unitext, char *out, size_t size)
{
	return xtext_decode(in, len, out, size);
}

static void
check(const char *in, size_t len, int unitext, decode_function *decode,
    encode_function *encode)
{
	char plain[SIZE], wire[8 * SIZE], again[SIZE];
	ssize_t n, m;

	if ((n = decode(in, len, unitext, plain, sizeof(plain))) == -1)
		return;
	require((size_t)n == strlen(plain) && (size_t)n <= len);
	require(utf8_is_text(plain, (size_t)n));
	m = encode(plain, (size_t)n, wire, sizeof(wire));
	require(m != -1 && (size_t)m == strlen(wire));
	require(utf8_is_ascii(wire, (size_t)m));
	require(decode(wire, (size_t)m, 0, again, sizeof(again)) == n);
	require(strcmp(plain, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *in = (const char *)data;

	check(in, size, 0, decode_plain, xtext_encode);
	for (int unitext = 0; unitext <= 1; unitext++) {
		check(in, size, unitext, xtext_decode_utf8, xtext_encode_utf8);
		check(
		    in, size, unitext, xtext_decode_orcpt, xtext_encode_orcpt);
	}
	return 0;
}
