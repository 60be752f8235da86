/*
 * The header scanner: one small state machine that looks at the first octets
 * of each line one by one and skips the rest of it with memchr. See header.h
 * for what it promises.
 */
#include <string.h>
#include <strings.h>

#include "mail/header.h"

enum scan_state {
	SCAN_LINE, /* at the first octet of a line */
	SCAN_LINE_CR, /* that octet was a CR */
	SCAN_NAME,
	SCAN_NAME_SPACE, /* white space between name and colon */
	SCAN_BODY,
	SCAN_OVER,
	SCAN_TOO_LONG
};

static const struct {
	const char *name;
	size_t len;
} names[HEADER_IDS] = {
#define NAME(id, text) [id] = { text, sizeof(text) - 1 }
	NAME(HEADER_RECEIVED, "Received"),
	NAME(HEADER_RETURN_PATH, "Return-Path"),
	NAME(HEADER_DELIVERED_TO, "Delivered-To"),
	NAME(HEADER_DATE, "Date"),
	NAME(HEADER_MESSAGE_ID, "Message-ID"),
	NAME(HEADER_FROM, "From"),
	NAME(HEADER_SENDER, "Sender"),
	NAME(HEADER_REPLY_TO, "Reply-To"),
	NAME(HEADER_TO, "To"),
	NAME(HEADER_CC, "Cc"),
	NAME(HEADER_BCC, "Bcc"),
	NAME(HEADER_SUBJECT, "Subject"),
	NAME(HEADER_RESENT_FROM, "Resent-From"),
	NAME(HEADER_RESENT_SENDER, "Resent-Sender"),
	NAME(HEADER_RESENT_TO, "Resent-To"),
	NAME(HEADER_RESENT_CC, "Resent-Cc"),
	NAME(HEADER_RESENT_BCC, "Resent-Bcc"),
	NAME(HEADER_RESENT_DATE, "Resent-Date"),
	NAME(HEADER_RESENT_MESSAGE_ID, "Resent-Message-ID"),
	NAME(HEADER_MIME_VERSION, "MIME-Version"),
	NAME(HEADER_CONTENT_TYPE, "Content-Type"),
	NAME(HEADER_CONTENT_ENCODING, "Content-Transfer-Encoding"),
	NAME(HEADER_AUTO_SUBMITTED, "Auto-Submitted"),
	NAME(HEADER_PRECEDENCE, "Precedence"),
	NAME(HEADER_LIST_ID, "List-Id"),
	NAME(HEADER_DKIM_SIGNATURE, "DKIM-Signature"),
	NAME(HEADER_AUTH_RESULTS, "Authentication-Results"),
#undef NAME
};

static int
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static int
is_name_char(uint8_t c)
{
	return c > 32 && c < 127 && c != ':';
}

enum header_id
header_id(const char *name, size_t len)
{
	unsigned id;

	for (id = HEADER_OTHER + 1; id < HEADER_IDS; id++) {
		if (names[id].len == len &&
		    strncasecmp(names[id].name, name, len) == 0)
			return id;
	}
	return HEADER_OTHER;
}

void
header_init(struct header_scan *h, const struct header_limits *limits)
{
	memset(h, 0, sizeof(*h));
	if (limits != NULL)
		h->limits = *limits;
	h->state = SCAN_LINE;
	h->field.end = UINT64_MAX; /* no field is open */
}

static int
field_open(const struct header_scan *h)
{
	return h->field.end == 0;
}

/* Hands out the open field, which ended before the current line. */
static enum header_status
close_field(struct header_scan *h, uint64_t end, struct header_field *out)
{
	*out = h->field;
	out->end = end;
	h->field.end = UINT64_MAX;
	return HEADER_FIELD;
}

static enum header_status
section_over(struct header_scan *h, uint64_t body, int malformed)
{
	h->state = SCAN_OVER;
	h->end = h->line_start;
	h->body = body;
	h->malformed = malformed;
	return HEADER_END;
}

static int
past_limits(const struct header_scan *h)
{
	const struct header_limits *l = &h->limits;

	return (l->octets != 0 && h->offset > l->octets) ||
	    (l->fields != 0 && h->fields > l->fields) ||
	    (l->lines != 0 && h->lines > l->lines) ||
	    (l->field_octets != 0 && field_open(h) &&
		h->offset - h->field.start > l->field_octets);
}

/* The colon was seen: what follows is the body of a field. */
static void
begin_body(struct header_scan *h)
{
	if (h->field.name_len <= HEADER_NAME_MAX)
		h->field.id = header_id(h->name, h->field.name_len);
	else
		h->field.id = HEADER_OTHER;
	h->field.body = h->offset + 1;
	h->field.end = 0;
	h->count[h->field.id]++;
	h->fields++;
	h->last_cr = 0;
	h->state = SCAN_BODY;
}

static void
begin_name(struct header_scan *h)
{
	h->field.start = h->offset;
	h->field.name_len = 0;
	h->state = SCAN_NAME;
}

static void
name_char(struct header_scan *h, uint8_t c)
{
	if (h->field.name_len < HEADER_NAME_MAX)
		h->name[h->field.name_len] = c;
	h->field.name_len++;
}

/*
 * One octet outside of a body. Returns HEADER_MORE when it was taken; the
 * other answers leave it, but HEADER_END at an empty line takes its LF.
 */
static enum header_status
scan_octet(struct header_scan *h, uint8_t c, struct header_field *field)
{
	switch (h->state) {
	case SCAN_LINE:
		if (is_blank(c) && field_open(h)) {
			h->last_cr = 0;
			h->state = SCAN_BODY;
			return HEADER_MORE;
		}
		if (field_open(h))
			return close_field(h, h->line_start, field);
		if (c == '\n') {
			h->offset++;
			return section_over(h, h->offset, 0);
		}
		if (c == '\r') {
			h->state = SCAN_LINE_CR;
			return HEADER_MORE;
		}
		if (!is_name_char(c))
			return section_over(h, h->line_start, 1);
		begin_name(h);
		name_char(h, c);
		return HEADER_MORE;
	case SCAN_LINE_CR:
		if (c != '\n')
			return section_over(h, h->line_start, 1);
		h->offset++;
		return section_over(h, h->offset, 0);
	case SCAN_NAME:
		if (is_name_char(c)) {
			name_char(h, c);
			return HEADER_MORE;
		}
		/* FALLTHROUGH */
	default:
		if (c == ':')
			begin_body(h);
		else if (is_blank(c))
			h->state = SCAN_NAME_SPACE;
		else
			return section_over(h, h->line_start, 1);
		return HEADER_MORE;
	}
}

static void
note_line_length(struct header_scan *h, uint64_t len)
{
	if (len > h->long_line)
		h->long_line = len;
}

/* The rest of a line of a body, as far as it is here; returns octets used. */
static size_t
scan_body(struct header_scan *h, const uint8_t *p, size_t len)
{
	const uint8_t *lf;
	unsigned high = 0, nuls = 0, crs = 0;
	size_t i, n;
	int cr;

	lf = memchr(p, '\n', len);
	n = lf == NULL ? len : (size_t)(lf - p);
	for (i = 0; i < n; i++) {
		high |= p[i];
		nuls += p[i] == 0;
		crs += p[i] == '\r';
	}
	/* A CR that ended the octets before and is not followed by LF. */
	if (n > 0 && h->last_cr)
		h->bare = 1;
	cr = n > 0 ? p[n - 1] == '\r' : h->last_cr;
	if (n > 0 && crs > (unsigned)cr)
		h->bare = 1;
	if (nuls > 0)
		h->bare = 1;
	if (high > 127)
		h->eight_bit = 1;
	h->offset += n;
	h->last_cr = cr;
	if (lf == NULL) {
		note_line_length(h, h->offset - h->line_start - cr);
		return n;
	}
	note_line_length(h, h->offset - h->line_start - cr);
	h->offset++;
	h->lines++;
	h->line_start = h->offset;
	h->last_cr = 0;
	h->state = SCAN_LINE;
	return n + 1;
}

enum header_status
header_scan(struct header_scan *h, const void *data, size_t len, size_t *used,
    struct header_field *field)
{
	const uint8_t *p = data;
	enum header_status status;
	uint64_t before = h->offset, room;
	size_t i = 0, n;

	*used = 0;
	if (h->state == SCAN_OVER)
		return HEADER_END;
	while (i < len) {
		if (h->state == SCAN_TOO_LONG)
			return HEADER_TOO_LONG;
		if (h->state != SCAN_BODY) {
			status = scan_octet(h, p[i], field);
			if (status != HEADER_MORE) {
				*used = h->offset - before;
				return status;
			}
			h->offset++;
			i++;
		} else {
			n = len - i;
			room = h->limits.octets == 0
			    ? n
			    : h->limits.octets + 1 - h->offset;
			i += scan_body(h, p + i, n < room ? n : room);
		}
		*used = i;
		if (past_limits(h))
			h->state = SCAN_TOO_LONG;
	}
	return h->state == SCAN_TOO_LONG ? HEADER_TOO_LONG : HEADER_MORE;
}

enum header_status
header_finish(struct header_scan *h, struct header_field *field)
{
	switch (h->state) {
	case SCAN_OVER:
		return HEADER_END;
	case SCAN_TOO_LONG:
		return HEADER_TOO_LONG;
	case SCAN_BODY:
		h->lines++;
		if (h->last_cr)
			h->bare = 1;
		h->line_start = h->offset;
		h->state = SCAN_LINE;
		/* FALLTHROUGH */
	case SCAN_LINE:
		if (field_open(h))
			return close_field(h, h->offset, field);
		return section_over(h, h->offset, 0);
	default:
		return section_over(h, h->line_start, 1);
	}
}

int
header_next(
    const void *section, size_t len, size_t *pos, struct header_field *field)
{
	struct header_scan h;
	enum header_status status;
	size_t used;

	if (*pos >= len)
		return 0;
	header_init(&h, NULL);
	status = header_scan(
	    &h, (const char *)section + *pos, len - *pos, &used, field);
	if (status == HEADER_MORE)
		status = header_finish(&h, field);
	if (status != HEADER_FIELD) {
		*pos = len;
		return 0;
	}
	field->start += *pos;
	field->body += *pos;
	field->end += *pos;
	*pos = field->end;
	return 1;
}

size_t
header_body(const void *section, const struct header_field *field, char *out,
    size_t size)
{
	const uint8_t *p = section;
	uint64_t i = field->body, end = field->end;
	size_t n = 0;
	uint8_t c;

	while (i < end && (p[i] < 33 || p[i] == 127))
		i++;
	while (end > i && (p[end - 1] < 33 || p[end - 1] == 127))
		end--;
	for (; i < end; i++) {
		c = p[i];
		if (c == '\n' || (c == '\r' && i + 1 < end && p[i + 1] == '\n'))
			continue;
		if (c < 32 || c == 127)
			c = ' ';
		if (n + 1 < size)
			out[n] = c;
		n++;
	}
	if (size > 0)
		out[n < size ? n : size - 1] = '\0';
	return n;
}

int
header_delivered_to(const void *section, size_t len, const char *address)
{
	struct header_field field;
	char body[1100], *value;
	size_t pos = 0, n;

	while (header_next(section, len, &pos, &field)) {
		if (field.id != HEADER_DELIVERED_TO)
			continue;
		n = header_body(section, &field, body, sizeof(body));
		if (n == 0 || n >= sizeof(body))
			continue;
		value = body;
		if (value[0] == '<' && value[n - 1] == '>') {
			value[n - 1] = '\0';
			value++;
		}
		if (strcasecmp(value, address) == 0)
			return 1;
	}
	return 0;
}
