/*
 * common/conf: table files, aliases, relay URLs, and what each use of a table
 * takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/alias.h"
#include "conf/tablefile.h"
#include "conf/url.h"

#define USE(service) (1U << CONF_SERVICE_##service)

struct reports {
	char text[1024]; /* "E2:1 " for an error, "W..." for a warning */
};

static void
report(
    void *arg, bool is_error, uint32_t line, uint32_t column, const char *text)
{
	struct reports *reports = arg;
	size_t len = strlen(reports->text);

	snprintf(reports->text + len, sizeof(reports->text) - len, "%s%c%u:%u",
	    len > 0 ? " " : "", is_error ? 'E' : 'W', line, column);
	assert_string_not_equal(text, "");
}

/* All entries as "key=value;" in order; a list has no `=`. */
static void
flatten(const struct table_data *table, char *buf, size_t size)
{
	size_t len = 0;
	uint32_t i;

	buf[0] = '\0';
	for (i = 0; i < table->nentries; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s%s;",
		    table->entries[i].key,
		    table->entries[i].value != NULL ? "=" : "",
		    table->entries[i].value != NULL ? table->entries[i].value
						    : "");
}

static const struct {
	const char *content;
	uint32_t uses;
	const char *entries; /* NULL: refused */
	const char *reports;
} files[] = {
	{ "", 0, "", "" },
	{ "# nothing\n\n \t\n", 0, "", "" },
	{ "b\na\nc\n", 0, "a;b;c;", "" },
	{ "a 1\nb\t2\nc: 3\nd:4\ne : 5\n", 0, "a=1;b=2;c=3;d=4;e=5;", "" },
	{ "  a   1  \n\tb 2\r\n", 0, "a=1;b=2;", "" },
	{ "a 1", 0, "a=1;", "" },
	{ "\xef\xbb\xbf"
	  "a 1\nb 2\n",
	    0, "a=1;b=2;", "" },
	{ "\xef\xbb\xbf", 0, "", "" },
	{ "# @list\na b\nc: d\n", 0, "a b;c: d;", "" },
	{ "#@list\na b\n", 0, "a b;", "" },
	{ "a 1\n# @list\nb\n", 0, NULL, "E3:1" },
	{ "a\nb 2\n", 0, "a;b 2;", "" },
	{ "a 1\nb\n", 0, NULL, "E2:1" },
	{ "a 1\n  b\n c:\n", 0, NULL, "E2:3 E3:2" },
	{ ": x\n", USE(ALIAS), NULL, "E1:1" },
	{ "Root: joe\nroot: ann\n", USE(ALIAS), "root=ann;", "W2:1" },
	{ "a\nA\n", 0, "A;", "" },
	{ "list: a,\nb,\nc\nx: y\n", USE(ALIAS), "list=a,b,c;x=y;", "" },
	{ "list: a,\n  b,\n  c\nx: y\n", USE(ALIAS), "list=a, b, c;x=y;", "" },
	{ "list: a,\n  b,\n  c\nx: y\n", USE(SENDERS), "list=a,b,c;x=y;", "" },
	{ "list: a\n, b\n", USE(ALIAS), "list=a, b;", "" },
	{ "list: a\n  , b\n", USE(ALIAS), "list=a , b;", "" },
	{ "list: a\n  , b\n", USE(SENDERS), "list=a, b;", "" },
	{ "list: a,\\\n  b\n", USE(ALIAS), "list=a,b;", "" },
	/* an indented line goes on from the one above, if that is an alias */
	{ "staff:\n\talice,\n\tbob\nx: y\n", USE(ALIAS),
	    "staff=alice, bob;x=y;", "" },
	{ "staff\n\talice\n", USE(ALIAS), "staff=alice;", "" },
	{ "staff\n : alice\n", USE(ALIAS), "staff=alice;", "" },
	{ "staff: alice\n\tbob\n", USE(ALIAS), "staff=alice bob;", "" },
	{ "staff: alice\n\tjohn: doe\n", USE(ALIAS), "staff=alice john: doe;",
	    "" },
	{ "staff: \"|/usr/bin/prog \n\t  --arg\"\n", USE(ALIAS),
	    "staff=\"|/usr/bin/prog --arg\";", "" },
	{ "a:\n\n# x\n  # y\n \r\n\tb\r\n", USE(ALIAS), "a=b;", "" },
	{ "\ta: b\n\tc\nd: e\n", USE(ALIAS), "a=b c;d=e;", "" },
	{ "@a.org:\n joe\n", USE(ALIAS) | USE(RECIPIENTS), "@a.org=joe;", "" },
	{ "a: b\n  c: d\n", USE(SENDERS), "a=b;c=d;", "" },
	{ "a:\n  b\n", USE(SENDERS), NULL, "E1:1 E2:3" },
	/* where what is wrong begins */
	{ "a: b,\n\tc\n: x\n", USE(ALIAS), NULL, "E3:1" },
	{ "a: b\n\n\"c:\n\td\ne: f\n", USE(ALIAS), NULL, "E3:1" },
	/* an alias that leads nowhere is none */
	{ "a:\nb: c\n", USE(ALIAS), "b=c;", "" },
	{ "a: b\nc\na:\n", USE(ALIAS), "a=b;", "" },
	{ "a:\nb: c\n", USE(ALIAS) | USE(RECIPIENTS), NULL, "E1:1" },
	{ "a:\nb: c\n", USE(SENDERS), NULL, "E1:1" },
	{ "a: :include:/x\nb :include:/y\n", USE(ALIAS),
	    "a=:include:/x;b=:include:/y;", "" },
	{ "\"a b\": joe\n\"c\" d\n", USE(ALIAS), "a b=joe;c=d;", "" },
	{ "\"a b: joe\n", USE(ALIAS), NULL, "E1:1" },
	{ "[::1] localhost\n[2001:db8::1]: mx\n", USE(ADDRNAME),
	    "[2001:db8::1]=mx;[::1]=localhost;", "" },
	{ "[::1 localhost\n", USE(ADDRNAME), NULL, "E1:1" },
	{ "[::1]\n2001:db8::/32\n192.0.2.1\n", USE(NETADDR),
	    "192.0.2.1;2001:db8::/32;[::1];", "" },
	{ "^a b$\n[0-9]{1,\n", USE(REGEX), "[0-9]{1,;^a b$;", "" },
	{ "@example.org joe\n@: ann\n", USE(ALIAS), "@=ann;@example.org=joe;",
	    "" },
	{ "joe 1000:100:/home/joe\n", USE(USERINFO), "joe=1000:100:/home/joe;",
	    "" },
	{ "mx:587\nb:25\n", USE(RELAYHOST), "b:25;mx:587;", "" },
	{ "me@mx:587\n[::1]\n", USE(RELAYHOST), "[::1];me@mx:587;", "" },
	{ "[::1]:587\n", USE(RELAYHOST), "[::1]:587;", "" },
	{ "a:mx:587\nb: 10\n", USE(RELAYHOST), "a=mx:587;b=10;", "" },
	{ "a mx\n", USE(RELAYHOST), "a=mx;", "" },
};

static void
files_are_parsed(void **state)
{
	struct table_data *table;
	struct reports reports;
	char flat[512];
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		reports.text[0] = '\0';
		table = table_parse(files[i].content, strlen(files[i].content),
		    files[i].uses, report, &reports);
		if ((table != NULL) != (files[i].entries != NULL))
			fail_msg("file %zu: %s", i, reports.text);
		assert_string_equal(reports.text, files[i].reports);
		if (table == NULL)
			continue;
		flatten(table, flat, sizeof(flat));
		assert_string_equal(flat, files[i].entries);
		table_data_free(table);
	}
}

static void
a_nul_is_refused(void **state)
{
	struct reports reports = { "" };

	assert_null(table_parse("a 1\nb\0 2\n", 9, 0, report, &reports));
	assert_string_equal(reports.text, "E2:1");
}

static void
keys_are_found(void **state)
{
	static const char content[] = "joe 1\nANN 2\nzoe 3\nb@example.org 4\n";
	struct table_data *table;
	struct reports reports = { "" };

	table = table_parse(content, strlen(content), 0, report, &reports);
	assert_non_null(table);
	assert_string_equal(table_data_lookup(table, "JOE")->value, "1");
	assert_string_equal(table_data_lookup(table, "ann")->value, "2");
	assert_int_equal(table_data_lookup(table, "ann")->line, 2);
	assert_string_equal(
	    table_data_lookup(table, "B@Example.org")->value, "4");
	assert_null(table_data_lookup(table, "jo"));
	assert_null(table_data_lookup(table, "joe "));
	assert_null(table_data_lookup(table, ""));
	table_data_free(table);
	table = table_parse("", 0, 0, report, &reports);
	assert_null(table_data_lookup(table, "joe"));
	table_data_free(table);
}

static void
tables_of_the_configuration(void **state)
{
	struct conf_entry entries[] = { { (char[]){ "b" }, (char[]){ "1" } },
		{ (char[]){ "a" }, (char[]){ "2" } },
		{ (char[]){ "B" }, (char[]){ "3" } } };
	const struct conf_table from = {
		.mapping = true, .entries = entries, .nentries = 3
	};
	struct table_data *table = table_from_conf(&from);
	char flat[64];

	assert_non_null(table);
	assert_true(table->mapping);
	flatten(table, flat, sizeof(flat));
	assert_string_equal(flat, "a=2;B=3;");
	table_data_free(table);
}

/* "C" command, "F" file, "I" include, "E" error, "A" address; NULL: wrong */
static const struct {
	const char *value;
	const char *items;
} aliases[] = {
	{ "joe", "A:joe;" },
	{ "joe, ann@example.org ,zoe", "A:joe;A:ann@example.org;A:zoe;" },
	{ "joe,", "A:joe;" },
	{ "Joe Doe <joe@x>, <ann>", "A:joe@x;A:ann;" },
	{ "\"Doe, Joe\" <joe@x>", "A:joe@x;" },
	{ "<joe@x> x, a<b, <|c>", "A:<joe@x> x;A:a<b;A:|c;" },
	{ "|/bin/cat", "C:/bin/cat;" },
	{ "| /bin/cat -u", "C:/bin/cat -u;" },
	{ "|\"/bin/cat a,b\"", "C:/bin/cat a,b;" },
	{ "\"|/bin/cat a,b\", joe", "C:/bin/cat a,b;A:joe;" },
	{ "\"| x \\\"y\\\"\"", "C:x \"y\";" },
	{ "/var/mail/x", "F:/var/mail/x;" },
	{ "\"/var/mail/a b\"", "F:/var/mail/a b;" },
	{ ":include:/etc/list", "I:/etc/list;" },
	{ ":INCLUDE: /etc/list", "I:/etc/list;" },
	{ "error:550 gone", "E:550 gone;" },
	{ "\\joe", "A:joe;" },
	{ "\"a b\"@example.org", "A:\"a b\"@example.org;" },
	{ "\"a\\\"b, c\"@example.org, joe",
	    "A:\"a\\\"b, c\"@example.org;A:joe;" },
	{ "joe;rm -rf /", "A:joe;rm -rf /;" },
	{ "joe@x (Joe Doe)", "A:joe@x;" },
	{ "joe(Doe, Joe \"6\"), ann", "A:joe;A:ann;" },
	{ "(a) <joe@x> (b (c) \\) d) , (e) ann", "A:joe@x;A:ann;" },
	{ "Joe (x) Doe <joe@x>", "A:joe@x;" },
	{ "joe (a) doe", "A:joe   doe;" },
	{ "\"a (b\"@x (c)", "A:\"a (b\"@x;" },
	{ "\\joe (me)", "A:joe;" },
	{ "| cat (a), /b (c), :include:/d (e), error:550 f (g",
	    "C:cat (a);F:/b (c);I:/d (e);E:550 f (g;" },
	{ "\"|cat (a\", \"/b (c\"", "C:cat (a;F:/b (c;" },
	{ "joe (a", NULL },
	{ "joe (a (b)", NULL },
	{ "joe (a\\)", NULL },
	{ "joe (\\", NULL },
	{ "(joe)", NULL },
	{ "joe, (ann)", NULL },
	{ "", NULL },
	{ " ", NULL },
	{ ",joe", NULL },
	{ "joe,,ann", NULL },
	{ "|", NULL },
	{ ":include:list", NULL },
	{ ":include:", NULL },
	{ "\"joe", NULL },
	{ "joe\nann", NULL },
	{ "\"joe\\\rann\"", NULL },
	{ "\"joe\\\nann\"@example.org", NULL },
};

static void
aliases_are_split(void **state)
{
	static const char letters[] = "ACFIE";
	struct alias alias;
	char error[128], flat[256];
	size_t i, at, len;
	uint32_t j;
	int rc;

	for (i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		error[0] = '\0';
		rc = alias_parse(aliases[i].value, strlen(aliases[i].value),
		    &alias, error, sizeof(error), &at);
		if ((rc == 0) != (aliases[i].items != NULL))
			fail_msg("`%s`: %s", aliases[i].value, error);
		if (rc == -1) {
			assert_string_not_equal(error, "");
			continue;
		}
		for (flat[0] = '\0', len = 0, j = 0; j < alias.nitems; j++)
			len += (size_t)snprintf(flat + len, sizeof(flat) - len,
			    "%c:%s;", letters[alias.items[j].kind],
			    alias.items[j].text);
		assert_string_equal(flat, aliases[i].items);
		alias_free(&alias);
	}
}

static void
a_destination_has_a_limit(void **state)
{
	struct alias alias;
	char error[128], text[1026];
	size_t at;

	memset(text, 'a', sizeof(text));
	assert_int_equal(
	    alias_parse(text, 1024, &alias, error, sizeof(error), &at), 0);
	alias_free(&alias);
	assert_int_equal(
	    alias_parse(text, 1025, &alias, error, sizeof(error), &at), -1);
}

/* protocol, label, host, port; host NULL: wrong */
static const struct {
	const char *text;
	enum url_protocol protocol;
	const char *label;
	const char *host;
	uint16_t port;
	bool is_address;
} urls[] = {
	{ "mx.example.org", URL_SMTP, "", "mx.example.org", 25, false },
	{ "mx.example.org:26", URL_SMTP, "", "mx.example.org", 26, false },
	{ "smtp://mx", URL_SMTP, "", "mx", 25, false },
	{ "SMTP+TLS://a@mx", URL_SMTP_TLS, "a", "mx", 25, false },
	{ "smtp+notls://mx", URL_SMTP_NOTLS, "", "mx", 25, false },
	{ "smtps://a@b.c@mx:466", URL_SMTPS, "a@b.c", "mx", 466, false },
	{ "smtps://mx", URL_SMTPS, "", "mx", 465, false },
	{ "lmtp://127.0.0.1:24", URL_LMTP, "", "127.0.0.1", 24, true },
	{ "smtp://[::1]", URL_SMTP, "", "::1", 25, true },
	{ "smtp://[IPv6:2001:DB8::1]:65535", URL_SMTP, "", "2001:db8::1", 65535,
	    true },
	{ "smtp://[192.0.2.1]:2525", URL_SMTP, "", "192.0.2.1", 2525, true },
	{ "", 0, NULL, NULL, 0, false },
	{ "smtp://", 0, NULL, NULL, 0, false },
	{ "smtp://:25", 0, NULL, NULL, 0, false },
	{ "http://mx", 0, NULL, NULL, 0, false },
	{ "smtps+auth://a@mx", 0, NULL, NULL, 0, false },
	{ "lmtp://mx", 0, NULL, NULL, 0, false },
	{ "mx:0", 0, NULL, NULL, 0, false },
	{ "mx:65536", 0, NULL, NULL, 0, false },
	{ "mx:25x", 0, NULL, NULL, 0, false },
	{ "mx:-1", 0, NULL, NULL, 0, false },
	{ "@mx", 0, NULL, NULL, 0, false },
	{ "a b", 0, NULL, NULL, 0, false },
	{ "a..b", 0, NULL, NULL, 0, false },
	{ ".a", 0, NULL, NULL, 0, false },
	{ "a.", 0, NULL, NULL, 0, false },
	{ "::1", 0, NULL, NULL, 0, false },
	{ "[::1", 0, NULL, NULL, 0, false },
	{ "[::1]x", 0, NULL, NULL, 0, false },
	{ "[mx]", 0, NULL, NULL, 0, false },
	{ "a/b", 0, NULL, NULL, 0, false },
};

static void
urls_are_parsed(void **state)
{
	struct url url;
	char error[256], longer[600];
	size_t i;
	int rc;

	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		error[0] = '\0';
		rc = url_parse(urls[i].text, &url, error, sizeof(error));
		if ((rc == 0) != (urls[i].host != NULL))
			fail_msg("`%s`: %s", urls[i].text, error);
		if (rc == -1) {
			assert_string_not_equal(error, "");
			continue;
		}
		assert_int_equal(url.protocol, urls[i].protocol);
		assert_string_equal(url.label, urls[i].label);
		assert_string_equal(url.host, urls[i].host);
		assert_int_equal(url.port, urls[i].port);
		assert_int_equal(url.is_address, urls[i].is_address);
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(url_parse(longer, &url, error, sizeof(error)), -1);
	longer[300] = '@';
	assert_int_equal(url_parse(longer, &url, error, sizeof(error)), -1);
}

static const struct {
	const char *text;
	enum conf_family family; /* ANY: wrong */
	int prefix;
} networks[] = {
	{ "192.0.2.1", CONF_INET4, 32 },
	{ "192.0.2.0/24", CONF_INET4, 24 },
	{ "0.0.0.0/0", CONF_INET4, 0 },
	{ "::1", CONF_INET6, 128 },
	{ "[::1]", CONF_INET6, 128 },
	{ "[IPv6:::1]", CONF_INET6, 128 },
	{ "ipv6:::1", CONF_INET6, 128 },
	{ "IPv6:2001:db8::/32", CONF_INET6, 32 },
	{ "ipv6:192.0.2.1", CONF_FAMILY_ANY, 0 },
	{ "[IPv6:192.0.2.1]", CONF_FAMILY_ANY, 0 },
	{ "ipv6:", CONF_FAMILY_ANY, 0 },
	{ "ipv6:[::1]", CONF_FAMILY_ANY, 0 },
	{ "2001:db8::/32", CONF_INET6, 32 },
	{ "[2001:db8::]/32", CONF_INET6, 32 },
	{ "192.0.2.0/33", CONF_FAMILY_ANY, 0 },
	{ "::/129", CONF_FAMILY_ANY, 0 },
	{ "192.0.2.0/", CONF_FAMILY_ANY, 0 },
	{ "192.0.2.0/+8", CONF_FAMILY_ANY, 0 },
	{ "192.0.2.0/8x", CONF_FAMILY_ANY, 0 },
	{ "192.0.2", CONF_FAMILY_ANY, 0 },
	{ "[::1", CONF_FAMILY_ANY, 0 },
	{ "[::1]x", CONF_FAMILY_ANY, 0 },
	{ "", CONF_FAMILY_ANY, 0 },
	{ "local", CONF_FAMILY_ANY, 0 },
};

static void
networks_are_parsed(void **state)
{
	struct conf_address address;
	int prefix, rc;
	size_t i;

	for (i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		rc = url_address_parse(networks[i].text, &address, &prefix);
		if ((rc == 0) != (networks[i].family != CONF_FAMILY_ANY))
			fail_msg("`%s`", networks[i].text);
		if (rc == -1)
			continue;
		assert_int_equal(address.family, networks[i].family);
		assert_int_equal(prefix, networks[i].prefix);
	}
	/* an address has no prefix */
	assert_int_equal(url_address_parse("192.0.2.0/24", &address, NULL), -1);
}

static const struct {
	enum conf_service service;
	const char *key;
	const char *value;
	bool good;
} uses[] = {
	{ CONF_SERVICE_ALIAS, "joe", "ann", true },
	{ CONF_SERVICE_ALIAS, "joe", NULL, false },
	{ CONF_SERVICE_ALIAS, "joe", "|", false },
	{ CONF_SERVICE_DOMAIN, "*.example.org", NULL, true },
	{ CONF_SERVICE_DOMAIN, "[192.0.2.1]", NULL, true },
	{ CONF_SERVICE_DOMAIN, "a b", NULL, false },
	{ CONF_SERVICE_DOMAIN, "a..b", NULL, false },
	{ CONF_SERVICE_DOMAIN, "joe@a", NULL, false },
	{ CONF_SERVICE_CREDENTIALS, "joe", "$2b$10$x", true },
	{ CONF_SERVICE_CREDENTIALS, "joe", "secret", false },
	{ CONF_SERVICE_RELAY_AUTH, "isp", "joe:secret:x", true },
	{ CONF_SERVICE_RELAY_AUTH, "isp", "joe", false },
	{ CONF_SERVICE_RELAY_AUTH, "isp", ":x", false },
	{ CONF_SERVICE_RELAY_AUTH, "isp", "x:", false },
	{ CONF_SERVICE_NETADDR, "local", NULL, true },
	{ CONF_SERVICE_NETADDR, "10.0.0.0/8", NULL, true },
	{ CONF_SERVICE_NETADDR, "ipv6:2001:db8::/32", NULL, true },
	{ CONF_SERVICE_NETADDR, "10/8", NULL, false },
	{ CONF_SERVICE_USERINFO, "joe", "1000:100:/home", true },
	{ CONF_SERVICE_USERINFO, "joe", "1000:100", false },
	{ CONF_SERVICE_USERINFO, "joe", "x:100:/home", false },
	{ CONF_SERVICE_USERINFO, "joe", "1:2:home", false },
	{ CONF_SERVICE_SOURCE, "192.0.2.1", NULL, true },
	{ CONF_SERVICE_SOURCE, "ipv6:::3", NULL, true },
	{ CONF_SERVICE_SOURCE, "192.0.2.0/24", NULL, false },
	{ CONF_SERVICE_MAILADDR, "@example.org", NULL, true },
	{ CONF_SERVICE_MAILADDR, "joe", NULL, true },
	{ CONF_SERVICE_MAILADDR, "joe@*.example.org", NULL, true },
	{ CONF_SERVICE_MAILADDR, "<>", NULL, true },
	{ CONF_SERVICE_RECIPIENTS, "<>", NULL, false },
	{ CONF_SERVICE_MAILADDR, "\"a*\"@example.org", NULL, true },
	{ CONF_SERVICE_MAILADDR, "*@example.org", NULL, false },
	{ CONF_SERVICE_RECIPIENTS, "joe*@example.org", NULL, false },
	{ CONF_SERVICE_SENDERS, "joe", "joe@a.org, *@b.org", false },
	{ CONF_SERVICE_MAILADDR, "joe smith", NULL, false },
	{ CONF_SERVICE_MAILADDR, "", NULL, false },
	{ CONF_SERVICE_ALIAS, "a", "root, joe@example.org, |cat, /a b", true },
	{ CONF_SERVICE_ALIAS, "a", "\\root, \"a b\"@example.org", true },
	{ CONF_SERVICE_ALIAS, "a", "\"error:550 no, not here\"", true },
	{ CONF_SERVICE_ALIAS, "a", "|cat %{bogus} %n", true },
	{ CONF_SERVICE_ALIAS, "a", "error:451 4.2.1 later", true },
	{ CONF_SERVICE_ALIAS, "a", "error:250 ok", false },
	{ CONF_SERVICE_ALIAS, "a", "error:foo", false },
	{ CONF_SERVICE_ALIAS, "a", "error:550", false },
	{ CONF_SERVICE_ALIAS, "a", "joe, error:550-x", false },
	{ CONF_SERVICE_ALIAS, "a", "error:5500 x", false },
	{ CONF_SERVICE_ALIAS, "a", "joe smith", false },
	{ CONF_SERVICE_ALIAS, "a", "joe@example.org (Joe, here)", true },
	{ CONF_SERVICE_ALIAS, "a", "joe) (x)", false },
	{ CONF_SERVICE_ALIAS, "a", "root, <joe@example.org>", true },
	{ CONF_SERVICE_ALIAS, "a", "root, Joe joe@example.org", false },
	{ CONF_SERVICE_ALIAS, "a", "joe@", false },
	{ CONF_SERVICE_ALIAS, "a", "@example.org", false },
	{ CONF_SERVICE_ALIAS, "a", "joe@exa(mple", false },
	{ CONF_SERVICE_ADDRNAME, "[::1]", "localhost", true },
	{ CONF_SERVICE_ADDRNAME, "mx", "localhost", false },
	{ CONF_SERVICE_ADDRNAME, "::1", "a b", false },
	{ CONF_SERVICE_SENDERS, "joe", "joe@a.org, @b.org", true },
	{ CONF_SERVICE_SENDERS, "joe", "joe@a.org,,x", false },
	{ CONF_SERVICE_RELAYHOST, "smtp://mx", NULL, true },
	{ CONF_SERVICE_RELAYHOST, "example.org", "smtp://mx", true },
	{ CONF_SERVICE_RELAYHOST, "example.org", "ftp://mx", false },
	{ CONF_SERVICE_STRING, "anything at all", NULL, true },
	{ CONF_SERVICE_STRING, "a\001", NULL, false },
	{ CONF_SERVICE_REGEX, "^a.*$", NULL, true },
	{ CONF_SERVICE_REGEX, "(?i)^a", NULL, true },
	{ CONF_SERVICE_REGEX, "(", NULL, false },
	{ CONF_SERVICE_RECIPIENTS, "@example.org", NULL, true },
	{ CONF_SERVICE_RECIPIENTS, "a b", NULL, false },
};

static void
uses_take_what_suits_them(void **state)
{
	char error[512];
	size_t i;
	int rc;

	for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		error[0] = '\0';
		rc = table_check_entry(uses[i].service, uses[i].key,
		    uses[i].value, error, sizeof(error));
		if ((rc == 0) != uses[i].good)
			fail_msg("%s: `%s`: %s",
			    table_service_name(uses[i].service), uses[i].key,
			    error);
		if (rc == -1)
			assert_string_not_equal(error, "");
	}
}

/* What could leave a door open is an error, the rest a warning. */
static void
checks_weigh_what_they_find(void **state)
{
	static const char content[] = "192.0.2.1\nnowhere\n";
	struct reports reports = { "" };
	struct table_data *table;

	table = table_parse(
	    content, strlen(content), USE(NETADDR), report, &reports);
	assert_non_null(table);
	assert_int_equal(
	    table_data_check(table, USE(NETADDR), report, &reports), 1);
	assert_string_equal(reports.text, "E2:1");
	reports.text[0] = '\0';
	assert_int_equal(
	    table_data_check(table, USE(DOMAIN), report, &reports), 0);
	assert_int_equal(table_data_check(table, USE(RELAYHOST) | USE(SENDERS),
			     report, &reports),
	    2);
	assert_string_equal(reports.text, "W1:1 W2:1");
	table_data_free(table);
}

static void
aliases_that_lead_nowhere(void **state)
{
	static const char content[] = "b: joe\na:\n # c\nc\n\"b\":\n";
	struct reports reports = { "" };
	struct table_data *table;

	table =
	    table_parse(content, strlen(content), USE(ALIAS), report, &reports);
	assert_non_null(table);
	assert_string_equal(reports.text, "");
	assert_int_equal(
	    table_data_check(table, USE(ALIAS), report, &reports), 3);
	assert_string_equal(reports.text, "W2:1 W4:1 W5:1");
	assert_null(table_data_lookup(table, "a"));
	assert_string_equal(table_data_lookup(table, "b")->value, "joe");
	table_data_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_parsed),
		cmocka_unit_test(a_nul_is_refused),
		cmocka_unit_test(keys_are_found),
		cmocka_unit_test(tables_of_the_configuration),
		cmocka_unit_test(aliases_are_split),
		cmocka_unit_test(a_destination_has_a_limit),
		cmocka_unit_test(urls_are_parsed),
		cmocka_unit_test(networks_are_parsed),
		cmocka_unit_test(uses_take_what_suits_them),
		cmocka_unit_test(checks_weigh_what_they_find),
		cmocka_unit_test(aliases_that_lead_nowhere),
	};

	return cmocka_run_group_tests_name("conf_table", tests, NULL, NULL);
}
