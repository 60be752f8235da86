/*
 * auth/expand and auth/recipient: what comes out of a recipient of the
 * scene's tables.
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
#include "conf/alias_item.h"
#include "regress/unit/expand_scene.h"

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
	/* his own name, which a table gives to another */
	{ "own@example.org", "", "own", 1, 250, "2.1.5", NULL,
	    "user:local:bob" },
	{ "own+x", "local", "own", 1, 250, "2.1.5", NULL, "user:local:bob" },
	{ "info@virt.example", "", "info", 1, 250, "2.1.5", NULL,
	    "user:virtual:ann relay:out:z@far.example" },
	{ "joe@virt2.example", "", "joe", 1, 250, "2.1.5", NULL,
	    "user:virtual:ann" },
	{ "moved@example.org", "", "moved", 1, 550, "5.1.6", NULL, NULL },
	/* or to him, himself or with others */
	{ "self@virt.example", "", "self", 1, 250, "2.1.5", NULL,
	    "user:virtual:self" },
	{ "mine@virt.example", "", "mine", 1, 250, "2.1.5", NULL,
	    "user:virtual:mine" },
	{ "mine@example.org", "", "mine", 1, 250, "2.1.5", NULL,
	    "user:local:mine user:local:ann" },
	{ "turn@example.org", "", "turn", 1, 250, "2.1.5", NULL,
	    "user:local:turn user:local:ann" },
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
		struct expand_request q = { .tag = "",
			.helo = "",
			.sender = "s@far.example",
			.recipient = row->recipient,
			.action = row->action,
			.user = row->user,
			.depth = row->depth,
			.forwarded = *row->user != '\0' };
		struct expand_result r;

		expand_run(&expand_scene_host, &q, &r);
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
	struct expand_request q = { .tag = "",
		.helo = "",
		.sender = "",
		.action = "local",
		.recipient = "list@example.org",
		.user = "" };
	struct expand_result r;

	expand_run(&expand_scene_host, &q, &r);
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

	expand_check(
	    &expand_scene_host, &f, &expand_scene_actions[action], reply);
}

static void
test_pending(void **state)
{
	struct expand_request q = { .tag = "",
		.helo = "",
		.sender = "",
		.action = "local",
		.recipient = "slow@example.org",
		.user = "" };
	struct recipient_reply reply;
	struct expand_result r;

	expand_scene_late_is_known = 0;
	expand_run(&expand_scene_host, &q, &r);
	assert_int_equal(r.reply.code, 0);
	expand_free(&r);
	check(0, "late@example.org", &reply);
	assert_int_equal(reply.code, 0);
	check(0, "slow@example.org", &reply);
	assert_int_equal(reply.code, 0);
	check(0, "spoken@example.org", &reply);
	assert_int_equal(reply.code, 250);
	expand_scene_late_is_known = 1;
	expand_run(&expand_scene_host, &q, &r);
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

/* What comes out of an alias has the tag and the HELO of the session, and so
 * has a .forward's; neither opens anything for a recipient himself. */
static void
test_session(void **state)
{
	struct conf_match tagged[] = {
		DOMAIN("local-domains", "local"),
		{ .conditions = COND({ .kind = CONF_FOR_ANY },
		      { .kind = CONF_IF_TAG, .table = S("scanned") },
		      { .kind = CONF_IF_HELO, .table = S("filter") }),
		    .nconditions = 3,
		    .action = S("out") },
	};
	static const struct {
		const char *tag;
		const char *helo;
		const char *recipient;
		const char *action;
		int forwarded;
		unsigned int code;
	} c[] = {
		{ "SCANNED", "filter.example", "far@example.org", "local", 0,
		    250 },
		{ "SCANNED", "filter.example", "x@far.example", "", 1, 250 },
		{ "SCANNED", "else.example", "far@example.org", "local", 0,
		    550 },
		{ "", "filter.example", "far@example.org", "local", 0, 550 },
		{ "", "", "far@example.org", "local", 0, 550 },
		{ "", "", "x@far.example", "", 1, 550 },
		{ "SCANNED", "filter.example", "x@far.example", "", 0, 550 },
		{ "SCANNED", "filter.example", "x@far.example", "gone", 0,
		    550 },
	};
	struct conf before = expand_scene_conf;
	struct recipient_reply reply;
	struct expand_result r;

	expand_scene_conf.matches = tagged;
	expand_scene_conf.nmatches = 2;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct expand_request q = { .tag = c[i].tag,
			.helo = c[i].helo,
			.sender = "s@far.example",
			.recipient = c[i].recipient,
			.action = c[i].action,
			.user = c[i].forwarded ? "ann" : "",
			.forwarded = c[i].forwarded };
		struct policy_facts f = { .tag = q.tag,
			.helo = q.helo,
			.sender = q.sender,
			.recipient = q.recipient };

		expand_run(&expand_scene_host, &q, &r);
		if (r.reply.code != c[i].code)
			fail_msg("%zu: %u", i, r.reply.code);
		expand_free(&r);
		if (strcmp(q.action, "local") != 0)
			continue;
		expand_check(
		    &expand_scene_host, &f, &expand_scene_actions[0], &reply);
		assert_int_equal(reply.code, c[i].code);
	}
	expand_scene_conf = before;
}

/* The names of alias tables: what the scene keeps outlives a test. */
static char scene_table[] = "aliases", big_table[] = "aliases2";

/* An alias file of `big`, which holds so many of a kind, and then more. */
static void
add_big(unsigned int count, const char *kind, const char *more)
{
	struct conf_table t = { .name = big_table,
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
	    tables_add(expand_scene_tables, &t, text, n, error, sizeof(error)),
	    0);
	free(text);
}

/* A list of 20,000 names is refused as a whole, one of 9,000 is not. */
static void
test_long_list(void **state)
{
	static const unsigned int sizes[] = { 9000, 20000 };
	struct expand_request q = { .tag = "",
		.helo = "",
		.sender = "",
		.action = "local",
		.recipient = "big@example.org",
		.user = "" };
	struct expand_result r;

	expand_scene_actions[0].local.alias = big_table;
	for (int i = 0; i < 2; i++) {
		add_big(sizes[i], "@far.example", "");
		expand_run(&expand_scene_host, &q, &r);
		assert_int_equal(r.reply.code, i == 0 ? 250 : 550);
		if (i == 0)
			assert_int_equal(r.count, 9000);
		expand_free(&r);
	}
	expand_scene_actions[0].local.alias = scene_table;
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

	expand_scene_actions[0].local.alias = big_table;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		add_big(c[i].count, "", c[i].more);
		expand_scene_asked = 0;
		check(0, "big@example.org", &reply);
		assert_int_equal(reply.code, c[i].code);
		assert_in_range(expand_scene_asked, 0, 100);
	}
	expand_scene_actions[0].local.alias = scene_table;
	expand_scene_asked = 0;
	check(0, "two@example.org", &reply);
	assert_int_equal(reply.code, 250);
	assert_int_equal(expand_scene_asked, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_null_sender_keeps),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_check_long),
	};

	return cmocka_run_group_tests(
	    tests, expand_scene_setup, expand_scene_teardown);
}
