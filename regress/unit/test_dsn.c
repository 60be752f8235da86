/*
 * Delivery reports, read back with a small parser of our own: the structure
 * of RFC 3462 and 3464, what is returned of the original, and hostile values.
 * `test_dsn emit NAME` writes one report for test_dsn_email.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/dsn.h"
#include "mail/header.h"

#define REPORT_MAX (1 << 20)

static const uint8_t random_octets[16] = { 0xde, 0xad, 0xbe, 0xef };
#define BOUNDARY "=_deadbeef000000000000000000000000"

static const char original[] =
    "Received: from x by y; now\r\n"
    "From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\n"
    "\tworld\r\n\r\nThe body.\r\n--" BOUNDARY "-no\r\nend";

struct memory {
	const char *in;
	size_t in_len, at, step; /* step: octets a read, 0: all */
	char *out;
	size_t out_len;
	int read_fails, write_fails;
};

static ssize_t
memory_read(void *arg, void *buf, size_t size)
{
	struct memory *m = arg;
	size_t n = m->in_len - m->at;

	if (m->read_fails)
		return -1;
	if (n > size)
		n = size;
	if (m->step != 0 && n > m->step)
		n = m->step;
	memcpy(buf, m->in + m->at, n);
	m->at += n;
	return n;
}

static int
memory_write(void *arg, const void *buf, size_t len)
{
	struct memory *m = arg;

	if (m->write_fails)
		return -1;
	assert_true(m->out_len + len < REPORT_MAX);
	memcpy(m->out + m->out_len, buf, len);
	m->out_len += len;
	m->out[m->out_len] = '\0';
	return 0;
}

static const struct dsn_rcpt two_failed[] = {
	{ .address = "b@example.org",
	    .orcpt = "rfc822;B+list@example.org",
	    .action = DSN_FAILED,
	    .status = "5.1.1",
	    .code = 550,
	    .text = "5.1.1 no such user here",
	    .remote_name = "mx.example.org",
	    .remote_addr = "192.0.2.1",
	    .last_attempt = 1795532640 },
	{ .address = "c@example.org",
	    .action = DSN_FAILED,
	    .status = "4.4.1",
	    .text = "no host of the domain answered" },
};

static struct dsn_report
report(enum dsn_kind kind, const struct dsn_rcpt *rcpts, size_t n)
{
	return (struct dsn_report){ .kind = kind,
		.host = "mx.example.net",
		.sender = "a@example.com",
		.envid = "env 17",
		.id = "00c0ffee",
		.unique = "1.2.3",
		.random = random_octets,
		.now = { 1795532645, 60 },
		.arrival = 1795532000,
		.ret = RET_FULL,
		.size = sizeof(original) - 1,
		.full_max = 100000,
		.rcpts = rcpts,
		.nrcpts = n };
}

/* Builds into fresh memory, which the caller frees. */
static char *
build_from(const struct dsn_report *r, const char *in, size_t len, size_t step)
{
	struct memory m = {
		.in = in, .in_len = len, .step = step, .out = malloc(REPORT_MAX)
	};
	struct dsn_io io = { memory_read, memory_write, &m };

	assert_non_null(m.out);
	assert_int_equal(dsn_build(r, &io), 0);
	return m.out;
}

static char *
build(const struct dsn_report *r)
{
	return build_from(r, original, sizeof(original) - 1, 0);
}

/* The n-th part: from its header to the delimiter that ends it. */
static char *
part(const char *text, int n)
{
	const char *end;
	int i;

	for (i = 0; i <= n; i++) {
		text = strstr(text, "\r\n--" BOUNDARY "\r\n");
		assert_non_null(text);
		text += strlen("\r\n--" BOUNDARY "\r\n");
	}
	end = text;
	do {
		end = strstr(end + 1, "\r\n--" BOUNDARY);
		assert_non_null(end);
	} while (strncmp(end + strlen("\r\n--" BOUNDARY), "\r\n", 2) != 0 &&
	    strncmp(end + strlen("\r\n--" BOUNDARY), "--\r\n", 4) != 0);
	return strndup(text, end - text);
}

/* The unfolded value of a field of the header section at text; NULL when it
 * is not there, and it must not be there twice. */
static const char *
field(const char *text, const char *name)
{
	static char value[4][2048];
	static int turn;
	struct header_field f;
	const char *found = NULL;
	size_t pos = 0;

	while (header_next(text, strlen(text), &pos, &f)) {
		if (f.name_len != strlen(name) ||
		    strncmp(text + f.start, name, f.name_len) != 0)
			continue;
		assert_null(found);
		turn = (turn + 1) % 4;
		header_body(text, &f, value[turn], sizeof(value[0]));
		found = value[turn];
	}
	return found;
}

static void
assert_field(const char *text, const char *name, const char *value)
{
	const char *found = field(text, name);

	if (value == NULL) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, value);
}

/* What stands behind the n-th empty line: a group of fields or a body. */
static const char *
group(const char *text, int n)
{
	for (; n > 0; n--) {
		text = strstr(text, "\r\n\r\n");
		assert_non_null(text);
		text += 4;
	}
	return text;
}

static void
assert_lines(const char *text)
{
	const char *p;
	size_t line = 0;

	for (p = text; *p != '\0'; p++, line++) {
		if (*p == '\n') {
			assert_int_equal(p[-1], '\r');
			assert_true(line <= 999);
			line = -1;
		} else if (*p == '\r') {
			assert_int_equal(p[1], '\n');
		} else {
			assert_true((unsigned char)*p >= 32 || *p == '\t');
		}
	}
}

static void
failure(void **state)
{
	struct dsn_report r = report(DSN_KIND_FAILURE, two_failed, 2);
	char *text = build(&r), *p;
	const char *g;

	assert_lines(text);
	assert_field(text, "From",
	    "Mail Delivery System <MAILER-DAEMON@mx.example.net>");
	assert_field(text, "To", "<a@example.com>");
	assert_field(text, "Date", "Tue, 24 Nov 2026 16:04:05 +0100");
	assert_field(text, "Message-ID", "<1.2.3@mx.example.net>");
	assert_field(text, "Auto-Submitted", "auto-replied");
	assert_field(text, "MIME-Version", "1.0");
	assert_field(text, "Content-Type",
	    "multipart/report; "
	    "report-type=delivery-status; boundary=\"" BOUNDARY "\"");
	assert_field(text, "Content-Transfer-Encoding", NULL);

	p = part(text, 0);
	assert_field(p, "Content-Type", "text/plain; charset=us-ascii");
	assert_non_null(strstr(p, "<b@example.org>:\r\n    There is no such"));
	assert_non_null(strstr(p, "The answer was: 550 5.1.1 no such user"));
	assert_non_null(strstr(p, "Reason: no host of the domain"));
	assert_non_null(strstr(p, "00c0ffee"));
	free(p);

	p = part(text, 1);
	assert_field(p, "Content-Type", "message/delivery-status");
	g = group(p, 1);
	assert_field(g, "Reporting-MTA", "dns; mx.example.net");
	assert_field(g, "Original-Envelope-Id", "env 17");
	assert_field(g, "Arrival-Date", "Tue, 24 Nov 2026 15:53:20 +0100");
	g = group(p, 2);
	assert_field(g, "Original-Recipient", "rfc822; B+list@example.org");
	assert_field(g, "Final-Recipient", "rfc822; b@example.org");
	assert_field(g, "Action", "failed");
	assert_field(g, "Status", "5.1.1");
	assert_field(g, "Remote-MTA", "dns; mx.example.org");
	assert_field(g, "Diagnostic-Code", "smtp; 550 5.1.1 no such user here");
	assert_field(g, "Last-Attempt-Date", "Tue, 24 Nov 2026 16:04:00 +0100");
	assert_field(g, "Will-Retry-Until", NULL);
	g = group(p, 3);
	assert_field(g, "Original-Recipient", NULL);
	assert_field(g, "Final-Recipient", "rfc822; c@example.org");
	assert_field(g, "Status", "5.4.1");
	assert_field(g, "Remote-MTA", NULL);
	assert_field(
	    g, "Diagnostic-Code", "x-relais; no host of the domain answered");
	free(p);

	p = part(text, 2);
	assert_field(p, "Content-Type", "message/rfc822");
	g = group(p, 1);
	assert_memory_equal(g, original, sizeof(original) - 1);
	assert_string_equal(g + sizeof(original) - 1, "\r\n");
	free(p);
	g = strstr(text, "\r\n--" BOUNDARY "--\r\n");
	assert_non_null(g);
	assert_string_equal(g, "\r\n--" BOUNDARY "--\r\n");
	free(text);
}

/* The Status says what a code means; the answer is as the server gave it. */
static void
codes_alone(void **state)
{
	static const struct {
		uint16_t code;
		const char *enhanced, *status, *answer;
	} table[] = {
		{ 550, "5.0.0", "5.0.0", "smtp; 550 go away" },
		{ 552, "5.0.0", "5.0.0", "smtp; 552 go away" },
		{ 553, "5.0.0", "5.0.0", "smtp; 553 go away" },
		{ 556, "5.0.0", "5.1.10", "smtp; 556 go away" },
		{ 554, "5.0.0", "5.0.0", "smtp; 554 go away" },
		{ 550, "5.7.1", "5.7.1", "smtp; 550 5.7.1 go away" },
	};
	struct dsn_rcpt rcpt = two_failed[0];
	struct dsn_report r;
	const char *g;
	char *text, *p;

	rcpt.text = "go away";
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		rcpt.code = table[i].code;
		rcpt.status = rcpt.enhanced = table[i].enhanced;
		r = report(DSN_KIND_FAILURE, &rcpt, 1);
		text = build(&r);
		p = part(text, 1);
		g = group(p, 2);
		assert_field(g, "Status", table[i].status);
		assert_field(g, "Diagnostic-Code", table[i].answer);
		free(p);
		free(text);
	}
}

/* What goes back of the original, by RET, size and kind. */
static void
returned(void **state)
{
	static const struct {
		enum dsn_kind kind;
		enum smtp_ret ret;
		uint64_t size;
		int full;
	} table[] = {
		{ DSN_KIND_FAILURE, RET_FULL, 1000, 1 },
		{ DSN_KIND_FAILURE, RET_FULL, 100000, 1 },
		{ DSN_KIND_FAILURE, RET_FULL, 100001, 0 },
		{ DSN_KIND_FAILURE, RET_HDRS, 1000, 0 },
		{ DSN_KIND_FAILURE, RET_UNSAID, 1000, 0 },
		{ DSN_KIND_DELAY, RET_FULL, 1000, 0 },
		{ DSN_KIND_SUCCESS, RET_FULL, 1000, 0 },
	};
	struct dsn_report r;
	char *text, *p;
	size_t i, step;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (step = 0; step < 40; step++) {
			r = report(table[i].kind, two_failed, 1);
			r.ret = table[i].ret;
			r.size = table[i].size;
			text = build_from(
			    &r, original, sizeof(original) - 1, step);
			p = part(text, 2);
			assert_field(p, "Content-Type",
			    table[i].full ? "message/rfc822"
					  : "text/rfc822-headers");
			assert_non_null(strstr(p, "Subject: hello\r\n\tworld"));
			assert_int_equal(
			    strstr(p, "The body.") != NULL, table[i].full);
			free(p);
			free(text);
		}
	}
}

static void
odd_originals(void **state)
{
	static const struct {
		const char *in;
		const char *header;
	} table[] = {
		{ "", "" },
		{ "\r\nbody\r\n", "" },
		{ "To: a", "To: a\r\n" },
		{ "To: a\r\nno field\r\n\r\n", "To: a\r\n" },
		{ "To: a\r\n\r\nSecret: b\r\n", "To: a\r\n" },
	};
	struct dsn_report r = report(DSN_KIND_FAILURE, two_failed, 1);
	char *text, *p;
	size_t i, step;

	r.ret = RET_HDRS;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (step = 0; step < 12; step++) {
			text = build_from(
			    &r, table[i].in, strlen(table[i].in), step);
			p = part(text, 2);
			assert_string_equal(group(p, 1), table[i].header);
			free(p);
			free(text);
		}
	}
}

static void
header_is_bounded(void **state)
{
	struct dsn_report r = report(DSN_KIND_FAILURE, two_failed, 1);
	static char in[200000];
	char *text, *p;
	size_t len = 0;

	r.ret = RET_HDRS;
	while (len < sizeof(in) - 100)
		len += snprintf(in + len, 100, "X-Filler: %zu\r\n", len);
	text = build_from(&r, in, len, 777);
	p = part(text, 2);
	assert_in_range(strlen(p), 60000, 65536 + 200);
	assert_string_equal(p + strlen(p) - 2, "\r\n");
	free(p);
	free(text);
	r.header_max = 100;
	text = build_from(&r, in, len, 0);
	p = part(text, 2);
	assert_in_range(strlen(group(p, 1)), 80, 100);
	free(p);
	free(text);
	/* One line without end. */
	memset(in, 'x', sizeof(in));
	memcpy(in, "X-Long: ", 8);
	text = build_from(&r, in, sizeof(in), 0);
	p = part(text, 2);
	assert_string_equal(group(p, 1), "");
	free(p);
	free(text);
}

static void
delay(void **state)
{
	static const struct dsn_rcpt rcpt = { .address = "b@example.org",
		.action = DSN_DELAYED,
		.status = "4.4.1",
		.retry_until = 1795532645 };
	struct dsn_report r = report(DSN_KIND_DELAY, &rcpt, 1);
	char *text = build(&r), *p;

	assert_field(text, "Subject", "Your message is delayed");
	p = part(text, 0);
	assert_non_null(strstr(p, "should not send"));
	assert_non_null(strstr(p, "Attempts go on until Tue, 24 Nov 2026"));
	free(p);
	p = part(text, 1);
	assert_field(group(p, 2), "Action", "delayed");
	assert_field(group(p, 2), "Status", "4.4.1");
	assert_field(
	    group(p, 2), "Will-Retry-Until", "Tue, 24 Nov 2026 16:04:05 +0100");
	free(p);
	free(text);
}

static void
success(void **state)
{
	static const struct {
		enum dsn_action action;
		const char *name;
		const char *subject;
	} table[] = {
		{ DSN_DELIVERED, "delivered",
		    "Your message has been delivered" },
		{ DSN_RELAYED, "relayed", "Your message has been sent on" },
		{ DSN_EXPANDED, "expanded", "Your message has been sent on" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct dsn_rcpt rcpt = { .address = "b@example.org",
			.action = table[i].action };
		struct dsn_report r = report(DSN_KIND_SUCCESS, &rcpt, 1);
		char *text = build(&r), *p;

		assert_field(text, "Subject", table[i].subject);
		p = part(text, 1);
		assert_field(group(p, 2), "Action", table[i].name);
		assert_field(group(p, 2), "Status", "2.0.0");
		free(p);
		free(text);
	}
}

static void
international(void **state)
{
	static const struct dsn_rcpt rcpt = { .address =
						  "j\xc3\xb6@example.org",
		.orcpt = "utf-8;j\xc3\xb6@example.org",
		.action = DSN_FAILED,
		.status = "5.6.7",
		.text = "kein Postfach f\xc3\xbcr \xe2\x80\xae j" };
	struct dsn_report r = report(DSN_KIND_FAILURE, &rcpt, 1);
	char *text, *p;

	r.utf8 = 1;
	r.sender = "\xc3\xa4@example.com";
	text = build(&r);
	assert_field(text, "To", "<\xc3\xa4@example.com>");
	assert_field(text, "Content-Transfer-Encoding", "8bit");
	p = part(text, 1);
	assert_field(p, "Content-Type", "message/global-delivery-status");
	assert_field(
	    group(p, 2), "Final-Recipient", "utf-8; j\xc3\xb6@example.org");
	assert_field(
	    group(p, 2), "Original-Recipient", "utf-8; j\xc3\xb6@example.org");
	assert_field(group(p, 2), "Diagnostic-Code",
	    "x-relais; kein Postfach f\xc3\xbcr ? j");
	free(p);
	p = part(text, 2);
	assert_field(p, "Content-Type", "message/global");
	free(p);
	free(text);
	/* A sender who does not take UTF-8 gets none. */
	r.utf8 = 0;
	r.sender = "a@example.com";
	text = build(&r);
	for (p = text; *p != '\0'; p++)
		assert_true((unsigned char)*p < 128);
	p = part(text, 1);
	assert_field(
	    group(p, 2), "Final-Recipient", "utf-8; j\\x{F6}@example.org");
	assert_field(
	    group(p, 2), "Original-Recipient", "utf-8; j\\x{F6}@example.org");
	free(p);
	free(text);
}

/* Values of strangers make no line, field or part of their own. */
static void
hostile(void **state)
{
	static const char *const values[] = {
		"a@b\r\nX-Injected: yes\r\n\r\n",
		"a\nX-Injected: yes",
		"\r\n--" BOUNDARY "--\r\n",
		"\x1b]0;x\x07",
		"\xff\xfe\xc0\xaf",
		("x\xe2\x80\xa8"
		 "X-Injected: yes"),
		"",
		" ",
		";",
		"5.1.1 \r\n.\r\nMAIL FROM:<>",
	};
	char longest[3000];
	size_t i, pos;
	int utf8;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (i = 0; i < 11 * 2; i++) {
		const char *v = i / 2 == 10 ? longest : values[i / 2];
		struct dsn_rcpt rcpt = { .address = v,
			.orcpt = v,
			.action = DSN_FAILED,
			.status = v,
			.code = 550,
			.text = v,
			.remote_name = v,
			.remote_addr = v };
		struct dsn_report r = report(DSN_KIND_FAILURE, &rcpt, 1);
		struct header_field f;
		char *text, *p;

		utf8 = i % 2;
		r.utf8 = utf8;
		r.host = v;
		r.sender = v;
		r.envid = v;
		r.id = v;
		r.unique = v;
		text = build(&r);
		assert_lines(text);
		assert_null(strstr(text, "\nX-Injected"));
		assert_field(text, "MIME-Version", "1.0");
		p = part(text, 1);
		pos = 0;
		while (header_next(group(p, 2), strlen(group(p, 2)), &pos, &f))
			;
		assert_field(group(p, 2), "Status", "5.0.0");
		assert_field(group(p, 2), "Action", "failed");
		free(p);
		p = part(text, 2);
		assert_memory_equal(
		    group(p, 1), original, sizeof(original) - 1);
		free(p);
		free(text);
	}
}

static void
io_failures(void **state)
{
	struct dsn_report r = report(DSN_KIND_FAILURE, two_failed, 2);
	struct memory m = { .in = original,
		.in_len = sizeof(original) - 1,
		.out = malloc(REPORT_MAX),
		.read_fails = 1 };
	struct dsn_io io = { memory_read, memory_write, &m };

	assert_non_null(m.out);
	assert_int_equal(dsn_build(&r, &io), -1);
	r.ret = RET_HDRS;
	assert_int_equal(dsn_build(&r, &io), -1);
	m.read_fails = 0;
	m.write_fails = 1;
	assert_int_equal(dsn_build(&r, &io), -1);
	free(m.out);
}

static int
emit(const char *name)
{
	struct dsn_report r = report(DSN_KIND_FAILURE, two_failed, 2);
	char *text;

	if (strcmp(name, "headers") == 0) {
		r.ret = RET_HDRS;
	} else if (strcmp(name, "utf8") == 0) {
		r.utf8 = 1;
		r.sender = "\xc3\xa4@example.com";
	} else if (strcmp(name, "full") != 0) {
		return EXIT_FAILURE;
	}
	text = build(&r);
	fputs(text, stdout);
	free(text);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure),
		cmocka_unit_test(codes_alone),
		cmocka_unit_test(returned),
		cmocka_unit_test(odd_originals),
		cmocka_unit_test(header_is_bounded),
		cmocka_unit_test(delay),
		cmocka_unit_test(success),
		cmocka_unit_test(international),
		cmocka_unit_test(hostile),
		cmocka_unit_test(io_failures),
	};

	if (argc == 3 && strcmp(argv[1], "emit") == 0)
		return emit(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
