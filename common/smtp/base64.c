/*
 * See base64.h. Strict on purpose: two texts that decode to the same octets
 * would let a peer hide one behind the other.
 */
#include <limits.h>
#include <string.h>

#include "smtp/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

ssize_t
base64_encode(const void *in, size_t len, char *out, size_t size)
{
	const uint8_t *s = in;
	char *p = out;

	if (len > SSIZE_MAX / 2 || BASE64_LENGTH(len) >= size)
		return -1;
	for (; len >= 3; len -= 3, s += 3) {
		*p++ = alphabet[s[0] >> 2];
		*p++ = alphabet[(s[0] & 3) << 4 | s[1] >> 4];
		*p++ = alphabet[(s[1] & 15) << 2 | s[2] >> 6];
		*p++ = alphabet[s[2] & 63];
	}
	if (len > 0) {
		unsigned second = len == 2 ? s[1] : 0;

		*p++ = alphabet[s[0] >> 2];
		*p++ = alphabet[(s[0] & 3) << 4 | second >> 4];
		*p++ = len == 2 ? alphabet[(second & 15) << 2] : '=';
		*p++ = '=';
	}
	*p = '\0';
	return p - out;
}

static int
value(char c)
{
	const char *p;

	if (c == '\0' || (p = strchr(alphabet, c)) == NULL)
		return -1;
	return (int)(p - alphabet);
}

ssize_t
base64_decode(const char *in, size_t len, uint8_t *out, size_t size)
{
	size_t pad = 0, n = 0;
	uint32_t bits;
	int v;

	if (len % 4 != 0)
		return -1;
	if (len > 0 && in[len - 1] == '=')
		pad = in[len - 2] == '=' ? 2 : 1;
	if (len / 4 * 3 - pad > size)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		size_t digits = i + 4 == len ? 4 - pad : 4;

		bits = 0;
		for (size_t k = 0; k < 4; k++) {
			v = k < digits ? value(in[i + k]) : 0;
			if (v == -1)
				return -1;
			bits = bits << 6 | (uint32_t)v;
		}
		if ((digits == 3 && (bits & 0xff) != 0) ||
		    (digits == 2 && (bits & 0xffff) != 0))
			return -1;
		for (size_t k = 0; k + 1 < digits; k++)
			out[n++] = (uint8_t)(bits >> (16 - 8 * k));
	}
	return (ssize_t)n;
}
