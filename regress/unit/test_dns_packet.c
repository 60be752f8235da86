/*
 * Reading DNS replies: what a resolver may hand us, and what a forger may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/dns_packet.h"

#define Q_MX "\7example\3org\0\0\17\0\1"
#define HEAD(an) "\0\0\x81\x80\0\1\0" an "\0\0\0\0"

struct row {
	const char *title;
	const char *packet;
	size_t len;
	uint16_t type;
	int result;
	uint32_t count;
	uint32_t left_out;
	const char *first;
	const char *owner;
};
#define P(s) s, sizeof(s) - 1

static const struct row rows[] = {
	{ "two exchangers, compressed",
	    P(HEAD("\2") Q_MX "\xc0\x0c\0\17\0\1\0\0\0\x3c\0\7\0\12\2mx\xc0\x0c"
			      "\xc0\x0c\0\17\0\1\0\0\0\x3c\0\4\0\24\xc0\x0c"),
	    DNS_MX, 0, 2, 0, "mx.example.org", "example.org" },
	{ "no answer", P(HEAD("\0") Q_MX), DNS_MX, 0, 0, 0, NULL,
	    "example.org" },
	{ "an answer for another name is not ours",
	    P(HEAD("\1") Q_MX
		"\4evil\3org\0\0\17\0\1\0\0\0\x3c\0\7\0\12\2mx\xc0\x0c"),
	    DNS_MX, 0, 0, 0, NULL, "example.org" },
	{ "behind a CNAME",
	    P(HEAD("\2") Q_MX
		"\xc0\x0c\0\5\0\1\0\0\0\5\0\4\1a\xc0\x0c"
		"\1a\xc0\x0c\0\17\0\1\0\0\0\x3c\0\4\0\12\xc0\x0c"),
	    DNS_MX, 0, 1, 0, "example.org", "a.example.org" },
	{ "a CNAME that leads to itself",
	    P(HEAD("\1") Q_MX "\xc0\x0c\0\5\0\1\0\0\0\5\0\2\xc0\x0c"), DNS_MX,
	    0, 0, 0, NULL, "example.org" },
	{ "a pointer to itself",
	    P(HEAD("\1") Q_MX "\xc0\x1d\0\17\0\1\0\0\0\x3c\0\4\0\12\xc0\x0c"),
	    DNS_MX, -1, 0, 0, NULL, NULL },
	{ "a pointer forward",
	    P(HEAD("\1") Q_MX "\xc0\xff\0\17\0\1\0\0\0\x3c\0\4\0\12\xc0\x0c"),
	    DNS_MX, -1, 0, 0, NULL, NULL },
	{ "a pointer into the header",
	    P(HEAD("\1") Q_MX "\xc0\x02\0\17\0\1\0\0\0\x3c\0\4\0\12\xc0\x0c"),
	    DNS_MX, -1, 0, 0, NULL, NULL },
	{ "data that ends beyond the packet",
	    P(HEAD("\1") Q_MX "\xc0\x0c\0\17\0\1\0\0\0\x3c\0\x40\0\12\xc0\x0c"),
	    DNS_MX, -1, 0, 0, NULL, NULL },
	{ "a name that ends beyond its record",
	    P(HEAD("\1") Q_MX "\xc0\x0c\0\17\0\1\0\0\0\x3c\0\3\0\12\3abc\0"),
	    DNS_MX, 0, 0, 1, NULL, "example.org" },
	{ "an exchanger with a space in its name",
	    P(HEAD("\1") Q_MX "\xc0\x0c\0\17\0\1\0\0\0\x3c\0\7\0\12\3a b\0"),
	    DNS_MX, 0, 0, 1, NULL, "example.org" },
	{ "an exchanger with a NUL in its name",
	    P(HEAD("\1") Q_MX "\xc0\x0c\0\17\0\1\0\0\0\x3c\0\7\0\12\3a\0b\0"),
	    DNS_MX, 0, 0, 1, NULL, "example.org" },
	{ "the null MX",
	    P(HEAD("\1") Q_MX "\xc0\x0c\0\17\0\1\0\0\0\x3c\0\3\0\0\0"), DNS_MX,
	    0, 1, 0, "", "example.org" },
	{ "an address of the wrong size",
	    P(HEAD("\1") Q_MX "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\3abc"), DNS_A, 0, 0,
	    1, NULL, "example.org" },
	{ "capitals",
	    P(HEAD("\1") Q_MX
		"\7EXAMPLE\3ORG\0\0\17\0\1\0\0\0\x3c\0\7\0\12\2MX\xc0\x0c"),
	    DNS_MX, 0, 1, 0, "mx.example.org", "example.org" },
	{ "fewer records than announced", P(HEAD("\3") Q_MX), DNS_MX, -1, 0, 0,
	    NULL, NULL },
	{ "a short header", P("\0\0\x81\x80\0\1"), DNS_MX, -1, 0, 0, NULL,
	    NULL },
};

static void
replies(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct ipc_buf records = { 0 };
		struct msg_dns_record r;
		struct dns_reply reply;
		struct ipc_list list;
		uint8_t *copy = malloc(row->len);

		memcpy(copy, row->packet, row->len);
		print_message("# %s\n", row->title);
		assert_int_equal(
		    dns_packet_parse(copy, row->len, "Example.ORG.", row->type,
			&records, &reply),
		    row->result);
		if (row->result == 0) {
			assert_int_equal(reply.count, row->count);
			assert_int_equal(reply.left_out, row->left_out);
			assert_string_equal(reply.owner, row->owner);
			list = ipc_buf_list(&records);
			if (row->first != NULL) {
				assert_int_equal(
				    ipc_next_dns_record(&list, &r), 1);
				assert_string_equal(r.name, row->first);
			}
		}
		free(copy);
		ipc_buf_free(&records);
	}
}

static void
every_prefix(void **state)
{
	const struct row *row = &rows[0];

	for (size_t len = 0; len < row->len; len++) {
		struct ipc_buf records = { 0 };
		struct dns_reply reply;
		uint8_t *copy = malloc(len ? len : 1);

		memcpy(copy, row->packet, len);
		assert_int_equal(dns_packet_parse(copy, len, "example.org",
				     DNS_MX, &records, &reply),
		    -1);
		free(copy);
		ipc_buf_free(&records);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(every_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
