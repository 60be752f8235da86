/*
 * Formats in commands and paths, above all what a stranger's value may become
 * in a shell's command line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/format.h"

static const struct format_values usual = { "Sender@a.example",
	"bob+tag@example.org", "bob@example.org", "bob", "/home/bob", 0xabc,
	"+" };

static const struct {
	const char *text;
	const char *expected; /* NULL: an error */
} rows[] = {
	{ "plain", "plain" },
	{ "100%", "100%" },
	{ "100%%", "100%" },
	{ "-f %{sender}", "-f Sender@a.example" },
	{ "%{sender:lowercase}", "sender@a.example" },
	{ "%{sender.user:uppercase}", "SENDER" },
	{ "%{sender.domain}", "a.example" },
	{ "%{rcpt}", "bob+tag@example.org" },
	{ "%{rcpt:strip}", "bob@example.org" },
	{ "%{rcpt.user:strip}", "bob" },
	/* the examples of smtpd.conf(5) */
	{ "%{rcpt.domain[0]}", "e" },
	{ "%{rcpt.domain[1]}", "x" },
	{ "%{rcpt.domain[8:]}", "org" },
	{ "%{rcpt.domain[-3:]}", "org" },
	{ "%{rcpt.domain[0:6]}", "example" },
	{ "%{rcpt.domain[0:-4]}", "example" },
	{ "%{rcpt:uppercase|strip}", "BOB@EXAMPLE.ORG" },
	{ "%{rcpt:uppercase:strip}", "BOB@EXAMPLE.ORG" },
	{ "%{rcpt:uppercase|loud}", NULL },
	{ "%{rcpt|strip}", NULL },
	{ "%{rcpt.domain[-1]}", "g" },
	{ "%{rcpt.domain[2:1]}", "" },
	{ "%{rcpt.domain[11]}", "" },
	{ "%{rcpt.domain[10:9223372036854775807]}", "g" },
	{ "%{rcpt.domain[-9223372036854775808:]}", "example.org" },
	{ "%{rcpt.domain[1:x]}", NULL },
	{ "%{rcpt.domain[1:2:3]}", NULL },
	{ "%{rcpt.domain[]}", NULL },
	{ "%{rcpt.domain[-3:-1]:uppercase}", "OR" },
	{ "%{rcpt.domain[99:]}", "" },
	{ "%{user.username}/%{user.directory:raw}", "bob//home/bob" },
	{ "%{id}", "00000abc" },
	{ "%{nothing}", NULL },
	{ "%{sender", NULL },
	{ "%{sender:loud}", NULL },
	{ "%{sender[x]}", NULL },
};

static void
expansions(void **state)
{
	char out[256], error[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = format_expand(rows[i].text, &usual, out, sizeof(out),
		    error, sizeof(error));

		print_message("# %s\n", rows[i].text);
		if (rows[i].expected == NULL) {
			assert_int_equal(rc, -1);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(out, rows[i].expected);
	}
}

static const struct {
	const char *text;
	const char *unknown; /* NULL: none */
} checked[] = {
	{ "", NULL },
	{ "/x/%{dest.user:lowercase}/%{rcpt[0:-4]:strip} 100%% %n", NULL },
	{ "%{id}%{user.foo}%{bar}", "%{user.foo}" },
	{ "a %{sender", "%{sender" },
	{ "%{rcpt[x]}/", "%{rcpt[x]}" },
	{ "%{}", "%{}" },
};

static void
unknown_formats_are_found(void **state)
{
	const char *unknown;
	size_t len, i;

	for (i = 0; i < sizeof(checked) / sizeof(checked[0]); i++) {
		unknown = format_unknown(checked[i].text, &len);
		if ((unknown == NULL) != (checked[i].unknown == NULL))
			fail_msg("`%s`", checked[i].text);
		if (unknown == NULL)
			continue;
		assert_int_equal(len, strlen(checked[i].unknown));
		assert_memory_equal(unknown, checked[i].unknown, len);
	}
}

static void
hostile_values(void **state)
{
	static const char *const values[] = { ";touch$IFS/tmp/p;@x.org",
		"|cmd@x.org", "$(id)@x.org", "`id`@x.org", "a\nb@x.org",
		"'\"@x.org", "%n%s@x.org", "-oQ@x.org", "../../etc@x.org",
		"a b@x.org", "a&b@x.org", "a>b@x.org", "\x01@x.org", "a\\b@x",
		"*?[]@x", "~root@x", "!x@x", "#x@x", "{a,b}@x" };
	struct format_values v = usual;
	char out[256], error[128];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		v.sender = v.rcpt = v.dest = values[i];
		for (int raw = 0; raw < 2; raw++) {
			assert_int_equal(
			    format_expand(raw ? "%{sender:raw}" : "%{rcpt}", &v,
				out, sizeof(out), error, sizeof(error)),
			    0);
			assert_null(
			    strpbrk(out, ";|$()`\n'\"%& ></\\*?[]~!#{}\x01"));
			assert_int_not_equal(out[0], '-');
		}
	}
}

static void
too_long(void **state)
{
	char out[8], error[128];

	assert_int_equal(
	    format_expand("12345678", &usual, out, sizeof(out), error, 128),
	    -1);
	assert_int_equal(
	    format_expand("1234567", &usual, out, sizeof(out), error, 128), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expansions),
		cmocka_unit_test(unknown_formats_are_found),
		cmocka_unit_test(hostile_values),
		cmocka_unit_test(too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
