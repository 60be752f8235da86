/*
 * See utf8.h. RFC 3629 table 3-7 as code; the characters refused are those
 * with which Unicode changes or hides a text without being one.
 */
#include "smtp/utf8.h"

struct range {
	uint32_t first, last;
};

/* In order. What utf8_is_safe refuses beside the two last of each plane. */
static const struct range unsafe[] = {
	{ 0x0000, 0x001f }, /* C0 controls */
	{ 0x007f, 0x009f }, /* DEL and C1 controls */
	{ 0x00ad, 0x00ad }, /* soft hyphen */
	{ 0x034f, 0x034f }, /* combining grapheme joiner */
	{ 0x061c, 0x061c }, /* Arabic letter mark */
	{ 0x115f, 0x1160 }, /* Hangul fillers, blank to a reader */
	{ 0x180e, 0x180e }, /* Mongolian vowel separator */
	{ 0x200b, 0x200b }, /* zero-width space */
	{ 0x200e, 0x200f }, /* left-to-right and right-to-left mark */
	{ 0x2028, 0x202e }, /* separators, embeddings and overrides */
	{ 0x2060, 0x206f }, /* word joiner, isolates, deprecated format */
	{ 0x3164, 0x3164 }, /* Hangul filler */
	{ 0xfdd0, 0xfdef }, /* no characters */
	{ 0xfeff, 0xfeff }, /* byte order mark */
	{ 0xffa0, 0xffa0 }, /* half-width Hangul filler */
	{ 0xfff9, 0xfffb }, /* interlinear annotation */
	{ 0xe0000, 0xe007f } /* tags */
};

/* What the first octet of a sequence says: the bounds of the second one keep
 * out overlong forms, surrogates and numbers above U+10FFFF. */
static const struct lead {
	unsigned char first, last; /* of the first octet */
	unsigned char length;
	unsigned char low, high; /* of the second octet */
} leads[] = { { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f },
	{ 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f } };

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

size_t
utf8_decode(const char *s, size_t len, uint32_t *character)
{
	const unsigned char *u = (const unsigned char *)s;
	const struct lead *l;
	uint32_t c;

	if (len == 0)
		return 0;
	if (u[0] < 0x80) {
		if (character != NULL)
			*character = u[0];
		return 1;
	}
	for (l = leads; l < leads + NITEMS(leads); l++)
		if (u[0] >= l->first && u[0] <= l->last)
			break;
	if (l == leads + NITEMS(leads) || len < l->length || u[1] < l->low ||
	    u[1] > l->high)
		return 0;
	c = u[0] & (0xffu >> (l->length + 1));
	for (size_t i = 1; i < l->length; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (character != NULL)
		*character = c;
	return l->length;
}

size_t
utf8_encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		if (c >= 0xd800 && c <= 0xdfff)
			return 0;
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	if (c > 0x10ffff)
		return 0;
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

int
utf8_is_safe(uint32_t c)
{
	if (c >= 0x20 && c < 0x7f)
		return 1;
	if (c > 0x10ffff || (c & 0xfffe) == 0xfffe ||
	    (c >= 0xd800 && c <= 0xdfff))
		return 0;
	for (size_t i = 0; i < NITEMS(unsafe) && unsafe[i].first <= c; i++)
		if (c <= unsafe[i].last)
			return 0;
	return 1;
}

int
utf8_is_text(const char *s, size_t len)
{
	uint32_t c;
	size_t n;

	for (; len > 0; s += n, len -= n)
		if ((n = utf8_decode(s, len, &c)) == 0 || !utf8_is_safe(c))
			return 0;
	return 1;
}

int
utf8_is_ascii(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] >= 0x80)
			return 0;
	return 1;
}
