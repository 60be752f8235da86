/*
 * The delivery report: its header, the part for people, the part for
 * machines, and the original. See dsn.h.
 */
#include <stdio.h>
#include <string.h>

#include "mail/dsn.h"
#include "mail/dsn_text.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/text.h"
#include "smtp/xtext.h"

#define HEADER_MAX_DEFAULT 65536
/* Room for any field: the longest is a reply of 1024 octets, folded. */
#define FIELD_SIZE 4096
#define SAFE_SIZE 1100
/* One read of the original, and the longest line of a header returned. */
#define CHUNK 16384

/* The report on its way out. After a failure nothing more is written. */
struct writer {
	const struct dsn_report *report;
	const struct dsn_io *io;
	const char *boundary;
	int failed;
};

static const char *const action_names[DSN_ACTIONS] = {
	[DSN_FAILED] = "failed",
	[DSN_DELAYED] = "delayed",
	[DSN_DELIVERED] = "delivered",
	[DSN_RELAYED] = "relayed",
	[DSN_EXPANDED] = "expanded",
};

/* Status when the event brought none of its own. */
static const char *const action_status[DSN_ACTIONS] = {
	[DSN_FAILED] = "5.0.0",
	[DSN_DELAYED] = "4.0.0",
	[DSN_DELIVERED] = "2.0.0",
	[DSN_RELAYED] = "2.0.0",
	[DSN_EXPANDED] = "2.0.0",
};

enum dsn_kind
dsn_kind(enum dsn_action action)
{
	if (action == DSN_FAILED)
		return DSN_KIND_FAILURE;
	return action == DSN_DELAYED ? DSN_KIND_DELAY : DSN_KIND_SUCCESS;
}

int
dsn_wanted(enum dsn_action action, unsigned notify, const char *sender)
{
	static const unsigned asked[DSN_KINDS] = {
		[DSN_KIND_FAILURE] = NOTIFY_FAILURE,
		[DSN_KIND_DELAY] = NOTIFY_DELAY,
		[DSN_KIND_SUCCESS] = NOTIFY_SUCCESS,
	};

	if (sender == NULL || *sender == '\0' || (notify & NOTIFY_NEVER))
		return 0;
	if (notify == 0)
		notify = NOTIFY_FAILURE | NOTIFY_DELAY;
	return (notify & asked[dsn_kind(action)]) != 0;
}

static void
put(struct writer *w, const void *data, size_t len)
{
	if (!w->failed && len > 0 && w->io->write(w->io->arg, data, len) == -1)
		w->failed = 1;
}

static void
put_string(struct writer *w, const char *s)
{
	put(w, s, strlen(s));
}

/* "Name: value", the value being ours or already safe, folded at spaces. */
static void
put_field(struct writer *w, const char *name, const char *value)
{
	char buf[FIELD_SIZE];
	struct text t;
	size_t len;

	text_init(&t, buf, sizeof(buf));
	text_add(&t, name);
	text_add(&t, ":");
	text_words(&t, value);
	len = text_end(&t);
	put(w, buf, len);
}

/* "Name: type; value" with a value of a stranger; nothing when it is "". */
static void
put_typed(
    struct writer *w, const char *name, const char *type, const char *value)
{
	char safe[SAFE_SIZE], buf[SAFE_SIZE + 80];

	if (!text_is_set(value))
		return;
	text_safe(safe, sizeof(safe), value, TEXT_PLAIN, w->report->utf8);
	snprintf(buf, sizeof(buf), "%s; %s", type, safe);
	put_field(w, name, buf);
}

static void
put_date(struct writer *w, const char *name, int64_t seconds)
{
	struct trace_time when = { seconds, w->report->now.offset };
	char date[TRACE_DATE_MAX];

	if (seconds > 0)
		put_field(w, name, trace_date_text(date, &when));
}

static void
put_part(struct writer *w, const char *type, const char *encoding,
    const char *description)
{
	char buf[512];
	size_t len;

	len = mime_part(
	    buf, sizeof(buf), w->boundary, type, encoding, description);
	put(w, buf, len);
}

static int
is_eight_bit(const struct dsn_report *r)
{
	return r->utf8 || r->eight_bit;
}

static void
put_header(struct writer *w)
{
	const struct dsn_report *r = w->report;
	char safe[SAFE_SIZE], buf[SAFE_SIZE + 400];

	trace_date(buf, sizeof(buf), &r->now);
	put_string(w, buf);
	text_safe(safe, 256, r->host, TEXT_TOKEN, 0);
	snprintf(
	    buf, sizeof(buf), "Mail Delivery System <MAILER-DAEMON@%s>", safe);
	put_field(w, "From", buf);
	text_safe(safe, TEXT_WORD_MAX, r->sender, TEXT_PLAIN, r->utf8);
	snprintf(buf, sizeof(buf), "To: <%s>\r\n", safe);
	put_string(w, buf);
	put_field(w, "Subject", dsn_text_subject(r));
	trace_message_id(buf, sizeof(buf), r->unique, r->host);
	put_string(w, buf);
	put_string(w,
	    "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"");
	put_string(w, w->boundary);
	put_string(w, "\"\r\n");
	if (is_eight_bit(r))
		put_string(w, "Content-Transfer-Encoding: 8bit\r\n");
	put_string(w, "\r\nThis is a delivery report in MIME format.\r\n");
}

/* One paragraph, broken into lines. */
static void
put_paragraph(struct writer *w, const char *indent, const char *paragraph)
{
	char line[TEXT_COLUMNS + TEXT_WORD_MAX];
	size_t n, len = 0;

	for (;;) {
		paragraph += strspn(paragraph, " ");
		n = text_word_length(paragraph);
		if (len > 0 && (n == 0 || len + 1 + n > 74)) {
			put(w, line, len);
			put_string(w, "\r\n");
			len = 0;
		}
		if (n == 0)
			return;
		if (len == 0)
			len = snprintf(line, 16, "%s", indent);
		else
			line[len++] = ' ';
		memcpy(line + len, paragraph, n);
		len += n;
		paragraph += n;
	}
}

/* "d.d.d" with one digit of class, as RFC 3463 has it. */
static int
is_status(const char *s)
{
	size_t a, b;

	if (s == NULL || (*s != '2' && *s != '4' && *s != '5') || s[1] != '.')
		return 0;
	a = strspn(s + 2, "0123456789");
	if (a < 1 || a > 3 || s[2 + a] != '.')
		return 0;
	b = strspn(s + 3 + a, "0123456789");
	return b >= 1 && b <= 3 && s[3 + a + b] == '\0';
}

/* The reply as the server gave it. An enhanced code that ends in 0.0 stands for
 * none. */
static void
reply_text(const struct dsn_rcpt *rcpt, char *out, size_t size)
{
	const char *enhanced = rcpt->enhanced;

	if (!is_status(enhanced) || strcmp(enhanced + 1, ".0.0") == 0)
		enhanced = "";
	snprintf(out, size, "%03u %s%s%s", rcpt->code, enhanced,
	    *enhanced != '\0' ? " " : "",
	    text_is_set(rcpt->text) ? rcpt->text : "");
}

static void
put_human_rcpt(struct writer *w, const struct dsn_rcpt *rcpt)
{
	char safe[SAFE_SIZE], buf[SAFE_SIZE + 128], date[TRACE_DATE_MAX];
	struct trace_time until = { rcpt->retry_until, w->report->now.offset };

	text_safe(
	    safe, TEXT_WORD_MAX, rcpt->address, TEXT_PLAIN, w->report->utf8);
	put_string(w, "<");
	put_string(w, safe);
	put_string(w, ">:\r\n");
	put_paragraph(w, "    ", dsn_text_advice(rcpt));
	if (rcpt->action == DSN_DELAYED && rcpt->retry_until > 0) {
		snprintf(buf, sizeof(buf), "Attempts go on until %s.",
		    trace_date_text(date, &until));
		put_paragraph(w, "    ", buf);
	}
	if (text_is_set(rcpt->text)) {
		if (rcpt->code != 0)
			reply_text(rcpt, buf, sizeof(buf));
		else
			snprintf(buf, sizeof(buf), "%s", rcpt->text);
		text_safe(safe, sizeof(safe), buf, TEXT_PLAIN, w->report->utf8);
		snprintf(buf, sizeof(buf), "%s: %s",
		    rcpt->code != 0 ? "The answer was" : "Reason", safe);
		put_paragraph(w, "    ", buf);
	}
	put_string(w, "\r\n");
}

static void
put_human(struct writer *w)
{
	const struct dsn_report *r = w->report;
	char buf[512], host[256];
	size_t i;

	put_part(w,
	    r->utf8 ? "text/plain; charset=utf-8"
		    : "text/plain; charset=us-ascii",
	    r->utf8 ? "8bit" : NULL, "Notification");
	text_safe(host, sizeof(host), r->host, TEXT_TOKEN, 0);
	snprintf(buf, sizeof(buf), "This is the mail system at %s.", host);
	put_paragraph(w, "", buf);
	put_string(w, "\r\n");
	put_paragraph(w, "", dsn_text_opening(r));
	put_string(w, "\r\n");
	for (i = 0; i < r->nrcpts; i++)
		put_human_rcpt(w, &r->rcpts[i]);
	if (text_is_set(r->id)) {
		text_safe(host, 65, r->id, TEXT_TOKEN, 0);
		snprintf(buf, sizeof(buf),
		    "If you ask the operator about "
		    "this message, give the number %s.",
		    host);
		put_paragraph(w, "", buf);
	}
}

/* ORCPT as RFC 3461 section 6.3 wants it: decoded, but with what the report
 * cannot hold left encoded. */
static void
put_original_rcpt(struct writer *w, const char *orcpt)
{
	char safe[SAFE_SIZE], type[64];
	const char *address;
	size_t n;

	address = orcpt == NULL ? NULL : strchr(orcpt, ';');
	if (address == NULL)
		return;
	n = address - orcpt < 63 ? address - orcpt : 63;
	memcpy(safe, orcpt, n);
	safe[n] = '\0';
	text_safe(type, sizeof(type), safe, TEXT_TOKEN, 0);
	address++;
	if (!w->report->utf8 && strcmp(type, "utf-8") == 0) {
		if (xtext_encode_utf8(
			address, strlen(address), safe, sizeof(safe)) <= 0)
			return;
		address = safe;
	}
	put_typed(w, "Original-Recipient", type, address);
}

static void
put_final_rcpt(struct writer *w, const char *address)
{
	char encoded[SAFE_SIZE * 4];
	int ascii = 1;
	const char *p;

	for (p = address; *p != '\0'; p++)
		ascii = ascii && (unsigned char)*p < 128;
	if (ascii) {
		put_typed(w, "Final-Recipient", "rfc822", address);
	} else if (w->report->utf8) {
		put_typed(w, "Final-Recipient", "utf-8", address);
	} else {
		if (xtext_encode_utf8(address, strlen(address), encoded,
			sizeof(encoded)) <= 0)
			encoded[0] = '\0';
		put_typed(w, "Final-Recipient", "utf-8",
		    encoded[0] == '\0' ? "unknown" : encoded);
	}
}

/* A status has the class of the action, whatever a server said. Only when the
 * time was over the failure is of class 4, which says that the message may be
 * sent again (RFC 3463 section 2). */
static const char *
rcpt_status(const struct dsn_rcpt *rcpt, char out[16])
{
	const char *status = dsn_text_status(rcpt);

	snprintf(out, 16, "%s", action_status[rcpt->action]);
	if (rcpt->action == DSN_FAILED && status != NULL &&
	    strcmp(status, "4.4.7") == 0)
		snprintf(out, 16, "%s", status);
	else if (is_status(status))
		snprintf(out + 1, 15, "%s", status + 1);
	return out;
}

static void
put_machine_rcpt(struct writer *w, const struct dsn_rcpt *rcpt)
{
	char buf[SAFE_SIZE + 16], status[16];
	const char *remote;

	put_string(w, "\r\n");
	put_original_rcpt(w, rcpt->orcpt);
	put_final_rcpt(w, rcpt->address);
	put_field(w, "Action", action_names[rcpt->action]);
	put_field(w, "Status", rcpt_status(rcpt, status));
	remote = text_is_set(rcpt->remote_name) ? rcpt->remote_name
						: rcpt->remote_addr;
	put_typed(w, "Remote-MTA", "dns", remote);
	if (rcpt->code != 0 && text_is_set(remote)) {
		reply_text(rcpt, buf, sizeof(buf));
		put_typed(w, "Diagnostic-Code", "smtp", buf);
	} else {
		put_typed(w, "Diagnostic-Code", "x-relais", rcpt->text);
	}
	put_date(w, "Last-Attempt-Date", rcpt->last_attempt);
	if (rcpt->action == DSN_DELAYED)
		put_date(w, "Will-Retry-Until", rcpt->retry_until);
}

static void
put_machine(struct writer *w)
{
	const struct dsn_report *r = w->report;
	char safe[SAFE_SIZE];
	size_t i;

	if (r->utf8)
		put_part(w, "message/global-delivery-status", "8bit",
		    "Delivery report");
	else
		put_part(w, "message/delivery-status", NULL, "Delivery report");
	put_typed(w, "Reporting-MTA", "dns", r->host);
	if (text_is_set(r->envid)) {
		text_safe(safe, sizeof(safe), r->envid, TEXT_PLAIN, 0);
		put_field(w, "Original-Envelope-Id", safe);
	}
	put_date(w, "Arrival-Date", r->arrival);
	for (i = 0; i < r->nrcpts; i++)
		put_machine_rcpt(w, &r->rcpts[i]);
}

/* All of the original, with a line end at its end. */
static void
put_message(struct writer *w)
{
	char buf[CHUNK];
	char last = '\n';
	ssize_t n;

	while (!w->failed) {
		n = w->io->read(w->io->arg, buf, sizeof(buf));
		if (n <= 0) {
			w->failed = n < 0;
			break;
		}
		put(w, buf, n);
		last = buf[n - 1];
	}
	if (last != '\n')
		put_string(w, "\r\n");
}

/* 1 while the line is of the header section. */
static int
line_in_header(struct header_scan *scan, const char *line, size_t len)
{
	struct header_field field;
	enum header_status status;
	size_t used;

	do {
		status = header_scan(scan, line, len, &used, &field);
		line += used;
		len -= used;
	} while (status == HEADER_FIELD);
	return status == HEADER_MORE;
}

/* Writes the whole lines of buf that belong to the header; 1 if it goes on.
 * *len is then what is left: the beginning of a line, moved to the front. */
static int
put_header_lines(
    struct writer *w, struct header_scan *scan, char *buf, size_t *len)
{
	char *line = buf, *lf;
	size_t left = *len, n;

	while ((lf = memchr(line, '\n', left)) != NULL) {
		n = lf + 1 - line;
		if (!line_in_header(scan, line, n))
			return 0;
		put(w, line, n);
		line += n;
		left -= n;
	}
	memmove(buf, line, left);
	*len = left;
	return 1;
}

/* The header section of the original: whole lines up to the limit. */
static void
put_original_header(struct writer *w)
{
	struct header_limits limits = { .octets = w->report->header_max != 0
		    ? w->report->header_max
		    : HEADER_MAX_DEFAULT };
	struct header_scan scan;
	char buf[CHUNK];
	size_t len = 0;
	ssize_t n;

	header_init(&scan, &limits);
	/* A line that fills the buffer ends what is returned. */
	for (;;) {
		n = w->io->read(w->io->arg, buf + len, sizeof(buf) - len);
		if (n <= 0)
			break;
		len += n;
		if (!put_header_lines(w, &scan, buf, &len) || w->failed ||
		    len == sizeof(buf))
			return;
	}
	w->failed = n < 0;
	if (n == 0 && len > 0 && line_in_header(&scan, buf, len)) {
		put(w, buf, len);
		put_string(w, "\r\n");
	}
}

static void
put_original(struct writer *w)
{
	const struct dsn_report *r = w->report;
	const char *encoding = is_eight_bit(r) ? "8bit" : NULL;

	/* RFC 3461 section 4.3: FULL holds for failures only. */
	if (r->kind == DSN_KIND_FAILURE && r->ret == RET_FULL &&
	    r->size <= r->full_max) {
		put_part(w, r->utf8 ? "message/global" : "message/rfc822",
		    encoding, "Undelivered message");
		put_message(w);
	} else {
		put_part(w,
		    r->utf8 ? "message/global-headers" : "text/rfc822-headers",
		    encoding, "Message header");
		put_original_header(w);
	}
}

int
dsn_build(const struct dsn_report *report, const struct dsn_io *io)
{
	char boundary[MIME_BOUNDARY_MAX];
	struct writer w = { .report = report, .io = io };

	w.boundary = mime_boundary(boundary, report->random);
	put_header(&w);
	put_human(&w);
	put_machine(&w);
	put_original(&w);
	put_string(&w, "\r\n--");
	put_string(&w, boundary);
	put_string(&w, "--\r\n");
	return w.failed ? -1 : 0;
}
