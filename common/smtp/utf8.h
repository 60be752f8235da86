/*
 * UTF-8 as RFC 3629 has it, strictly, and which characters may stand in an
 * address or a name that people read. Called by the parsers of common/smtp
 * and common/mail; trusts nothing.
 */
#ifndef SMTP_UTF8_H
#define SMTP_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Length in octets (1 to 4) of the character at s, which has len octets, and
 * its number in *character (may be NULL). 0 when it is malformed: cut short,
 * overlong, a surrogate, or above U+10FFFF. U+0000 is a character here.
 */
size_t utf8_decode(const char *s, size_t len, uint32_t *character);

/* Writes a character to out (at least 4 octets); returns its length, 0 for a
 * surrogate or a number above U+10FFFF. */
size_t utf8_encode(uint32_t character, char *out);

/*
 * 1 unless the character is a control (C0, DEL, C1), a line or paragraph
 * separator, changes or hides what a reader sees (bidirectional marks,
 * embeddings, overrides and isolates, zero-width space and joiner of words,
 * byte order mark, tags), or is no character at all.
 */
int utf8_is_safe(uint32_t character);

/* 1 when all len octets are well-formed UTF-8 of safe characters. */
int utf8_is_text(const char *s, size_t len);

/* 1 when all len octets are US-ASCII. */
int utf8_is_ascii(const char *s, size_t len);

#endif
