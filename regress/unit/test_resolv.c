/*
 * Which name servers a resolv.conf(5) names, as told to people.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/resolv.h"

static const struct {
	const char *in;
	const char *out;
	const char *bad;
} rows[] = {
	{ "", "", "" },
	{ "# nothing yet\n", "", "" },
	{ "nameserver 192.0.2.1\n", "192.0.2.1", "" },
	{ "nameserver 192.0.2.1", "192.0.2.1", "" },
	{ "nameserver\t \t192.0.2.1 \r\n", "192.0.2.1", "" },
	{ "nameserver 192.0.2.1 # the router\n", "192.0.2.1", "" },
	{ "search example.org\nnameserver 2001:db8::1\noptions edns0\n"
	  "nameserver 192.0.2.1\n",
	    "2001:db8::1, 192.0.2.1", "" },
	{ "nameserver 192.0.2.\nnameserver 192.0.2.1\n", "192.0.2.1",
	    "192.0.2." },
	{ "nameserver\nnameserver \nnameservers 192.0.2.2\n"
	  "nameserver192.0.2.3\n#nameserver 192.0.2.4\n",
	    "", "(none)" },
	{ "nameserver fe80::1%lo\nnameserver fe80::2%1\n",
	    "fe80::1%lo, fe80::2%lo", "" },
	{ "nameserver fe80::1\nnameserver fe80::1%\nnameserver "
	  "fe80::1%nowhere\n"
	  "nameserver ::1%lo\n",
	    "::1", "fe80::1, fe80::1%, fe80::1%nowhere" },
	{ "nameserver 192.0.2.1%lo\n", "192.0.2.1", "" },
};

static void
test_parse(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf_resolver r = { 0 };
		char text[256], bad[256];

		assert_int_equal(
		    resolv_parse(rows[i].in, &r, bad, sizeof(bad)), 0);
		resolv_text(&r, text, sizeof(text));
		if (strcmp(text, rows[i].out) != 0)
			fail_msg("row %zu: %s", i, text);
		if (strcmp(bad, rows[i].bad) != 0)
			fail_msg("row %zu: %s is bad", i, bad);
		for (uint32_t k = 0; k < r.nservers; k++)
			assert_int_equal(r.servers[k].port, 53);
		free(r.servers);
	}
}

/* The order counts: the first is asked first. */
static void
test_equal(void **state)
{
	static const char *const texts[] = { "nameserver ::1\n",
		"nameserver ::2\n", "nameserver ::1\nnameserver ::2\n",
		"nameserver ::2\nnameserver ::1\n", "nameserver 0.0.0.1\n" };
	enum { N = sizeof(texts) / sizeof(texts[0]) };
	struct conf_resolver r[N] = { 0 };
	char bad[8];

	for (size_t i = 0; i < N; i++)
		assert_int_equal(
		    resolv_parse(texts[i], &r[i], bad, sizeof(bad)), 0);
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < N; k++)
			assert_int_equal(resolv_equal(&r[i], &r[k]), i == k);
	for (size_t i = 0; i < N; i++)
		free(r[i].servers);
}

/* A text without room ends where the room does. */
static void
test_room(void **state)
{
	struct conf_resolver r = { 0 };
	char text[16], bad[8];

	assert_int_equal(resolv_parse("nameserver 192.0.2.1\nnameserver "
				      "192.0.2.2\nnameserver too.long\n",
			     &r, bad, sizeof(bad)),
	    0);
	resolv_text(&r, text, sizeof(text));
	assert_string_equal(text, "192.0.2.1, 192.");
	assert_string_equal(bad, "too.lon");
	free(r.servers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
