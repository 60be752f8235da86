/*
 * sendmail's pure parts: its command line, recipients out of arguments and
 * headers, what it writes, the file it leaves in the drop folder, and the
 * columns of mailq.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/base64.h"
#include "smtpctl/compose.h"
#include "smtpctl/drop.h"
#include "smtpctl/options.h"
#include "smtpctl/print.h"

static int
parse(const char *line, struct sendmail_options *o, char **argv, char *copy)
{
	char error[200] = "";
	int argc = 0;

	strcpy(copy, line);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	return sendmail_parse(argc, argv, o, error, sizeof(error)) == -1
	    ? -1
	    : argc - o->first;
}

static void
test_options(void **state)
{
	static const struct {
		const char *line;
		int rcpts; /* -1: refused */
		int extract, keep_dots;
		const char *sender;
		enum sendmail_mode mode;
	} cases[] = {
		{ "sendmail a@b c@d", 2, 0, 0, NULL, SENDMAIL_MAIL },
		{ "sendmail -t -i", 0, 1, 1, NULL, SENDMAIL_MAIL },
		{ "sendmail -ti", 0, 1, 1, NULL, SENDMAIL_MAIL },
		{ "sendmail -oi -f x@y a@b", 1, 0, 1, "x@y", SENDMAIL_MAIL },
		{ "sendmail -fx@y -- a@b", 1, 0, 0, "x@y", SENDMAIL_MAIL },
		{ "sendmail -rx@y a", 1, 0, 0, "x@y", SENDMAIL_MAIL },
		{ "sendmail -o i -e m -o em a", 1, 0, 1, NULL, SENDMAIL_MAIL },
		{ "sendmail -o Q/tmp a", -1, 0, 0, NULL, 0 },
		{ "sendmail -odb -oem -om a", 1, 0, 0, NULL, SENDMAIL_MAIL },
		{ "sendmail -B 8BITMIME -h 5 a", 1, 0, 0, NULL, SENDMAIL_MAIL },
		{ "sendmail -bs", 0, 0, 0, NULL, SENDMAIL_SMTP },
		{ "sendmail -bp", 0, 0, 0, NULL, SENDMAIL_QUEUE },
		{ "sendmail -bi", 0, 0, 0, NULL, SENDMAIL_ALIASES },
		{ "sendmail -q", 0, 0, 0, NULL, SENDMAIL_FLUSH },
		{ "sendmail -q30m", -1, 0, 0, NULL, 0 },
		{ "sendmail -bd", -1, 0, 0, NULL, 0 },
		{ "sendmail -be", -1, 0, 0, NULL, 0 },
		{ "sendmail -C/etc/x a", -1, 0, 0, NULL, 0 },
		{ "sendmail -X /tmp/log a", -1, 0, 0, NULL, 0 },
		{ "sendmail -O DeliveryMode=b a", 1, 0, 0, NULL, 0 },
		{ "sendmail -t -ODeliveryMode=b", 0, 1, 0, NULL, 0 },
		{ "sendmail -DX=y a", -1, 0, 0, NULL, 0 },
		{ "sendmail -oQ/tmp a", -1, 0, 0, NULL, 0 },
		{ "sendmail -oA/tmp/x a", -1, 0, 0, NULL, 0 },
		{ "sendmail -f", -1, 0, 0, NULL, 0 },
		{ "sendmail -fa\nb x", -1, 0, 0, NULL, 0 },
		{ "sendmail -Nsuccess,never a", -1, 0, 0, NULL, 0 },
		{ "sendmail -y a", -1, 0, 0, NULL, 0 },
	};
	struct sendmail_options o;
	char *argv[16], copy[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].line);
		assert_int_equal(
		    parse(cases[i].line, &o, argv, copy), cases[i].rcpts);
		if (cases[i].rcpts == -1)
			continue;
		assert_int_equal(o.extract, cases[i].extract);
		assert_int_equal(o.keep_dots, cases[i].keep_dots);
		assert_int_equal(o.mode, cases[i].mode);
		if (cases[i].sender == NULL)
			assert_null(o.sender);
		else
			assert_string_equal(o.sender, cases[i].sender);
	}
}

/* The list joined by spaces, behind "!" when some of it is none. */
static void
joined(const char *text, char *out, size_t size)
{
	struct addresses a = { 0 };
	char error[300] = "";

	snprintf(out, size, "%s",
	    addresses_parse(&a, text, strlen(text), error, sizeof(error)) == -1
		? "!"
		: "");
	assert_int_equal(out[0] == '!', error[0] != '\0');
	for (size_t i = 0; i < a.count; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%s",
		    i ? " " : "", a.list[i]);
	addresses_free(&a);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text, *list;
	} cases[] = {
		{ "a@b.test", "a@b.test" },
		{ "a@B.test, c@d.test,,", "a@b.test c@d.test" },
		{ "root", "root" },
		{ "Joe Doe <joe@x.test>", "joe@x.test" },
		{ "\"Doe, Joe\" <joe@x.test>", "joe@x.test" },
		{ "joe@x.test (Joe, (the) Doe)", "joe@x.test" },
		{ "us: a@x.test, b@x.test;, c@x.test",
		    "a@x.test b@x.test c@x.test" },
		{ "undisclosed-recipients:;", "" },
		{ "<>, Nobody <>, a@x.test", "a@x.test" },
		{ "a @ x.test", "a@x.test" },
		{ "\"a b\"@x.test", "\"a b\"@x.test" },
		{ "a@x.test, A@X.TEST, a@x.test", "a@x.test A@x.test" },
		{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
		{ "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]" },
		{ "", "" },
		{ "-oQ@x.test", "!" },
		{ "<-oQ@x.test>", "!" },
		{ "a@x.test b@x.test", "!" },
		{ "a@x.test, b@@x.test, <>, -c, d@x.test",
		    "!a@x.test d@x.test" },
		{ "<a@x.test> -oQ/tmp", "!" },
		{ "<a@x.test", "!" },
		{ "a@x.test, b@x.test (c, d@x.test", "!a@x.test" },
		{ "Joe (c <a@x.test>, b@x.test", "!" },
		{ "a@x.test (b (c), d@x.test", "!" },
		{ "<a@x.test> (b\\", "!" },
		{ "(", "!" },
		{ "a@x.test \")\" (b\\), c@x.test", "!" },
		{ "a@x.test\x01", "!" },
		{ "a@@x.test", "!" },
	};
	char out[400];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].text);
		joined(cases[i].text, out, sizeof(out));
		assert_string_equal(out, cases[i].list);
	}
}

/* What is no address is told of as a terminal may have it. */
static void
test_odd(void **state)
{
	static const struct {
		const char *list, *error;
	} cases[] = {
		{ "\"\x1b[2J\n\xc2\x9b\" x\xff",
		    "`\"?[2J??\" x?`: control or hiding character" },
		{ "a@x.test (b, c@x.test\x1b",
		    "`a@x.test (b, c@x.test?`: `)` is missing" },
	};
	struct addresses a = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[300] = "";

		assert_int_equal(
		    addresses_parse(&a, cases[i].list, strlen(cases[i].list),
			error, sizeof(error)),
		    -1);
		assert_string_equal(error, cases[i].error);
	}
	assert_int_equal(a.count, 0);
	addresses_free(&a);
}

static void
test_once(void **state)
{
	static const char list[] = "a, b@d.test, b, a@d.test, c@x.test";
	struct addresses a = { 0 };
	char error[100] = "";

	addresses_parse(&a, list, sizeof(list) - 1, error, sizeof(error));
	assert_int_equal(a.count, 5);
	assert_int_equal(addresses_qualify(&a, "d.test"), 0);
	assert_int_equal(a.count, 3);
	assert_string_equal(a.list[0], "a@d.test");
	assert_string_equal(a.list[1], "b@d.test");
	assert_string_equal(a.list[2], "c@x.test");
	addresses_free(&a);
}

/* Each that is none has a line, and the rest one where there is no room. */
static void
test_none(void **state)
{
	static const char end[] = "`x@@y`: malformed domain\nand others";
	struct addresses a = { 0 };
	char error[500] = "";

	for (int i = 0; i < 50; i++)
		addresses_parse(&a, "x@@y", 4, error, sizeof(error));
	assert_int_equal(a.count, 0);
	assert_non_null(strchr(strchr(error, '\n') + 1, '\n'));
	assert_string_equal(error + strlen(error) - (sizeof(end) - 1), end);
	error[strlen(error) - strlen("and others")] = '\0';
	assert_null(strstr(error, "and others"));
	addresses_free(&a);
}

static void
test_extract(void **state)
{
	static const char text[] =
	    "From x Mon\nSubject: hi\nTo: a@x.test,\n"
	    "\tb@x.test\nBcc: c@x.test\n\nTo: d@x.test\n";
	static const char again[] = "To: a@x.test\nResent-To: r@x.test\n\n";
	struct draft d = { text, sizeof(text) - 1 },
		     r = { again, sizeof(again) - 1 };
	struct addresses a = { 0 };
	char error[200] = "";

	assert_int_equal(compose_recipients(&d, &a, error, 200), 0);
	assert_int_equal(a.count, 3);
	assert_string_equal(a.list[2], "c@x.test");
	addresses_free(&a);
	assert_int_equal(compose_recipients(&r, &a, error, 200), 0);
	assert_int_equal(a.count, 1);
	assert_string_equal(a.list[0], "r@x.test");
	addresses_free(&a);
}

/* What is made of it, to be freed: text, for no NUL is left. */
static char *
written(const char *in, size_t len, const struct additions *add)
{
	struct draft d = { in, len };
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	compose_write(&d, add, f);
	fclose(f);
	assert_int_equal(size, strlen(text));
	return text;
}

static void
test_write(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "From: m\nBcc: z@z\n more\nX: y\n\n.a\n..\nb",
		    "From: m\r\nX: y\r\nDate: now\r\n\r\n..a\r\n...\r\nb\r\n"
		    ".\r\n" },
		{ "X: y\r\n\r\nb\r\n",
		    "X: y\r\nFrom: me\r\nDate: now\r\n\r\nb\r\n.\r\n" },
		{ "no header here\n",
		    "From: me\r\nDate: now\r\n\r\nno header here\r\n.\r\n" },
		{ "From: m\nDate: d\n\na\r.\rb\n",
		    "From: m\r\nDate: d\r\n\r\na\r\n..\r\nb\r\n.\r\n" },
		{ "", "From: me\r\nDate: now\r\n.\r\n" },
		/* RFC 5322 section 3.6.6 */
		{ "From: m\nDate: d\nResent-To: r\n\nb\n",
		    "From: m\r\nDate: d\r\nResent-To: r\r\n"
		    "Resent-From: me\r\nResent-Date: now\r\n\r\nb\r\n"
		    ".\r\n" },
		{ "From: m\nDate: d\nResent-From: r\nResent-Date: d\n\nb\n",
		    "From: m\r\nDate: d\r\nResent-From: r\r\n"
		    "Resent-Date: d\r\n\r\nb\r\n.\r\n" },
		{ "Resent-Bcc: r\n\nb\n",
		    "From: me\r\nDate: now\r\nResent-From: me\r\n"
		    "Resent-Date: now\r\n\r\nb\r\n.\r\n" },
		{ ">From a b\n>>From c\nFrom: m\nDate: d\n\n>From x\n",
		    "From: m\r\nDate: d\r\n\r\n>From x\r\n.\r\n" },
	};
	const struct additions add = { "From: me", "Date: now", NULL, NULL };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = written(cases[i].in, strlen(cases[i].in), &add);

		assert_string_equal(text, cases[i].out);
		free(text);
	}
}

static void
test_nul(void **state)
{
	static const char in[] = "From: m\0\nDate: d\n\n\0.a\0b\n";
	const struct additions none = { 0 };
	char *text = written(in, sizeof(in) - 1, &none);

	assert_string_equal(text, "From: m\r\nDate: d\r\n\r\n..ab\r\n.\r\n");
	free(text);
}

static void
test_domain(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "From: root (Cron Daemon)", "From: root@d (Cron Daemon)" },
		{ "To: root", "To: root@d" },
		{ "Cc: a, Bob <b>, c@x.test,\n d (e, f) ;",
		    "Cc: a@d, Bob <b@d>, c@x.test,\r\n d@d (e, f) ;" },
		{ "Reply-To:<a>", "Reply-To:<a@d>" },
		{ "Sender: \"a, b\" <c> (d <e>)",
		    "Sender: \"a, b\" <c@d> (d <e>)" },
		{ "To: \"a b\"", "To: \"a b\"@d" },
		{ "To: us: a, b@x.test;, c", "To: us: a@d, b@x.test;, c@d" },
		{ "To: undisclosed-recipients:;",
		    "To: undisclosed-recipients:;" },
		{ "To: a@[IPv6:::1], b@[192.0.2.1], <@x,@y:z@w>",
		    "To: a@[IPv6:::1], b@[192.0.2.1], <@x,@y:z@w>" },
		{ "To: <>, , a b, <c d>, <e", "To: <>, , a b, <c d>, <e" },
		{ "To: (a", "To: (a" },
		{ "To: \"a", "To: \"a" },
		{ "To: J\xc3\xb6", "To: J\xc3\xb6" },
		{ "To:", "To:" },
		{ "Subject: root", "Subject: root" },
	};
	const struct additions add = { .domain = "d" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = written(cases[i].in, strlen(cases[i].in), &add);
		size_t len = strlen(cases[i].out);

		print_message("%s\n", cases[i].in);
		assert_int_equal(strncmp(text, cases[i].out, len), 0);
		assert_string_equal(text + len, "\r\n.\r\n");
		free(text);
	}
}

static void
test_full_name(void **state)
{
	static const struct {
		const char *gecos, *account, *name;
	} rows[] = {
		{ "", "joe", "" },
		{ ",,,", "joe", "" },
		{ "Joe Doe", "joe", "Joe Doe" },
		{ "Joe Doe,Room 1,555", "joe", "Joe Doe" },
		{ "& Doe", "joe", "Joe Doe" },
		{ "R. &,&", "d", "R. D" },
		{ "&&", "7up", "7up7up" },
		{ "&", "J\xc3\xb6", "J\xc3\xb6" },
		{ "&", "\xc3\xb6", "\xc3\xb6" },
		{ "x&y", "", "xy" },
		{ "a\tb\x7f", "joe", "a b " },
		{ "123456789 &", "joseph", "123456789 Josep" },
		{ "123456789 12345&", "joseph", "123456789 12345" },
	};
	char name[16];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		compose_full_name(
		    rows[i].gecos, rows[i].account, name, sizeof(name));
		assert_string_equal(name, rows[i].name);
	}
}

static void
test_mailbox(void **state)
{
	char out[600];

	compose_mailbox("Joe \"J\" Doe", "j@x", out, sizeof(out));
	assert_string_equal(out, "\"Joe \\\"J\\\" Doe\" <j@x>");
	compose_mailbox("J\xc3\xb6", "j@x", out, sizeof(out));
	assert_string_equal(out, "=?UTF-8?B?SsO2?= <j@x>");
	/* what is no UTF-8 is not called so */
	compose_mailbox("J\xf6", "j@x", out, sizeof(out));
	assert_string_equal(out, "=?unknown-8bit?B?SvY=?= <j@x>");
	compose_mailbox("J\xc3", "j@x", out, sizeof(out));
	assert_string_equal(out, "=?unknown-8bit?B?SsM=?= <j@x>");
	compose_mailbox("", "j@x", out, sizeof(out));
	assert_string_equal(out, "j@x");
}

/* A name of many characters of 3 octets, and one of octets that are none: no
 * word is too long, and none ends inside a character. */
static void
test_long_name(void **state)
{
	static const char *const names[] = { "\xe2\x82\xac", "\xe9\xff" };

	for (size_t i = 0; i < 2; i++) {
		char name[260] = "x", out[900], text[64], *at, *word;
		size_t sum = 0;
		ssize_t len;

		while (strlen(name) + 3 < sizeof(name))
			strcat(name, names[i]);
		compose_mailbox(name, "j@x", out, sizeof(out));
		for (at = out; (word = strsep(&at, " ")) != NULL && at;) {
			assert_true(strlen(word) <= 75);
			word = strstr(word, "?B?") + 3;
			*strstr(word, "?=") = '\0';
			len = base64_decode(
			    word, strlen(word), (uint8_t *)text, sizeof(text));
			assert_true(len > 0);
			assert_memory_equal(name + sum, text, (size_t)len);
			sum += (size_t)len;
			assert_true(i > 0 || (sum - 1) % 3 == 0);
		}
		assert_string_equal(word, "<j@x>");
		assert_in_range(sum, 178, 180);
	}
}

static void
test_drop(void **state)
{
	static const char *const bad[] = { "", "relais-drop 1\n",
		"relais-drop 1\nsender a@b\n\nx",
		"relais-drop 1\nrecipient a@b\n\nx",
		"relais-drop 1\nsender a@b\nrecipient c d\n\nx",
		"relais-drop 1\nsender a@b\nrecipient a@b\nfile /etc/x\n\n",
		"relais-drop 2\nsender a@b\nrecipient a@b\n\n" };
	static const char good[] =
	    "relais-drop 1\nsender \nname N N\n"
	    "notify 6\nret 2\nrecipient a@b.test\nrecipient root\n\nX: y\n\nz";
	struct sendmail_options o;
	struct addresses a = { 0 };
	const char *sender;
	struct draft d;
	char *text, error[100];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(drop_parse(bad[i], strlen(bad[i]), &o, &sender,
				     &a, &d, &text, error, 100),
		    -1);
		free(text);
		addresses_free(&a);
	}
	assert_int_equal(drop_parse(good, strlen(good), &o, &sender, &a, &d,
			     &text, error, 100),
	    0);
	assert_string_equal(sender, "");
	assert_string_equal(o.full_name, "N N");
	assert_int_equal(o.notify, 6);
	assert_int_equal(a.count, 2);
	assert_int_equal(d.len, 7);
	assert_memory_equal(d.data, "X: y\n\nz", 7);
	free(text);
	addresses_free(&a);
}

/* What a printer makes of one field, to be freed. */
static char *
printed(
    void (*print)(FILE *, struct ipc_list), const char *name, const char *value)
{
	const struct msg_ctl_field f = { name, value };
	struct ipc_buf b = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ipc_add_ctl_field(&b, &f);
	print(out, ipc_buf_list(&b));
	fclose(out);
	ipc_buf_free(&b);
	return text;
}

/* Nothing that others wrote steers a terminal, and what is no UTF-8 is not
 * lost beside one wrong octet. */
static void
test_strangers(void **state)
{
	static const struct {
		const char *value, *bars, *json;
	} cases[] = {
		{ "\xc3\xa4 b", "\xc3\xa4 b\n", "{\"error\":\"\\u00E4 b\"}\n" },
		{ "a\x1b[2J|\x7f", "a [2J  \n",
		    "{\"error\":\"a\\u001B[2J|\x7f\"}\n" },
		{ "\xc2\x9b"
		  "2J\xc2\x85",
		    "?2J?\n", "{\"error\":\"\\u009B2J\\u0085\"}\n" },
		{ "a\xe2\x80\xae-", "a?-\n", "{\"error\":\"a\\u202E-\"}\n" },
		{ "a\x9b"
		  "b\xc3",
		    "a?b?\n", "{\"error\":\"a?b?\"}\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *bars = printed(print_bars, "error", cases[i].value);
		char *json = printed(print_json, "error", cases[i].value);

		assert_string_equal(bars, cases[i].bars);
		assert_string_equal(json, cases[i].json);
		free(bars);
		free(json);
	}
}

static void
mailq_add(struct mailq *q, const char *id, const char *rcpt, const char *error)
{
	const struct msg_ctl_field fields[] = { { "+message", id },
		{ "+size", "2000" }, { "created", "0" }, { "sender", "me@x" },
		{ "destination", rcpt }, { "state", "held" },
		{ "error", error } };
	struct ipc_buf b = { 0 };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		ipc_add_ctl_field(&b, &fields[i]);
	mailq_row(q, ipc_buf_list(&b));
	ipc_buf_free(&b);
}

static void
test_mailq(void **state)
{
	struct mailq q = { 0 };
	char *text;
	size_t size;

	setenv("TZ", "UTC", 1);
	q.out = open_memstream(&text, &size);
	mailq_end(&q);
	fflush(q.out);
	assert_string_equal(text, "Mail queue is empty\n");
	rewind(q.out);
	mailq_add(&q, "0000002a", "a@y", "");
	mailq_add(&q, "0000002a", "b@y", "no\nroute");
	mailq_add(&q, "0000002b", "c@y", "");
	mailq_end(&q);
	fclose(q.out);
	assert_non_null(strstr(text,
	    "-Queue ID-  --Size-- ----Arrival Time--"
	    "-- -Sender/Recipient-------\n"
	    "0000002A!       2000 Thu Jan  1 00:00:00  me@x\n"));
	assert_non_null(strstr(text, "(no route)\n"));
	assert_non_null(strstr(text, "\n-- 4 Kbytes in 2 Requests.\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_extract),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_full_name),
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_mailq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
