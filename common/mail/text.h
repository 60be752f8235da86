/*
 * Text of header fields made safe and folded: what common/mail builds fields
 * with. Every value may come from a stranger; nothing that passes here can
 * end a line, a comment or a token.
 */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H

#include <stddef.h>

#define TEXT_COLUMNS 78
/* A longer word is split: a line may have 998 octets. */
#define TEXT_WORD_MAX 900

enum text_set {
	TEXT_PLAIN, /* printable characters and space */
	TEXT_COMMENT, /* the same, parentheses and backslash escaped */
	TEXT_TOKEN /* no space, no specials that end a token */
};

/*
 * Copies in (NULL is "") to out (size octets, always terminated), cut where
 * it no longer fits, never inside a character. What the set has not becomes
 * `?`, so does UTF-8 unless utf8 is set, and what is no safe UTF-8. Returns
 * the length.
 */
size_t text_safe(
    char *out, size_t size, const char *in, enum text_set, int utf8);

/* Not NULL and not "". */
static inline int
text_is_set(const char *s)
{
	return s != NULL && *s != '\0';
}

/* A field under construction. */
struct text {
	char *buf;
	size_t size;
	size_t len;
	size_t column;
	int full; /* something did not fit */
};

void text_init(struct text *, char *buf, size_t size);
/* Adds as it is. */
void text_add(struct text *, const char *);
/* Adds a word after a space, or on a new line when this one is full. The
 * word is not split, whatever it holds. */
void text_word(struct text *, const char *word);
/* Octets of the word that begins here, at most TEXT_WORD_MAX, never ending
 * inside a character; 0 at the end. */
size_t text_word_length(const char *words);
/* The same as text_word for each word of a text that may be split at its
 * spaces. */
void text_words(struct text *, const char *words);
/* The next word goes on a line of its own. */
void text_break(struct text *);
/* Ends the field with CRLF. The length, or 0 when it did not fit, and then
 * the buffer holds "". */
size_t text_end(struct text *);

#endif
