/*
 * Safe and folded text of header fields; see text.h.
 */
#include <stdint.h>
#include <string.h>

#include "mail/text.h"
#include "smtp/utf8.h"

/* How an ASCII character may stand in a set: as it is, escaped, or not. */
static size_t
put_ascii(char *out, uint8_t c, enum text_set set)
{
	if (c < 32 || c == 127 ||
	    (set == TEXT_TOKEN &&
		(c == ' ' || strchr("()<>,;\\\"", c) != NULL))) {
		out[0] = '?';
		return 1;
	}
	if (set == TEXT_COMMENT && (c == '(' || c == ')' || c == '\\')) {
		out[0] = '\\';
		out[1] = c;
		return 2;
	}
	out[0] = c;
	return 1;
}

size_t
text_safe(char *out, size_t size, const char *in, enum text_set set, int utf8)
{
	char piece[4];
	size_t len, n = 0, used, put;
	uint32_t character;

	if (in == NULL)
		in = "";
	for (len = strlen(in); len > 0; in += used, len -= used) {
		used = 1;
		if ((uint8_t)*in < 128) {
			put = put_ascii(piece, *in, set);
		} else {
			used = utf8_decode(in, len, &character);
			if (used != 0 && utf8 && utf8_is_safe(character)) {
				memcpy(piece, in, used);
				put = used;
			} else {
				piece[0] = '?';
				put = 1;
			}
			if (used == 0)
				used = 1;
		}
		if (n + put >= size)
			break;
		memcpy(out + n, piece, put);
		n += put;
	}
	out[n] = '\0';
	return n;
}

void
text_init(struct text *t, char *buf, size_t size)
{
	t->buf = buf;
	t->size = size;
	t->len = 0;
	t->column = 0;
	t->full = size == 0;
	if (size > 0)
		buf[0] = '\0';
}

static void
add_octets(struct text *t, const char *s, size_t len)
{
	if (t->full || len >= t->size - t->len) {
		t->full = 1;
		return;
	}
	memcpy(t->buf + t->len, s, len);
	t->len += len;
	t->column += len;
	t->buf[t->len] = '\0';
}

void
text_add(struct text *t, const char *s)
{
	add_octets(t, s, strlen(s));
}

void
text_break(struct text *t)
{
	text_add(t, "\r\n");
	t->column = 0;
}

static void
add_word(struct text *t, const char *word, size_t len)
{
	/* A fresh line begins with a tab; never fold twice in a row, a line
	 * of white space alone would end up as one. */
	if (t->column > 8 && t->column + 1 + len > TEXT_COLUMNS)
		text_break(t);
	if (t->column == 0) {
		text_add(t, "\t");
		t->column = 8;
	} else {
		text_add(t, " ");
	}
	add_octets(t, word, len);
}

void
text_word(struct text *t, const char *word)
{
	add_word(t, word, strlen(word));
}

size_t
text_word_length(const char *words)
{
	size_t n = strcspn(words, " ");

	if (n > TEXT_WORD_MAX) {
		n = TEXT_WORD_MAX;
		while (n > 1 && ((uint8_t)words[n] & 0xc0) == 0x80)
			n--;
	}
	return n;
}

void
text_words(struct text *t, const char *words)
{
	size_t n;

	for (;;) {
		words += strspn(words, " ");
		n = text_word_length(words);
		if (n == 0)
			return;
		add_word(t, words, n);
		words += n;
	}
}

size_t
text_end(struct text *t)
{
	text_add(t, "\r\n");
	if (t->full) {
		if (t->size > 0)
			t->buf[0] = '\0';
		return 0;
	}
	return t->len;
}
