/*
 * See compose.h. The message is its sender's own and may be anything.
 */
#include "config.h"

#include <ctype.h>
#include <string.h>

#include "mail/header.h"
#include "smtp/base64.h"
#include "smtp/utf8.h"
#include "smtpctl/compose.h"

/* The lines that a message has in an mbox file or from UUCP, with marks or
 * without, are no part of it. */
static size_t
draft_start(const struct draft *d)
{
	size_t start = 0, at = 0;
	const char *end;

	for (; at < d->len; start = at) {
		while (at < d->len && d->data[at] == '>')
			at++;
		if (d->len - at < 5 || memcmp(d->data + at, "From ", 5) != 0)
			break;
		end = memchr(d->data + at, '\n', d->len - at);
		at = end == NULL ? d->len : (size_t)(end - d->data) + 1;
	}
	return start;
}

int
compose_recipients(
    const struct draft *d, struct addresses *out, char *error, size_t size)
{
	static const enum header_id plain[] = { HEADER_TO, HEADER_CC,
		HEADER_BCC };
	static const enum header_id resent[] = { HEADER_RESENT_TO,
		HEADER_RESENT_CC, HEADER_RESENT_BCC };
	const enum header_id *wanted = plain;
	size_t start = draft_start(d), pos;
	const char *section = d->data + start;
	struct header_field f;
	int rc = 0;

	for (pos = 0; header_next(section, d->len - start, &pos, &f);)
		if (f.id == resent[0] || f.id == resent[1] || f.id == resent[2])
			wanted = resent;
	for (pos = 0; header_next(section, d->len - start, &pos, &f);)
		if (f.id == wanted[0] || f.id == wanted[1] || f.id == wanted[2])
			rc |= addresses_parse(out, section + f.body,
			    (size_t)(f.end - f.body), error, size);
	return rc;
}

/* ---- writing ---------------------------------------------------------- */

struct line_state {
	int start; /* of a line */
	int cr;
};

/* A lone CR ends a line too: it would be refused, and inside a line it is
 * only how a terminal was told to begin it again. NUL would be refused as well,
 * and what a job printed has it now and then; it shows nothing. */
static void
write_text(FILE *out, struct line_state *st, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\0')
			continue;
		if (s[i] == '\n' && st->cr) {
			st->cr = 0;
			continue;
		}
		st->cr = s[i] == '\r';
		if (s[i] == '\n' || s[i] == '\r') {
			fputs("\r\n", out);
			st->start = 1;
			continue;
		}
		if (st->start && s[i] == '.')
			putc('.', out);
		st->start = 0;
		putc(s[i], out);
	}
}

/* Inside a field a lone CR is a space: what stands behind it is no field of
 * its own, and nobody has looked at it as one. */
static void
write_field(FILE *out, struct line_state *st, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int lone = s[i] == '\r' && (i + 1 == len || s[i + 1] != '\n');

		write_text(out, st, lone ? " " : s + i, 1);
	}
}

/* A field of addresses: beyond this machine nobody knows what one without a
 * domain means, and many refuse the mail for it (RFC 6409 section 8.4). */
static void
write_addresses(FILE *out, struct line_state *st, const char *s, size_t len,
    const char *domain)
{
	size_t n;

	while ((n = addresses_next_bare(s, len)) > 0) {
		write_field(out, st, s, n);
		write_text(out, st, "@", 1);
		write_text(out, st, domain, strlen(domain));
		s += n;
		len -= n;
	}
	write_field(out, st, s, len);
}

static int
holds_addresses(enum header_id id)
{
	switch (id) {
	case HEADER_FROM:
	case HEADER_SENDER:
	case HEADER_REPLY_TO:
	case HEADER_TO:
	case HEADER_CC:
	case HEADER_RESENT_FROM:
	case HEADER_RESENT_SENDER:
	case HEADER_RESENT_TO:
	case HEADER_RESENT_CC:
		return 1;
	default:
		return 0;
	}
}

static void
write_line(
    FILE *out, struct line_state *st, const char *before, const char *line)
{
	if (line == NULL)
		return;
	write_text(out, st, before, strlen(before));
	write_text(out, st, line, strlen(line));
	write_text(out, st, "\n", 1);
}

/* Fields that are not among those of the header, by enum header_id; the
 * Resent- twins too as soon as there is one (RFC 5322 section 3.6.6). */
static void
write_missing(FILE *out, struct line_state *st, const struct additions *add,
    const int seen[HEADER_IDS])
{
	const struct {
		const char *line;
		enum header_id plain, resent;
	} fields[] = {
		{ add->from, HEADER_FROM, HEADER_RESENT_FROM },
		{ add->date, HEADER_DATE, HEADER_RESENT_DATE },
		{ add->message_id, HEADER_MESSAGE_ID,
		    HEADER_RESENT_MESSAGE_ID },
	};
	const size_t n = sizeof(fields) / sizeof(fields[0]);
	int resent = 0;

	for (int i = HEADER_RESENT_FROM; i <= HEADER_RESENT_MESSAGE_ID; i++)
		resent |= seen[i];
	for (size_t i = 0; i < n; i++)
		if (!seen[fields[i].plain])
			write_line(out, st, "", fields[i].line);
	for (size_t i = 0; resent && i < n; i++)
		if (!seen[fields[i].resent])
			write_line(out, st, "Resent-", fields[i].line);
}

void
compose_write(const struct draft *d, const struct additions *add, FILE *out)
{
	size_t start = draft_start(d), pos = 0, end = 0, len = d->len - start;
	const char *section = d->data + start;
	int seen[HEADER_IDS] = { 0 };
	struct line_state st = { .start = 1 };
	struct header_field f;

	while (header_next(section, len, &pos, &f)) {
		end = (size_t)f.end;
		seen[f.id] = 1;
		if (f.id == HEADER_BCC || f.id == HEADER_RESENT_BCC ||
		    f.id == HEADER_RETURN_PATH)
			continue;
		write_field(
		    out, &st, section + f.start, (size_t)(f.body - f.start));
		if (add->domain != NULL && holds_addresses(f.id))
			write_addresses(out, &st, section + f.body,
			    end - (size_t)f.body, add->domain);
		else
			write_field(
			    out, &st, section + f.body, end - (size_t)f.body);
		if (!st.start)
			write_text(out, &st, "\n", 1);
	}
	write_missing(out, &st, add, seen);
	/* a body that no empty line sets off gets one */
	if (end < len && section[end] != '\n' &&
	    !(section[end] == '\r' && end + 1 < len &&
		section[end + 1] == '\n'))
		write_text(out, &st, "\n", 1);
	write_text(out, &st, section + end, len - end);
	if (!st.start)
		write_text(out, &st, "\n", 1);
	fputs(".\r\n", out);
}

int
compose_is_8bit(const struct draft *d)
{
	for (size_t i = 0; i < d->len; i++)
		if ((unsigned char)d->data[i] > 127)
			return 1;
	return 0;
}

/* ---- the sender's name ------------------------------------------------ */

void
compose_full_name(
    const char *gecos, const char *account, char *out, size_t size)
{
	size_t n = 0;

	for (; *gecos != '\0' && *gecos != ',' && n + 1 < size; gecos++) {
		if (*gecos == '&') {
			snprintf(out + n, size - n, "%s", account);
			out[n] = (char)toupper((unsigned char)out[n]);
			n += strlen(out + n);
		} else
			out[n++] = *gecos;
	}
	out[n] = '\0';
	for (char *s = out; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = ' ';
}

/* Of a name this much; what is longer is cut. */
enum { NAME_OCTETS = 180 };

static int
is_utf8(const char *s, size_t len)
{
	size_t n;

	for (; len > 0; s += n, len -= n)
		if ((n = utf8_decode(s, len, NULL)) == 0)
			return 0;
	return 1;
}

/* Whether a character of UTF-8 would be cut before s. */
static int
is_inside(const char *s)
{
	return ((unsigned char)*s & 0xc0) == 0x80;
}

/* As words of RFC 2047, of 75 octets at most. Nobody knows what octets mean
 * that are no UTF-8 (RFC 1428). */
static void
encode_name(const char *name, size_t len, char *out, size_t size)
{
	const char *charset = "unknown-8bit";
	size_t n = 0, uncut = len;
	char word[64];
	int whole;

	while (uncut > 0 && is_inside(name + uncut))
		uncut--;
	if ((whole = is_utf8(name, uncut))) {
		charset = "UTF-8";
		len = uncut;
	}
	out[0] = '\0';
	for (size_t i = 0, cut; i < len && n < size; i += cut) {
		cut = len - i > 42 ? 42 : len - i;
		while (whole && is_inside(name + i + cut))
			cut--;
		if (base64_encode((const uint8_t *)name + i, cut, word,
			sizeof(word)) == -1)
			break;
		n += (size_t)snprintf(out + n, size - n,
		    "%s=?%s?B?%s?=", i > 0 ? " " : "", charset, word);
	}
}

void
compose_mailbox(const char *name, const char *address, char *out, size_t size)
{
	char quoted[600];
	size_t n = 0, len = name != NULL ? strlen(name) : 0;

	if (len > NAME_OCTETS)
		len = NAME_OCTETS;
	if (len == 0) {
		snprintf(out, size, "%s", address);
		return;
	}
	if (!utf8_is_ascii(name, len)) {
		encode_name(name, len, quoted, sizeof(quoted));
		snprintf(out, size, "%s <%s>", quoted, address);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '"' || name[i] == '\\')
			quoted[n++] = '\\';
		quoted[n++] = name[i];
	}
	quoted[n] = '\0';
	snprintf(out, size, "\"%s\" <%s>", quoted, address);
}
