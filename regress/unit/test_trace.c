/*
 * Trace fields: exact text for usual values, and for hostile ones that they
 * make no line, comment or token of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/header.h"
#include "mail/trace.h"

static void
dates(void **state)
{
	static const struct {
		int64_t seconds;
		int32_t offset;
		const char *text;
	} table[] = {
		{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 951868800, 0, "Wed, 1 Mar 2000 00:00:00 +0000" },
		{ 1709251199, 60, "Fri, 1 Mar 2024 00:59:59 +0100" },
		{ 1795532645, 60, "Tue, 24 Nov 2026 16:04:05 +0100" },
		{ 1795532645, -210, "Tue, 24 Nov 2026 11:34:05 -0330" },
		{ 4102444799, 0, "Thu, 31 Dec 2099 23:59:59 +0000" },
		{ 4107542400, 0, "Mon, 1 Mar 2100 00:00:00 +0000" },
		{ -5, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 10, -60, "Thu, 1 Jan 1970 00:00:10 +0000" },
		{ INT64_MAX, 60, "Fri, 31 Dec 9999 23:59:59 +0000" },
		{ 0, 100000, "Thu, 1 Jan 1970 00:00:00 +0000" },
	};
	char out[TRACE_DATE_MAX];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct trace_time t = { table[i].seconds, table[i].offset };

		assert_string_equal(trace_date_text(out, &t), table[i].text);
	}
}

static void
keywords(void **state)
{
	static const struct {
		unsigned flags;
		const char *with;
	} table[] = {
		{ 0, "SMTP" },
		{ TRACE_EXTENDED, "ESMTP" },
		{ TRACE_EXTENDED | TRACE_TLS_USED, "ESMTPS" },
		{ TRACE_EXTENDED | TRACE_AUTHENTICATED, "ESMTPA" },
		{ TRACE_EXTENDED | TRACE_TLS_USED | TRACE_AUTHENTICATED,
		    "ESMTPSA" },
		{ TRACE_EXTENDED | TRACE_UTF8, "UTF8SMTP" },
		{ TRACE_EXTENDED | TRACE_UTF8 | TRACE_TLS_USED |
			TRACE_AUTHENTICATED,
		    "UTF8SMTPSA" },
		{ TRACE_LMTP, "LMTP" },
		{ TRACE_LMTP | TRACE_TLS_USED, "LMTPS" },
		{ TRACE_LMTP | TRACE_UTF8 | TRACE_AUTHENTICATED, "UTF8LMTPA" },
		{ TRACE_LOCAL, "local" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(trace_with(table[i].flags), table[i].with);
}

static void
received(void **state)
{
	struct trace_received r = { .helo = "client.example",
		.client_name = "host.example",
		.client_addr = "192.0.2.1",
		.by = "mx.example.org",
		.tls = "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
		.id = "00c0ffee",
		.recipient = "a@example.org",
		.flags = TRACE_EXTENDED | TRACE_TLS_USED,
		.when = { 1795532645, 60 } };
	char out[TRACE_FIELD_MAX];

	assert_true(trace_received(out, sizeof(out), &r) == strlen(out));
	assert_string_equal(out,
	    "Received: from client.example (host.example [192.0.2.1])\r\n"
	    "\tby mx.example.org (Relais) with ESMTPS\r\n"
	    "\t(TLSv1.3:TLS_AES_256_GCM_SHA384:256) id 00c0ffee\r\n"
	    "\tfor <a@example.org>; Tue, 24 Nov 2026 16:04:05 +0100\r\n");
	r.client_name = "";
	r.client_addr = "2001:db8::1";
	r.tls = NULL;
	r.recipient = NULL;
	r.auth_user = "jo (x";
	r.flags |= TRACE_AUTHENTICATED;
	assert_true(trace_received(out, sizeof(out), &r) == strlen(out));
	assert_string_equal(out,
	    "Received: from client.example (unknown [IPv6:2001:db8::1])\r\n"
	    "\t(Authenticated sender: jo \\(x)\r\n"
	    "\tby mx.example.org (Relais) with ESMTPSA id 00c0ffee;\r\n"
	    "\tTue, 24 Nov 2026 16:04:05 +0100\r\n");
	memset(&r, 0, sizeof(r));
	r.by = "h";
	r.local_user = "root";
	r.flags = TRACE_LOCAL;
	assert_true(trace_received(out, sizeof(out), &r) == strlen(out));
	assert_string_equal(out,
	    "Received: by h (Relais, from user root) "
	    "with local;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
}

/* One field, no control inside, no line over 998 octets, comments close. */
static void
assert_one_field(const char *out, size_t len)
{
	struct header_field f;
	size_t pos = 0, i, line = 0;
	int depth = 0;

	assert_int_equal(header_next(out, len, &pos, &f), 1);
	assert_int_equal(pos, len);
	for (i = 0; i < len; i++) {
		unsigned char c = out[i];

		if (c == '\n') {
			assert_int_equal(out[i - 1], '\r');
			assert_true(line < 998);
			line = 0;
			continue;
		}
		assert_true(
		    c >= 32 || c == '\t' || (c == '\r' && out[i + 1] == '\n'));
		assert_int_not_equal(c, 127);
		line++;
		if (c == '\\')
			i++, line++;
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
		assert_true(depth == 0 || depth == 1);
	}
	assert_int_equal(depth, 0);
}

static void
hostile_received(void **state)
{
	static const char *const values[] = {
		"a\r\nX-Injected: 1",
		"a\nX: 1\n\n.\n",
		"a\rb",
		"x) with FAKE (",
		"((((((((",
		"\\",
		"a\\",
		"\x1b[2J\x7f\x01",
		("a\xe2\x80\xa8"
		 "b"),
		"\xc0\xaf\xff\xfe",
		"; Mon, 1 Jan 1990",
		" ",
	};
	char out[TRACE_FIELD_MAX], longest[1025];
	struct trace_received r;
	size_t i, len;
	unsigned flags;

	memset(longest, '(', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (i = 0; i < 13 * 2; i++) {
		const char *v = i / 2 == 12 ? longest : values[i / 2];

		flags = TRACE_EXTENDED | (i % 2 ? TRACE_UTF8 : 0);
		r = (struct trace_received){ .helo = v,
			.client_name = v,
			.client_addr = v,
			.auth_user = v,
			.local_user = v,
			.by = v,
			.tls = v,
			.id = v,
			.flags = flags };
		len = trace_received(out, sizeof(out), &r);
		assert_true(len > 0 && len == strlen(out));
		assert_one_field(out, len);
		assert_null(strstr(out, "\xe2\x80\xa8"));
		assert_null(strstr(out, "\xff"));
	}
}

static void
small_fields(void **state)
{
	char out[TRACE_FIELD_MAX];
	struct trace_time t = { 0, 0 };

	trace_return_path(out, sizeof(out), "");
	assert_string_equal(out, "Return-Path: <>\r\n");
	trace_return_path(out, sizeof(out), "a@b\r\nX: y");
	assert_string_equal(out, "Return-Path: <a@b??X: y>\r\n");
	trace_delivered_to(out, sizeof(out), "a@b");
	assert_string_equal(out, "Delivered-To: a@b\r\n");
	trace_date(out, sizeof(out), &t);
	assert_string_equal(out, "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n");
	trace_message_id(out, sizeof(out), "12.ab>@\r\n-c", "h.example>");
	assert_string_equal(out, "Message-ID: <12.ab-c@h.example?>\r\n");
}

static void
too_small(void **state)
{
	char out[64];
	size_t i;

	for (i = 0; i < 18; i++) {
		assert_int_equal(trace_return_path(out, i, "a"), 0);
		if (i > 0)
			assert_string_equal(out, "");
	}
	assert_int_equal(trace_return_path(out, 19, "a"), 18);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates),
		cmocka_unit_test(keywords),
		cmocka_unit_test(received),
		cmocka_unit_test(hostile_received),
		cmocka_unit_test(small_fields),
		cmocka_unit_test(too_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
