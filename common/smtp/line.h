/*
 * Cuts a stream of octets into command lines. A line ends with CRLF and
 * nothing else (RFC 5321 2.3.8): a CR or LF on its own spoils its line, and
 * all up to the next CRLF is dropped, so that what stands behind it is never
 * taken for a command. Called by the server session; trusts nothing.
 */
#ifndef SMTP_LINE_H
#define SMTP_LINE_H

#include <stddef.h>

/*
 * Commands: 512 by RFC 5321 4.5.3.1.4, and what extensions add to MAIL and
 * RCPT; 2048 has room for all of them with long addresses. AUTH exchanges:
 * RFC 4954 4. Octets without CRLF.
 */
enum { LINE_COMMAND_MAX = 2048, LINE_AUTH_MAX = 12288 };

enum line_event {
	LINE_MORE, /* all was taken, and no line is complete */
	LINE_READY, /* a line */
	LINE_OVERLONG, /* a line passed the limit: REPLY_LINE_TOO_LONG */
	LINE_BARE /* a CR or LF on its own: REPLY_BARE_NEWLINE */
};

struct line_splitter {
	char *buf; /* the start of a line that came in pieces */
	size_t size; /* octets of buf, the highest limit possible */
	size_t limit; /* octets of a line without CRLF */
	size_t len; /* octets in buf */
	int cr; /* the octet before was a CR */
	int skip; /* a spoilt line: drop all to the next CRLF */
};

/* buf stays the caller's and holds size octets; the limit is size. */
void line_init(struct line_splitter *, char *buf, size_t size);

/* Another limit (or size, when that is less) from the next line on. Only to
 * be called between lines. */
void line_set_limit(struct line_splitter *, size_t limit);

/* 1 when no octet of a line is pending. Must hold when a session goes over to
 * TLS or to a body. */
int line_is_idle(const struct line_splitter *);

/*
 * Takes octets up to the end of one event and stores in *used how many; call
 * again with the rest until LINE_MORE. With LINE_READY, *line has *line_len
 * octets without CRLF, not terminated, in data or in buf: good until the next
 * call. OVERLONG and BARE come at once, and once for a line.
 */
enum line_event line_next(struct line_splitter *, const char *data, size_t len,
    size_t *used, const char **line, size_t *line_len);

#endif
