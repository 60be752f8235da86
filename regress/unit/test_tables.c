/*
 * auth/tables and auth/match: each service over tables as table(5) writes
 * them, in files and in the configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/match.h"
#include "auth/tables.h"

#define S(text)      \
	(char[])     \
	{            \
		text \
	}

#define TEN(text) text text text text text text text text text text

static const struct {
	const char *name;
	uint32_t uses;
	const char *content;
} files[] = {
	{ "aliases", 1 << CONF_SERVICE_ALIAS,
	    "# aliases\nroot: joe\nPostMaster: root, ann\n"
	    "list: :include:/etc/list\ntwice: one\ntwice: two\n" },
	{ "domains", 1 << CONF_SERVICE_DOMAIN,
	    "example.org\n*.example.org\nmail*.example.net\n" },
	{ "all", 1 << CONF_SERVICE_DOMAIN, "*\n" },
	{ "nets", 1 << CONF_SERVICE_NETADDR,
	    "192.0.2.1\n[2001:db8::1]\n198.51.100.0/25\n[fd00::]/8\nlocal\n"
	    "ipv6:2001:db8:2::/48\n" },
	{ "mail", 1 << CONF_SERVICE_MAILADDR,
	    "abuse\n@corp.example\njoe@example.org\nlist@*.example.org\n"
	    "tag+a@example.org\n\"a b\"@example.org\n" },
	{ "names", 1 << CONF_SERVICE_ADDRNAME,
	    "[::1] localhost\n127.0.0.1 localhost\n192.0.2.1: mx.a.org\n" },
	{ "users", 1 << CONF_SERVICE_USERINFO,
	    "joe 1000:100:/home/virtual/joe\n" },
	{ "regex", 1 << CONF_SERVICE_REGEX,
	    "^joe[0-9]+@\n(?i)^ANN@\n\\Wx\\W\n" },
	{ "empty", 1 << CONF_SERVICE_DOMAIN, "" },
	{ "senders", 1 << CONF_SERVICE_SENDERS,
	    "joe Joe.Doe@example.org, @*.example.net,\t@[192.0.2.1]\n"
	    "ann ann, sales+eu@example.org, ann.b@\n"
	    "all @\n"
	    "many " TEN(TEN(
		"one.of.them@department.example.org, ")) "last@example.org\n" },
};

static struct conf_entry static_entries[] = { { S("k"), S("v") },
	{ S("b"), NULL } };
static struct tables *tables;

static const struct {
	const char *table;
	enum conf_service service;
	const char *key;
	enum lookup_status status;
	const char *value;
} rows[] = {
#define FOUND LOOKUP_FOUND
#define NONE LOOKUP_NONE
	{ "aliases", CONF_SERVICE_ALIAS, "root", FOUND, "joe" },
	{ "aliases", CONF_SERVICE_ALIAS, "ROOT", FOUND, "joe" },
	{ "aliases", CONF_SERVICE_ALIAS, "postmaster", FOUND, "root, ann" },
	{ "aliases", CONF_SERVICE_ALIAS, "list", FOUND, ":include:/etc/list" },
	{ "aliases", CONF_SERVICE_ALIAS, "twice", FOUND, "two" },
	{ "aliases", CONF_SERVICE_ALIAS, "roo", NONE, "" },
	{ "aliases", CONF_SERVICE_ALIAS, "", NONE, "" },
	{ "aliases", CONF_SERVICE_ALIAS, "*", NONE, "" },
	{ "aliases", CONF_SERVICE_ALIAS, "root\njoe", NONE, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "EXAMPLE.org", FOUND, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "a.example.org", FOUND, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "a.b.example.org", NONE, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "mail.example.net", FOUND, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "mail12.example.net", FOUND, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "mai.example.net", NONE, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "example.org.evil.example", NONE,
	    "" },
	{ "domains", CONF_SERVICE_DOMAIN, "aexample.org", NONE, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "", NONE, "" },
	{ "all", CONF_SERVICE_DOMAIN, "any.thing.example", FOUND, "" },
	{ "empty", CONF_SERVICE_DOMAIN, "example.org", NONE, "" },
	{ "nets", CONF_SERVICE_NETADDR, "192.0.2.1", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "::ffff:192.0.2.1", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "192.0.2.2", NONE, "" },
	{ "nets", CONF_SERVICE_NETADDR, "2001:db8:0::1", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "[IPv6:2001:db8::1]", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "2001:db8:2::9", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "2001:db8:3::9", NONE, "" },
	{ "nets", CONF_SERVICE_NETADDR, "198.51.100.127", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "198.51.100.128", NONE, "" },
	{ "nets", CONF_SERVICE_NETADDR, "fdff::9", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "fe00::9", NONE, "" },
	{ "nets", CONF_SERVICE_NETADDR, "local", FOUND, "" },
	{ "nets", CONF_SERVICE_NETADDR, "198.51.100.0/25", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "abuse@any.example", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "abuse+x@any.example", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "x@CORP.example", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "x@a.corp.example", NONE, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "Joe@example.org", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "joe+x@example.org", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "joe@example.com", NONE, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "list@a.example.org", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "list+y@a.example.org", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "list@example.org", NONE, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "tag+a@example.org", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "tag+b@example.org", NONE, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "tag@example.org", NONE, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "\"a b\"@example.org", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "joe@example.org@evil.example", NONE,
	    "" },
	{ "mail", CONF_SERVICE_MAILADDR, "+@example.org", NONE, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "", NONE, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "@", NONE, "" },
	{ "names", CONF_SERVICE_ADDRNAME, "::1", FOUND, "localhost" },
	{ "names", CONF_SERVICE_ADDRNAME, "192.0.2.1", FOUND, "mx.a.org" },
	{ "names", CONF_SERVICE_ADDRNAME, "192.0.2.9", NONE, "" },
	{ "users", CONF_SERVICE_USERINFO, "joe", FOUND,
	    "1000:100:/home/virtual/joe" },
	{ "regex", CONF_SERVICE_REGEX, "joe12@x", FOUND, "" },
	{ "regex", CONF_SERVICE_REGEX, "JOE1@x", FOUND, "" },
	{ "regex", CONF_SERVICE_REGEX, "joe@x", NONE, "" },
	{ "regex", CONF_SERVICE_REGEX, "ann@x", FOUND, "" },
	{ "regex", CONF_SERVICE_REGEX, "a.x.b", FOUND, "" },
	{ "regex", CONF_SERVICE_REGEX, "axb", NONE, "" },
	{ "static", CONF_SERVICE_STRING, "K", FOUND, "v" },
	{ "static", CONF_SERVICE_STRING, "b", FOUND, "" },
	{ "nowhere", CONF_SERVICE_STRING, "k", LOOKUP_TEMPFAIL, "" },
	/* ATTACKS A 3, 6: words for a shell or a query are only words */
	{ "aliases", CONF_SERVICE_ALIAS, "*)(uid=*", NONE, "" },
	{ "aliases", CONF_SERVICE_ALIAS, "' OR 1=1 --", NONE, "" },
	{ "aliases", CONF_SERVICE_ALIAS, ":include:/etc/shadow", NONE, "" },
	{ "aliases", CONF_SERVICE_ALIAS, "${run{x}}", NONE, "" },
	{ "domains", CONF_SERVICE_DOMAIN, "*.example.org", FOUND, "" },
	{ "mail", CONF_SERVICE_MAILADDR, "\\@corp.example", FOUND, "" },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *value = NULL;
		enum lookup_status s = tables_lookup(tables, rows[i].table,
		    rows[i].service, rows[i].key, &value);

		if (s != rows[i].status || strcmp(value, rows[i].value) != 0)
			fail_msg("%s %s: %d %s", rows[i].table, rows[i].key, s,
			    value);
	}
}

/* As OpenSMTPD holds a sender against an entry (mailaddr_match). */
static void
test_senders(void **state)
{
	static const struct {
		const char *user, *sender;
		enum lookup_status status;
	} m[] = {
		{ "joe", "joe.doe@example.org", FOUND },
		{ "JOE", "JOE.DOE@EXAMPLE.ORG", FOUND },
		{ "joe", "joe.doe+shop@example.org", FOUND },
		{ "joe", "joe@example.org", NONE },
		{ "joe", "joe.doe@example.com", NONE },
		{ "joe", "joe.doe", NONE },
		{ "joe", "x@a.Example.net", FOUND },
		{ "joe", "x@example.net", NONE },
		{ "joe", "x@a.b.example.net", NONE },
		{ "joe", "x@[192.0.2.1]", FOUND },
		{ "joe", "\"joe.doe@example.org\"@evil.example", NONE },
		{ "joe", "", NONE },
		{ "ann", "Ann+x@any.example", FOUND },
		{ "ann", "ann", FOUND },
		{ "ann", "joann@any.example", NONE },
		{ "ann", "ann.b@any.example", FOUND },
		{ "ann", "Sales+EU@example.org", FOUND },
		{ "ann", "sales@example.org", NONE },
		{ "ann", "sales+us@example.org", NONE },
		{ "ann", "sales+eu+x@example.org", NONE },
		{ "ann", "\"ann,\"@example.org", NONE },
		{ "all", "x@any.example", FOUND },
		{ "all", "", NONE },
		{ "many", "last@example.org", FOUND },
		{ "many", "first@example.org", NONE },
		{ "eve", "joe.doe@example.org", NONE },
		{ "", "joe.doe@example.org", NONE },
	};

	for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++)
		if (tables_sender(tables, "senders", m[i].user, m[i].sender) !=
		    m[i].status)
			fail_msg("%s <%s>", m[i].user, m[i].sender);
	assert_int_equal(
	    tables_sender(tables, "nowhere", "all", "x@any.example"),
	    LOOKUP_TEMPFAIL);
}

static void
test_long_key(void **state)
{
	char *key = malloc(100001);

	assert_non_null(key);
	memset(key, 'a', 100000);
	key[100000] = '\0';
	assert_int_equal(
	    tables_lookup(tables, "regex", CONF_SERVICE_REGEX, key, NULL),
	    LOOKUP_NONE);
	assert_int_equal(
	    tables_lookup(tables, "mail", CONF_SERVICE_MAILADDR, key, NULL),
	    LOOKUP_NONE);
	free(key);
}

static void
test_refused(void **state)
{
	static const struct {
		uint32_t uses;
		const char *content;
		const char *word;
	} bad[] = {
		{ 1 << CONF_SERVICE_NETADDR, "192.0.2.0/33\n", "line 1" },
		{ 1 << CONF_SERVICE_NETADDR, "10.0.0.1\nexample.org\n",
		    "line 2" },
		{ 1 << CONF_SERVICE_NETADDR, "[::1/129]\n", "line 1" },
		{ 1 << CONF_SERVICE_REGEX, "^(a\n", "line 1" },
		{ 1 << CONF_SERVICE_ALIAS, "\"joe\n", "line 1" },
	};
	char error[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct conf_table t = { .name = S("mail"),
			.kind = CONF_TABLE_FILE,
			.uses = bad[i].uses };

		assert_int_equal(
		    tables_add(tables, &t, bad[i].content,
			strlen(bad[i].content), error, sizeof(error)),
		    -1);
		if (strstr(error, bad[i].word) == NULL)
			fail_msg("%s: %s", bad[i].content, error);
	}
	/* the table that was there still is */
	assert_int_equal(tables_lookup(tables, "mail", CONF_SERVICE_MAILADDR,
			     "joe@example.org", NULL),
	    LOOKUP_FOUND);
}

static void
test_replace(void **state)
{
	struct conf_table t = { .name = S("users"),
		.kind = CONF_TABLE_FILE,
		.uses = 1 << CONF_SERVICE_USERINFO };
	const char *content = "ann 1:1:/home/ann\n", *key;
	char error[256];

	assert_int_equal(tables_add(tables, &t, content, strlen(content), error,
			     sizeof(error)),
	    0);
	assert_int_equal(
	    tables_lookup(tables, "users", CONF_SERVICE_USERINFO, "joe", NULL),
	    LOOKUP_NONE);
	assert_int_equal(
	    tables_entry(tables, "users", 0, &key, NULL), LOOKUP_FOUND);
	assert_string_equal(key, "ann");
	assert_int_equal(
	    tables_entry(tables, "users", 1, &key, NULL), LOOKUP_NONE);
	assert_int_equal(tables_count(tables, "users"), 1);
	assert_int_equal(tables_count(tables, "nowhere"), 0);
}

static void
test_domain_match(void **state)
{
	static const struct {
		const char *pattern;
		const char *domain;
		int match;
	} m[] = {
		{ "*", "", 1 },
		{ "*", "a.b", 1 },
		{ "a*", "ab.c", 1 },
		{ "*a", "bba", 1 },
		{ "*a", "b.a", 0 },
		{ "*ab*.c", "xaab.c", 1 },
		{ "*aab.c", "aaaab.c", 1 },
		{ "a.*.c", "a.b.c", 1 },
		{ "a.*.c", "a.b.b.c", 0 },
		{ "*.*.c", "a.b.c", 1 },
		{ "", "", 1 },
		{ "", "a", 0 },
		{ "a", "", 0 },
		{ "**.c", "x.c", 1 },
		{ "*.c", ".c", 1 },
	};

	for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++)
		if (match_domain(m[i].pattern, m[i].domain) != m[i].match)
			fail_msg("%s %s", m[i].pattern, m[i].domain);
}

static int
setup(void **state)
{
	struct conf_table s = { .name = S("static"),
		.mapping = true,
		.entries = static_entries,
		.nentries = 2 };
	char error[256] = "";

	if ((tables = tables_new('+')) == NULL)
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct conf_table t = { .name = (char *)files[i].name,
			.kind = CONF_TABLE_FILE,
			.uses = files[i].uses };

		if (tables_add(tables, &t, files[i].content,
			strlen(files[i].content), error, sizeof(error)) == -1) {
			print_error("%s\n", error);
			return -1;
		}
	}
	return tables_add(tables, &s, NULL, 0, error, sizeof(error));
}

static int
teardown(void **state)
{
	tables_free(tables);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_long_key),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_domain_match),
		cmocka_unit_test(test_replace),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
