/*
 * The header section of a message (RFC 5322 section 2.2), scanned as it comes
 * in, over any split of the octets. Used by smtpd (loop limit, missing
 * fields), queue (what a DSN returns) and local (Delivered-To).
 *
 * The octets are hostile; the scanner keeps no copy of them but the first
 * HEADER_NAME_MAX octets of a field's name, and its memory is fixed. Lines end
 * in CRLF or in LF.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stddef.h>
#include <stdint.h>

#define HEADER_NAME_MAX 78

/* Fields that somebody asks about. */
enum header_id {
	HEADER_OTHER,
	HEADER_RECEIVED,
	HEADER_RETURN_PATH,
	HEADER_DELIVERED_TO,
	HEADER_DATE,
	HEADER_MESSAGE_ID,
	HEADER_FROM,
	HEADER_SENDER,
	HEADER_REPLY_TO,
	HEADER_TO,
	HEADER_CC,
	HEADER_BCC,
	HEADER_SUBJECT,
	HEADER_RESENT_FROM,
	HEADER_RESENT_SENDER,
	HEADER_RESENT_TO,
	HEADER_RESENT_CC,
	HEADER_RESENT_BCC,
	HEADER_RESENT_DATE,
	HEADER_RESENT_MESSAGE_ID,
	HEADER_MIME_VERSION,
	HEADER_CONTENT_TYPE,
	HEADER_CONTENT_ENCODING,
	HEADER_AUTO_SUBMITTED,
	HEADER_PRECEDENCE,
	HEADER_LIST_ID,
	HEADER_DKIM_SIGNATURE,
	HEADER_AUTH_RESULTS,
	HEADER_IDS
};

/* One field; offsets count from the first octet of the message. */
struct header_field {
	enum header_id id;
	uint64_t start; /* of the name */
	uint32_t name_len;
	uint64_t body; /* first octet after the colon */
	uint64_t end; /* one past the line end of the last line */
};

enum header_status {
	HEADER_MORE, /* all octets used, the section goes on */
	HEADER_FIELD, /* a field is complete; call again */
	HEADER_END, /* the section is over, see header_scan.end */
	HEADER_TOO_LONG /* a limit was passed; the scan is over */
};

/* 0 is no limit. */
struct header_limits {
	uint64_t octets; /* of the whole section */
	uint64_t field_octets; /* of one field */
	uint32_t fields;
	uint32_t lines;
};

struct header_scan {
	/* What the scan has found; read freely, count[] by enum header_id. */
	uint32_t count[HEADER_IDS];
	uint32_t fields;
	uint32_t lines;
	uint64_t offset; /* octets used so far */
	uint64_t end; /* where the section ends: at the empty line */
	uint64_t body; /* where the body begins: after it */
	uint64_t long_line; /* octets of the longest line, without its end */
	uint8_t malformed; /* ended by a line that is no field */
	uint8_t eight_bit; /* holds an octet over 127 */
	uint8_t bare; /* holds a NUL or a CR without LF */
	/* Private. */
	uint8_t state;
	uint8_t last_cr;
	uint64_t line_start;
	struct header_limits limits;
	struct header_field field;
	char name[HEADER_NAME_MAX];
};

void header_init(struct header_scan *, const struct header_limits *);

/*
 * Scans on. data holds the next len octets; *used says how many were taken.
 * After HEADER_FIELD *field describes a field, and the rest of the data is to
 * be given again. After HEADER_END and HEADER_TOO_LONG nothing more is taken.
 *
 * A line that is no field (no colon, or no name before it) ends the section:
 * malformed is set, and the body begins with that line, which may lie in data
 * given earlier.
 */
enum header_status header_scan(struct header_scan *, const void *data,
    size_t len, size_t *used, struct header_field *field);

/* The message has no more octets: HEADER_FIELD once for the last field if it
 * was not reported, then HEADER_END. */
enum header_status header_finish(
    struct header_scan *, struct header_field *field);

/* HEADER_OTHER for a name that nobody asks about; case is ignored. */
enum header_id header_id(const char *name, size_t len);

/*
 * One field after the other of a section held in memory. *pos is 0 at first;
 * returns 1 with a field, 0 at the end.
 */
int header_next(
    const void *section, size_t len, size_t *pos, struct header_field *field);

/*
 * Copies a field's body to out (size octets, always terminated), unfolded,
 * without the white space at its ends, NUL and other controls as a space.
 * Returns the length it wanted, as snprintf does.
 */
size_t header_body(
    const void *section, const struct header_field *, char *out, size_t size);

/* 1 if a Delivered-To field of the section holds this address. Case of ASCII
 * letters is ignored: a loop is worse than a mailbox called A beside a. */
int header_delivered_to(const void *section, size_t len, const char *address);

#endif
