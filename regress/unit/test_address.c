/*
 * Addresses: what is taken and in which canonical form, what is refused and
 * why. Each canonical form must parse to itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/address.h"

#define U8 ADDRESS_UTF8
#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define X64 X60 "xxxx"

static const struct valid {
	const char *text, *canonical;
	unsigned flags;
	enum address_kind kind;
} valid[] = {
	{ "<a@b>", "a@b", 0, ADDRESS_IS_DOMAIN },
	{ "<Joe.Doe@Example.ORG>", "Joe.Doe@example.org", 0,
	    ADDRESS_IS_DOMAIN },
	{ "<a!#$%&'*+-/=?^_`{|}~@b.c>", "a!#$%&'*+-/=?^_`{|}~@b.c", 0,
	    ADDRESS_IS_DOMAIN },
	{ "<\"a\"@b.c>", "a@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<\"a b\"@b.c>", "\"a b\"@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<\"a\\b\"@b.c>", "ab@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<\"a..b\"@b.c>", "\"a..b\"@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<a..b@c>", "\"a..b\"@c", 0, ADDRESS_IS_DOMAIN },
	{ "<.a@b>", "\".a\"@b", 0, ADDRESS_IS_DOMAIN },
	{ "<a.@b>", "\"a.\"@b", 0, ADDRESS_IS_DOMAIN },
	{ "<\"a@b\"@b.c>", "\"a@b\"@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<\"a>b\"@b.c>", "\"a>b\"@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<\"\\\"\\\\\"@b.c>", "\"\\\"\\\\\"@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<;touch$IFS/tmp/p;@b.c>", NULL, 0, 0 },
	{ "<\";touch$IFS/tmp/p;\"@b.c>", "\";touch$IFS/tmp/p;\"@b.c", 0,
	    ADDRESS_IS_DOMAIN },
	{ "<|cmd@b.c>", "|cmd@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<${run{/bin/sh}}@b.c>", "${run{/bin/sh}}@b.c", 0,
	    ADDRESS_IS_DOMAIN },
	{ "<a@my_host.b-c.d>", "a@my_host.b-c.d", 0, ADDRESS_IS_DOMAIN },
	{ "<a@1.2.3.4.example>", "a@1.2.3.4.example", 0, ADDRESS_IS_DOMAIN },
	{ "<@a.b,@c.d:joe@e.f>", "joe@e.f", 0, ADDRESS_IS_DOMAIN },
	{ "<@[IPv6:::1],@[127.0.0.1]:joe@e.f>", "joe@e.f", 0,
	    ADDRESS_IS_DOMAIN },
	{ "<a@[127.0.0.1]>", "a@[127.0.0.1]", 0, ADDRESS_IS_LITERAL },
	{ "<a@[ipv6:2001:DB8:0:0::1]>", "a@[IPv6:2001:db8::1]", 0,
	    ADDRESS_IS_LITERAL },
	{ "<a@[IPv6:::ffff:192.0.2.1]>", "a@[IPv6:::ffff:192.0.2.1]", 0,
	    ADDRESS_IS_LITERAL },
	{ "<>", "", ADDRESS_NULL, ADDRESS_IS_NULL },
	{ "<Postmaster>", "Postmaster", ADDRESS_POSTMASTER, ADDRESS_IS_BARE },
	{ "<POSTMASTER>", "POSTMASTER", ADDRESS_POSTMASTER, ADDRESS_IS_BARE },
	{ "<joe>", "joe", ADDRESS_BARE, ADDRESS_IS_BARE },
	{ "<\"a@b\">", "\"a@b\"", ADDRESS_BARE, ADDRESS_IS_BARE },
	{ "<gr\xc3\xbc\xc3\x9f@b.c>", "gr\xc3\xbc\xc3\x9f@b.c", U8,
	    ADDRESS_IS_DOMAIN },
	{ "<a@m\xc3\xbcnchen.de>", "a@xn--mnchen-3ya.de", U8,
	    ADDRESS_IS_DOMAIN },
	{ "<a@M\xc3\x9cNCHEN.DE>", "a@xn--mnchen-3ya.de", U8,
	    ADDRESS_IS_DOMAIN },
	{ "<a@mu\xcc\x88nchen.de>", "a@xn--mnchen-3ya.de", U8,
	    ADDRESS_IS_DOMAIN },
	{ "<a@XN--Mnchen-3YA.de>", "a@xn--mnchen-3ya.de", 0,
	    ADDRESS_IS_DOMAIN },
	{ "<a@fa\xc3\x9f.de>", "a@xn--fa-hia.de", U8, ADDRESS_IS_DOMAIN },
	{ "<@m\xc3\xbc.de:a@b>", "a@b", U8, ADDRESS_IS_DOMAIN },
	{ "<" X64 "@b.c>", X64 "@b.c", 0, ADDRESS_IS_DOMAIN },
	{ "<" X64 "x@b.c>", X64 "x@b.c", ADDRESS_LONG, ADDRESS_IS_DOMAIN },
};

static const struct invalid {
	const char *text;
	unsigned flags;
	enum address_error error;
} invalid[] = {
	{ "", 0, ADDRESS_ERR_BRACKETS },
	{ "a@b", 0, ADDRESS_ERR_BRACKETS },
	{ "<", 0, ADDRESS_ERR_BRACKETS },
	{ "<a@b", 0, ADDRESS_ERR_BRACKETS },
	{ "a@b>", 0, ADDRESS_ERR_BRACKETS },
	{ "<>", 0, ADDRESS_ERR_NULL },
	{ "<a>", 0, ADDRESS_ERR_NO_DOMAIN },
	{ "<joe>", ADDRESS_POSTMASTER, ADDRESS_ERR_NO_DOMAIN },
	{ "<postmasters>", ADDRESS_POSTMASTER, ADDRESS_ERR_NO_DOMAIN },
	{ "<postmaster@>", ADDRESS_POSTMASTER, ADDRESS_ERR_DOMAIN },
	{ "<@b>", 0, ADDRESS_ERR_ROUTE },
	{ "<@>", 0, ADDRESS_ERR_ROUTE },
	{ "<@:a@b>", 0, ADDRESS_ERR_ROUTE },
	{ "<@a,b:a@b>", 0, ADDRESS_ERR_ROUTE },
	{ "<@a,:a@b>", 0, ADDRESS_ERR_ROUTE },
	{ "<@a b:a@b>", 0, ADDRESS_ERR_ROUTE },
	{ "<@[1.2.3]:a@b>", 0, ADDRESS_ERR_ROUTE },
	{ "<@a:>", ADDRESS_NULL, ADDRESS_ERR_NULL },
	{ "<@a:postmaster>", ADDRESS_POSTMASTER, ADDRESS_ERR_NO_DOMAIN },
	{ "<@a:@b:c@d>", 0, ADDRESS_ERR_LOCAL },
	{ "<a b@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<a,b@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<a<b@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<<a@c>>", 0, ADDRESS_ERR_LOCAL },
	{ "< a@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<(c)a@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<\"\"@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<\"a@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<\"a\\\"@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<\"a\"b@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<\"a\".b@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<a\"b\"@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<a\\b@c>", 0, ADDRESS_ERR_LOCAL },
	{ "<\"\\\xc3\xbc\"@c>", U8, ADDRESS_ERR_LOCAL },
	{ "<;cmd;>", ADDRESS_BARE, ADDRESS_ERR_LOCAL },
	{ "<a@b@c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@.b>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b..c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@-b>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b->", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b-.c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b.-c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b;c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b/c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@127.0.0.1>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@2130706433>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@b.>", 0, ADDRESS_ERR_DOT },
	{ "<a@b\"c>", 0, ADDRESS_ERR_DOMAIN },
	{ "<a@[]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[127.0.0.1>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[127.0.0.1]x>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[127.0.0]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[127.0.0.256]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[0127.0.0.1]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[::1]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[IPv6:]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[IPv6:1]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[IPv6:fe80::1%eth0]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a@[x400:foo]>", 0, ADDRESS_ERR_LITERAL },
	{ "<a\n@b>", 0, ADDRESS_ERR_CONTROL },
	{ "<a\r@b>", 0, ADDRESS_ERR_CONTROL },
	{ "<a\t@b>", 0, ADDRESS_ERR_CONTROL },
	{ "<\"a\nb\"@b>", 0, ADDRESS_ERR_CONTROL },
	{ "<\"a\\\nb\"@b>", 0, ADDRESS_ERR_CONTROL },
	{ "<a@b\x7f>", 0, ADDRESS_ERR_CONTROL },
	{ "<a\xe2\x80\xae@b>", U8, ADDRESS_ERR_CONTROL },
	{ "<a\xe2\x80\x8b@b>", U8, ADDRESS_ERR_CONTROL },
	{ "<a@\xe2\x80\xae"
	  "b>",
	    U8, ADDRESS_ERR_CONTROL },
	{ "<a@b\xe2\x80\x8b>", U8, ADDRESS_ERR_CONTROL },
	{ "<a\xc2\x85@b>", U8, ADDRESS_ERR_CONTROL },
	{ "<a\xc0\xaf@b>", U8, ADDRESS_ERR_UTF8 },
	{ "<a\xff@b>", U8, ADDRESS_ERR_UTF8 },
	{ "<a\xed\xa0\x80@b>", U8, ADDRESS_ERR_UTF8 },
	{ "<a@b\xc3>", U8, ADDRESS_ERR_UTF8 },
	{ "<\xc3\xbc@b>", 0, ADDRESS_ERR_NEEDS_UTF8 },
	{ "<a@\xc3\xbc>", 0, ADDRESS_ERR_NEEDS_UTF8 },
	{ "<a\xff@b>", 0, ADDRESS_ERR_NEEDS_UTF8 },
	/* what a mapping would turn into dots, slashes and at signs */
	{ "<a@b\xef\xbc\x8e"
	  "c>",
	    U8, ADDRESS_ERR_IDNA },
	{ "<a@b\xe3\x80\x82"
	  "c>",
	    U8, ADDRESS_ERR_IDNA },
	{ "<a@b\xef\xbd\xa1"
	  "c>",
	    U8, ADDRESS_ERR_IDNA },
	{ "<a@b\xe2\x80\xa4"
	  "c>",
	    U8, ADDRESS_ERR_IDNA },
	{ "<a@\xe2\x84\x80.c>", U8, ADDRESS_ERR_DOMAIN },
	{ "<a@b\xef\xbc\xa0"
	  "c>",
	    U8, ADDRESS_ERR_DOMAIN },
	{ "<a@i\xe2\x99\xa5.c>", U8, ADDRESS_ERR_IDNA },
	{ "<a@ab--\xc3\xbc.c>", U8, ADDRESS_ERR_IDNA },
	{ "<a@xn--\xc3\xbc.c>", U8, ADDRESS_ERR_IDNA },
	{ "<a@\xc3\xbc.>", U8, ADDRESS_ERR_DOT },
	{ "<a@\xc3\xbc..b>", U8, ADDRESS_ERR_DOMAIN },
	{ "<a@\xc3\xbc.127>", U8, ADDRESS_ERR_DOMAIN },
	{ "<" X64 "x@b.c>", 0, ADDRESS_ERR_LOCAL_LONG },
	{ "<a@" X64 ".c>", 0, ADDRESS_ERR_DOMAIN_LONG },
	{ "<a@" X60 "." X60 "." X60 "." X60 "." X60 ">", 0,
	    ADDRESS_ERR_PATH_LONG },
	{ "<a@" X60 "." X60 "." X60 "." X60 "." X60 ">", ADDRESS_LONG,
	    ADDRESS_ERR_DOMAIN_LONG },
	{ "<" X60 X60 X60 X60 X10 "xxxxxx@c>", ADDRESS_LONG,
	    ADDRESS_ERR_LOCAL_LONG },
};

static void
test_valid(void **state)
{
	char text[ADDRESS_SIZE], again[ADDRESS_SIZE];
	struct address a, b;

	for (size_t i = 0; i < NITEMS(valid); i++) {
		const struct valid *v = &valid[i];
		enum address_error e;

		e = address_parse_path(v->text, strlen(v->text), v->flags, &a);
		if (v->canonical == NULL) {
			assert_int_not_equal(e, ADDRESS_OK);
			continue;
		}
		if (e != ADDRESS_OK)
			print_error("%s: %s\n", v->text, address_strerror(e));
		assert_int_equal(e, ADDRESS_OK);
		assert_string_equal(address_format(&a, text), v->canonical);
		assert_int_equal(a.kind, v->kind);
		assert_int_equal(a.utf8_given, v->flags & U8 ? 1 : 0);
		assert_int_equal(a.utf8, address_needs_utf8(text));
		/* the canonical form is its own canonical form */
		assert_int_equal(
		    address_parse(text, strlen(text), ADDRESS_CANONICAL, &b),
		    ADDRESS_OK);
		assert_string_equal(address_format(&b, again), text);
		assert_int_equal(b.kind, a.kind);
		assert_int_equal(b.utf8, a.utf8);
		assert_int_equal(address_path_length(v->text, strlen(v->text)),
		    strlen(v->text));
	}
}

static void
test_invalid(void **state)
{
	struct address a;

	for (size_t i = 0; i < NITEMS(invalid); i++) {
		const struct invalid *v = &invalid[i];
		enum address_error e;

		e = address_parse_path(v->text, strlen(v->text), v->flags, &a);
		if (e != v->error)
			print_error("%s: %s\n", v->text, address_strerror(e));
		assert_int_equal(e, v->error);
		assert_true(strlen(address_strerror(e)) > 0);
	}
	assert_int_equal(
	    address_parse_path("<a\0b@c>", 7, U8, &a), ADDRESS_ERR_CONTROL);
	assert_int_equal(
	    address_parse_path("<a@c\0>", 6, U8, &a), ADDRESS_ERR_CONTROL);
}

/* The longest address of all, quoted throughout, fits everywhere. */
static void
test_longest(void **state)
{
	char text[ADDRESS_SIZE], canonical[ADDRESS_SIZE];
	char user[ADDRESS_LOCAL_LONG + 1];
	struct address a;
	size_t n = 0;

	text[n++] = '"';
	for (int i = 0; i < ADDRESS_LOCAL_LONG; i++) {
		text[n++] = '\\';
		text[n++] = '"';
	}
	text[n++] = '"';
	n += (size_t)snprintf(text + n, sizeof(text) - n, "@%s.%s.%s.%s.%s",
	    X60, X60, X60, X60, X10 "x");
	assert_int_equal(strlen(strrchr(text, '@') + 1), ADDRESS_DOMAIN_MAX);
	assert_int_equal(address_parse(text, n, ADDRESS_LONG, &a), ADDRESS_OK);
	assert_string_equal(address_format(&a, canonical), text);
	assert_int_equal(address_user(text, user, sizeof(user)), 0);
	assert_int_equal(strlen(user), ADDRESS_LOCAL_LONG);
	assert_int_equal(address_user(text, user, sizeof(user) - 1), -1);
}

static void
test_parts(void **state)
{
	static const struct {
		const char *canonical, *local, *domain, *user;
	} parts[] = {
		{ "a@b.c", "a", "b.c", "a" },
		{ "\"a@b\"@c", "\"a@b\"", "c", "a@b" },
		{ "\"a@b\"", "\"a@b\"", "", "a@b" },
		{ "\"\\\"\\\\\"@c", "\"\\\"\\\\\"", "c", "\"\\" },
		{ "a@[IPv6:::1]", "a", "[IPv6:::1]", "a" },
		{ "postmaster", "postmaster", "", "postmaster" },
		{ "", "", "", "" },
	};
	char local[64], domain[64], user[64];

	for (size_t i = 0; i < NITEMS(parts); i++) {
		const char *c = parts[i].canonical;

		assert_string_equal(address_domain(c), parts[i].domain);
		assert_int_equal(address_split(c, local, sizeof(local), domain,
				     sizeof(domain)),
		    0);
		assert_string_equal(local, parts[i].local);
		assert_string_equal(domain, parts[i].domain);
		assert_int_equal(address_user(c, user, sizeof(user)), 0);
		assert_string_equal(user, parts[i].user);
	}
	assert_int_equal(address_split("abc@d", local, 3, domain, 64), -1);
	assert_string_equal(local, "");
	assert_int_equal(address_split("abc@def", local, 64, domain, 3), -1);
	assert_string_equal(domain, "");
}

static void
test_equal(void **state)
{
	assert_true(address_equal("a@b", "a@B"));
	assert_true(address_equal("", ""));
	assert_true(address_equal("\"a@b\"@c", "\"a@b\"@C"));
	assert_false(address_equal("a@b", "A@b"));
	assert_false(address_equal("a@b", "a@c"));
	assert_false(address_equal("a@b", "a"));
	assert_false(address_equal("a@b", "ab@b"));
	assert_false(address_equal("", "a@b"));
}

static void
test_routed(void **state)
{
	assert_true(address_is_routed("a%b@c"));
	assert_true(address_is_routed("b!a@c"));
	assert_true(address_is_routed("\"a@b\"@c"));
	assert_true(address_is_routed("a%b"));
	assert_false(address_is_routed("a+b=c@d"));
	assert_false(address_is_routed("a@b"));
	assert_false(address_is_routed("a"));
	assert_false(address_is_routed(""));
}

static void
test_qualify(void **state)
{
	char text[ADDRESS_SIZE];
	struct address a;

	address_parse("Postmaster", 10, ADDRESS_POSTMASTER, &a);
	address_qualify(&a, "mx.example");
	assert_string_equal(address_format(&a, text), "Postmaster@mx.example");
	assert_int_equal(a.kind, ADDRESS_IS_DOMAIN);
	address_qualify(&a, "other.example");
	assert_string_equal(address_format(&a, text), "Postmaster@mx.example");
	address_parse("", 0, ADDRESS_NULL, &a);
	address_qualify(&a, "mx.example");
	assert_string_equal(address_format(&a, text), "");
}

static void
test_path_length(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} paths[] = { { "<a@b> SIZE=1", 5 }, { "<> x>", 2 },
		{ "<\"a>\"@b>c", 8 }, { "<\"\\\">\"@b> ", 9 }, { "a@b>", 0 },
		{ "<a@b", 0 }, { "<\"a>", 0 }, { "<\"\\", 0 }, { "", 0 } };

	for (size_t i = 0; i < NITEMS(paths); i++)
		assert_int_equal(
		    address_path_length(paths[i].text, strlen(paths[i].text)),
		    paths[i].length);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_routed),
		cmocka_unit_test(test_qualify),
		cmocka_unit_test(test_path_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
