/*
 * One line of sender, recipient, HELO, login and an alias file into rules,
 * recipient check and expansion. What comes out must have a form: a code, and
 * destinations that messages can carry; mail from a stranger never gets a
 * relay action; and whoever a verdict reaches would have got the same one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/expand.h"
#include "auth/policy.h"
#include "auth/recipient.h"
#include "auth/tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define S(text)      \
	(char[])     \
	{            \
		text \
	}
#define COND(...)                 \
	(struct conf_condition[]) \
	{                         \
		__VA_ARGS__       \
	}

static struct conf_entry domains[] = { { S("a.org") }, { S("*.b.org") } };
static struct conf_entry users[] = { { S("joe") }, { S("@a.org") } };
static struct conf_entry expressions[] = { { S("^j[a-z]*@") } };
static struct conf_entry tags[] = { { S("bulk") } };
static struct conf_table constant[] = {
	{ .name = S("domains"),
	    .entries = domains,
	    .nentries = 2,
	    .uses = 1 << CONF_SERVICE_DOMAIN },
	{ .name = S("users"),
	    .entries = users,
	    .nentries = 2,
	    .uses = 1 << CONF_SERVICE_MAILADDR },
	{ .name = S("regex"),
	    .entries = expressions,
	    .nentries = 1,
	    .uses = 1 << CONF_SERVICE_REGEX },
	{ .name = S("tags"),
	    .entries = tags,
	    .nentries = 1,
	    .uses = 1 << CONF_SERVICE_STRING },
};
static struct conf_action actions[] = {
	{ .name = S("local"),
	    .kind = CONF_ACTION_MBOX,
	    .local = { .alias = S("aliases") } },
	{ .name = S("virtual"),
	    .kind = CONF_ACTION_MAILDIR,
	    .local = { .virtual_table = S("aliases") } },
	{ .name = S("out"), .kind = CONF_ACTION_RELAY },
};
static struct conf_match matches[] = {
	{ .conditions =
		COND({ .kind = CONF_FROM_LOCAL }, { .kind = CONF_FOR_ANY },
		    { .kind = CONF_IF_TAG, .table = S("tags") }),
	    .nconditions = 3,
	    .names_source = true,
	    .action = S("out") },
	{ .conditions = COND({ .kind = CONF_FROM_ANY },
	      { .kind = CONF_FOR_DOMAIN, .table = S("domains") },
	      { .kind = CONF_IF_RCPT_TO, .regex = true, .table = S("regex") }),
	    .nconditions = 3,
	    .action = S("local") },
	{ .conditions = COND({ .kind = CONF_FROM_ANY },
	      { .kind = CONF_FOR_DOMAIN, .table = S("domains") }),
	    .nconditions = 2,
	    .action = S("virtual") },
	{ .conditions = COND({ .kind = CONF_FROM_AUTH, .table = S("users") },
	      { .kind = CONF_FOR_ANY }),
	    .nconditions = 2,
	    .names_source = true,
	    .action = S("out") },
	{ .conditions =
		COND({ .kind = CONF_FROM_LOCAL }, { .kind = CONF_FOR_ANY }),
	    .nconditions = 2,
	    .names_source = true,
	    .action = S("out") },
};
static struct conf conf = { .server_name = S("a.org"),
	.smtp = { .sub_addr_delim = S("+") },
	.actions = actions,
	.nactions = 3,
	.matches = matches,
	.nmatches = sizeof(matches) / sizeof(matches[0]) };

static enum policy_answer
lookup(void *arg, const char *table, enum conf_service service, const char *key,
    const char **value)
{
	switch (tables_lookup(arg, table, service, key, value)) {
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
	if (strlen(name) >= RECIPIENT_NAME_SIZE || strchr(name, '/') != NULL)
		abort();
	return *name == 'j' ? POLICY_YES : POLICY_NO;
}

static void
expand(const struct policy_host *host, const char *sender,
    const char *recipient, const char *action)
{
	struct expand_request q = { .tag = "bulk",
		.helo = "",
		.sender = sender,
		.recipient = recipient,
		.action = action,
		.user = "joe",
		.forwarded = 1 };
	struct expand_result r;

	expand_run(host, &q, &r);
	if (r.reply.code != 250 && r.reply.code / 100 != 4 &&
	    r.reply.code / 100 != 5)
		abort();
	if (r.reply.code == 250 && r.count == 0)
		abort();
	for (size_t i = 0; i < r.count; i++)
		if (strlen(r.dests[i].address) > 1024 ||
		    r.dests[i].kind == DEST_ADDRESS)
			abort();
	expand_free(&r);
}

static void
check_same(const struct policy_host *host, struct policy_facts f,
    const struct policy_verdict *v, const char *local, const char *domain)
{
	struct policy_verdict other;
	char recipient[1100];

	snprintf(recipient, sizeof(recipient), "%s@%s", local, domain);
	f.recipient = recipient;
	other = policy_decide(host, &f);
	if (other.kind != v->kind || other.rule != v->rule ||
	    other.action != v->action || other.reach != v->reach)
		abort();
}

static void
check_reach(const struct policy_host *host, const struct policy_facts *f)
{
	static const char *const locals[] = { "x", "postmaster", "joe",
		"joe+tag", "jane", "\"j@a.org\"", "j%a.org", "" };
	static const char *const domains_at[] = { "a.org", "x.b.org", "b.org",
		"else.example", "localhost", "[127.0.0.1]" };
	struct policy_verdict v = policy_decide(host, f);
	const char *at = strrchr(f->recipient, '@');

	if (v.reach == REACH_RECIPIENT)
		return;
	if (v.kind != POLICY_ACTION || v.action->kind != CONF_ACTION_RELAY)
		abort();
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
		if (at != NULL)
			check_same(host, *f, &v, locals[i], at + 1);
		if (v.reach != REACH_ALL)
			continue;
		for (size_t k = 0; k < sizeof(domains_at) / sizeof(*domains_at);
		     k++)
			check_same(host, *f, &v, locals[i], domains_at[k]);
	}
}

static void
run(struct tables *tables, char *fields[4])
{
	struct policy_host host = {
		.conf = &conf, .lookup = lookup, .user = user, .arg = tables
	};
	struct policy_facts f = { .tag = "",
		.client_addr = "192.0.2.1",
		.client_name = "",
		.helo = fields[2],
		.auth_user = fields[3],
		.sender = fields[0],
		.recipient = fields[1] };
	struct policy_verdict v = policy_decide(&host, &f);
	struct recipient_reply reply;

	if (v.kind == POLICY_ACTION) {
		if (v.action->kind == CONF_ACTION_RELAY)
			abort();
		expand_check(&host, &f, v.action, &reply);
	}
	/* one who may relay */
	f.client_addr = "127.0.0.1";
	check_reach(&host, &f);
	f.tag = "bulk";
	check_reach(&host, &f);
	expand(&host, fields[0], fields[1], "local");
	expand(&host, fields[0], fields[1], "virtual");
	expand(&host, fields[0], fields[1], "");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_table t = { .name = S("aliases"),
		.kind = CONF_TABLE_FILE,
		.uses = 1 << CONF_SERVICE_ALIAS };
	struct tables *tables;
	char *text, *rest, *fields[4], error[256];

	if ((text = malloc(size + 1)) == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	rest = text;
	for (int i = 0; i < 4; i++)
		if ((fields[i] = strsep(&rest, "\n")) == NULL ||
		    strlen(fields[i]) > 1000) {
			free(text);
			return 0;
		}
	tables = tables_new('+');
	for (size_t i = 0; i < sizeof(constant) / sizeof(constant[0]); i++)
		tables_add(tables, &constant[i], NULL, 0, error, sizeof(error));
	if (rest != NULL)
		tables_add(
		    tables, &t, rest, strlen(rest), error, sizeof(error));
	run(tables, fields);
	tables_free(tables);
	free(text);
	return 0;
}
