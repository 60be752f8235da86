/*
 * Recipients whose local part may be a route: which of them a relay takes,
 * from whom and by which rules.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/policy.h"
#include "conf/closed.h"

#define S(text)      \
	(char[])     \
	{            \
		text \
	}
#define C(k, ...)                             \
	{                                     \
		.kind = CONF_##k, __VA_ARGS__ \
	}
#define T(name) .table = S(name)
#define PERCENT "x%far.example@ours.example"
#define STRANGER "198.51.100.9"
#define OWN "192.0.2.200"
#define DOWN "192.0.2.201" /* whom no table can tell now */
#define TO_DOMAINS C(FROM_ANY), C(FOR_DOMAIN, T("domains"))

static const struct row {
	const char *name;
	const char *recipient;
	const char *client;
	uint32_t flags;
	struct conf_condition conditions[3];
	uint32_t count;
	enum conf_action_kind kind;
	bool open;
	enum policy_answer refused;
	bool by_address;
	char *virtual_table;
} rows[] = {
	{ "percent", PERCENT, STRANGER, 0, { TO_DOMAINS }, 2, CONF_ACTION_RELAY,
	    0, POLICY_YES },
	{ "bang", "far.example!x@ours.example", STRANGER, 0, { TO_DOMAINS }, 2,
	    CONF_ACTION_RELAY, 0, POLICY_YES },
	{ "quoted", "\"x@far.example\"@ours.example", STRANGER, 0,
	    { TO_DOMAINS }, 2, CONF_ACTION_RELAY, 0, POLICY_YES },
	{ "other signs", "x+y=z#w@ours.example", STRANGER, 0, { TO_DOMAINS }, 2,
	    CONF_ACTION_RELAY, 0, POLICY_NO },
	{ "kept here", PERCENT, STRANGER, 0, { TO_DOMAINS }, 2,
	    CONF_ACTION_MBOX, 0, POLICY_NO },
	{ "LMTP that is told the address", PERCENT, STRANGER, 0, { TO_DOMAINS },
	    2, CONF_ACTION_LMTP, 0, POLICY_YES, true },
	{ "LMTP whose virtual table has the address", PERCENT, STRANGER, 0,
	    { TO_DOMAINS }, 2, CONF_ACTION_LMTP, 0, POLICY_NO, true,
	    S("addresses") },
	{ "LMTP whose virtual table has other addresses", "y%z@ours.example",
	    STRANGER, 0, { TO_DOMAINS }, 2, CONF_ACTION_LMTP, 0, POLICY_YES,
	    true, S("addresses") },
	{ "LMTP that is told the user", PERCENT, STRANGER, 0, { TO_DOMAINS }, 2,
	    CONF_ACTION_LMTP, 0, POLICY_NO },
	{ "TLS is no name", PERCENT, STRANGER, SESSION_TLS,
	    { TO_DOMAINS, C(IF_TLS) }, 3, CONF_ACTION_RELAY, 0, POLICY_YES },
	{ "a user", PERCENT, STRANGER, SESSION_AUTH, { TO_DOMAINS }, 2,
	    CONF_ACTION_RELAY, 0, POLICY_NO },
	{ "this machine", PERCENT, "127.0.0.1", 0, { TO_DOMAINS }, 2,
	    CONF_ACTION_RELAY, 0, POLICY_NO },
	{ "a network that the rule names", PERCENT, OWN, 0,
	    { C(FROM_SRC, T("nets")), C(FOR_ANY) }, 2, CONF_ACTION_RELAY, 0,
	    POLICY_NO },
	{ "recipients that the rule names", PERCENT, STRANGER, 0,
	    { C(FROM_ANY), C(FOR_RCPT_TO, T("addresses")) }, 2,
	    CONF_ACTION_RELAY, 0, POLICY_NO },
	{ "recipients of a domain that the rule names", PERCENT, STRANGER, 0,
	    { C(FROM_ANY), C(FOR_RCPT_TO, T("@ours.example")) }, 2,
	    CONF_ACTION_RELAY, 0, POLICY_YES },
	{ "recipients that an expression names", PERCENT, STRANGER, 0,
	    { C(FROM_ANY), C(FOR_ANY),
		C(IF_RCPT_TO, .regex = true, T("expressions")) },
	    3, CONF_ACTION_RELAY, 0, POLICY_YES },
	{ "a network that a rule behind names", PERCENT, OWN, 0, { TO_DOMAINS },
	    2, CONF_ACTION_RELAY, 0, POLICY_NO },
	{ "recipients that the rule does not name", PERCENT, STRANGER, 0,
	    { C(FROM_ANY), C(FOR_ANY),
		C(IF_RCPT_TO, .negated = true, T("addresses")) },
	    3, CONF_ACTION_RELAY, 0, POLICY_YES },
	{ "a network that cannot be looked up", PERCENT, DOWN, 0,
	    { TO_DOMAINS }, 2, CONF_ACTION_RELAY, 0, POLICY_ERROR },
	{ "recipients that cannot be looked up", PERCENT, STRANGER, 0,
	    { C(FROM_ANY), C(FOR_RCPT_TO, T("down")) }, 2, CONF_ACTION_RELAY, 0,
	    POLICY_ERROR },
	{ "an open relay", PERCENT, STRANGER, 0, { TO_DOMAINS }, 2,
	    CONF_ACTION_RELAY, 1, POLICY_NO },
};

static enum policy_answer
lookup(void *arg, const char *table, enum conf_service service, const char *key,
    const char **value)
{
	int found = 1;

	if (strcmp(key, DOWN) == 0 ||
	    (strcmp(table, "down") == 0 && service == CONF_SERVICE_STRING))
		return POLICY_ERROR;
	if (strcmp(table, "nets") == 0)
		found = strcmp(key, OWN) == 0;
	else if (strcmp(table, "addresses") == 0)
		found = strcmp(key, PERCENT) == 0;
	else if (service == CONF_SERVICE_STRING)
		found = 0;
	return found ? POLICY_YES : POLICY_NO;
}

static void
test_routes(void **state)
{
	struct conf_condition own[] = { C(FROM_SRC, T("nets")), C(FOR_ANY) };

	for (const struct row *r = rows; r < rows + sizeof(rows) / sizeof(*r);
	     r++) {
		struct conf_match matches[] = {
			{ .nconditions = r->count,
			    .conditions =
				(struct conf_condition *)r->conditions,
			    .open_relay = r->open },
			{ .nconditions = 2, .conditions = own },
		};
		struct conf conf = { .matches = matches, .nmatches = 2 };
		const struct policy_host host = { .conf = &conf,
			.lookup = lookup };
		const struct policy_facts facts = { .recipient = r->recipient,
			.client_addr = r->client,
			.flags = r->flags };
		const struct conf_action action = { .kind = r->kind,
			.local = { .by_address = r->by_address,
			    .virtual_table = r->virtual_table } };
		struct policy_verdict v = { .kind = POLICY_ACTION,
			.action = &action };

		conf_mark_sources(&conf);
		if (policy_refuses_route(&host, &facts, &v) != r->refused)
			fail_msg("%s", r->name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
