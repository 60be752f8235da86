/*
 * EHLO replies: what the server writes the client reads, and what others
 * write is read as far as it makes sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/extension.h"

/* Reads a whole reply as the client session does. */
static void
read_reply(const char *wire, struct smtp_extensions *ext)
{
	struct reply_parser p;
	enum reply_event event;
	size_t used;

	memset(ext, 0, sizeof(*ext));
	reply_parser_init(&p);
	do {
		event = reply_parse(&p, wire, strlen(wire), &used);
		assert_true(
		    event == REPLY_EVENT_LINE || event == REPLY_EVENT_DONE);
		wire += used;
		extension_parse_line(ext, p.reply.lines == 1, p.line);
	} while (event != REPLY_EVENT_DONE);
	assert_string_equal(wire, "");
}

static void
test_round_trip(void **state)
{
	struct smtp_extensions ext, back;
	char out[REPLY_SIZE];

	for (unsigned bits = 0; bits < EXT_LIMITS << 1; bits++) {
		memset(&ext, 0, sizeof(ext));
		strcpy(ext.name, "mx.example.org");
		ext.bits = bits;
		if (bits & EXT_SIZE)
			ext.size_max = UINT64_MAX;
		if (bits & EXT_AUTH)
			strcpy(ext.mechanisms, "PLAIN LOGIN SCRAM-SHA-256");
		if (bits & EXT_LIMITS) {
			ext.rcpt_max = UINT32_MAX;
			ext.mail_max = 7;
		}
		extension_format(out, sizeof(out), &ext, "greets you");
		read_reply(out, &back);
		assert_memory_equal(&back, &ext, sizeof(ext));
	}
}

static void
test_wire(void **state)
{
	struct smtp_extensions ext = { .bits = EXT_SIZE | EXT_AUTH |
		    EXT_8BITMIME | EXT_LIMITS,
		.size_max = 100,
		.rcpt_max = 5,
		.mechanisms = "PLAIN LOGIN",
		.name = "mx.example" };
	char out[REPLY_SIZE];

	extension_format(out, sizeof(out), &ext, "greets a.b");
	assert_string_equal(out,
	    "250-mx.example greets a.b\r\n"
	    "250-SIZE 100\r\n"
	    "250-AUTH PLAIN LOGIN\r\n"
	    "250-8BITMIME\r\n"
	    "250 LIMITS RCPTMAX=5\r\n");
	memset(&ext, 0, sizeof(ext));
	strcpy(ext.name, "mx");
	extension_format(out, sizeof(out), &ext, "");
	assert_string_equal(out, "250 mx\r\n");
	/* a greeting cannot offer extensions */
	extension_format(out, sizeof(out), &ext, "a\r\n250-AUTH PLAIN");
	assert_string_equal(out, "250 mx a??250-AUTH PLAIN\r\n");
	ext.bits = EXT_SIZE;
	extension_format(out, sizeof(out), &ext, "");
	assert_string_equal(out, "250-mx\r\n250 SIZE\r\n");
}

static void
test_read(void **state)
{
	struct smtp_extensions ext;
	char mechanisms[800];

	read_reply("250 mx.example.org\r\n", &ext);
	assert_string_equal(ext.name, "mx.example.org");
	assert_int_equal(ext.bits, 0);
	read_reply("250-PIPELINING hello\r\n250-size  1000 \r\n"
		   "250-auth=LOGIN PLAIN\r\n250-AUTH PLAIN cram-md5\r\n"
		   "250-XFOO bar\r\n250-\r\n250 8BITMIME \r\n",
	    &ext);
	assert_string_equal(ext.name, "PIPELINING");
	assert_int_equal(ext.bits, EXT_SIZE | EXT_AUTH | EXT_8BITMIME);
	assert_int_equal(ext.size_max, 1000);
	assert_string_equal(ext.mechanisms, "LOGIN PLAIN CRAM-MD5");
	assert_true(extension_has_mechanism(&ext, "PLAIN"));
	assert_true(extension_has_mechanism(&ext, "login"));
	assert_false(extension_has_mechanism(&ext, "PLAI"));
	assert_false(extension_has_mechanism(&ext, "PLAIN LOGIN"));
	assert_false(extension_has_mechanism(&ext, ""));
	read_reply("250-a\r\n250-SIZE -1\r\n250-AUTH\r\n"
		   "250 LIMITS RCPTMAX=4294967296 MAILMAX= RCPTMAX\r\n",
	    &ext);
	assert_int_equal(ext.bits, EXT_SIZE | EXT_AUTH | EXT_LIMITS);
	assert_int_equal(ext.size_max, 0);
	assert_int_equal(ext.rcpt_max, 0);
	assert_int_equal(ext.mail_max, 0);
	assert_string_equal(ext.mechanisms, "");
	read_reply("250-a\r\n250-SIZE 18446744073709551616\r\n"
		   "250-AUTH A;B 123456789012345678901 X\r\n"
		   "250-STARTTLSX\r\n250-STARTTL\r\n"
		   "250 LIMITS mailmax=9 RCPTMAX=1x\r\n",
	    &ext);
	assert_int_equal(ext.size_max, 0);
	assert_string_equal(ext.mechanisms, "X");
	assert_int_equal(ext.mail_max, 9);
	assert_int_equal(ext.rcpt_max, 0);
	assert_int_equal(ext.bits & EXT_STARTTLS, 0);
	/* more mechanisms than there is room for */
	memset(&ext, 0, sizeof(ext));
	strcpy(mechanisms, "AUTH");
	for (int i = 0; i < 60; i++)
		snprintf(mechanisms + strlen(mechanisms), 32, " MECH-%05d", i);
	extension_parse_line(&ext, 0, mechanisms);
	assert_true(strlen(ext.mechanisms) < EXTENSION_MECHANISMS_SIZE);
	assert_true(strlen(ext.mechanisms) > EXTENSION_MECHANISMS_SIZE - 13);
}

static void
test_keywords(void **state)
{
	for (unsigned bit = 1; bit <= EXT_LIMITS; bit <<= 1) {
		const char *k = extension_keyword((enum smtp_extension)bit);

		assert_true(*k != '\0');
		assert_int_equal(extension_find(k, strlen(k)), bit);
		assert_int_equal(extension_find(k, strlen(k) - 1), 0);
	}
	assert_int_equal(extension_find("", 0), 0);
	assert_int_equal(extension_find("chunking", 8), EXT_CHUNKING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_keywords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
