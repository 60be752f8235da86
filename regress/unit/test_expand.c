/*
 * auth/expand and auth/recipient: what comes out of a recipient, over real
 * tables. The password database is a list of names here, and may answer late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/expand.h"
#include "auth/tables.h"
#include "conf/alias_item.h"

#define S(text)      \
	(char[])     \
	{            \
		text \
	}

static const char aliases[] =
    "postmaster: root\n"
    "root: joe\n"
    "self: self, ann\n"
    "mine: Mine@example.org, ann\n"
    "ghostly: ghostly@example.org\n"
    "joe: joe, joe@far.example\n"
    "a: b\nb: c\nc: a\n"
    "two: ann, bob, ann, ANN\n"
    "list: ann, bob, x@far.example, |/usr/bin/archive -x, /var/archive,"
    " :include:/etc/list\n"
    "owner-list: ann\n"
    "moved: error:550 5.1.6 Moved to far.example\n"
    "soft: error:451 Come back\n"
    "broken: error:nonsense\n"
    "some: ann, ghost, y@nowhere.example\n"
    "ghosts: ghost, ghoul\n"
    "ann+news: bob\n"
    "tagged: ann+x, ann+y\n"
    "back: list@example.org\n"
    "d0: d1\nd1: d2\nd2: d3\nd3: d4\nd4: d5\nd5: d6\nd6: d7\nd7: d8\n"
    "d8: d9\nd9: d10\nd10: d11\nd11: ann\n"
    "quoted: \"a b\"@far.example\n"
    "virt: info@virt.example\n"
    "evil: |touch /tmp/x;$(id)\n"
    "alike: Bob@far.example, bob@FAR.example, bob@far.example, ANN, ann\n"
    "slow: late\n"
    "ex: moved\n"
    "deaf: soft, ghost\n"
    "half: ann, moved\n"
    "mute: ghost, down\n"
    "spoken: down, late, ann\n"
    "null: nobody@nowhere.example\n";
static const char virtual_map[] = "info@virt.example: ann, z@far.example\n"
				  "info+sales@virt.example: bob\n"
				  "sales: bob\n"
				  "loop1@virt.example: loop2@virt.example\n"
				  "loop2@virt.example: loop1@virt.example\n"
				  "mine@virt.example: mine@virt.example, ann\n"
				  "list@virt.example: ann, bob\n"
				  "owner-list@virt.example: ann\n"
				  "joe@virt.example: joe@virt2.example\n"
				  "@virt2.example: ann\n"
				  "all@virt.example: a@virt2.example,"
				  " b@virt2.example, A@virt2.example, ann\n"
				  "cmd@virt.example: |run me\n";
/* names of a virtual table that lead to names of it */
static const char names[] = "d1@v.example: staff\n"
			    "staff: bob, pair+tag, |run me\n"
			    "owner-staff: ann\n"
			    "pair: ann, joe\n"
			    "joe: joe, mine\n"
			    "mine: self\n"
			    "round1: round2\nround2: round1\n"
			    "lost@v.example: nosuch\n"
			    "gone@v.example: left\n"
			    "left: error:550 5.1.6 Left\n"
			    "postmaster@v.example: nosuch\n"
			    "postmaster@no.example: left\n"
			    "@: bob\n@v.example: bob\n"
			    "n0@v.example: n1\nn1: n2\nn2: n3\nn3: n4\n"
			    "n4: n5\nn5: n6\nn6: n7\nn7: n8\nn8: n9\n"
			    "n9: n10\nn10: n11\nn11: ann\n"
			    "vu@v.example: box\nbox: vu\n";
static const char users[] = "vu 5000:5000:/home/vu\n";

static struct conf_entry local_domains[] = { { S("example.org") } };
static struct conf_entry virtual_domains[] = { { S("virt.example") },
	{ S("virt2.example") } };
static struct conf_entry base_domains[] = { { S("base.example") } };
static struct conf_entry forward_domains[] = { { S("fwd.example") } };
static struct conf_entry nowhere[] = { { S("nowhere.example") } };

static struct conf_action actions[] = {
	{ .name = S("local"),
	    .kind = CONF_ACTION_MBOX,
	    .local = { .alias = S("aliases") } },
	{ .name = S("virtual"),
	    .kind = CONF_ACTION_MAILDIR,
	    .local = { .virtual_table = S("virtual"), .by_address = true } },
	{ .name = S("base"),
	    .kind = CONF_ACTION_MAILDIR,
	    .local = { .userbase = S("users") } },
	{ .name = S("forward"),
	    .kind = CONF_ACTION_FORWARD_ONLY,
	    .local = { .alias = S("aliases") } },
	{ .name = S("out"), .kind = CONF_ACTION_RELAY },
	{ .name = S("plain"), .kind = CONF_ACTION_MBOX },
	{ .name = S("lost"),
	    .kind = CONF_ACTION_MBOX,
	    .local = { .alias = S("missing") } },
	{ .name = S("names"),
	    .kind = CONF_ACTION_MBOX,
	    .local = { .virtual_table = S("names") } },
	{ .name = S("boxes"),
	    .kind = CONF_ACTION_MAILDIR,
	    .local = { .virtual_table = S("names"), .userbase = S("users") } },
};

#define COND(...)                 \
	(struct conf_condition[]) \
	{                         \
		__VA_ARGS__       \
	}
#define DOMAIN(t, a)                                             \
	{                                                        \
		.conditions = COND({ .kind = CONF_FROM_ANY },    \
		    { .kind = CONF_FOR_DOMAIN, .table = S(t) }), \
		.nconditions = 2, .action = S(a)                 \
	}
static struct conf_match matches[] = {
	{ .conditions = COND({ .kind = CONF_FROM_ANY },
	      { .kind = CONF_FOR_DOMAIN, .table = S("nowhere") }),
	    .nconditions = 2,
	    .reject = true },
	DOMAIN("local-domains", "local"),
	DOMAIN("virtual-domains", "virtual"),
	DOMAIN("base-domains", "base"),
	DOMAIN("forward-domains", "forward"),
	{ .conditions =
		COND({ .kind = CONF_FROM_LOCAL }, { .kind = CONF_FOR_ANY }),
	    .nconditions = 2,
	    .action = S("out") },
};

static struct conf conf = { .server_name = S("example.org"),
	.smtp = { .sub_addr_delim = S("+") },
	.actions = actions,
	.nactions = sizeof(actions) / sizeof(actions[0]),
	.matches = matches,
	.nmatches = sizeof(matches) / sizeof(matches[0]) };

static struct tables *tables;
static int late_is_known;
static int asked; /* accounts */

static enum policy_answer
lookup(void *arg, const char *table, enum conf_service service, const char *key,
    const char **value)
{
	switch (tables_lookup(tables, table, service, key, value)) {
	case LOOKUP_FOUND:
		return POLICY_YES;
	case LOOKUP_NONE:
		return POLICY_NO;
	default:
		return POLICY_ERROR;
	}
}

static enum policy_answer
user(void *arg, const char *name)
{
	static const char *const accounts[] = { "joe", "ann", "bob", "root",
		"self", "mine", "late" };

	asked++;
	if (strcmp(name, "down") == 0)
		return POLICY_ERROR;
	if (strcmp(name, "late") == 0 && !late_is_known)
		return POLICY_PENDING;
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		if (strcmp(name, accounts[i]) == 0)
			return POLICY_YES;
	return POLICY_NO;
}

static const struct policy_host host = {
	.conf = &conf, .lookup = lookup, .user = user
};

struct row {
	const char *recipient;
	const char *action;
	const char *user; /* with forwarded */
	unsigned int depth;
	unsigned int code;
	const char *enhanced;
	const char *owner;
	/* destinations in any order, one a word */
	const char *dests;
};

static const struct row rows[] = {
	{ "ann@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann" },
	{ "ANN@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann" },
	{ "ann+tag@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann" },
	{ "ann+news@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:bob" },
	{ "nosuch@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "joe@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:joe relay:out:joe@far.example" },
	{ "root@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:joe relay:out:joe@far.example" },
	{ "self@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:self user:local:ann" },
	{ "mine@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:mine user:local:ann" },
	{ "ghostly@example.org", "local", "", 0, 550, "5.4.6", NULL, NULL },
	{ "a@example.org", "local", "", 0, 550, "5.4.6", NULL, NULL },
	{ "two@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann user:local:bob" },
	{ "tagged@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann" },
	{ "list@example.org", "local", "", 0, 250, "2.1.5",
	    "owner-list@example.org",
	    "user:local:ann user:local:bob relay:out:x@far.example "
	    "command:local:list/archive file:local:list/file "
	    "include:local:list/list" },
	{ "back@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann user:local:bob relay:out:x@far.example "
	    "command:local:list/archive file:local:list/file "
	    "include:local:list/list" },
	{ "moved@example.org", "local", "", 0, 550, "5.1.6", NULL, NULL },
	{ "soft@example.org", "local", "", 0, 451, "4.2.0", NULL, NULL },
	{ "broken@example.org", "local", "", 0, 451, "4.3.5", NULL, NULL },
	{ "some@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann error:5.1.1:ghost@example.org "
	    "error:5.7.1:y@nowhere.example" },
	{ "ghosts@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "null@example.org", "local", "", 0, 550, "5.7.1", NULL, NULL },
	{ "d2@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann" },
	{ "d0@example.org", "local", "", 0, 550, "5.4.6", NULL, NULL },
	{ "ann@example.org", "local", "", 11, 550, "5.4.6", NULL, NULL },
	{ "quoted@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "relay:out:\"a|b\"@far.example" },
	{ "virt@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:ann relay:out:z@far.example" },
	/* what a local part means is told by the host of its domain alone */
	{ "alike@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "relay:out:Bob@far.example relay:out:bob@far.example "
	    "user:local:ann" },
	{ "postmaster@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "user:local:joe relay:out:joe@far.example" },
	{ "postmaster@example.org", "plain", "", 0, 250, "2.1.5", NULL,
	    "user:plain:root" },
	{ "POSTMASTER@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:root" },
	/* virtual: order of the keys */
	{ "info@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:ann relay:out:z@far.example" },
	{ "Info+Sales@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:bob" },
	{ "info+other@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:ann relay:out:z@far.example" },
	{ "sales@any.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:bob" },
	{ "any@virt2.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:ann" },
	{ "joe@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:ann" },
	{ "any@virt.example", "virtual", "", 0, 550, "5.1.1", NULL, NULL },
	{ "loop1@virt.example", "virtual", "", 0, 550, "5.4.6", NULL, NULL },
	{ "mine@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:ann error:5.4.6:mine@virt.example" },
	{ "list@virt.example", "virtual", "", 0, 250, "2.1.5",
	    "owner-list@virt.example", "user:virtual:ann user:virtual:bob" },
	/* an account that is several people's */
	{ "all@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "user:virtual:ann user:virtual:ann user:virtual:ann" },
	{ "cmd@virt.example", "virtual", "", 0, 250, "2.1.5", NULL,
	    "command:virtual:cmd@virt.example/run" },
	{ "\"info@virt.example\"@other.example", "virtual", "", 0, 550, "5.1.1",
	    NULL, NULL },
	/* a name there is looked up again, and is the account only where it
	 * is its own */
	{ "d1@v.example", "names", "", 0, 250, "2.1.5", NULL,
	    "user:names:bob user:names:ann user:names:joe user:names:self "
	    "command:names:staff/run" },
	{ "joe@v.example", "names", "", 0, 250, "2.1.5", NULL,
	    "user:names:joe user:names:self" },
	{ "mine@v.example", "names", "", 0, 250, "2.1.5", NULL,
	    "user:names:self" },
	{ "round1@v.example", "names", "", 0, 550, "5.4.6", NULL, NULL },
	{ "lost@v.example", "names", "", 0, 550, "5.1.1", NULL, NULL },
	{ "gone@v.example", "names", "", 0, 550, "5.1.6", NULL, NULL },
	{ "any@v.example", "names", "", 0, 250, "2.1.5", NULL,
	    "user:names:bob" },
	{ "n2@v.example", "names", "", 0, 250, "2.1.5", NULL,
	    "user:names:ann" },
	{ "n0@v.example", "names", "", 0, 550, "5.4.6", NULL, NULL },
	{ "vu@v.example", "boxes", "", 0, 250, "2.1.5", NULL, "user:boxes:vu" },
	/* other tables and actions */
	{ "vu@base.example", "base", "", 0, 250, "2.1.5", NULL,
	    "user:base:vu" },
	{ "ann@base.example", "base", "", 0, 550, "5.1.1", NULL, NULL },
	{ "evil@fwd.example", "forward", "", 0, 451, "4.3.5", NULL, NULL },
	{ "evil@example.org", "local", "", 0, 250, "2.1.5", NULL,
	    "command:local:evil/touch" },
	{ "x@far.example", "out", "", 0, 250, "2.1.5", NULL,
	    "relay:out:x@far.example" },
	{ "down@example.org", "plain", "", 0, 451, "4.3.0", NULL, NULL },
	{ "ann@example.org", "lost", "", 0, 451, "4.3.0", NULL, NULL },
	/* the rules choose when the action is gone or was never known */
	{ "ann@example.org", "gone", "", 0, 250, "2.1.5", NULL,
	    "user:local:ann" },
	{ "x@far.example", "", "", 0, 250, "2.1.5", NULL,
	    "relay:out:x@far.example" },
	{ "x@nowhere.example", "", "", 0, 550, "5.7.1", NULL, NULL },
	/* out of a .forward */
	{ "joe@example.org", "", "joe", 1, 250, "2.1.5", NULL,
	    "user:local:joe" },
	{ "\\joe", "local", "joe", 1, 250, "2.1.5", NULL, "user:local:joe" },
	{ "joe", "local", "joe", 1, 250, "2.1.5", NULL, "user:local:joe" },
	{ "joe+in", "local", "joe", 1, 250, "2.1.5", NULL, "user:local:joe" },
	{ "ann", "local", "joe", 1, 250, "2.1.5", NULL, "user:local:ann" },
	{ "two", "local", "joe", 1, 250, "2.1.5", NULL,
	    "user:local:ann user:local:bob" },
	{ "z@far.example", "", "joe", 1, 250, "2.1.5", NULL,
	    "relay:out:z@far.example" },
	{ "ann@virt.example", "virtual", "ann", 1, 250, "2.1.5", NULL,
	    "user:virtual:ann" },
	{ "staff", "names", "ann", 1, 250, "2.1.5", NULL,
	    "user:names:bob user:names:ann user:names:joe user:names:self "
	    "command:names:staff/run" },
	{ "mine", "names", "joe", 1, 250, "2.1.5", NULL, "user:names:self" },
	{ "joe", "names", "joe", 1, 250, "2.1.5", NULL, "user:names:joe" },
	{ "nosuch", "names", "ann", 1, 550, "5.1.1", NULL, NULL },
	/* ATTACKS A 1, 3, 6, 9 */
	{ ";touch$IFS/tmp/p;@example.org", "local", "", 0, 550, "5.1.1", NULL,
	    NULL },
	{ "|cmd@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "\"|cmd\"@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "\":include:/etc/shadow\"@example.org", "local", "", 0, 550, "5.1.1",
	    NULL, NULL },
	{ "/etc/passwd@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "\"error:250 ok\"@example.org", "local", "", 0, 550, "5.1.1", NULL,
	    NULL },
	{ "${run{x}}@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "%n%s@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "-oQ@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "../joe@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "\"joe, ann\"@example.org", "local", "", 0, 550, "5.1.1", NULL,
	    NULL },
	{ "*@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "\"\"@example.org", "local", "", 0, 550, "5.1.1", NULL, NULL },
	{ "|cmd", "local", "joe", 1, 550, "5.1.1", NULL, NULL },
};

/* The item of an alias that a mark means, the only one of its kind there. */
static const char *
item_name(uint32_t mark)
{
	struct {
		const char *name;
		struct alias_item item;
	} items[] = {
		{ "archive", { ALIAS_COMMAND, S("/usr/bin/archive -x") } },
		{ "file", { ALIAS_FILE, S("/var/archive") } },
		{ "list", { ALIAS_INCLUDE, S("/etc/list") } },
		{ "run", { ALIAS_COMMAND, S("run me") } },
		{ "touch", { ALIAS_COMMAND, S("touch /tmp/x;$(id)") } },
	};

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		struct alias alone = { &items[i].item, 1 };

		if (alias_item_mark(&alone, alone.items) == mark)
			return items[i].name;
	}
	return "?";
}

static void
print_dest(const struct expand_entry *e, char *out, size_t size)
{
	switch (e->kind) {
	case DEST_USER:
		snprintf(out, size, "user:%s:%s", e->action, e->user);
		break;
	case DEST_RELAY:
		snprintf(out, size, "relay:%s:%s", e->action, e->address);
		break;
	case DEST_ERROR:
		snprintf(
		    out, size, "error:%s:%s", e->reply.enhanced, e->address);
		break;
	default:
		snprintf(out, size, "%s:%s:%s/%s",
		    e->kind == DEST_COMMAND       ? "command"
			: e->kind == DEST_FILE    ? "file"
			: e->kind == DEST_INCLUDE ? "include"
						  : "?",
		    e->action, e->alias, item_name(e->entry));
	}
}

static void
compare_dests(const struct row *row, const struct expand_result *r)
{
	char *list = strdup(row->dests), *rest = list, *word;
	size_t words = 0;
	char text[2048];

	while ((word = strsep(&rest, " ")) != NULL) {
		size_t i;

		words++;
		for (char *c = word; *c != '\0'; c++)
			if (*c == '|')
				*c = ' ';
		for (i = 0; i < r->count; i++) {
			print_dest(&r->dests[i], text, sizeof(text));
			if (strcmp(text, word) == 0)
				break;
		}
		if (i == r->count)
			fail_msg("%s: lacks %s", row->recipient, word);
	}
	if (words != r->count) {
		for (size_t i = 0; i < r->count; i++) {
			print_dest(&r->dests[i], text, sizeof(text));
			print_error("%s\n", text);
		}
		fail_msg("%s: %zu destinations, not %zu", row->recipient,
		    r->count, words);
	}
	free(list);
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct expand_request q = { .sender = "s@far.example",
			.recipient = row->recipient,
			.action = row->action,
			.user = row->user,
			.depth = row->depth,
			.forwarded = *row->user != '\0' };
		struct expand_result r;

		expand_run(&host, &q, &r);
		assert_int_equal(r.lacking, strcmp(q.action, "gone") == 0);
		if (r.reply.code != row->code ||
		    strcmp(r.reply.enhanced, row->enhanced) != 0)
			fail_msg("%s: %u %s %s", row->recipient, r.reply.code,
			    r.reply.enhanced, r.reply.text);
		if (row->dests != NULL)
			compare_dests(row, &r);
		if (row->owner == NULL
			? r.owner != NULL
			: r.owner == NULL || strcmp(r.owner, row->owner) != 0)
			fail_msg("%s: owner %s", row->recipient,
			    r.owner != NULL ? r.owner : "none");
		expand_free(&r);
	}
}

static void
test_null_sender_keeps(void **state)
{
	struct expand_request q = { .sender = "",
		.action = "local",
		.recipient = "list@example.org",
		.user = "" };
	struct expand_result r;

	expand_run(&host, &q, &r);
	assert_int_equal(r.reply.code, 250);
	assert_null(r.owner);
	expand_free(&r);
}

static void
check(size_t action, const char *address, struct recipient_reply *reply)
{
	struct policy_facts f = { .tag = "",
		.client_addr = "192.0.2.1",
		.client_name = "",
		.helo = "",
		.auth_user = "",
		.sender = "s@far.example",
		.recipient = address };

	expand_check(&host, &f, &actions[action], reply);
}

static void
test_pending(void **state)
{
	struct expand_request q = { .sender = "",
		.action = "local",
		.recipient = "slow@example.org",
		.user = "" };
	struct recipient_reply reply;
	struct expand_result r;

	late_is_known = 0;
	expand_run(&host, &q, &r);
	assert_int_equal(r.reply.code, 0);
	expand_free(&r);
	check(0, "late@example.org", &reply);
	assert_int_equal(reply.code, 0);
	check(0, "slow@example.org", &reply);
	assert_int_equal(reply.code, 0);
	check(0, "spoken@example.org", &reply);
	assert_int_equal(reply.code, 250);
	late_is_known = 1;
	expand_run(&host, &q, &r);
	assert_int_equal(r.reply.code, 250);
	assert_int_equal(r.count, 1);
	assert_string_equal(r.dests[0].user, "late");
	expand_free(&r);
	check(0, "late@example.org", &reply);
	assert_int_equal(reply.code, 250);
}

static void
test_check(void **state)
{
	static const struct {
		const char *address;
		size_t action;
		unsigned int code;
		const char *enhanced;
	} c[] = {
		{ "ann@example.org", 0, 250, "2.1.5" },
		{ "ann+x@example.org", 0, 250, "2.1.5" },
		{ "two@example.org", 0, 250, "2.1.5" },
		{ "nosuch@example.org", 0, 550, "5.1.1" },
		{ "moved@example.org", 0, 550, "5.1.6" },
		{ "soft@example.org", 0, 451, "4.2.0" },
		{ "postmaster@example.org", 5, 250, "2.1.5" },
		{ "Postmaster@virt.example", 1, 250, "2.1.5" },
		{ "postmaster", 5, 250, "2.1.5" },
		{ "postmasters@example.org", 5, 550, "5.1.1" },
		{ "info@virt.example", 1, 250, "2.1.5" },
		{ "ann@virt.example", 1, 550, "5.1.1" },
		{ "any@virt2.example", 1, 250, "2.1.5" },
		{ "vu@base.example", 2, 250, "2.1.5" },
		{ "down@example.org", 5, 451, "4.3.0" },
		{ "ann@example.org", 6, 451, "4.3.0" },
		{ "|cmd@example.org", 0, 550, "5.1.1" },
		/* behind an alias */
		{ "ghosts@example.org", 0, 550, "5.1.1" },
		{ "ghostly@example.org", 0, 550, "5.4.6" },
		{ "d0@example.org", 0, 550, "5.4.6" },
		{ "null@example.org", 0, 550, "5.7.1" },
		{ "some@example.org", 0, 250, "2.1.5" },
		{ "list@example.org", 0, 250, "2.1.5" },
		{ "virt@example.org", 0, 250, "2.1.5" },
		{ "ex@example.org", 0, 550, "5.1.6" },
		{ "deaf@example.org", 0, 451, "4.2.0" },
		{ "half@example.org", 0, 550, "5.1.6" },
		{ "mute@example.org", 0, 451, "4.3.0" },
		{ "spoken@example.org", 0, 250, "2.1.5" },
		{ "evil@fwd.example", 3, 451, "4.3.5" },
		{ "d1@v.example", 7, 250, "2.1.5" },
		{ "lost@v.example", 7, 550, "5.1.1" },
		{ "gone@v.example", 7, 550, "5.1.6" },
		{ "left+tag@x.example", 7, 550, "5.1.6" },
		/* whatever is behind him, but for the word of an alias */
		{ "postmaster@base.example", 2, 250, "2.1.5" },
		{ "postmaster@v.example", 7, 250, "2.1.5" },
		{ "postmaster@no.example", 7, 550, "5.1.6" },
	};
	struct recipient_reply reply;

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		check(c[i].action, c[i].address, &reply);
		if (reply.code != c[i].code ||
		    strcmp(reply.enhanced, c[i].enhanced) != 0)
			fail_msg("%s: %u %s", c[i].address, reply.code,
			    reply.enhanced);
	}
}

/* An alias file of `big`, which holds so many of a kind, and then more. */
static void
add_big(unsigned int count, const char *kind, const char *more)
{
	struct conf_table t = { .name = S("aliases2"),
		.kind = CONF_TABLE_FILE,
		.uses = 1 << CONF_SERVICE_ALIAS };
	char *text = malloc(20000 * 20 + 100), error[256];
	size_t n;

	assert_non_null(text);
	n = (size_t)sprintf(text, "big: ");
	for (unsigned int k = 0; k < count; k++) {
		n += (size_t)sprintf(text + n, "%su%u", k > 0 ? "," : "", k);
		n += (size_t)sprintf(text + n, "%s", kind);
	}
	n += (size_t)sprintf(text + n, "%s\n", more);
	assert_int_equal(
	    tables_add(tables, &t, text, n, error, sizeof(error)), 0);
	free(text);
}

/* A list of 20,000 names is refused as a whole, one of 9,000 is not. */
static void
test_long_list(void **state)
{
	static const unsigned int sizes[] = { 9000, 20000 };
	struct expand_request q = { .sender = "",
		.action = "local",
		.recipient = "big@example.org",
		.user = "" };
	struct expand_result r;

	actions[0].local.alias = S("aliases2");
	for (int i = 0; i < 2; i++) {
		add_big(sizes[i], "@far.example", "");
		expand_run(&host, &q, &r);
		assert_int_equal(r.reply.code, i == 0 ? 250 : 550);
		if (i == 0)
			assert_int_equal(r.count, 9000);
		expand_free(&r);
	}
	actions[0].local.alias = S("aliases");
}

/* RCPT TO asks for a few of a long list, and for none when there is one. */
static void
test_check_long(void **state)
{
	static const struct {
		unsigned int count;
		const char *more;
		unsigned int code;
	} c[] = {
		{ 90, "", 550 },
		{ 9000, "", 250 },
		{ 9000, ", error:550 5.1.6 Moved", 550 },
	};
	struct recipient_reply reply;

	actions[0].local.alias = S("aliases2");
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		add_big(c[i].count, "", c[i].more);
		asked = 0;
		check(0, "big@example.org", &reply);
		assert_int_equal(reply.code, c[i].code);
		assert_in_range(asked, 0, 100);
	}
	actions[0].local.alias = S("aliases");
	asked = 0;
	check(0, "two@example.org", &reply);
	assert_int_equal(reply.code, 250);
	assert_int_equal(asked, 1);
}

static int
add(const char *name, uint32_t uses, const char *content,
    struct conf_entry *entries, uint32_t count)
{
	struct conf_table t = { .name = (char *)name,
		.uses = uses,
		.entries = entries,
		.nentries = count };
	char error[256] = "";
	int rc = tables_add(tables, &t, content,
	    content != NULL ? strlen(content) : 0, error, sizeof(error));

	if (rc == -1)
		print_error("%s\n", error);
	return rc;
}

static int
setup(void **state)
{
	uint32_t alias = 1 << CONF_SERVICE_ALIAS;
	uint32_t domain = 1 << CONF_SERVICE_DOMAIN;

	if ((tables = tables_new('+')) == NULL)
		return -1;
	return add("aliases", alias, aliases, NULL, 0) |
	    add("virtual", alias, virtual_map, NULL, 0) |
	    add("names", alias, names, NULL, 0) |
	    add("users", 1 << CONF_SERVICE_USERINFO, users, NULL, 0) |
	    add("local-domains", domain, NULL, local_domains, 1) |
	    add("virtual-domains", domain, NULL, virtual_domains, 2) |
	    add("base-domains", domain, NULL, base_domains, 1) |
	    add("forward-domains", domain, NULL, forward_domains, 1) |
	    add("nowhere", domain, NULL, nowhere, 1);
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
		cmocka_unit_test(test_null_sender_keeps),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_check_long),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
