/*
 * auth/policy: each option of `match`, negated and not, over sessions of each
 * kind; order, defaults, and what comes of a table that cannot answer. The
 * tables are real ones (auth/tables).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/policy.h"
#include "auth/tables.h"

/* ---- tables ---- */

#define S(text)      \
	(char[])     \
	{            \
		text \
	}

static struct conf_entry domains[] = { { S("example.org") },
	{ S("*.wild.org") }, { S("UPPER.example") } };
static struct conf_entry nets[] = { { S("192.0.2.0/24") },
	{ S("[2001:db8::]/32") }, { S("203.0.113.7") } };
static struct conf_entry everywhere[] = { { S("0.0.0.0/0") } };
static struct conf_entry users[] = { { S("joe") }, { S("ann@example.org") },
	{ S("@corp.example") } };
static struct conf_entry addresses[] = { { S("joe@example.org") },
	{ S("@corp.example") }, { S("abuse") }, { S("list@*.wild.org") },
	{ S("tag+one@example.org") } };
static struct conf_entry tags[] = { { S("SUBMIT") } };
static struct conf_entry at[] = { { S("@") } };
static struct conf_entry null_sender[] = { { S("<>") } };
static struct conf_entry null_regex[] = { { S("^@$") } };
static struct conf_entry with_domain[] = { { S("@*") } };
static struct conf_entry expressions[] = {
	{ S("^mail[0-9]+\\.example\\.org$") }, { S("^a.*@corp\\.example$") },
	{ S("^10\\.1\\.") }, { S("^SUB") }
};

#define TABLE(n, e, u)                                                   \
	{                                                                \
		.name = S(n), .kind = CONF_TABLE_STATIC, .entries = (e), \
		.nentries = sizeof(e) / sizeof((e)[0]), .uses = (u)      \
	}

static struct conf_table table_list[] = {
	TABLE("domains", domains, 1 << CONF_SERVICE_DOMAIN),
	TABLE("nets", nets, 1 << CONF_SERVICE_NETADDR),
	TABLE("everywhere", everywhere, 1 << CONF_SERVICE_NETADDR),
	TABLE("users", users, 1 << CONF_SERVICE_STRING),
	TABLE("addresses", addresses, 1 << CONF_SERVICE_MAILADDR),
	TABLE("tags", tags, 1 << CONF_SERVICE_STRING),
	TABLE("at", at, 1 << CONF_SERVICE_MAILADDR),
	TABLE("null", null_sender, 1 << CONF_SERVICE_MAILADDR),
	TABLE("with-domain", with_domain, 1 << CONF_SERVICE_MAILADDR),
	TABLE("null-regex", null_regex, 1 << CONF_SERVICE_REGEX),
	TABLE("regex", expressions, 1 << CONF_SERVICE_REGEX),
};

static struct tables *tables;

static enum policy_answer
lookup(void *arg, const char *table, enum conf_service service, const char *key,
    const char **value)
{
	if (strcmp(table, "pending") == 0)
		return POLICY_PENDING;
	switch (tables_lookup(arg, table, service, key, value)) {
	case LOOKUP_FOUND:
		return POLICY_YES;
	case LOOKUP_NONE:
		return POLICY_NO;
	default:
		return POLICY_ERROR;
	}
}

/* ---- sessions ---- */

/* What a session leaves out is that of a plain remote client. */
static const struct policy_facts plain = { .tag = "",
	.client_addr = "198.51.100.9",
	.client_name = "mx.other.example",
	.helo = "mx.other.example",
	.auth_user = "",
	.sender = "bob@other.example",
	.recipient = "joe@example.org" };

static const struct policy_facts remote = { .flags = 0 };

#define FACTS(name, ...) static const struct policy_facts name = { __VA_ARGS__ }
#define TO(name, a) FACTS(name, .recipient = a)
#define LOGIN(name, user) FACTS(name, .auth_user = user, .flags = SESSION_AUTH)
#define NAMED(name, c, f) FACTS(name, .client_name = c, .flags = SESSION_##f)
#define AT(name, a, f) FACTS(name, .client_addr = a, .flags = SESSION_##f)

TO(to_far, "x@far.example");
TO(to_host, "joe@mx.relais.example");
TO(to_own, "joe@Web1.relais.example");
TO(to_label, "joe@web1");
TO(to_localhost, "joe@LOCALHOST");
TO(to_localdomain, "joe@localhost.LocalDomain");
TO(to_no_localdomain, "joe@x.localdomain");
TO(to_bare, "postmaster");
TO(to_sub, "joe@a.wild.org");
TO(to_deep, "joe@a.b.wild.org");
TO(to_top, "joe@wild.org");
TO(to_upper, "joe@upper.EXAMPLE");
TO(to_tagged, "joe+news@example.org");
TO(to_one, "tag+one@example.org");
TO(to_two, "tag+two@example.org");
TO(to_abuse, "abuse@anything.example");
TO(to_list, "list@a.wild.org");
TO(to_percent, "x%far.example@example.org");
TO(to_quoted, "\"x@example.org\"@far.example");
TO(to_literal, "joe@[127.0.0.1]");
TO(to_mail7, "x@mail7.example.org");
FACTS(lo4, .client_addr = "127.0.0.1");
FACTS(lo6, .client_addr = "::1");
FACTS(lo_mapped, .client_addr = "::ffff:127.0.0.1");
FACTS(own_before, .client_addr = "10.9.8.7");
AT(sock, "", LOCAL);
AT(sock2, "", SOCKET);
AT(own, "10.9.8.7", INSIDE);
FACTS(net4, .client_addr = "192.0.2.200");
FACTS(net6, .client_addr = "2001:db8:1::9");
FACTS(net_one, .client_addr = "203.0.113.7");
FACTS(net10, .client_addr = "10.1.2.3");
FACTS(far6, .client_addr = "2001:dead::1");
FACTS(bad_addr, .client_addr = "127.0.0.1;127.0.0.1");
NAMED(named, "example.org", FCRDNS);
NAMED(named7, "mail7.example.org", FCRDNS);
FACTS(forged_name, .client_name = "example.org");
FACTS(nameless, .client_name = "<unknown>");
/* the DNS tells nothing, or only a name without its confirmation */
NAMED(open_name, "", NAME_OPEN);
NAMED(open_named, "example.org", NAME_OPEN);
static const struct policy_facts open_other = { .flags = SESSION_NAME_OPEN };
static const struct policy_facts open_far = { .client_name = "",
	.recipient = "x@far.example",
	.flags = SESSION_NAME_OPEN };
static const struct policy_facts open_internal = {
	.internal = 1, .client_name = "", .flags = SESSION_NAME_OPEN
};
LOGIN(authed, "joe");
LOGIN(authed_big, "JOE");
LOGIN(authed_ann, "ann@example.org");
LOGIN(authed_tag, "ann+x@example.org");
LOGIN(authed_corp, "bob@corp.example");
LOGIN(authed_other, "joe@far.example");
LOGIN(authed_eve, "eve");
static const struct policy_facts name_only = { .auth_user = "joe" };
static const struct policy_facts over_tls = { .flags = SESSION_TLS };
static const struct policy_facts tagged = { .tag = "submit" };
static const struct policy_facts helo_in = { .helo = "example.org" };
static const struct policy_facts sender_joe = { .sender = "joe@example.org" };
static const struct policy_facts sender_corp = { .sender = "amy@corp.example" };
static const struct policy_facts sender_null = { .sender = "" };
static const struct policy_facts internal = { .internal = 1 };
static const struct policy_facts internal_named = {
	.internal = 1, .client_name = "example.org", .flags = SESSION_FCRDNS
};
FACTS(inject_addr, .recipient = "|cmd;$(x)`y`%n@example.org");
LOGIN(inject_ldap, "*)(uid=*");
LOGIN(inject_sql, "' OR 1=1 --");
LOGIN(inject_line, "eve\njoe");
static const struct policy_facts inject_star = { .recipient = "joe@*",
	.helo = "*" };

static const struct policy_facts lo_to_host = { .client_addr = "127.0.0.1",
	.recipient = "joe@mx.relais.example" };
static const struct policy_facts internal_authed = {
	.internal = 1, .flags = SESSION_AUTH, .auth_user = "joe"
};
static const struct policy_facts authed_far = {
	.recipient = "x@far.example", .flags = SESSION_AUTH, .auth_user = "joe"
};

/* ---- rows ---- */

#define C(k, ...)                             \
	{                                     \
		.kind = CONF_##k, __VA_ARGS__ \
	}
#define T(name) .table = S(name)
#define NOT .negated = true
#define RE .regex = true

/* One rule with the action "a"; conditions end with the first unused one. */
struct row {
	const char *name;
	struct conf_condition conditions[4];
	uint32_t count;
	const struct policy_facts *facts;
	enum policy_kind kind;
};

#define ONE(name, c1, f, k)           \
	{                             \
		name, { c1 }, 1, f, k \
	}
#define TWO(name, c1, c2, f, k)           \
	{                                 \
		name, { c1, c2 }, 2, f, k \
	}
#define ALSO(name, c, f, k)                                   \
	{                                                     \
		name, { C(FROM_ANY), C(FOR_ANY), c }, 3, f, k \
	}
#define YES POLICY_ACTION
#define NO POLICY_NO_RULE

static const struct row rows[] = {
	/* defaults: from local, for local */
	{ "empty, remote", { { 0 } }, 0, &to_host, NO },
	{ "empty, loopback elsewhere", { { 0 } }, 0, &lo4, NO },
	{ "empty, loopback to us", { { 0 } }, 0, &lo_to_host, YES },
	ONE("implied for, host name", C(FROM_ANY), &to_host, YES),
	ONE("implied for, localhost", C(FROM_ANY), &to_localhost, YES),
	ONE("implied for, its long name", C(FROM_ANY), &to_localdomain, YES),
	ONE("implied for, like it", C(FROM_ANY), &to_no_localdomain, NO),
	ONE("implied for, no domain", C(FROM_ANY), &to_bare, YES),
	ONE("implied for, other", C(FROM_ANY), &remote, NO),
	ONE("implied for, literal", C(FROM_ANY), &to_literal, NO),
	ONE("implied from, remote", C(FOR_ANY), &remote, NO),
	ONE("implied from, loopback", C(FOR_ANY), &lo4, YES),
	ONE("implied from, loopback 6", C(FOR_ANY), &lo6, YES),
	ONE("implied from, mapped", C(FOR_ANY), &lo_mapped, YES),
	ONE("implied from, own address", C(FOR_ANY), &own, YES),
	ONE("implied from, an address that may have been ours", C(FOR_ANY),
	    &own_before, NO),
	ONE("implied from, socket", C(FOR_ANY), &sock, YES),
	ONE("implied from, listening socket", C(FOR_ANY), &sock2, YES),
	ONE("implied from, alias", C(FOR_ANY), &internal, YES),
	ONE("implied from, not an address", C(FOR_ANY), &bad_addr, NO),
	ONE("implied from, login is not local", C(FOR_ANY), &authed, NO),
	/* from */
	TWO("from any", C(FROM_ANY), C(FOR_ANY), &remote, YES),
	TWO("!from any", C(FROM_ANY, NOT), C(FOR_ANY), &remote, NO),
	TWO("from local", C(FROM_LOCAL), C(FOR_ANY), &lo4, YES),
	TWO("from local, remote", C(FROM_LOCAL), C(FOR_ANY), &remote, NO),
	TWO("!from local", C(FROM_LOCAL, NOT), C(FOR_ANY), &remote, YES),
	TWO("!from local, loopback", C(FROM_LOCAL, NOT), C(FOR_ANY), &lo4, NO),
	TWO("from socket", C(FROM_SOCKET), C(FOR_ANY), &sock, YES),
	TWO("from socket, loopback", C(FROM_SOCKET), C(FOR_ANY), &lo4, NO),
	TWO("!from socket, loopback", C(FROM_SOCKET, NOT), C(FOR_ANY), &lo4,
	    YES),
	TWO("!from socket, socket", C(FROM_SOCKET, NOT), C(FOR_ANY), &sock, NO),
	TWO("from socket, alias", C(FROM_SOCKET), C(FOR_ANY), &internal, NO),
	TWO("!from socket, alias", C(FROM_SOCKET, NOT), C(FOR_ANY), &internal,
	    NO),
	TWO("from src", C(FROM_SRC, T("nets")), C(FOR_ANY), &net4, YES),
	TWO("from src 6", C(FROM_SRC, T("nets")), C(FOR_ANY), &net6, YES),
	TWO("from src host", C(FROM_SRC, T("nets")), C(FOR_ANY), &net_one, YES),
	TWO("from src other", C(FROM_SRC, T("nets")), C(FOR_ANY), &remote, NO),
	TWO("!from src", C(FROM_SRC, NOT, T("nets")), C(FOR_ANY), &remote, YES),
	TWO("!from src inside", C(FROM_SRC, NOT, T("nets")), C(FOR_ANY), &net4,
	    NO),
	TWO("from src all of 4", C(FROM_SRC, T("everywhere")), C(FOR_ANY),
	    &remote, YES),
	TWO("from src all of 4, a 6", C(FROM_SRC, T("everywhere")), C(FOR_ANY),
	    &far6, NO),
	TWO("from src, alias", C(FROM_SRC, T("everywhere")), C(FOR_ANY),
	    &internal, NO),
	TWO("from src, socket", C(FROM_SRC, T("everywhere")), C(FOR_ANY), &sock,
	    NO),
	TWO("from src regex", C(FROM_SRC, RE, T("regex")), C(FOR_ANY), &net10,
	    YES),
	TWO("from src regex other", C(FROM_SRC, RE, T("regex")), C(FOR_ANY),
	    &remote, NO),
	TWO("from rdns", C(FROM_RDNS), C(FOR_ANY), &remote, YES),
	TWO("from rdns, none", C(FROM_RDNS), C(FOR_ANY), &nameless, NO),
	TWO("!from rdns, none", C(FROM_RDNS, NOT), C(FOR_ANY), &nameless, YES),
	TWO("!from rdns, named", C(FROM_RDNS, NOT), C(FOR_ANY), &remote, NO),
	TWO("from rdns table", C(FROM_RDNS, T("domains")), C(FOR_ANY), &named,
	    YES),
	TWO("from rdns table, unconfirmed", C(FROM_RDNS, T("domains")),
	    C(FOR_ANY), &forged_name, NO),
	TWO("!from rdns table, none", C(FROM_RDNS, NOT, T("domains")),
	    C(FOR_ANY), &nameless, NO),
	TWO("!from rdns table, other", C(FROM_RDNS, NOT, T("domains")),
	    C(FOR_ANY), &named7, YES),
	TWO("from rdns regex", C(FROM_RDNS, RE, T("regex")), C(FOR_ANY),
	    &named7, YES),
	TWO("from rdns, alias", C(FROM_RDNS, T("domains")), C(FOR_ANY),
	    &internal_named, NO),
	TWO("from rdns, open", C(FROM_RDNS), C(FOR_ANY), &open_name,
	    POLICY_TEMPFAIL),
	TWO("!from rdns, open", C(FROM_RDNS, NOT), C(FOR_ANY), &open_name,
	    POLICY_TEMPFAIL),
	TWO("from rdns table, open", C(FROM_RDNS, T("domains")), C(FOR_ANY),
	    &open_name, POLICY_TEMPFAIL),
	TWO("!from rdns table, open", C(FROM_RDNS, NOT, T("domains")),
	    C(FOR_ANY), &open_name, POLICY_TEMPFAIL),
	TWO("from rdns, open alias", C(FROM_RDNS), C(FOR_ANY), &open_internal,
	    NO),
	TWO("from rdns, confirmation open", C(FROM_RDNS), C(FOR_ANY),
	    &open_named, YES),
	TWO("!from rdns, confirmation open", C(FROM_RDNS, NOT), C(FOR_ANY),
	    &open_named, NO),
	TWO("from rdns table, confirmation open", C(FROM_RDNS, T("domains")),
	    C(FOR_ANY), &open_named, POLICY_TEMPFAIL),
	TWO("from rdns table, other, confirmation open",
	    C(FROM_RDNS, T("domains")), C(FOR_ANY), &open_other, NO),
	TWO("!from rdns table, confirmation open",
	    C(FROM_RDNS, NOT, T("domains")), C(FOR_ANY), &open_named, NO),
	TWO("!from rdns table, other, confirmation open",
	    C(FROM_RDNS, NOT, T("domains")), C(FOR_ANY), &open_other,
	    POLICY_TEMPFAIL),
	TWO("from rdns, open, for another", C(FROM_RDNS),
	    C(FOR_DOMAIN, T("domains")), &open_far, NO),
	TWO("from any, open", C(FROM_ANY), C(FOR_ANY), &open_name, YES),
	TWO("from auth", C(FROM_AUTH), C(FOR_ANY), &authed, YES),
	TWO("from auth, none", C(FROM_AUTH), C(FOR_ANY), &remote, NO),
	TWO("from auth, name without login", C(FROM_AUTH), C(FOR_ANY),
	    &name_only, NO),
	TWO("from auth, local is not enough", C(FROM_AUTH), C(FOR_ANY), &lo4,
	    NO),
	TWO("!from auth", C(FROM_AUTH, NOT), C(FOR_ANY), &remote, YES),
	TWO("!from auth, login", C(FROM_AUTH, NOT), C(FOR_ANY), &authed, NO),
	TWO("from auth user", C(FROM_AUTH, T("users")), C(FOR_ANY), &authed,
	    YES),
	TWO("from auth user, case", C(FROM_AUTH, T("users")), C(FOR_ANY),
	    &authed_big, YES),
	TWO("from auth user, address", C(FROM_AUTH, T("users")), C(FOR_ANY),
	    &authed_ann, YES),
	TWO("from auth user, tag", C(FROM_AUTH, T("users")), C(FOR_ANY),
	    &authed_tag, NO),
	TWO("from auth user, domain", C(FROM_AUTH, T("users")), C(FOR_ANY),
	    &authed_corp, YES),
	TWO("from auth user, same name", C(FROM_AUTH, T("users")), C(FOR_ANY),
	    &authed_other, NO),
	TWO("from auth user, other", C(FROM_AUTH, T("users")), C(FOR_ANY),
	    &authed_eve, NO),
	TWO("!from auth user, other", C(FROM_AUTH, NOT, T("users")), C(FOR_ANY),
	    &authed_eve, YES),
	TWO("from auth user, name only", C(FROM_AUTH, T("users")), C(FOR_ANY),
	    &name_only, NO),
	TWO("from mail-from", C(FROM_MAIL_FROM, T("addresses")), C(FOR_ANY),
	    &sender_joe, YES),
	TWO("from mail-from, other", C(FROM_MAIL_FROM, T("addresses")),
	    C(FOR_ANY), &remote, NO),
	TWO("!from mail-from, other", C(FROM_MAIL_FROM, NOT, T("addresses")),
	    C(FOR_ANY), &remote, YES),
	/* for */
	TWO("!for any", C(FROM_ANY), C(FOR_ANY, NOT), &remote, NO),
	TWO("!for local", C(FROM_ANY), C(FOR_LOCAL, NOT), &remote, YES),
	TWO("!for local, local", C(FROM_ANY), C(FOR_LOCAL, NOT), &to_host, NO),
	TWO("own name", C(FROM_ANY), C(FOR_LOCAL), &to_own, YES),
	TWO("its first label", C(FROM_ANY), C(FOR_LOCAL), &to_label, YES),
	TWO("for domain", C(FROM_ANY), C(FOR_DOMAIN, T("domains")), &remote,
	    YES),
	TWO("for domain, other", C(FROM_ANY), C(FOR_DOMAIN, T("domains")),
	    &to_far, NO),
	TWO("!for domain, other", C(FROM_ANY), C(FOR_DOMAIN, NOT, T("domains")),
	    &to_far, YES),
	TWO("for domain, case", C(FROM_ANY), C(FOR_DOMAIN, T("domains")),
	    &to_upper, YES),
	TWO("for domain, wildcard", C(FROM_ANY), C(FOR_DOMAIN, T("domains")),
	    &to_sub, YES),
	TWO("for domain, two labels", C(FROM_ANY), C(FOR_DOMAIN, T("domains")),
	    &to_deep, NO),
	TWO("for domain, wildcard's parent", C(FROM_ANY),
	    C(FOR_DOMAIN, T("domains")), &to_top, NO),
	TWO("for domain, percent is no route", C(FROM_ANY),
	    C(FOR_DOMAIN, T("domains")), &to_percent, YES),
	TWO("for domain, quoted @", C(FROM_ANY), C(FOR_DOMAIN, T("domains")),
	    &to_quoted, NO),
	TWO("for domain, a star sent", C(FROM_ANY), C(FOR_DOMAIN, T("domains")),
	    &inject_star, NO),
	TWO("for domain regex", C(FROM_ANY), C(FOR_DOMAIN, RE, T("regex")),
	    &to_mail7, YES),
	TWO("for domain regex, other", C(FROM_ANY),
	    C(FOR_DOMAIN, RE, T("regex")), &to_far, NO),
	TWO("for rcpt-to", C(FROM_ANY), C(FOR_RCPT_TO, T("addresses")), &remote,
	    YES),
	TWO("for rcpt-to, tag ignored", C(FROM_ANY),
	    C(FOR_RCPT_TO, T("addresses")), &to_tagged, YES),
	TWO("for rcpt-to, tag in table", C(FROM_ANY),
	    C(FOR_RCPT_TO, T("addresses")), &to_one, YES),
	TWO("for rcpt-to, other tag", C(FROM_ANY),
	    C(FOR_RCPT_TO, T("addresses")), &to_two, NO),
	TWO("for rcpt-to, user part", C(FROM_ANY),
	    C(FOR_RCPT_TO, T("addresses")), &to_abuse, YES),
	TWO("for rcpt-to, wildcard", C(FROM_ANY),
	    C(FOR_RCPT_TO, T("addresses")), &to_list, YES),
	TWO("!for rcpt-to", C(FROM_ANY), C(FOR_RCPT_TO, NOT, T("addresses")),
	    &to_far, YES),
	TWO("for rcpt-to, catch-all", C(FROM_ANY), C(FOR_RCPT_TO, T("at")),
	    &to_far, YES),
	TWO("for rcpt-to, shell words", C(FROM_ANY),
	    C(FOR_RCPT_TO, T("addresses")), &inject_addr, NO),
	/* options of the transaction */
	ALSO("tag", C(IF_TAG, T("tags")), &tagged, YES),
	ALSO("tag, none", C(IF_TAG, T("tags")), &remote, NO),
	ALSO("!tag, none", C(IF_TAG, NOT, T("tags")), &remote, YES),
	ALSO("tag regex", C(IF_TAG, RE, T("regex")), &tagged, YES),
	ALSO("helo", C(IF_HELO, T("domains")), &helo_in, YES),
	ALSO("helo, other", C(IF_HELO, T("domains")), &remote, NO),
	ALSO("!helo, other", C(IF_HELO, NOT, T("domains")), &remote, YES),
	ALSO("helo, a star sent", C(IF_HELO, T("domains")), &inject_star, NO),
	ALSO("auth", C(IF_AUTH), &authed, YES),
	ALSO("auth, none", C(IF_AUTH), &remote, NO),
	ALSO("auth, alias", C(IF_AUTH), &internal_authed, NO),
	ALSO("!auth", C(IF_AUTH, NOT), &remote, YES),
	ALSO("auth user", C(IF_AUTH, T("users")), &authed, YES),
	ALSO("auth user, same name", C(IF_AUTH, T("users")), &authed_other, NO),
	ALSO("auth user, other", C(IF_AUTH, T("users")), &authed_eve, NO),
	ALSO("auth user, ldap words", C(IF_AUTH, T("users")), &inject_ldap, NO),
	ALSO("auth user, sql words", C(IF_AUTH, T("users")), &inject_sql, NO),
	ALSO("auth user, two lines", C(IF_AUTH, T("users")), &inject_line, NO),
	ALSO("tls", C(IF_TLS), &over_tls, YES),
	ALSO("tls, plain", C(IF_TLS), &remote, NO),
	ALSO("!tls, plain", C(IF_TLS, NOT), &remote, YES),
	ALSO("mail-from", C(IF_MAIL_FROM, T("addresses")), &sender_joe, YES),
	ALSO("mail-from, domain", C(IF_MAIL_FROM, T("addresses")), &sender_corp,
	    YES),
	ALSO("mail-from, null", C(IF_MAIL_FROM, T("addresses")), &sender_null,
	    NO),
	ALSO("mail-from @, null", C(IF_MAIL_FROM, T("at")), &sender_null, YES),
	ALSO("mail-from <>, null", C(IF_MAIL_FROM, T("null")), &sender_null,
	    YES),
	ALSO("mail-from <>, another", C(IF_MAIL_FROM, T("null")), &sender_joe,
	    NO),
	ALSO("mail-from @*, null", C(IF_MAIL_FROM, T("with-domain")),
	    &sender_null, NO),
	ALSO("mail-from @*, another", C(IF_MAIL_FROM, T("with-domain")),
	    &sender_joe, YES),
	ALSO("mail-from regex, null", C(IF_MAIL_FROM, RE, T("null-regex")),
	    &sender_null, YES),
	ALSO("mail-from regex", C(IF_MAIL_FROM, RE, T("regex")), &sender_corp,
	    YES),
	ALSO("!mail-from", C(IF_MAIL_FROM, NOT, T("addresses")), &remote, YES),
	ALSO("rcpt-to", C(IF_RCPT_TO, T("addresses")), &remote, YES),
	ALSO("!rcpt-to", C(IF_RCPT_TO, NOT, T("addresses")), &remote, NO),
	/* tables that cannot answer */
	TWO("no such table", C(FROM_ANY), C(FOR_DOMAIN, T("missing")), &remote,
	    POLICY_TEMPFAIL),
	TWO("no such table, negated", C(FROM_ANY),
	    C(FOR_DOMAIN, NOT, T("missing")), &remote, POLICY_TEMPFAIL),
	TWO("not asked when an earlier one fails", C(FROM_LOCAL),
	    C(FOR_DOMAIN, T("missing")), &remote, NO),
	TWO("no such table, and a later one fails", C(FROM_SRC, T("missing")),
	    C(FOR_DOMAIN, T("domains")), &to_far, NO),
	TWO("pending", C(FROM_ANY), C(FOR_DOMAIN, T("pending")), &remote,
	    POLICY_WAIT),
	TWO("pending, and no such table", C(FROM_SRC, T("missing")),
	    C(FOR_DOMAIN, T("pending")), &remote, POLICY_WAIT),
	TWO("pending, negated", C(FROM_ANY), C(FOR_DOMAIN, NOT, T("pending")),
	    &remote, POLICY_WAIT),
};

static struct conf_action actions[] = {
	{ .name = S("a"), .kind = CONF_ACTION_MBOX },
	{ .name = S("relay"), .kind = CONF_ACTION_RELAY },
	{ .name = S("r") }, /* that of a row about reach */
};
static const char *
either(const char *given, const char *usual)
{
	return given != NULL ? given : usual;
}

static struct policy_verdict
decide(struct conf_match *matches, uint32_t count,
    const struct policy_facts *facts,
    void (*trace)(void *, uint32_t, const struct conf_condition *))
{
	struct conf conf = { .server_name = S("mx.relais.example"),
		.host_name = S("web1.relais.example"),
		.actions = actions,
		.nactions = sizeof(actions) / sizeof(actions[0]),
		.matches = matches,
		.nmatches = count };
	struct policy_host host = {
		.conf = &conf, .lookup = lookup, .arg = tables, .trace = trace
	};

	struct policy_facts f = {
		.tag = either(facts->tag, plain.tag),
		.client_addr = either(facts->client_addr, plain.client_addr),
		.client_name = either(facts->client_name, plain.client_name),
		.helo = either(facts->helo, plain.helo),
		.auth_user = either(facts->auth_user, plain.auth_user),
		.sender = either(facts->sender, plain.sender),
		.recipient = either(facts->recipient, plain.recipient),
		.flags = facts->flags,
		.internal = facts->internal,
	};

	return policy_decide(&host, &f);
}

static void
test_rows(void **state)
{
	_Static_assert(sizeof(rows) / sizeof(rows[0]) >= 80, "too few rows");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct conf_match m = { .nconditions = r->count,
			.conditions = (struct conf_condition *)r->conditions,
			.action = S("a") };
		struct policy_verdict v = decide(&m, 1, r->facts, NULL);

		if (v.kind != r->kind)
			fail_msg("%s: %d, not %d", r->name, v.kind, r->kind);
		if (v.kind == POLICY_ACTION && v.action != &actions[0])
			fail_msg("%s: wrong action", r->name);
	}
}

static void
test_order(void **state)
{
	struct conf_condition far_src[] = { C(FROM_SRC, T("nets")),
		C(FOR_ANY) };
	struct conf_condition any_ours[] = { C(FROM_ANY),
		C(FOR_DOMAIN, T("domains")) };
	struct conf_condition auth_any[] = { C(FROM_AUTH), C(FOR_ANY) };
	struct conf_match m[] = {
		{ .conditions = far_src, .nconditions = 2, .reject = true },
		{ .conditions = any_ours, .nconditions = 2, .action = S("a") },
		{ .conditions = auth_any,
		    .nconditions = 2,
		    .action = S("relay") },
	};
	struct policy_verdict v;

	v = decide(m, 3, &net4, NULL);
	assert_int_equal(v.kind, POLICY_REJECT);
	assert_int_equal(v.rule, 0);
	v = decide(m, 3, &authed, NULL);
	assert_int_equal(v.kind, POLICY_ACTION);
	assert_int_equal(v.rule, 1);
	assert_ptr_equal(v.action, &actions[0]);
	v = decide(m, 3, &to_far, NULL);
	assert_int_equal(v.kind, POLICY_NO_RULE);
	m[2].action[0] = 'x'; /* no such action: never an acceptance */
	v = decide(m, 3, &authed_far, NULL);
	assert_int_equal(v.kind, POLICY_TEMPFAIL);
}

/* While the client's name is open, the first rule that it matters to ends the
 * walk; what stands before it, and what others decide, goes on. */
static void
test_open_name(void **state)
{
	struct conf_condition nameless_ours[] = { C(FROM_RDNS, NOT),
		C(FOR_DOMAIN, T("domains")) };
	struct conf_condition any[] = { C(FROM_ANY), C(FOR_ANY) };
	struct conf_match m[] = {
		{ .conditions = nameless_ours,
		    .nconditions = 2,
		    .reject = true },
		{ .conditions = any, .nconditions = 2, .action = S("a") },
		{ .conditions = nameless_ours,
		    .nconditions = 2,
		    .reject = true },
	};
	struct policy_verdict v = decide(m, 2, &open_name, NULL);

	assert_int_equal(v.kind, POLICY_TEMPFAIL);
	assert_int_equal(v.rule, 0);
	v = decide(m, 2, &nameless, NULL);
	assert_int_equal(v.kind, POLICY_REJECT);
	v = decide(m, 2, &open_far, NULL);
	assert_int_equal(v.kind, POLICY_ACTION);
	v = decide(m + 1, 2, &open_name, NULL);
	assert_int_equal(v.kind, POLICY_ACTION);
}

/* ---- how far a verdict reaches ---- */

/* A rule that does not match, or none, and the one that does. */
struct reach_row {
	const char *name;
	struct conf_condition first[3];
	uint32_t nfirst;
	struct conf_condition last[3];
	uint32_t nlast;
	const struct policy_facts *facts;
	struct conf_action action;
	enum rcpt_reach reach;
};

#define RELAY(...)                                                    \
	{                                                             \
		.name = S("r"), .kind = CONF_ACTION_RELAY, .relay = { \
			__VA_ARGS__                                   \
		}                                                     \
	}
#define LOCAL(k, ...)                                               \
	{                                                           \
		.name = S("r"), .kind = CONF_ACTION_##k, .local = { \
			__VA_ARGS__                                 \
		}                                                   \
	}
#define RULE(...)                                                    \
	{ __VA_ARGS__ },                                             \
	    sizeof((const struct conf_condition[]){ __VA_ARGS__ }) / \
	    sizeof(struct conf_condition)
#define NONE { { 0 } }, 0
#define ANYONE RULE(C(FROM_ANY), C(FOR_ANY))
#define WITH(c) RULE(C(FROM_ANY), C(FOR_ANY), c)

static const struct reach_row reaches[] = {
	{ "nobody asked who it is", NONE, ANYONE, &remote, RELAY(0),
	    REACH_ALL },
	{ "the client", NONE, RULE(C(FROM_SRC, T("nets")), C(FOR_ANY)), &net4,
	    RELAY(0), REACH_ALL },
	{ "a login", NONE, RULE(C(FROM_AUTH, T("users")), C(FOR_ANY)), &authed,
	    RELAY(0), REACH_ALL },
	{ "the sender", NONE, WITH(C(IF_MAIL_FROM, T("addresses"))),
	    &sender_joe, RELAY(0), REACH_ALL },
	{ "helo", NONE, WITH(C(IF_HELO, T("domains"))), &helo_in, RELAY(0),
	    REACH_ALL },
	{ "TLS, negated", NONE, WITH(C(IF_TLS, NOT)), &remote, RELAY(0),
	    REACH_ALL },
	{ "the domain", NONE, RULE(C(FROM_ANY), C(FOR_DOMAIN, T("domains"))),
	    &remote, RELAY(0), REACH_DOMAIN },
	{ "the domain, negated", NONE,
	    RULE(C(FROM_ANY), C(FOR_DOMAIN, NOT, T("domains"))), &to_far,
	    RELAY(0), REACH_DOMAIN },
	{ "the domain by an expression", NONE,
	    RULE(C(FROM_ANY), C(FOR_DOMAIN, RE, T("regex"))), &to_mail7,
	    RELAY(0), REACH_DOMAIN },
	{ "for local", NONE, RULE(C(FROM_ANY), C(FOR_LOCAL)), &to_host,
	    RELAY(0), REACH_DOMAIN },
	{ "for local, implied", NONE, RULE(C(FROM_ANY)), &to_host, RELAY(0),
	    REACH_DOMAIN },
	{ "rcpt-to", NONE, WITH(C(IF_RCPT_TO, T("addresses"))), &remote,
	    RELAY(0), REACH_RECIPIENT },
	{ "rcpt-to, negated", NONE, WITH(C(IF_RCPT_TO, NOT, T("addresses"))),
	    &to_far, RELAY(0), REACH_RECIPIENT },
	{ "rcpt-to by an expression", NONE,
	    WITH(C(IF_RCPT_TO, NOT, RE, T("regex"))), &remote, RELAY(0),
	    REACH_RECIPIENT },
	{ "for rcpt-to", NONE,
	    RULE(C(FROM_ANY), C(FOR_RCPT_TO, T("addresses"))), &remote,
	    RELAY(0), REACH_RECIPIENT },
	/* a rule that did not match has had its look */
	{ "the domain did not match",
	    RULE(C(FROM_ANY), C(FOR_DOMAIN, T("domains"))),
	    RULE(C(FROM_ANY), C(FOR_ANY)), &to_far, RELAY(0), REACH_DOMAIN },
	{ "rcpt-to did not match",
	    RULE(C(FROM_ANY), C(FOR_ANY), C(IF_RCPT_TO, T("addresses"))),
	    RULE(C(FROM_ANY), C(FOR_ANY)), &to_far, RELAY(0), REACH_RECIPIENT },
	{ "the domain did not match, with a name that is open",
	    RULE(C(FROM_RDNS), C(FOR_DOMAIN, T("domains"))),
	    RULE(C(FROM_ANY), C(FOR_ANY)), &open_far, RELAY(0), REACH_DOMAIN },
	{ "rcpt-to was not asked",
	    RULE(C(FROM_LOCAL), C(FOR_ANY), C(IF_RCPT_TO, T("addresses"))),
	    RULE(C(FROM_ANY), C(FOR_ANY)), &to_far, RELAY(0), REACH_ALL },
	/* actions */
	{ "a backup of all", NONE, ANYONE, &remote, RELAY(.backup = true),
	    REACH_ALL },
	{ "a backup with a list", NONE, ANYONE, &remote,
	    RELAY(.backup = true, .recipients = S("addresses")),
	    REACH_RECIPIENT },
	{ "a backup that asks the primary", NONE, ANYONE, &remote,
	    RELAY(.backup = true, .call_ahead = true), REACH_RECIPIENT },
	{ "mbox", NONE, ANYONE, &remote, LOCAL(MBOX, .alias = NULL),
	    REACH_RECIPIENT },
	{ "maildir with aliases", NONE, ANYONE, &remote,
	    LOCAL(MAILDIR, .alias = S("users")), REACH_RECIPIENT },
	{ "virtual", NONE, ANYONE, &remote,
	    LOCAL(MBOX, .virtual_table = S("users")), REACH_RECIPIENT },
	{ "userbase", NONE, ANYONE, &remote,
	    LOCAL(MAILDIR, .userbase = S("users")), REACH_RECIPIENT },
	{ "lmtp", NONE, ANYONE, &remote, LOCAL(LMTP, .alias = NULL),
	    REACH_RECIPIENT },
	{ "mda", NONE, ANYONE, &remote, LOCAL(MDA, .alias = NULL),
	    REACH_RECIPIENT },
	{ "expand-only", NONE, ANYONE, &remote,
	    LOCAL(EXPAND_ONLY, .alias = S("users")), REACH_RECIPIENT },
	{ "forward-only", NONE, ANYONE, &remote,
	    LOCAL(FORWARD_ONLY, .alias = NULL), REACH_RECIPIENT },
};

static void
test_reach(void **state)
{
	for (size_t i = 0; i < sizeof(reaches) / sizeof(reaches[0]); i++) {
		const struct reach_row *r = &reaches[i];
		struct conf_match m[2] = {
			{ .conditions = (struct conf_condition *)r->first,
			    .nconditions = r->nfirst,
			    .action = S("a") },
			{ .conditions = (struct conf_condition *)r->last,
			    .nconditions = r->nlast,
			    .action = S("r") },
		};
		uint32_t skipped = r->nfirst == 0;
		struct policy_verdict v;

		actions[2] = r->action;
		v = decide(m + skipped, 2 - skipped, r->facts, NULL);
		if (v.kind != POLICY_ACTION || v.action != &actions[2])
			fail_msg("%s: verdict %d", r->name, v.kind);
		if (v.reach != r->reach)
			fail_msg("%s: %d, not %d", r->name, v.reach, r->reach);
	}
}

/* Only a verdict that takes the recipient may be for others. */
static void
test_reach_of_refusals(void **state)
{
	struct conf_condition all[] = { C(FROM_ANY), C(FOR_ANY) };
	struct conf_condition pending[] = { C(FROM_SRC, T("pending")),
		C(FOR_ANY) };
	struct conf_match m = {
		.conditions = all, .nconditions = 2, .reject = true
	};
	struct policy_verdict v = decide(&m, 1, &remote, NULL);

	assert_int_equal(v.kind, POLICY_REJECT);
	assert_int_equal(v.reach, REACH_RECIPIENT);
	m = (struct conf_match){
		.conditions = pending, .nconditions = 2, .action = S("relay")
	};
	v = decide(&m, 1, &remote, NULL);
	assert_int_equal(v.kind, POLICY_WAIT);
	assert_int_equal(v.reach, REACH_RECIPIENT);
	v = decide(&m, 0, &remote, NULL);
	assert_int_equal(v.kind, POLICY_NO_RULE);
	assert_int_equal(v.reach, REACH_RECIPIENT);
}

static char traced[256];

static void
trace(void *arg, uint32_t rule, const struct conf_condition *failed)
{
	size_t n = strlen(traced);

	snprintf(traced + n, sizeof(traced) - n, "%u:%s;", rule,
	    failed == NULL ? "matched" : policy_condition_name(failed->kind));
}

static void
test_trace(void **state)
{
	struct conf_condition a[] = { C(FROM_ANY), C(FOR_ANY), C(IF_TLS) };
	struct conf_condition b[] = { C(FROM_SRC, T("nets")), C(FOR_ANY) };
	struct conf_condition c[] = { C(FROM_ANY) };
	struct conf_condition d[] = { C(FROM_ANY), C(FOR_ANY) };
	struct conf_match m[] = {
		{ .conditions = a, .nconditions = 3, .action = S("a") },
		{ .conditions = b, .nconditions = 2, .action = S("a") },
		{ .conditions = c, .nconditions = 1, .action = S("a") },
		{ .conditions = d, .nconditions = 2, .action = S("a") },
	};

	traced[0] = '\0';
	assert_int_equal(decide(m, 4, &remote, trace).rule, 3);
	assert_string_equal(traced, "0:tls;1:from src;2:for local;3:matched;");
}

static int
setup(void **state)
{
	const size_t count = sizeof(table_list) / sizeof(table_list[0]);
	char error[256];
	int rc = (tables = tables_new('+')) != NULL ? 0 : -1;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = tables_add(
		    tables, &table_list[i], NULL, 0, error, sizeof(error));
	return rc;
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
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_open_name),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_reach_of_refusals),
		cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
