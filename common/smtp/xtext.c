/*
 * See xtext.h. A decoder never lets through what a header, a log or an
 * envelope could take for structure, whichever way it was escaped.
 */
#include <string.h>
#include <strings.h>

#include "smtp/utf8.h"
#include "smtp/xtext.h"

static int
hex_value(char c, int upper_only)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (!upper_only && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* xchar: what stands for itself. */
static int
is_xchar(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

ssize_t
xtext_decode(const char *in, size_t len, char *out, size_t size)
{
	size_t n = 0;
	int high, low, c;

	if (size == 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		c = (unsigned char)in[i];
		if (c == '+') {
			if (len - i < 3 ||
			    (high = hex_value(in[i + 1], 1)) == -1 ||
			    (low = hex_value(in[i + 2], 1)) == -1)
				return -1;
			c = high << 4 | low;
			if (c < ' ' || c > 0x7e)
				return -1;
			i += 2;
		} else if (!is_xchar((unsigned char)c))
			return -1;
		if (n + 1 >= size)
			return -1;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return (ssize_t)n;
}

ssize_t
xtext_encode(const char *in, size_t len, char *out, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	if (size == 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)in[i];
		size_t need = is_xchar(c) ? 1 : 3;

		if (n + need >= size)
			return -1;
		if (need == 1) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '+';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	out[n] = '\0';
	return (ssize_t)n;
}

/* QCHAR of RFC 6533: xchar but the backslash, which begins an escape. */
static int
is_qchar(unsigned char c)
{
	return is_xchar(c) && c != '\\';
}

/*
 * Reads \x{HEX} at in; returns its octets, 0 if it is none or stands for a
 * character that has no need of it. HEXPOINT permits no leading zero.
 */
static size_t
embedded_decode(const char *in, size_t len, uint32_t *character)
{
	uint32_t c = 0;
	size_t i;
	int digit;

	if (len < 6 || memcmp(in, "\\x{", 3) != 0)
		return 0;
	for (i = 3; i < len && i < 9 && in[i] != '}'; i++) {
		if ((digit = hex_value(in[i], 0)) == -1)
			return 0;
		c = c << 4 | (uint32_t)digit;
	}
	if (i >= len || in[i] != '}' || i < 5 || in[3] == '0')
		return 0;
	if (c < 0x80 && c != ' ' && is_qchar((unsigned char)c))
		return 0;
	*character = c;
	return i + 1;
}

ssize_t
xtext_decode_utf8(
    const char *in, size_t len, int unitext, char *out, size_t size)
{
	char octets[4];
	uint32_t c;
	size_t n = 0, take, put;

	if (size == 0)
		return -1;
	for (; len > 0; in += take, len -= take) {
		if (*in == '\\')
			take = embedded_decode(in, len, &c);
		else if ((unsigned char)*in >= 0x80)
			take = unitext ? utf8_decode(in, len, &c) : 0;
		else {
			c = (unsigned char)*in;
			take = is_qchar((unsigned char)c) ? 1 : 0;
		}
		if (take == 0 || !utf8_is_safe(c))
			return -1;
		if ((put = utf8_encode(c, octets)) == 0 || n + put >= size)
			return -1;
		memcpy(out + n, octets, put);
		n += put;
	}
	out[n] = '\0';
	return (ssize_t)n;
}

/* Writes \x{HEX} with at least two digits; out holds 10 octets. */
static size_t
embedded_encode(uint32_t c, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;
	int shift = 4;

	while (c >> shift >= 16)
		shift += 4;
	out[n++] = '\\';
	out[n++] = 'x';
	out[n++] = '{';
	for (; shift >= 0; shift -= 4)
		out[n++] = digits[c >> shift & 15];
	out[n++] = '}';
	return n;
}

ssize_t
xtext_encode_utf8(const char *in, size_t len, char *out, size_t size)
{
	char octets[10];
	uint32_t c;
	size_t n = 0, take, put;

	if (size == 0)
		return -1;
	for (; len > 0; in += take, len -= take) {
		if ((take = utf8_decode(in, len, &c)) == 0)
			return -1;
		if (c < 0x80 && is_qchar((unsigned char)c)) {
			octets[0] = (char)c;
			put = 1;
		} else
			put = embedded_encode(c, octets);
		if (n + put >= size)
			return -1;
		memcpy(out + n, octets, put);
		n += put;
	}
	out[n] = '\0';
	return (ssize_t)n;
}

/*
 * Length of the type at the start of a value of ORCPT (an atom, RFC 3461
 * 4.2), 0 if `type;` does not begin it.
 */
static size_t
orcpt_type(const char *in, size_t len)
{
	size_t n;

	for (n = 0; n < len && in[n] != ';'; n++)
		if (!is_xchar((unsigned char)in[n]) ||
		    strchr("()<>@,:\\\".[]", in[n]) != NULL)
			return 0;
	return n < len ? n : 0;
}

static int
type_is_utf8(const char *in, size_t type)
{
	return type == 5 && strncasecmp(in, "utf-8", 5) == 0;
}

ssize_t
xtext_decode_orcpt(
    const char *in, size_t len, int unitext, char *out, size_t size)
{
	size_t type = orcpt_type(in, len);
	const char *value = in + type + 1;
	ssize_t n;

	if (type == 0 || type + 1 == len || type + 2 > size)
		return -1;
	if (type_is_utf8(in, type))
		n = xtext_decode_utf8(value, len - type - 1, unitext,
		    out + type + 1, size - type - 1);
	else
		n = xtext_decode(
		    value, len - type - 1, out + type + 1, size - type - 1);
	if (n == -1)
		return -1;
	for (size_t i = 0; i < type; i++)
		out[i] =
		    in[i] >= 'A' && in[i] <= 'Z' ? (char)(in[i] | 0x20) : in[i];
	out[type] = ';';
	return (ssize_t)type + 1 + n;
}

ssize_t
xtext_encode_orcpt(const char *in, size_t len, char *out, size_t size)
{
	size_t type = orcpt_type(in, len);
	const char *value = in + type + 1;
	ssize_t n;

	if (type == 0 || type + 1 == len || type + 2 > size)
		return -1;
	memcpy(out, in, type + 1);
	if (type_is_utf8(in, type))
		n = xtext_encode_utf8(
		    value, len - type - 1, out + type + 1, size - type - 1);
	else
		n = xtext_encode(
		    value, len - type - 1, out + type + 1, size - type - 1);
	return n == -1 ? -1 : (ssize_t)type + 1 + n;
}
