/*
 * Service extensions: one table of what an EHLO reply may say, used by the
 * server to write it and by the client to read it. RFC 1869, now RFC 5321
 * section 4.1.1.1; LIMITS is RFC 9422.
 */
#ifndef SMTP_EXTENSION_H
#define SMTP_EXTENSION_H

#include <stddef.h>
#include <stdint.h>

#include "smtp/reply.h"

enum smtp_extension {
	EXT_SIZE = 1 << 0, /* RFC 1870 */
	EXT_8BITMIME = 1 << 1, /* RFC 6152 */
	EXT_PIPELINING = 1 << 2, /* RFC 2920 */
	EXT_CHUNKING = 1 << 3, /* RFC 3030 */
	EXT_BINARYMIME = 1 << 4, /* RFC 3030 */
	EXT_SMTPUTF8 = 1 << 5, /* RFC 6531 */
	EXT_DSN = 1 << 6, /* RFC 3461 */
	EXT_ENHANCED = 1 << 7, /* RFC 2034 */
	EXT_STARTTLS = 1 << 8, /* RFC 3207 */
	EXT_AUTH = 1 << 9, /* RFC 4954 */
	EXT_ETRN = 1 << 10, /* RFC 1985 */
	EXT_HELP = 1 << 11, /* RFC 5321 */
	EXT_LIMITS = 1 << 12 /* RFC 9422 */
};

enum { EXTENSION_MECHANISMS_SIZE = 513, EXTENSION_NAME_SIZE = 256 };

struct smtp_extensions {
	unsigned bits; /* enum smtp_extension */
	uint64_t size_max; /* SIZE in octets; 0: none said */
	/* LIMITS; 0: none said */
	uint32_t rcpt_max; /* RCPTs in a transaction */
	uint32_t mail_max; /* transactions in a session */
	/* AUTH: names of mechanisms in upper case, one space between */
	char mechanisms[EXTENSION_MECHANISMS_SIZE];
	/* the first word of the first line: who the server says it is;
	 * printable US-ASCII */
	char name[EXTENSION_NAME_SIZE];
};

/* The keyword of one bit, and the bit of a keyword (0: not known). */
const char *extension_keyword(enum smtp_extension);
unsigned extension_find(const char *keyword, size_t len);

/*
 * Server: writes the EHLO reply, CRLF included, terminated; returns its
 * length. greeting is the text of the first line behind the name. Size must
 * be at least REPLY_SIZE.
 */
size_t extension_format(char *out, size_t size, const struct smtp_extensions *,
    const char *greeting);

/*
 * Client: reads the line of an EHLO reply just parsed (reply_parser.line),
 * first for the first one. Keywords that are not known, and parameters that
 * make no sense, are passed over. Zero *ext before the first line.
 */
void extension_parse_line(
    struct smtp_extensions *ext, int first, const char *line);

/* 1 when the space separated list of mechanisms holds this one. */
int extension_has_mechanism(const struct smtp_extensions *, const char *name);

#endif
