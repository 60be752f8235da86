/*
 * Command lines: what each verb takes, and with which reply it refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/command.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define ALL (EXT_LIMITS * 2 - 1)
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X100 X50 X50

/* Parses a line in a heap block of its exact size. The block stays until the
 * next call, since a command points into it. */
static enum reply_id
parse(const char *line, size_t len, unsigned extensions, unsigned options,
    struct smtp_command *c)
{
	static char *copy;

	free(copy);
	copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, line, len);
	return command_parse(copy, len, extensions, options, c);
}

static const struct {
	const char *line;
	enum smtp_verb verb;
	enum reply_id error;
	int close;
	const char *error_arg;
} table[] = {
	/* verbs */
	{ "", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	{ "FOO", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	{ "FOO bar", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	{ " QUIT", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	{ "QUITX", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	{ "QUI", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	{ "?", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	{ "QUIT", VERB_QUIT, REPLY_NONE, 0, "" },
	{ "quit", VERB_QUIT, REPLY_NONE, 0, "" },
	{ "QuIt  ", VERB_QUIT, REPLY_NONE, 0, "" },
	{ "QUIT now", VERB_QUIT, REPLY_NO_ARGUMENT_WANTED, 0, "QUIT" },
	{ "DATA", VERB_DATA, REPLY_NONE, 0, "" },
	{ "DATA x", VERB_DATA, REPLY_NO_ARGUMENT_WANTED, 0, "DATA" },
	{ "RSET", VERB_RSET, REPLY_NONE, 0, "" },
	{ "RSET x", VERB_RSET, REPLY_NO_ARGUMENT_WANTED, 0, "RSET" },
	{ "STARTTLS", VERB_STARTTLS, REPLY_NONE, 0, "" },
	{ "STARTTLS x", VERB_STARTTLS, REPLY_NO_ARGUMENT_WANTED, 0,
	    "STARTTLS" },
	{ "NOOP", VERB_NOOP, REPLY_NONE, 0, "" },
	{ "NOOP anything <at> all", VERB_NOOP, REPLY_NONE, 0, "" },
	{ "HELP", VERB_HELP, REPLY_NONE, 0, "" },
	{ "HELP MAIL", VERB_HELP, REPLY_NONE, 0, "" },
	{ "VRFY joe", VERB_VRFY, REPLY_NONE, 0, "" },
	{ "VRFY", VERB_VRFY, REPLY_SYNTAX_VRFY, 0, "" },
	{ "VRFY gr\xc3\xbcn", VERB_VRFY, REPLY_SENDER_NEEDS_UTF8, 0, "" },
	{ "VRFY gr\xc3\xbcn SMTPUTF8", VERB_VRFY, REPLY_NONE, 0, "" },
	{ "VRFY gr\xc3\xbcnSMTPUTF8", VERB_VRFY, REPLY_SENDER_NEEDS_UTF8, 0,
	    "" },
	{ "EXPN gr\xc3\xbcn smtputf8", VERB_EXPN, REPLY_NONE, 0, "" },
	{ "EXPN list", VERB_EXPN, REPLY_NONE, 0, "" },
	{ "EXPN", VERB_EXPN, REPLY_SYNTAX_VRFY, 0, "" },
	/* control characters, wherever they stand */
	{ "NOOP a\tb", VERB_NOOP, REPLY_CONTROL_CHARACTER, 0, "" },
	{ "NOOP a\rb", VERB_NOOP, REPLY_CONTROL_CHARACTER, 0, "" },
	{ "NOOP a\nb", VERB_NOOP, REPLY_CONTROL_CHARACTER, 0, "" },
	{ "NOOP \x7f", VERB_NOOP, REPLY_CONTROL_CHARACTER, 0, "" },
	{ "MAIL FROM:<a\x1b@b>", VERB_MAIL, REPLY_CONTROL_CHARACTER, 0, "" },
	{ "MAIL\tFROM:<a@b>", VERB_UNKNOWN, REPLY_CONTROL_CHARACTER, 0, "" },
	{ "BDAT 1\x01", VERB_BDAT, REPLY_CONTROL_CHARACTER, 1, "" },
	/* other protocols */
	{ "GET / HTTP/1.1", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "POST / HTTP/1.1", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "OPTIONS", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "PRI * HTTP/2.0", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "Host: mx.example", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "Host:", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "Subject: hello", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "\x16\x03\x01\x02", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "SSH-2.0-x", VERB_FOREIGN, REPLY_FOREIGN_PROTOCOL, 1, "" },
	{ "GETX /", VERB_UNKNOWN, REPLY_UNKNOWN_COMMAND, 0, "" },
	/* HELO */
	{ "EHLO a", VERB_EHLO, REPLY_NONE, 0, "" },
	{ "HELO a", VERB_HELO, REPLY_NONE, 0, "" },
	{ "LHLO a", VERB_LHLO, REPLY_NONE, 0, "" },
	{ "EHLO", VERB_EHLO, REPLY_SYNTAX_HELO, 0, "" },
	{ "EHLO  ", VERB_EHLO, REPLY_SYNTAX_HELO, 0, "" },
	{ "EHLO " X100 X100 X50 "xxxxx", VERB_EHLO, REPLY_NONE, 0, "" },
	{ "EHLO " X100 X100 X50 "xxxxxx", VERB_EHLO, REPLY_SYNTAX_HELO, 0, "" },
	/* MAIL */
	{ "MAIL FROM:<>", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "mail from:<a@b>", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL  FROM:  <a@b>  ", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM:", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM:a@b", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM: a@b SIZE=1", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:a@b>", VERB_MAIL, REPLY_SENDER_SYNTAX, 0,
	    "malformed domain" },
	{ "MAIL FROM:a", VERB_MAIL, REPLY_SENDER_SYNTAX, 0, "no domain" },
	{ "MAIL FROM:\"a b\"@c", VERB_MAIL, REPLY_SENDER_SYNTAX, 0,
	    "malformed local part" },
	{ "MAIL FROM:@c:a@b", VERB_MAIL, REPLY_SENDER_SYNTAX, 0,
	    "malformed local part" },
	{ "MAIL FROM:<a@b", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM:x <a@b>", VERB_MAIL, REPLY_SENDER_SYNTAX, 0, "no domain" },
	{ "MAIL TO:<a@b>", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM <a@b>", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM:<a@b>x", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM:<a@b>SIZE=1", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM:<a@b>>", VERB_MAIL, REPLY_SYNTAX_MAIL, 0, "" },
	{ "MAIL FROM:<a>", VERB_MAIL, REPLY_SENDER_SYNTAX, 0, "no domain" },
	{ "MAIL FROM:<postmaster>", VERB_MAIL, REPLY_SENDER_SYNTAX, 0,
	    "no domain" },
	{ "MAIL FROM:<;touch$IFS/tmp/p;>", VERB_MAIL, REPLY_SENDER_SYNTAX, 0,
	    "malformed local part" },
	{ "MAIL FROM:<a@b.>", VERB_MAIL, REPLY_SENDER_SYNTAX, 0,
	    "dot at the end of the domain" },
	{ "MAIL FROM:<gr\xc3\xbcn@b>", VERB_MAIL, REPLY_SENDER_NEEDS_UTF8, 0,
	    "" },
	{ "MAIL FROM:<a@gr\xc3\xbcn.de>", VERB_MAIL, REPLY_SENDER_NEEDS_UTF8, 0,
	    "" },
	{ "MAIL FROM:<gr\xc3\xbcn@b> SMTPUTF8", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<gr\xfcn@b> SMTPUTF8", VERB_MAIL, REPLY_SENDER_SYNTAX, 0,
	    "octets that are not UTF-8" },
	/* its parameters */
	{ "MAIL FROM:<a@b> SIZE=0", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<a@b> size=18446744073709551615", VERB_MAIL, REPLY_NONE, 0,
	    "" },
	{ "MAIL FROM:<a@b> SIZE=18446744073709551616", VERB_MAIL,
	    REPLY_PARAMETER_VALUE, 0, "SIZE" },
	{ "MAIL FROM:<a@b> SIZE=99999999999999999999999", VERB_MAIL,
	    REPLY_PARAMETER_VALUE, 0, "SIZE" },
	{ "MAIL FROM:<a@b> SIZE=-1", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "SIZE" },
	{ "MAIL FROM:<a@b> SIZE=1k", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "SIZE" },
	{ "MAIL FROM:<a@b> SIZE", VERB_MAIL, REPLY_PARAMETER_VALUE, 0, "SIZE" },
	{ "MAIL FROM:<a@b> SIZE=", VERB_MAIL, REPLY_PARAMETER_SYNTAX, 0, "" },
	{ "MAIL FROM:<a@b> SIZE=1 SIZE=1", VERB_MAIL, REPLY_PARAMETER_TWICE, 0,
	    "SIZE" },
	{ "MAIL FROM:<a@b> BODY=7BIT", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<a@b> BODY=8BITMIME", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<a@b> BODY=binarymime", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<a@b> BODY=9BIT", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "BODY" },
	{ "MAIL FROM:<a@b> BODY=7BITX", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "BODY" },
	{ "MAIL FROM:<a@b> SMTPUTF8=yes", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "SMTPUTF8" },
	{ "MAIL FROM:<a@b> RET=FULL", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<a@b> RET=BODY", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "RET" },
	{ "MAIL FROM:<a@b> AUTH=<>", VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<a@b> AUTH=a+0Ab", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "AUTH" },
	{ "MAIL FROM:<a@b> AUTH=a+", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "AUTH" },
	{ "MAIL FROM:<a@b> AUTH=a+0", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "AUTH" },
	{ "MAIL FROM:<a@b> ENVID=+0D+0A", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "ENVID" },
	{ "MAIL FROM:<a@b> ENVID=" X100, VERB_MAIL, REPLY_NONE, 0, "" },
	{ "MAIL FROM:<a@b> ENVID=" X100 "x", VERB_MAIL, REPLY_PARAMETER_VALUE,
	    0, "ENVID" },
	{ "MAIL FROM:<a@b> ENVID=\xc3\xbc", VERB_MAIL, REPLY_PARAMETER_VALUE, 0,
	    "ENVID" },
	{ "MAIL FROM:<a@b> ENVID=\xc3", VERB_MAIL, REPLY_PARAMETER_SYNTAX, 0,
	    "" },
	{ "MAIL FROM:<a@b> ENVID=a=b", VERB_MAIL, REPLY_PARAMETER_SYNTAX, 0,
	    "" },
	{ "MAIL FROM:<a@b> FOO", VERB_MAIL, REPLY_PARAMETER_UNKNOWN, 0, "FOO" },
	{ "MAIL FROM:<a@b> FOO=bar", VERB_MAIL, REPLY_PARAMETER_UNKNOWN, 0,
	    "FOO" },
	{ "MAIL FROM:<a@b> NOTIFY=NEVER", VERB_MAIL, REPLY_PARAMETER_UNKNOWN, 0,
	    "NOTIFY" },
	{ "MAIL FROM:<a@b> =x", VERB_MAIL, REPLY_PARAMETER_SYNTAX, 0, "" },
	{ "MAIL FROM:<a@b> -x", VERB_MAIL, REPLY_PARAMETER_SYNTAX, 0, "" },
	{ "MAIL FROM:<a@b> <c@d>", VERB_MAIL, REPLY_PARAMETER_SYNTAX, 0, "" },
	{ "MAIL FROM:<a@b> " X100 "=1", VERB_MAIL, REPLY_PARAMETER_UNKNOWN, 0,
	    X50 X10 "xxx" },
	/* RCPT */
	{ "RCPT TO:<a@b>", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT TO: <a@b>", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT TO:<Postmaster>", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT TO:<@c,@d:a@b>", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT TO:<>", VERB_RCPT, REPLY_RCPT_SYNTAX, 0, "empty" },
	{ "RCPT TO:<a>", VERB_RCPT, REPLY_RCPT_SYNTAX, 0, "no domain" },
	{ "RCPT TO:</etc/passwd>", VERB_RCPT, REPLY_RCPT_SYNTAX, 0,
	    "no domain" },
	{ "RCPT TO:<:include:/etc/shadow>", VERB_RCPT, REPLY_RCPT_SYNTAX, 0,
	    "malformed local part" },
	{ "RCPT TO:", VERB_RCPT, REPLY_SYNTAX_RCPT, 0, "" },
	{ "RCPT TO:a@b", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT TO:a@b,c@d", VERB_RCPT, REPLY_RCPT_SYNTAX, 0,
	    "malformed domain" },
	{ "RCPT TO:postmaster", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT TO:a@b NOTIFY=NEVER", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT FROM:<a@b>", VERB_RCPT, REPLY_SYNTAX_RCPT, 0, "" },
	{ "RCPT TO:<gr\xc3\xbcn@b>", VERB_RCPT, REPLY_RCPT_NEEDS_UTF8, 0, "" },
	{ "RCPT TO:<a@b> NOTIFY=NEVER", VERB_RCPT, REPLY_NONE, 0, "" },
	{ "RCPT TO:<a@b> NOTIFY=NEVER,DELAY", VERB_RCPT, REPLY_PARAMETER_VALUE,
	    0, "NOTIFY" },
	{ "RCPT TO:<a@b> NOTIFY=SUCCESS,", VERB_RCPT, REPLY_PARAMETER_VALUE, 0,
	    "NOTIFY" },
	{ "RCPT TO:<a@b> NOTIFY=,SUCCESS", VERB_RCPT, REPLY_PARAMETER_VALUE, 0,
	    "NOTIFY" },
	{ "RCPT TO:<a@b> NOTIFY=FAIL", VERB_RCPT, REPLY_PARAMETER_VALUE, 0,
	    "NOTIFY" },
	{ "RCPT TO:<a@b> ORCPT=rfc822;a+0Ab", VERB_RCPT, REPLY_PARAMETER_VALUE,
	    0, "ORCPT" },
	{ "RCPT TO:<a@b> ORCPT=a@b", VERB_RCPT, REPLY_PARAMETER_VALUE, 0,
	    "ORCPT" },
	{ "RCPT TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;b", VERB_RCPT,
	    REPLY_PARAMETER_TWICE, 0, "ORCPT" },
	{ "RCPT TO:<a@b> SIZE=1", VERB_RCPT, REPLY_PARAMETER_UNKNOWN, 0,
	    "SIZE" },
	/* BDAT */
	{ "BDAT 0", VERB_BDAT, REPLY_NONE, 0, "" },
	{ "BDAT 0 LAST", VERB_BDAT, REPLY_NONE, 0, "" },
	{ "bdat 5  last ", VERB_BDAT, REPLY_NONE, 0, "" },
	{ "BDAT 9223372036854775807", VERB_BDAT, REPLY_NONE, 0, "" },
	{ "BDAT 9223372036854775808", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT 18446744073709551617", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT -1", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT +1", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT 0x10", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT LAST", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT 1 LASTX", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT 1 LAST x", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	{ "BDAT 1 2", VERB_BDAT, REPLY_SYNTAX_BDAT, 1, "" },
	/* AUTH */
	{ "AUTH PLAIN", VERB_AUTH, REPLY_NONE, 0, "" },
	{ "AUTH", VERB_AUTH, REPLY_SYNTAX_AUTH, 0, "" },
	{ "AUTH PL*IN", VERB_AUTH, REPLY_SYNTAX_AUTH, 0, "" },
	{ "AUTH 12345678901234567890", VERB_AUTH, REPLY_NONE, 0, "" },
	{ "AUTH 123456789012345678901", VERB_AUTH, REPLY_SYNTAX_AUTH, 0, "" },
	{ "AUTH PLAIN AAAA BBBB", VERB_AUTH, REPLY_SYNTAX_AUTH, 0, "" },
	{ "AUTH PLAIN A*A", VERB_AUTH, REPLY_AUTH_BASE64, 0, "" },
	/* ETRN */
	{ "ETRN example.org", VERB_ETRN, REPLY_NONE, 0, "" },
	{ "ETRN @example.org", VERB_ETRN, REPLY_NONE, 0, "" },
	{ "ETRN", VERB_ETRN, REPLY_SYNTAX_ETRN, 0, "" },
	{ "ETRN @", VERB_ETRN, REPLY_SYNTAX_ETRN, 0, "" },
	{ "ETRN #queue", VERB_ETRN, REPLY_SYNTAX_ETRN, 0, "" },
	{ "ETRN *)(uid=*", VERB_ETRN, REPLY_SYNTAX_ETRN, 0, "" },
	{ "ETRN ' OR 1=1 --", VERB_ETRN, REPLY_SYNTAX_ETRN, 0, "" },
};

static void
test_table(void **state)
{
	struct smtp_command c;
	char reply[REPLY_SIZE], code[4];

	for (size_t i = 0; i < NITEMS(table); i++) {
		enum reply_id error;

		error = parse(table[i].line, strlen(table[i].line), ALL, 0, &c);
		if (error != table[i].error)
			print_error(
			    "%s: %s\n", table[i].line, reply_text(error));
		assert_int_equal(error, table[i].error);
		assert_int_equal(c.error, error);
		assert_int_equal(c.verb, table[i].verb);
		assert_int_equal(c.close, table[i].close);
		assert_string_equal(c.error_arg, table[i].error_arg);
		if (error == REPLY_NONE)
			continue;
		command_refusal(&c, reply, sizeof(reply));
		snprintf(code, sizeof(code), "%d", reply_code(error));
		assert_memory_equal(reply, code, 3);
		assert_int_equal(code[0], '5');
	}
	assert_int_equal(
	    parse("NOOP \0", 6, ALL, 0, &c), REPLY_CONTROL_CHARACTER);
	assert_int_equal(parse("MAIL FROM:<a@b\0>", 16, ALL, 0, &c),
	    REPLY_CONTROL_CHARACTER);
}

/* A parameter of an extension that was not offered is unknown. */
static void
test_offered(void **state)
{
	static const struct {
		const char *line;
		unsigned extension;
		enum reply_id without;
	} cases[] = {
		{ "MAIL FROM:<a@b> SIZE=1", EXT_SIZE, REPLY_PARAMETER_UNKNOWN },
		{ "MAIL FROM:<a@b> BODY=8BITMIME", EXT_8BITMIME,
		    REPLY_PARAMETER_UNKNOWN },
		{ "MAIL FROM:<a@b> BODY=BINARYMIME", EXT_BINARYMIME,
		    REPLY_PARAMETER_VALUE },
		{ "MAIL FROM:<a@b> SMTPUTF8", EXT_SMTPUTF8,
		    REPLY_PARAMETER_UNKNOWN },
		{ "MAIL FROM:<gr\xc3\xbcn@b> SMTPUTF8", EXT_SMTPUTF8,
		    REPLY_SENDER_SYNTAX },
		{ "MAIL FROM:<a@b> AUTH=<>", EXT_AUTH,
		    REPLY_PARAMETER_UNKNOWN },
		{ "MAIL FROM:<a@b> RET=HDRS", EXT_DSN,
		    REPLY_PARAMETER_UNKNOWN },
		{ "MAIL FROM:<a@b> ENVID=x", EXT_DSN, REPLY_PARAMETER_UNKNOWN },
		{ "RCPT TO:<a@b> NOTIFY=NEVER", EXT_DSN,
		    REPLY_PARAMETER_UNKNOWN },
		{ "RCPT TO:<a@b> ORCPT=rfc822;a", EXT_DSN,
		    REPLY_PARAMETER_UNKNOWN },
	};
	struct smtp_command c;

	for (size_t i = 0; i < NITEMS(cases); i++) {
		const char *line = cases[i].line;

		assert_int_equal(
		    parse(line, strlen(line), ALL, 0, &c), REPLY_NONE);
		assert_int_equal(
		    parse(line, strlen(line), ALL & ~cases[i].extension, 0, &c),
		    cases[i].without);
	}
	assert_int_equal(
	    parse("RCPT TO:<\xc3\xbc@b>", 14, 0, 0, &c), REPLY_RCPT_SYNTAX);
	assert_int_equal(
	    parse("RCPT TO:<\xc3\xbc@b>", 14, ALL, COMMAND_SMTPUTF8, &c),
	    REPLY_NONE);
	assert_int_equal(
	    parse("VRFY \xc3\xbc", 7, ALL, COMMAND_SMTPUTF8, &c), REPLY_NONE);
	assert_int_equal(parse("VRFY \xc3", 6, ALL, COMMAND_SMTPUTF8, &c),
	    REPLY_SYNTAX_VRFY);
}

static void
take(const char *line, unsigned options, struct smtp_command *c)
{
	assert_int_equal(
	    parse(line, strlen(line), ALL, options, c), REPLY_NONE);
}

/* Those whose addresses are completed may leave the domain out, and nothing
 * else. */
static void
test_bare(void **state)
{
	struct smtp_command c;

	take("MAIL FROM:<root>", COMMAND_BARE, &c);
	assert_int_equal(c.mail.sender.kind, ADDRESS_IS_BARE);
	assert_string_equal(c.mail.sender.local, "root");
	take("RCPT TO:<\"a b\"> NOTIFY=NEVER", COMMAND_BARE, &c);
	assert_int_equal(c.rcpt.recipient.kind, ADDRESS_IS_BARE);
	assert_string_equal(c.rcpt.recipient.local, "\"a b\"");
	assert_int_equal(
	    parse("RCPT TO:<>", 10, ALL, COMMAND_BARE, &c), REPLY_RCPT_SYNTAX);
	assert_int_equal(parse("RCPT TO:<@a:b>", 14, ALL, COMMAND_BARE, &c),
	    REPLY_RCPT_SYNTAX);
	assert_int_equal(parse("MAIL FROM:<;id;>", 16, ALL, COMMAND_BARE, &c),
	    REPLY_SENDER_SYNTAX);
	assert_int_equal(parse("RCPT TO:<\xc3\xbc>", 12, ALL, COMMAND_BARE, &c),
	    REPLY_RCPT_NEEDS_UTF8);
}

static void
test_values(void **state)
{
	struct smtp_command c;

	take("MAIL FROM:<Joe@EXAMPLE.org>  SIZE=12345 BODY=8BITMIME SMTPUTF8 "
	     "AUTH=j+2Bk@x RET=HDRS ENVID=QQ+20314159",
	    0, &c);
	assert_string_equal(c.mail.sender.local, "Joe");
	assert_string_equal(c.mail.sender.domain, "example.org");
	assert_int_equal(c.mail.has_size, 1);
	assert_int_equal(c.mail.size, 12345);
	assert_int_equal(c.mail.body, BODY_8BITMIME);
	assert_int_equal(c.mail.smtputf8, 1);
	assert_int_equal(c.mail.ret, RET_HDRS);
	assert_string_equal(c.mail.auth, "j+k@x");
	assert_string_equal(c.mail.envid, "QQ 314159");
	take("MAIL FROM:<>", 0, &c);
	assert_int_equal(c.mail.sender.kind, ADDRESS_IS_NULL);
	assert_int_equal(c.mail.has_size, 0);
	assert_int_equal(c.mail.body, BODY_UNSAID);
	assert_int_equal(c.mail.ret, RET_UNSAID);
	assert_string_equal(c.mail.envid, "");
	take("RCPT TO:<\"a b\"@c> NOTIFY=SUCCESS,DELAY,failure "
	     "ORCPT=RFC822;x+2By@z",
	    0, &c);
	assert_string_equal(c.rcpt.recipient.local, "\"a b\"");
	assert_int_equal(
	    c.rcpt.notify, NOTIFY_SUCCESS | NOTIFY_DELAY | NOTIFY_FAILURE);
	assert_string_equal(c.rcpt.orcpt, "rfc822;x+y@z");
	take("RCPT TO:<a@c> ORCPT=utf-8;\xc3\xbc@z", 1, &c);
	assert_string_equal(c.rcpt.orcpt, "utf-8;\xc3\xbc@z");
	take("RCPT TO:<a@c>", 0, &c);
	assert_int_equal(c.rcpt.notify, NOTIFY_UNSAID);
	take("BDAT 86 LAST", 0, &c);
	assert_int_equal(c.bdat.size, 86);
	assert_int_equal(c.bdat.last, 1);
	take("BDAT 86", 0, &c);
	assert_int_equal(c.bdat.last, 0);
	take("AUTH plain", 0, &c);
	assert_string_equal(c.auth.mechanism, "PLAIN");
	assert_null(c.auth.initial);
	take("AUTH PLAIN  =", 0, &c);
	assert_non_null(c.auth.initial);
	assert_int_equal(c.auth.initial_len, 0);
	take("AUTH SCRAM-SHA-1 biws/+==", 0, &c);
	assert_int_equal(c.auth.initial_len, 8);
	assert_memory_equal(c.auth.initial, "biws/+==", 8);
	take("ETRN @Example.ORG", 0, &c);
	assert_string_equal(c.etrn.domain, "example.org");
	assert_int_equal(c.etrn.subdomains, 1);
	take("NOOP  two words  ", 0, &c);
	assert_int_equal(c.arg_len, 9);
	assert_memory_equal(c.arg, "two words", 9);
}

static void
test_helo(void **state)
{
	static const struct {
		const char *line, *name;
		int valid;
	} cases[] = {
		{ "EHLO mx.example.org", "mx.example.org", 1 },
		{ "EHLO MX.example.org ", "MX.example.org", 1 },
		{ "EHLO [192.0.2.1]", "[192.0.2.1]", 1 },
		{ "EHLO [IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", 1 },
		{ "EHLO 192.0.2.1", "192.0.2.1", 0 },
		{ "EHLO my_pc", "my_pc", 1 },
		{ "EHLO mx.example.org.", "mx.example.org.", 0 },
		{ "EHLO my pc", "my?pc", 0 },
		{ "EHLO b\xfcro", "b?ro", 0 },
		{ "EHLO b\xc3\xbcro", "b??ro", 0 },
		{ "EHLO ${run{/bin/sh}}", "??run??bin?sh??", 0 },
		{ "EHLO a) by evil (x|y\"", "a??by?evil??x?y?", 0 },
		{ "EHLO %n%s", "?n?s", 0 },
	};
	struct smtp_command c;

	for (size_t i = 0; i < NITEMS(cases); i++) {
		take(cases[i].line, 0, &c);
		assert_string_equal(c.helo.name, cases[i].name);
		assert_int_equal(c.helo.valid, cases[i].valid);
	}
}

static void
test_foreign(void **state)
{
	assert_true(command_is_foreign("\x16\x03\x01", 3));
	assert_true(command_is_foreign("GET / HTTP", 10));
	assert_true(command_is_foreign("SSH-2.0", 7));
	assert_false(command_is_foreign("GET", 3));
	assert_false(command_is_foreign("\x16", 1));
	assert_false(command_is_foreign("", 0));
	assert_false(command_is_foreign("EHLO GET /", 10));
}

/* What the client writes the server reads as the same. */
static void
test_format(void **state)
{
	static const struct {
		const char *line;
		unsigned options;
	} lines[] = {
		{ "MAIL FROM:<>", 0 },
		{ "MAIL FROM:<a@b> SIZE=0", 0 },
		{ "MAIL FROM:<\"a b\"@b> SIZE=18446744073709551615 "
		  "BODY=BINARYMIME SMTPUTF8 RET=FULL ENVID=a+20b+2B AUTH=<>",
		    0 },
		{ "MAIL FROM:<a@b> BODY=7BIT AUTH=x+3Dy@z", 0 },
		{ "RCPT TO:<a@[IPv6:::1]>", 0 },
		{ "RCPT TO:<Postmaster>", 0 },
		{ "RCPT TO:<a>", COMMAND_BARE },
		{ "RCPT TO:<a@b> NOTIFY=NEVER", 0 },
		{ "RCPT TO:<\xc3\xbc@b> NOTIFY=SUCCESS,FAILURE,DELAY "
		  "ORCPT=utf-8;\\x{FC}@b",
		    COMMAND_SMTPUTF8 },
		{ "RCPT TO:<a@b> ORCPT=rfc822;a+2Bb@c", 0 },
	};
	char out[2048];
	struct smtp_command c;

	for (size_t i = 0; i < NITEMS(lines); i++) {
		size_t len = strlen(lines[i].line);
		ssize_t n;

		take(lines[i].line, lines[i].options, &c);
		for (size_t size = 0; size <= len + 3; size++) {
			n = c.verb == VERB_MAIL
			    ? command_format_mail(&c.mail, ALL, out, size)
			    : command_format_rcpt(&c.rcpt, ALL, out, size);
			assert_int_equal(
			    n, size < len + 3 ? -1 : (ssize_t)len + 2);
		}
		assert_memory_equal(out, lines[i].line, len);
		assert_string_equal(out + len, "\r\n");
	}
	take("MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x "
	     "AUTH=<>",
	    0, &c);
	command_format_mail(&c.mail, 0, out, sizeof(out));
	assert_string_equal(out, "MAIL FROM:<a@b>\r\n");
	take("RCPT TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a@b", 0, &c);
	command_format_rcpt(&c.rcpt, ALL & ~EXT_DSN, out, sizeof(out));
	assert_string_equal(out, "RCPT TO:<a@b>\r\n");
}

/* ORCPT that was short enough as UTF-8 but is not in US-ASCII is left out. */
static void
test_format_long_orcpt(void **state)
{
	char line[1024] = "RCPT TO:<a@b> ORCPT=utf-8;", out[2048];
	struct smtp_command c;

	for (int i = 0; i < 100; i++)
		strcat(line, "\xc3\xbc");
	take(line, 1, &c);
	assert_int_equal(
	    command_format_rcpt(&c.rcpt, ALL, out, sizeof(out)), 15);
	assert_string_equal(out, "RCPT TO:<a@b>\r\n");
}

static void
test_names(void **state)
{
	assert_string_equal(command_name(VERB_STARTTLS), "STARTTLS");
	assert_string_equal(command_name(VERB_UNKNOWN), "?");
	assert_string_equal(command_name(VERB_FOREIGN), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_offered),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_long_orcpt),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
