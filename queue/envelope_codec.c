/*
 * The records of an envelope, see envelope.h. Pure; trusts no octet of what
 * it decodes.
 *
 * A record:	version	1 octet
 *		crc32	4 octets in network order, over all others
 *		msgid, record number
 *		record 0: the fields of the message, the count of recipients
 *		the count of recipients in this record, their fields
 * An integer is in base 128, low group first, the high bit set in all octets
 * but the last; a time is zigzag first; a string is its length and octets.
 * Both directions walk the same tables, so they cannot disagree.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libdeflate.h>

#include "queue/envelope.h"
#include "queue/envelope_priv.h"

enum { HEADER_OCTETS = 5, VARINT_MAX = 10 };

enum field_type { F_U8, F_U16, F_U32, F_U64, F_TIME, F_STRING };

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	uint64_t max; /* of a number; of a string: its octets */
};

#define NUMBER(s, f, type, max)                      \
	{                                            \
#f, type, offsetof(struct s, f), max \
	}
#define STRING(s, f)                                                     \
	{                                                                \
#f, F_STRING, offsetof(struct s, f), ENVELOPE_STRING_MAX \
	}
#define TIME(s, f)                                            \
	{                                                     \
#f, F_TIME, offsetof(struct s, f), UINT64_MAX \
	}

static const struct field message_fields[] = {
	NUMBER(envelope, session, F_U64, UINT64_MAX),
	NUMBER(envelope, flags, F_U32, UINT32_MAX),
	NUMBER(envelope, ret, F_U8, UINT8_MAX),
	NUMBER(envelope, hold, F_U8, 1),
	NUMBER(envelope, body, F_U8, ENVELOPE_BODIES - 1),
	NUMBER(envelope, body_crc, F_U32, UINT32_MAX),
	NUMBER(envelope, body_size, F_U64, INT64_MAX),
	NUMBER(envelope, size, F_U64, INT64_MAX),
	TIME(envelope, arrival),
	NUMBER(envelope, lifetime, F_U32, UINT32_MAX),
	STRING(envelope, sender),
	STRING(envelope, envid),
	STRING(envelope, client_addr),
	STRING(envelope, client_name),
	STRING(envelope, helo),
	STRING(envelope, auth_user),
	STRING(envelope, tag),
};

static const struct field rcpt_fields[] = {
	NUMBER(envelope_rcpt, state, F_U8, ENVELOPE_STATES - 1),
	NUMBER(envelope_rcpt, outcome, F_U8, ENVELOPE_OUTCOMES - 1),
	NUMBER(envelope_rcpt, kind, F_U8, UINT8_MAX),
	NUMBER(envelope_rcpt, notify, F_U8, UINT8_MAX),
	NUMBER(envelope_rcpt, routed, F_U8, 1),
	NUMBER(envelope_rcpt, forwarded, F_U8, 1),
	NUMBER(envelope_rcpt, warned, F_U8, UINT8_MAX),
	NUMBER(envelope_rcpt, depth, F_U8, UINT8_MAX),
	NUMBER(envelope_rcpt, code, F_U16, UINT16_MAX),
	NUMBER(envelope_rcpt, parent, F_U32, UINT32_MAX),
	NUMBER(envelope_rcpt, attempts, F_U32, UINT32_MAX),
	NUMBER(envelope_rcpt, entry, F_U32, UINT32_MAX),
	TIME(envelope_rcpt, next),
	TIME(envelope_rcpt, last),
	STRING(envelope_rcpt, address),
	STRING(envelope_rcpt, orcpt),
	STRING(envelope_rcpt, action),
	STRING(envelope_rcpt, user),
	STRING(envelope_rcpt, alias),
	STRING(envelope_rcpt, owner),
	STRING(envelope_rcpt, enhanced),
	STRING(envelope_rcpt, text),
	STRING(envelope_rcpt, remote),
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void
envelope_buf_free(struct envelope_buf *buf)
{
	free(buf->data);
	memset(buf, 0, sizeof(*buf));
}

/* ---- encoding ----------------------------------------------------------- */

static int
buf_reserve(struct envelope_buf *buf, size_t n)
{
	size_t size = buf->size ? buf->size : 512;
	uint8_t *data;

	if (buf->size - buf->len >= n)
		return 0;
	while (size - buf->len < n)
		size *= 2;
	if ((data = realloc(buf->data, size)) == NULL)
		return -1;
	buf->data = data;
	buf->size = size;
	return 0;
}

static int
put_number(struct envelope_buf *buf, uint64_t n)
{
	if (buf_reserve(buf, VARINT_MAX) == -1)
		return -1;
	for (; n >= 0x80; n >>= 7)
		buf->data[buf->len++] = (uint8_t)(n | 0x80);
	buf->data[buf->len++] = (uint8_t)n;
	return 0;
}

static int
put_string(struct envelope_buf *buf, const char *s)
{
	size_t len = strlen(s);

	if (len > ENVELOPE_STRING_MAX || put_number(buf, len) == -1 ||
	    buf_reserve(buf, len) == -1)
		return -1;
	if (len > 0)
		memcpy(buf->data + buf->len, s, len);
	buf->len += len;
	return 0;
}

static uint64_t
load_number(const struct field *f, const void *at)
{
	int64_t t;

	switch (f->type) {
	case F_U8:
		return *(const uint8_t *)at;
	case F_U16:
		return *(const uint16_t *)at;
	case F_U32:
		return *(const uint32_t *)at;
	case F_U64:
		return *(const uint64_t *)at;
	case F_TIME:
		t = *(const int64_t *)at;
		return (uint64_t)t << 1 ^ (t < 0 ? UINT64_MAX : 0);
	case F_STRING:
		break;
	}
	return 0;
}

static int
put_fields(
    struct envelope_buf *buf, const struct field *f, size_t n, const void *from)
{
	const void *at;

	for (; n > 0; n--, f++) {
		at = (const char *)from + f->offset;
		if (f->type == F_STRING
			? put_string(buf, *(const char *const *)at) == -1
			: put_number(buf, load_number(f, at)) == -1)
			return -1;
	}
	return 0;
}

/* Recipients of a message of `total` that belong to record n. */
static uint32_t
rcpts_in_record(uint32_t total, uint32_t n)
{
	uint32_t first = n * ENVELOPE_SEGMENT;

	if (first >= total)
		return 0;
	return total - first < ENVELOPE_SEGMENT ? total - first
						: ENVELOPE_SEGMENT;
}

/* The CRC of a record: of its version and of all behind the CRC. */
static uint32_t
record_crc(const uint8_t *data, size_t len)
{
	uint32_t crc = libdeflate_crc32(0, data, 1);

	return libdeflate_crc32(crc, data + HEADER_OCTETS, len - HEADER_OCTETS);
}

static int
put_record(const struct envelope *env, uint32_t n, struct envelope_buf *out)
{
	uint32_t count = rcpts_in_record(env->rcpt_count, n);
	uint32_t first = n * ENVELOPE_SEGMENT;

	if (put_number(out, env->msgid) == -1 || put_number(out, n) == -1)
		return -1;
	if (n == 0 &&
	    (put_fields(out, message_fields, COUNT(message_fields), env) ==
		    -1 ||
		put_number(out, env->rcpt_count) == -1))
		return -1;
	if (put_number(out, count) == -1)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		if (put_fields(out, rcpt_fields, COUNT(rcpt_fields),
			&env->rcpts[first + i]) == -1)
			return -1;
	return 0;
}

int
envelope_encode(
    const struct envelope *env, uint32_t n, struct envelope_buf *out)
{
	size_t start = out->len;
	uint8_t *record;
	uint32_t crc;

	if (!envelope_fit(env) || n >= envelope_records(env) ||
	    buf_reserve(out, HEADER_OCTETS) == -1)
		return -1;
	out->data[out->len] = ENVELOPE_VERSION;
	out->len += HEADER_OCTETS;
	if (put_record(env, n, out) == -1) {
		out->len = start;
		return -1;
	}
	record = out->data + start;
	crc = record_crc(record, out->len - start);
	for (int i = 0; i < 4; i++)
		record[1 + i] = (uint8_t)(crc >> (24 - 8 * i));
	return 0;
}

/* ---- decoding ----------------------------------------------------------- */

struct reader {
	struct envelope *env;
	const uint8_t *at;
	const uint8_t *end;
	const char *what; /* that did not fit */
};

static int
get_number(struct reader *r, uint64_t max, uint64_t *n)
{
	unsigned shift = 0;
	uint64_t group;

	*n = 0;
	for (;; shift += 7) {
		if (r->at == r->end || shift > 63)
			return -1;
		group = *r->at & 0x7f;
		if (shift == 63 && group > 1)
			return -1;
		*n |= group << shift;
		if ((*r->at++ & 0x80) == 0)
			break;
	}
	return *n <= max ? 0 : -1;
}

static int
get_string(struct reader *r, uint64_t max, const char **s)
{
	uint64_t len;
	char *copy;

	if (get_number(r, max, &len) == -1 ||
	    len > (uint64_t)(r->end - r->at) ||
	    memchr(r->at, '\0', len) != NULL)
		return -1;
	if (len == 0)
		return 0;
	if ((copy = envelope_alloc(r->env, len + 1)) == NULL)
		return -1;
	memcpy(copy, r->at, len);
	copy[len] = '\0';
	*s = copy;
	r->at += len;
	return 0;
}

static void
store_number(const struct field *f, void *at, uint64_t n)
{
	switch (f->type) {
	case F_U8:
		*(uint8_t *)at = (uint8_t)n;
		break;
	case F_U16:
		*(uint16_t *)at = (uint16_t)n;
		break;
	case F_U32:
		*(uint32_t *)at = (uint32_t)n;
		break;
	case F_U64:
		*(uint64_t *)at = n;
		break;
	case F_TIME:
		*(int64_t *)at = (int64_t)(n >> 1 ^ (n & 1 ? UINT64_MAX : 0));
		break;
	case F_STRING:
		break;
	}
}

/* `to` has its defaults already, which absent strings keep. */
static int
get_fields(struct reader *r, const struct field *f, size_t n, void *to)
{
	uint64_t number;
	void *at;

	for (; n > 0; n--, f++) {
		at = (char *)to + f->offset;
		r->what = f->name;
		if (f->type == F_STRING) {
			if (get_string(r, f->max, at) == -1)
				return -1;
		} else {
			if (get_number(r, f->max, &number) == -1)
				return -1;
			store_number(f, at, number);
		}
	}
	return 0;
}

static int
get_count(struct reader *r, const char *what, uint64_t max, uint32_t *n)
{
	uint64_t number;

	r->what = what;
	if (get_number(r, max, &number) == -1)
		return -1;
	*n = (uint32_t)number;
	return 0;
}

/* Which message and record this is, which must be what was asked for. */
static int
get_identity(struct reader *r, uint32_t n)
{
	uint32_t msgid, number;

	if (get_count(r, "msgid", UINT32_MAX, &msgid) == -1 ||
	    get_count(r, "record number", UINT32_MAX, &number) == -1)
		return -1;
	r->what = "msgid";
	if (msgid != r->env->msgid)
		return -1;
	r->what = "record number";
	return number == n && n == r->env->priv->decoded ? 0 : -1;
}

/* A parent must stand before its child, or walking up might never end. */
static int
parent_fits(const struct envelope_rcpt *rcpt, uint32_t index)
{
	return rcpt->parent == ENVELOPE_NO_PARENT || rcpt->parent < index;
}

static int
get_record(struct reader *r, uint32_t n)
{
	struct envelope *env = r->env;
	struct envelope_rcpt *rcpt;
	uint32_t count;

	if (get_identity(r, n) == -1)
		return -1;
	if (n == 0 &&
	    (get_fields(r, message_fields, COUNT(message_fields), env) == -1 ||
		get_count(r, "recipients", ENVELOPE_RCPTS_MAX,
		    &env->priv->expected) == -1))
		return -1;
	if (get_count(r, "recipients here", ENVELOPE_SEGMENT, &count) == -1 ||
	    count != rcpts_in_record(env->priv->expected, n))
		return -1;
	for (; count > 0; count--) {
		r->what = "memory";
		if ((rcpt = envelope_append(env)) == NULL ||
		    get_fields(r, rcpt_fields, COUNT(rcpt_fields), rcpt) == -1)
			return -1;
		r->what = "parent";
		if (!parent_fits(rcpt, env->rcpt_count - 1))
			return -1;
	}
	r->what = "end";
	return r->at == r->end ? 0 : -1;
}

static uint32_t
stored_crc(const uint8_t *data)
{
	return (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 |
	    (uint32_t)data[3] << 8 | data[4];
}

int
envelope_decode(struct envelope *env, uint32_t n, const uint8_t *data,
    size_t len, char *error, size_t size)
{
	struct reader r = { env, data + HEADER_OCTETS, data + len, "" };

	errno = EBADMSG;
	if (len <= HEADER_OCTETS) {
		snprintf(error, size,
		    "record %u of %08x: cut off after %zu "
		    "octets",
		    n, env->msgid, len);
		return -1;
	}
	if (data[0] > ENVELOPE_VERSION) {
		snprintf(error, size,
		    "record %u of %08x: version %u, newer "
		    "than %u which this release reads",
		    n, env->msgid, data[0], ENVELOPE_VERSION);
		return -1;
	}
	if (data[0] == 0 || record_crc(data, len) != stored_crc(data)) {
		snprintf(error, size, "record %u of %08x: checksum is wrong", n,
		    env->msgid);
		return -1;
	}
	errno = 0;
	if (get_record(&r, n) == -1) {
		if (errno != ENOMEM)
			errno = EBADMSG;
		snprintf(error, size, "record %u of %08x: bad %s", n,
		    env->msgid, r.what);
		env->priv->unfit = 1;
		return -1;
	}
	env->priv->decoded++;
	envelope_clean(env);
	return 0;
}

int
envelope_complete(const struct envelope *env)
{
	return env->priv->decoded > 0 &&
	    env->priv->decoded == envelope_records(env) &&
	    env->rcpt_count == env->priv->expected;
}
