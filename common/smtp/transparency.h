/*
 * The body of a message on the wire, RFC 5321 section 4.5.2. Owns the end of
 * data: only CR LF dot CR LF ends a body. A CR or LF on its own, a NUL or a
 * line over the limit is a fault: the body is read to its true end and then
 * refused, so no other reader can see another end in it (SMTP smuggling).
 * Called by the server session for DATA and BDAT, by the client session and
 * for all that is sent. No octet is copied: both ways hand out spans.
 */
#ifndef SMTP_TRANSPARENCY_H
#define SMTP_TRANSPARENCY_H

#include <stddef.h>
#include <stdint.h>

/* Octets of a line without CRLF, RFC 5321 4.5.3.1.6. */
enum { TRANSPARENCY_LINE_MAX = 998 };

struct smtp_span {
	const char *data;
	size_t len;
};

enum body_fault {
	BODY_OK,
	BODY_BARE_CR,
	BODY_BARE_LF,
	BODY_NUL,
	BODY_LONG_LINE
};

enum body_mode {
	BODY_DATA, /* dots are removed, the end is found */
	BODY_CHUNKS /* BDAT: every octet counts, the caller knows the end */
};

struct body_decoder {
	enum body_mode mode;
	enum body_fault fault; /* the first one; the body must be refused */
	int done; /* DATA: the end was read */
	int eightbit; /* an octet over 127 was seen */
	uint64_t size; /* octets handed out */
	size_t line_max; /* octets without CRLF; 0: no limit */
	size_t line_len; /* octets of the line so far */
	int state;
};

/* line_max 0 lets lines of any length pass. */
void body_decoder_init(struct body_decoder *, enum body_mode, size_t line_max);

/*
 * Takes octets of data, stores in *used how many, and hands out in *out the
 * next span of the body, a part of data (len 0 is possible). Call again with
 * the rest while some is left and done is not set. Each call but one that
 * meets `done` takes at least one octet. After `done`, *used octets were taken
 * and what follows are commands. What stands before a fault is still handed
 * out, so that a caller sees the same however the stream is cut; after it
 * nothing more is: go on reading to the end.
 */
void body_decode(struct body_decoder *, const char *data, size_t len,
    size_t *used, struct smtp_span *out);

/*
 * BDAT after LAST: the fault of the whole body, a CR at its end included.
 * *open_line (may be NULL) is 1 when the last line has no CRLF.
 */
enum body_fault body_decoder_finish(struct body_decoder *, int *open_line);

struct body_encoder {
	int state;
};

void body_encoder_init(struct body_encoder *);

/*
 * Takes octets of a stored body and hands out in *out what to send next: a
 * part of data or of a constant. Dots are stuffed; a CR or LF on its own goes
 * out as CRLF. Call again with the rest until all is taken; each call takes an
 * octet or hands out one, and *used can be 0.
 */
void body_encode(struct body_encoder *, const char *data, size_t len,
    size_t *used, struct smtp_span *out);

/* What ends the body: CRLF if the last line had none, dot, CRLF. Points to a
 * constant. */
struct smtp_span body_encode_end(struct body_encoder *);

#endif
