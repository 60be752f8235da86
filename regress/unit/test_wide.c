/*
 * common/conf/wide: which entries and expressions take more than their author
 * can own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/wide.h"

struct row {
	const char *text;
	bool wide;
};

static void
check(const char *what, bool wide(const char *), const struct row *rows,
    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (wide(rows[i].text) != rows[i].wide)
			fail_msg("%s %s: not %s", what, rows[i].text,
			    rows[i].wide ? "wide" : "narrow");
}

#define CHECK(wide, rows) check(#wide, wide, rows, sizeof(rows) / sizeof(*rows))

static void
test_networks(void **state)
{
	static const struct row rows[] = { { "192.0.2.1", false },
		{ "10.0.0.0/8", false }, { "10.0.0.0/7", true },
		{ "0.0.0.0/0", true }, { "::ffff:10.0.0.0/104", false },
		{ "::ffff:0.0.0.0/96", true }, { "[::]/0", true },
		{ "[fc00::]/7", false }, { "[fd00::]/8", false },
		{ "[fe80::]/10", false }, { "[2a00::]/7", true },
		{ "[2a00::]/12", true }, { "[2002::]/16", true },
		{ "[2003::]/19", false }, { "[2001:db8::]/32", false },
		{ "::1", false }, { "local", false } };

	CHECK(wide_network, rows);
}

static void
test_domains(void **state)
{
	static const struct row rows[] = { { "example.org", false },
		{ "host", false }, { "*.example.org", false },
		{ "mail*.example.org", false }, { "*.*.example.org", false },
		{ "*", true }, { "*.*", true }, { "", true }, { "*.org", true },
		{ "*example.org", true }, { "example.*", true },
		{ "mx.example.*", true }, { "*.example.*", true },
		{ "mail.*.*", true }, { "*.lan", false }, { "*.Local", false },
		{ "*lan", true }, { "[192.0.2.1]", false },
		{ "[*.*.*.*]", true }, { "[*.0.2.1]", true },
		{ "[192.0.2.*]", true } };

	CHECK(wide_domain, rows);
}

static void
test_mailboxes(void **state)
{
	static const struct row rows[] = { { "joe@example.org", false },
		{ "@example.org", false }, { "joe@*.example.org", false },
		{ "joe", true }, { "@", true }, { "joe@", true },
		{ "@*", true }, { "postmaster@*", true },
		{ "postmaster@*.org", true }, { "\"a@b\"@example.org", false },
		{ "\"a@b.example.org\"@*", true } };

	CHECK(wide_mailbox, rows);
}

static void
test_names(void **state)
{
	static const struct row rows[] = {
		/* the end is given, and where it begins */
		{ "^example\\.org$", false }, { "^host$", false },
		{ "\\.example\\.org$", false }, { "@example\\.org$", false },
		{ "[.]example[.]org$", false }, { "@host$", false },
		{ "^mail[0-9]+\\.example\\.org$", false },
		{ "^[^@]+@example\\.org$", false },
		{ "mail\\.example\\.org$", false }, { "\\.lan$", false },
		{ "(?i)^EXAMPLE\\.ORG$", false },
		{ "^(.*\\.)?example\\.org$", false },
		{ "^([a-z]+\\.)*example\\.org$", false },
		{ "^([a-z]+\\.)+example\\.org$", false },
		{ "^([a-z]+\\.){0,3}example\\.org$", false },
		{ "(^|\\.)example\\.org$", false },
		{ "(@|\\.)example\\.(org|net)$", false },
		{ "^(a|b)@(example\\.(org|net)|host)$", false },
		{ "^example\\.org$|^example\\.net$", false },
		{ "^(x[|)(]y|z)\\.example\\.org$", false },
		{ "^[[:alnum:]]+\\.example\\.org$", false },
		/* it is not */
		{ ".*", true }, { "", true }, { "^", true }, { "$", true },
		{ "example\\.org", true }, { "\\.example\\.org", true },
		{ "^mail[0-9]*\\.", true }, { "^example\\.org", true },
		{ "example\\.org\\$", true }, { "^.*$", true },
		{ "^(postmaster|abuse)@", true }, { "^[a-z.]+@", true },
		{ "^[a-z]+\\.[a-z]+$", true }, { "^[a-z]+\\.org$", true },
		{ "\\.(com|net|org)$", true }, { "\\.org$", true },
		{ "\\.9\\.2\\.1\\]$", true },
		{ "@\\[(.*\\.)?0\\.2\\.1\\]$", true },
		{ "@\\[192\\.0\\.2\\.1\\]$", false }, { "@.*$", true },
		{ "@(.*\\.)?$", true },
		/* or it may be the end of another's */
		{ "example\\.org$", true }, { "^.*example\\.org$", true },
		{ "^[a-z]*example\\.org$", true },
		{ "^(.*\\.)?(my)?example\\.org$", false },
		{ "(.*\\.)?example\\.org$", true },
		{ "(^|x)example\\.org$", true },
		{ "(my)+example\\.org$", true }, { "\\bexample\\.org$", true },
		/* a dot is any octet */
		{ "^mail.example.org$", true }, { "example.org$", true },
		/* one of its ways is wide */
		{ "^example\\.org$|x", true }, { "x|^example\\.org$", true },
		{ "(^example\\.org$|)", true },
		{ "^(example\\.org|[a-z]+)$", true },
		{ "^(a(b|c(d|.*)))$", true },
		{ "^[]|]+\\.example\\.org$", false },
		/* more ways than anybody reads, and what is none */
		{ "^(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)\\."
		  "example\\.org$",
		    true },
		{ "(", true }, { "^(a\\.example\\.org$", true }
	};

	CHECK(wide_name_expression, rows);
}

static void
test_clients(void **state)
{
	static const struct row rows[] = { { "^10\\.", false },
		{ "^192\\.168\\.", false }, { "^192[.]168[.]", false },
		{ "^(10|192\\.168)\\.", false }, { "^10\\..*|^fd00:", false },
		{ "^2001:db8:", false }, { "^2001:", true }, { "^2a02:", true },
		{ "^2001::", true }, { "^fd00:", false }, { "^fe80:", false },
		{ "^fec0:", true }, { "^fd0:", true },
		{ "^192\\.0\\.2\\.1$", false }, { "^::1$", false },
		{ "^local$", false }, { "192\\.168\\.", true },
		{ "192.168.", true }, { "10\\.0\\.", true }, { "^10.", true },
		{ "^1", true }, { "^1?0\\.", true }, { "^[0-9a-f:]+$", true },
		{ ".*", true }, { "^", true }, { "^::", true },
		{ "^(10)?\\.", true }, { "^10\\.|9\\.", true } };

	CHECK(wide_client_expression, rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
