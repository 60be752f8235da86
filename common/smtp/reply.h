/*
 * Replies of RFC 5321 section 4.2 with the codes of RFC 3463 and RFC 2034.
 * The server's half formats: from the one table of replies, or from the code
 * and text that another process decided. The client's half parses what a
 * hostile server may send, in bounded memory. Called by both sessions; trusts
 * neither a peer nor the text of a colleague.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include <stddef.h>
#include <stdint.h>

/* ---- server ----------------------------------------------------------- */

#define REPLY(id, code, enhanced, text) REPLY_##id,
enum reply_id {
	REPLY_NONE,
#include "smtp/replies.tbl"
	REPLY_COUNT
};

enum {
	REPLY_LINE_MAX = 512, /* octets of a line with CRLF, RFC 4.5.3.1.5 */
	REPLY_ENHANCED_SIZE = 12, /* "5.999.999" and NUL; 12 in messages.tbl */
	REPLY_SIZE = 4096 /* a buffer of this size holds any reply */
};

/* Code, enhanced code ("" if none) and text of a reply, for the log and for
 * rcpt_verdict; 0 and "" for REPLY_NONE. */
int reply_code(enum reply_id);
const char *reply_enhanced(enum reply_id);
const char *reply_text(enum reply_id);

/*
 * Writes a reply to out, CRLF included, terminated by NUL; returns its length
 * without NUL. The arguments are as many const char * as the text has %s,
 * then NULL; a missing one reads as "?". What does not fit is cut so that
 * the reply stays well-formed; size must be over REPLY_LINE_MAX.
 */
size_t reply_format(char *out, size_t size, enum reply_id, ...)
    __attribute__((sentinel));

/*
 * The same for a reply that another process decided (rcpt_verdict, submitted,
 * queue_status, a filter). A code outside 200 to 599 becomes 451. An enhanced
 * code that is malformed or of another class than the code becomes X.0.0 of
 * the right class; "" or NULL stands for none. A newline in text begins a
 * new line of the reply, a long line is folded, and each octet outside
 * printable US-ASCII goes out as `?`.
 */
size_t reply_build(
    char *out, size_t size, int code, const char *enhanced, const char *text);

/* ---- client ----------------------------------------------------------- */

enum {
	REPLY_TEXT_SIZE = 1025, /* text kept of a reply, and of a line */
	REPLY_READ_MAX = 4096, /* octets read of a line */
	REPLY_CONTINUATION_MAX = 200
};

enum reply_class {
	REPLY_POSITIVE = 2, /* 2yz */
	REPLY_INTERMEDIATE = 3, /* 3yz */
	REPLY_TRANSIENT = 4, /* 4yz */
	REPLY_PERMANENT = 5 /* 5yz */
};

struct smtp_reply {
	int code; /* of the last line, 200 to 599 */
	/* class, subject, detail; class is 0 when there was none, or one that
	 * contradicts the code */
	unsigned short enhanced[3];
	unsigned lines;
	/* the lines' texts without codes, joined by a space; printable
	 * US-ASCII, other octets are `?`; cut at 1024 octets */
	char text[REPLY_TEXT_SIZE];
};

enum reply_event {
	REPLY_EVENT_MORE, /* all was taken, no line is complete */
	REPLY_EVENT_LINE, /* a line, and more will come */
	REPLY_EVENT_DONE, /* the last line: reply is complete */
	REPLY_EVENT_ERROR /* this is no SMTP: close; error says why */
};

struct reply_parser {
	struct smtp_reply reply;
	/* text of the line just read without its code, safe as above but with
	 * its enhanced code, for EHLO */
	char line[REPLY_TEXT_SIZE + 4];
	const char *error; /* a constant text after EVENT_ERROR, else NULL */
	size_t line_len; /* octets kept in line */
	size_t read; /* octets read of this line */
};

/* Ready for a reply. Called before each one. */
void reply_parser_init(struct reply_parser *);

/*
 * Takes octets up to the end of a line and stores in *used how many. After
 * DONE, what is left belongs to the next reply. A line ends with LF; a CR
 * before it is dropped. Of a reply of several lines the last one's code
 * counts, and lines without a code are text. After ERROR it stays in error.
 */
enum reply_event reply_parse(
    struct reply_parser *, const char *data, size_t len, size_t *used);

/* The class of a code of 200 to 599. */
enum reply_class reply_class(int code);

/* Writes "5.1.1", or "" when the reply has none; returns out. */
char *reply_enhanced_format(
    const struct smtp_reply *, char out[REPLY_ENHANCED_SIZE]);

/*
 * Reads an enhanced code at the start of text that fits the code's class.
 * Returns the octets that it takes (without the space behind it), or 0.
 */
size_t reply_enhanced_parse(
    const char *text, int code, unsigned short enhanced[3]);

#endif
