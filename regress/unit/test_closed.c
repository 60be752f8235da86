/*
 * common/conf/closed: which configurations are refused because they would
 * relay for strangers, and which are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/closed.h"

#define S(text)      \
	(char[])     \
	{            \
		text \
	}

static struct conf_entry star[] = { { S("*") } };
static struct conf_entry at[] = { { S("@") } };
static struct conf_entry ours[] = { { S("example.org") },
	{ S("*.example.org") } };
static struct conf_entry ours_and_star[] = { { S("example.org") }, { S("*") } };
static struct conf_entry internet[] = { { S("0.0.0.0/0") } };
static struct conf_entry internet6[] = { { S("[2000::]/3") } };
static struct conf_entry office[] = { { S("10.0.0.0/8") },
	{ S("[fc00::]/7") } };
static struct conf_entry mapped[] = { { S("::ffff:0.0.0.0/96") } };
static struct conf_entry mapped_office[] = { { S("::ffff:10.0.0.0/104") } };
static struct conf_entry sixes[] = { { S("^[0-9a-f:]+$") } };
static struct conf_entry vip[] = { { S("VIP") } };
static struct conf_entry dot_star[] = { { S(".*") } };
static struct conf_entry anchored[] = { { S("^(.*\\.)?example\\.org$") } };
static struct conf_entry user_part[] = { { S("abuse") } };
static struct conf_entry postmaster[] = { { S("postmaster@*") } };
static struct conf_entry untagged[] = { { S("MX2") }, { S("") } };
static struct conf_entry submit[] = { { S("SUBMIT") } };
static struct conf_entry dkim[] = { { S("DKIM") } };
static struct conf_entry mx[] = { { S("MX") } };
static struct conf_entry certs[] = { { S("CERTS") } };
static struct conf_entry any_certs[] = { { S("ANY-CERTS") } };
static struct conf_entry bundle[] = { { S("BUNDLE") } };
static struct conf_entry copy[] = { { S("COPY") } };
static struct conf_entry no_ca[] = { { S("NO-CA") } };

#define TABLE(n, e)                                                      \
	{                                                                \
		.name = S(n), .kind = CONF_TABLE_STATIC, .entries = (e), \
		.nentries = sizeof(e) / sizeof((e)[0])                   \
	}
static struct conf_table tables[] = {
	TABLE("star", star),
	TABLE("at", at),
	TABLE("ours", ours),
	TABLE("ours+star", ours_and_star),
	TABLE("internet", internet),
	TABLE("internet6", internet6),
	TABLE("office", office),
	TABLE("mapped", mapped),
	TABLE("mapped-office", mapped_office),
	TABLE("sixes", sixes),
	TABLE("VIP", vip),
	TABLE("dot-star", dot_star),
	TABLE("anchored", anchored),
	TABLE("user", user_part),
	TABLE("postmaster", postmaster),
	TABLE("untagged", untagged),
	TABLE("COPY", copy),
	TABLE("SUBMIT", submit),
	TABLE("DKIM", dkim),
	TABLE("MX", mx),
	TABLE("CERTS", certs),
	TABLE("ANY-CERTS", any_certs),
	TABLE("BUNDLE", bundle),
	TABLE("NO-CA", no_ca),
	{ .name = S("file"), .kind = CONF_TABLE_FILE },
};
static struct conf_action actions[] = {
	{ .name = S("relay"), .kind = CONF_ACTION_RELAY },
	{ .name = S("backup"),
	    .kind = CONF_ACTION_RELAY,
	    .relay = { .backup = true } },
	{ .name = S("mbox"), .kind = CONF_ACTION_MBOX },
	{ .name = S("filter"),
	    .kind = CONF_ACTION_LMTP,
	    .local = { .rcpt_to = true } },
	{ .name = S("lmtp"), .kind = CONF_ACTION_LMTP },
};
/* on the loopback interface, and yet others may reach the second */
static struct conf_address vips[] = {
	{ .family = CONF_INET4, .octets = { 127, 0, 0, 1 } },
	{ .family = CONF_INET4, .octets = { 203, 0, 113, 25 } },
};
static struct conf_address own_addresses[] = {
	{ .family = CONF_INET4, .octets = { 127, 0, 0, 1 } },
	{ .family = CONF_INET6, .octets = { [15] = 1 } },
};
static struct conf_listener listeners[] = {
	{ .interface = S("lo0"),
	    .tag = S("VIP"),
	    .addresses = vips,
	    .naddresses = 2 },
	{ .interface = S("localhost"),
	    .tag = S("DKIM"),
	    .addresses = own_addresses,
	    .naddresses = 2 },
	{ .interface = S("egress"),
	    .tag = S("SUBMIT"),
	    .auth = CONF_AUTH_REQUIRE },
	{ .interface = S("lo0"), .tag = S("DKIM") },
	{ .interface = S("egress"),
	    .tag = S("MX"),
	    .auth = CONF_AUTH_OPTIONAL },
	{ .interface = S("egress"),
	    .tag = S("CERTS"),
	    .tls_verify = true,
	    .ca = S("own") },
	{ .interface = S("egress"),
	    .tag = S("ANY-CERTS"),
	    .tls_verify = true,
	    .ca = S("system") },
	{ .interface = S("egress"),
	    .tag = S("BUNDLE"),
	    .tls_verify = true,
	    .ca = S("suse") },
	{ .interface = S("egress"), .tag = S("NO-CA"), .ca = S("own") },
	{ .interface = S("egress"),
	    .tag = S("COPY"),
	    .tls_verify = true,
	    .ca = S("copy") },
	{ .interface = S("egress") },
	{ .is_socket = true },
};
#define PEM(text) \
	"-----BEGIN CERTIFICATE-----\n" text "\n-----END CERTIFICATE-----\n"
static struct conf_ca cas[] = {
	/* one of the system's authorities is our own, two are unknown there */
	{ .name = S("own"),
	    .path = S("/etc/relais/ca.crt"),
	    .ca_pem = S(PEM("T1dO") PEM("QTc=") PEM("Qg==")) },
	{ .name = S(CONF_SYSTEM_CA),
	    .path = S("/etc/ssl/certs/ca-certificates.crt"),
	    .ca_pem = S(PEM("QTE=") PEM("QTI=") PEM("QTM=") PEM("QTQ=") PEM(
		"QTU=") PEM("QTY=") PEM("QTc=") PEM("QTg=") PEM("QTk=")) },
	{ .name = S("copy"),
	    .path = S("/etc/relais/bundle.crt"),
	    .ca_pem = S(PEM("QT\nE=") PEM("QTI=") PEM("QTM=") PEM("QTQ=")
		    PEM("QTU=") PEM("QTY=") PEM("QTc=") PEM("QTg=")) },
	{ .name = S("system"),
	    .path = S("/etc/ssl/certs/ca-certificates.crt") },
	{ .name = S("suse"), .path = S("/etc/ssl/ca-bundle.pem") },
};

#define C(k, ...)                             \
	{                                     \
		.kind = CONF_##k, __VA_ARGS__ \
	}
#define T(name) .table = S(name)
#define NOT .negated = true
#define RE .regex = true
#define FROM C(FROM_ANY)
#define FOR C(FOR_ANY)

struct rule {
	struct conf_condition conditions[4];
	const char *action; /* NULL: reject */
	bool open;
};

struct row {
	const char *name;
	struct rule rules[3];
	unsigned int count; /* of rules */
	unsigned int reports;
	unsigned int line; /* of the last report, counting rules from 1 */
};

#define RELAY "relay"
#define LAST                       \
	{                          \
		.kind = UINT32_MAX \
	}
#define R(...)                                      \
	{                                           \
		{ __VA_ARGS__, LAST }, RELAY, false \
	}
#define REJECT(...)                                \
	{                                          \
		{ __VA_ARGS__, LAST }, NULL, false \
	}

static const struct row rows[] = {
	{ "from any for any", { R(FROM, FOR) }, 1, 1, 1 },
	{ "backup for any", { { { FROM, FOR, LAST }, "backup", false } }, 1, 1,
	    1 },
	{ "with the word", { { { FROM, FOR, LAST }, RELAY, true } }, 1, 0, 0 },
	{ "a mailbox is no relay", { { { FROM, FOR, LAST }, "mbox", false } },
	    1, 0, 0 },
	{ "LMTP that is told the address",
	    { { { FROM, FOR, LAST }, "filter", false } }, 1, 1, 1 },
	{ "LMTP for our domains",
	    { { { FROM, C(FOR_DOMAIN, T("ours")), LAST }, "filter", false } },
	    1, 0, 0 },
	{ "LMTP that is told the user",
	    { { { FROM, FOR, LAST }, "lmtp", false } }, 1, 0, 0 },
	{ "reject", { REJECT(FROM, FOR) }, 1, 0, 0 },
	{ "from local", { R(C(FROM_LOCAL), FOR) }, 1, 0, 0 },
	{ "from socket", { R(C(FROM_SOCKET), FOR) }, 1, 0, 0 },
	{ "no from", { R(FOR) }, 1, 0, 0 },
	{ "no for", { R(FROM) }, 1, 0, 0 },
	{ "!from local", { R(C(FROM_LOCAL, NOT), FOR) }, 1, 1, 1 },
	{ "!from any", { R(C(FROM_ANY, NOT), FOR) }, 1, 0, 0 },
	{ "from auth", { R(C(FROM_AUTH), FOR) }, 1, 0, 0 },
	{ "!from auth", { R(C(FROM_AUTH, NOT), FOR) }, 1, 1, 1 },
	{ "auth", { R(FROM, FOR, C(IF_AUTH)) }, 1, 0, 0 },
	{ "!auth", { R(FROM, FOR, C(IF_AUTH, NOT)) }, 1, 1, 1 },
	{ "!auth user", { R(FROM, FOR, C(IF_AUTH, NOT, T("ours"))) }, 1, 1, 1 },
	{ "from src office", { R(C(FROM_SRC, T("office")), FOR) }, 1, 0, 0 },
	{ "from src internet", { R(C(FROM_SRC, T("internet")), FOR) }, 1, 1,
	    1 },
	{ "from src internet 6", { R(C(FROM_SRC, T("internet6")), FOR) }, 1, 1,
	    1 },
	{ "from src all of IPv4, mapped", { R(C(FROM_SRC, T("mapped")), FOR) },
	    1, 1, 1 },
	{ "from src office, mapped",
	    { R(C(FROM_SRC, T("mapped-office")), FOR) }, 1, 0, 0 },
	{ "from src regex of all of IPv6",
	    { R(C(FROM_SRC, RE, T("sixes")), FOR) }, 1, 1, 1 },
	{ "!from src", { R(C(FROM_SRC, NOT, T("office")), FOR) }, 1, 1, 1 },
	{ "from src regex", { R(C(FROM_SRC, RE, T("dot-star")), FOR) }, 1, 1,
	    1 },
	{ "from src file", { R(C(FROM_SRC, T("file")), FOR) }, 1, 0, 0 },
	{ "from rdns", { R(C(FROM_RDNS), FOR) }, 1, 1, 1 },
	{ "from rdns ours", { R(C(FROM_RDNS, T("ours")), FOR) }, 1, 0, 0 },
	{ "from rdns star", { R(C(FROM_RDNS, T("star")), FOR) }, 1, 1, 1 },
	{ "from mail-from", { R(C(FROM_MAIL_FROM, T("ours")), FOR) }, 1, 1, 1 },
	{ "mail-from", { R(FROM, FOR, C(IF_MAIL_FROM, T("ours"))) }, 1, 1, 1 },
	{ "helo", { R(FROM, FOR, C(IF_HELO, T("ours"))) }, 1, 1, 1 },
	{ "tls", { R(FROM, FOR, C(IF_TLS)) }, 1, 1, 1 },
	{ "for domain", { R(FROM, C(FOR_DOMAIN, T("ours"))) }, 1, 0, 0 },
	{ "for domain star", { R(FROM, C(FOR_DOMAIN, T("star"))) }, 1, 1, 1 },
	{ "for domain ours and star",
	    { R(FROM, C(FOR_DOMAIN, T("ours+star"))) }, 1, 1, 1 },
	{ "!for domain", { R(FROM, C(FOR_DOMAIN, NOT, T("ours"))) }, 1, 1, 1 },
	{ "!for local", { R(FROM, C(FOR_LOCAL, NOT)) }, 1, 1, 1 },
	{ "for domain file", { R(FROM, C(FOR_DOMAIN, T("file"))) }, 1, 0, 0 },
	{ "for domain regex", { R(FROM, C(FOR_DOMAIN, RE, T("anchored"))) }, 1,
	    0, 0 },
	{ "for domain regex all", { R(FROM, C(FOR_DOMAIN, RE, T("dot-star"))) },
	    1, 1, 1 },
	{ "for rcpt-to @", { R(FROM, C(FOR_RCPT_TO, T("at"))) }, 1, 1, 1 },
	{ "for rcpt-to user part anywhere",
	    { R(FROM, C(FOR_RCPT_TO, T("postmaster"))) }, 1, 1, 1 },
	{ "for rcpt-to user part", { R(FROM, C(FOR_RCPT_TO, T("user"))) }, 1, 1,
	    1 },
	{ "user part in a domain",
	    { R(FROM, C(FOR_DOMAIN, T("ours")), C(IF_RCPT_TO, T("user"))) }, 1,
	    0, 0 },
	{ "for rcpt-to regex", { R(FROM, C(FOR_RCPT_TO, RE, T("dot-star"))) },
	    1, 1, 1 },
	{ "tag of submission", { R(FROM, FOR, C(IF_TAG, T("SUBMIT"))) }, 1, 0,
	    0 },
	{ "tag of loopback", { R(FROM, FOR, C(IF_TAG, T("DKIM"))) }, 1, 0, 0 },
	{ "tag of loopback with an address of others",
	    { R(FROM, FOR, C(IF_TAG, T("VIP"))) }, 1, 1, 1 },
	{ "tag of the MX", { R(FROM, FOR, C(IF_TAG, T("MX"))) }, 1, 1, 1 },
	{ "tag of certificates", { R(FROM, FOR, C(IF_TAG, T("CERTS"))) }, 1, 0,
	    0 },
	{ "tag of anybody's certificates",
	    { R(FROM, FOR, C(IF_TAG, T("ANY-CERTS"))) }, 1, 1, 1 },
	{ "tag of what a bundle elsewhere signs",
	    { R(FROM, FOR, C(IF_TAG, T("BUNDLE"))) }, 1, 1, 1 },
	{ "tag where none is demanded", { R(FROM, FOR, C(IF_TAG, T("NO-CA"))) },
	    1, 1, 1 },
	{ "tag of a copy of the system's authorities",
	    { R(FROM, FOR, C(IF_TAG, T("COPY"))) }, 1, 1, 1 },
	{ "tag of listeners without one",
	    { R(FROM, FOR, C(IF_TAG, T("untagged"))) }, 1, 1, 1 },
	{ "!tag", { R(FROM, FOR, C(IF_TAG, NOT, T("MX"))) }, 1, 1, 1 },
	/* rules ahead */
	{ "strangers rejected ahead",
	    { REJECT(FROM, FOR, C(IF_AUTH, NOT)), R(FROM, FOR) }, 2, 0, 0 },
	{ "others' domains rejected ahead",
	    { REJECT(FROM, C(FOR_DOMAIN, NOT, T("ours"))), R(FROM, FOR) }, 2, 0,
	    0 },
	{ "some rejected ahead",
	    { REJECT(FROM, C(FOR_DOMAIN, T("ours"))), R(FROM, FOR) }, 2, 1, 2 },
	{ "nobody rejected ahead",
	    { REJECT(FROM, C(FOR_DOMAIN, NOT, T("star"))), R(FROM, FOR) }, 2, 1,
	    2 },
	{ "helo rejected ahead",
	    { REJECT(FROM, FOR, C(IF_HELO, T("ours"))), R(FROM, FOR) }, 2, 1,
	    2 },
	{ "rejected behind", { R(FROM, FOR), REJECT(FROM, FOR) }, 2, 1, 1 },
	{ "two open rules, the second unreachable",
	    { R(FROM, FOR), R(FROM, FOR) }, 2, 1, 1 },
	{ "two open rules", { R(FROM, FOR, C(IF_TLS)), R(FROM, FOR) }, 2, 2,
	    2 },
};

struct seen {
	unsigned int line;
};

static void
report(void *arg, const struct conf_where *where, const char *what)
{
	((struct seen *)arg)->line = where->line;
	assert_non_null(what);
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct conf_match m[3] = { 0 };
		struct seen seen = { 0 };
		struct conf conf = { .tables = tables,
			.ntables = sizeof(tables) / sizeof(tables[0]),
			.actions = actions,
			.nactions = sizeof(actions) / sizeof(actions[0]),
			.listeners = listeners,
			.nlisteners = sizeof(listeners) / sizeof(listeners[0]),
			.cas = cas,
			.ncas = sizeof(cas) / sizeof(cas[0]),
			.matches = m,
			.nmatches = r->count };
		unsigned int n;

		for (unsigned int k = 0; k < r->count; k++) {
			const struct rule *rule = &r->rules[k];

			m[k].where.line = k + 1;
			m[k].conditions =
			    (struct conf_condition *)rule->conditions;
			while (rule->conditions[m[k].nconditions].kind !=
			    UINT32_MAX)
				m[k].nconditions++;
			m[k].reject = rule->action == NULL;
			m[k].action = (char *)rule->action;
			m[k].open_relay = rule->open;
		}
		n = conf_check_closed(&conf, report, &seen);
		if (n != r->reports || seen.line != r->line)
			fail_msg(
			    "%s: %u reports, line %u", r->name, n, seen.line);
	}
}

/* For whom a rule takes mail: sources that it names, or strangers too. */
static const struct {
	struct conf_condition conditions[2];
	bool named;
} sources[] = {
	{ { FROM, FOR }, false },
	{ { C(FROM_ANY, NOT), FOR }, false },
	{ { C(FOR_ANY) }, true },
	{ { C(FROM_LOCAL), FOR }, true },
	{ { C(FROM_LOCAL, NOT), FOR }, false },
	{ { C(FROM_SOCKET), FOR }, true },
	{ { C(FROM_AUTH), FOR }, true },
	{ { FROM, C(IF_AUTH) }, true },
	{ { FROM, C(IF_AUTH, NOT) }, false },
	{ { C(FROM_SRC, T("office")), FOR }, true },
	{ { C(FROM_SRC, T("file")), FOR }, true },
	{ { C(FROM_SRC, T("office"), NOT), FOR }, false },
	{ { C(FROM_SRC, T("internet")), FOR }, false },
	{ { C(FROM_RDNS), FOR }, false },
	{ { C(FROM_RDNS, T("ours")), FOR }, true },
	{ { C(FROM_MAIL_FROM, T("ours")), FOR }, false },
	{ { FROM, C(FOR_DOMAIN, T("ours")) }, false },
	{ { FROM, C(IF_MAIL_FROM, T("ours")) }, false },
	{ { FROM, C(IF_HELO, T("ours")) }, false },
	{ { FROM, C(IF_TAG, T("SUBMIT")) }, true },
	{ { FROM, C(IF_TAG, T("MX")) }, false },
};

static void
test_sources(void **state)
{
	struct conf conf = { .tables = tables,
		.ntables = sizeof(tables) / sizeof(tables[0]),
		.listeners = listeners,
		.nlisteners = sizeof(listeners) / sizeof(listeners[0]) };

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct conf_match m = {
			.conditions =
			    (struct conf_condition *)sources[i].conditions,
			.nconditions = i == 2 ? 1 : 2
		};

		conf.matches = &m;
		conf.nmatches = 1;
		conf_mark_sources(&conf);
		if (m.names_source != sources[i].named)
			fail_msg("case %zu", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests_list[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sources),
	};

	return cmocka_run_group_tests(tests_list, NULL, NULL);
}
