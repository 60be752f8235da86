/*
 * See expand_scene.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "regress/unit/expand_scene.h"

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
    "far: x@far.example\n"
    "deaf: soft, ghost\n"
    "half: ann, moved\n"
    "mute: ghost, down\n"
    "spoken: down, late, ann\n"
    "own: bob\nturn: box\nbox: turn, ann\n"
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
				  "self@virt.example: bob, self+x\n"
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
static struct conf_entry scanned[] = { { S("SCANNED") } };
static struct conf_entry filter[] = { { S("filter.example") } };

struct conf_action expand_scene_actions[] = {
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

struct conf expand_scene_conf = { .server_name = S("example.org"),
	.smtp = { .sub_addr_delim = S("+") },
	.actions = expand_scene_actions,
	.nactions =
	    sizeof(expand_scene_actions) / sizeof(expand_scene_actions[0]),
	.matches = matches,
	.nmatches = sizeof(matches) / sizeof(matches[0]) };

struct tables *expand_scene_tables;
int expand_scene_late_is_known;
int expand_scene_asked;

static enum policy_answer
lookup(void *arg, const char *table, enum conf_service service, const char *key,
    const char **value)
{
	switch (
	    tables_lookup(expand_scene_tables, table, service, key, value)) {
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
		"self", "mine", "late", "turn" };

	expand_scene_asked++;
	if (strcmp(name, "down") == 0)
		return POLICY_ERROR;
	if (strcmp(name, "late") == 0 && !expand_scene_late_is_known)
		return POLICY_PENDING;
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		if (strcmp(name, accounts[i]) == 0)
			return POLICY_YES;
	return POLICY_NO;
}

const struct policy_host expand_scene_host = {
	.conf = &expand_scene_conf, .lookup = lookup, .user = user
};

static int
add(const char *name, uint32_t uses, const char *content,
    struct conf_entry *entries, uint32_t count)
{
	struct conf_table t = { .name = (char *)name,
		.uses = uses,
		.entries = entries,
		.nentries = count };
	char error[256] = "";
	int rc = tables_add(expand_scene_tables, &t, content,
	    content != NULL ? strlen(content) : 0, error, sizeof(error));

	if (rc == -1)
		print_error("%s\n", error);
	return rc;
}

int
expand_scene_setup(void **state)
{
	uint32_t alias = 1 << CONF_SERVICE_ALIAS;
	uint32_t domain = 1 << CONF_SERVICE_DOMAIN;

	if ((expand_scene_tables = tables_new('+')) == NULL)
		return -1;
	return add("aliases", alias, aliases, NULL, 0) |
	    add("virtual", alias, virtual_map, NULL, 0) |
	    add("names", alias, names, NULL, 0) |
	    add("users", 1 << CONF_SERVICE_USERINFO, users, NULL, 0) |
	    add("local-domains", domain, NULL, local_domains, 1) |
	    add("virtual-domains", domain, NULL, virtual_domains, 2) |
	    add("base-domains", domain, NULL, base_domains, 1) |
	    add("forward-domains", domain, NULL, forward_domains, 1) |
	    add("scanned", 1 << CONF_SERVICE_STRING, NULL, scanned, 1) |
	    add("filter", domain, NULL, filter, 1) |
	    add("nowhere", domain, NULL, nowhere, 1);
}

int
expand_scene_teardown(void **state)
{
	tables_free(expand_scene_tables);
	return 0;
}
