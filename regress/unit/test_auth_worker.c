/*
 * The auth worker as a process, in its sandbox, with peers made of channels:
 * the questions of each, the answers, and what happens when one asks nonsense
 * or goes away.
 */
#include "config.h"

#include <sys/mman.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <crypt.h>

#include "os/log.h"
#include "worker_fixture.h"

#define COND(...)                 \
	(struct conf_condition[]) \
	{                         \
		__VA_ARGS__       \
	}

#define TEN(text) text text text text text text text text text text

struct world {
	char hash[128];
	unsigned int queries; /* user_query */
	unsigned int callaheads;
	uint8_t primary; /* what it says to recipients */
	int deliver_dies; /* instead of an answer */
	/* of the last answer */
	uint16_t code;
	char text[512]; /* action, value, mechanism or owner */
	uint8_t status; /* or reach */
	uint32_t count; /* or generation */
	uint8_t octets[1024];
	size_t len;
};

static struct conf_entry ours[] = { { S("example.org") } };
static struct conf_entry backed[] = { { S("backup.example") } };
static struct conf_entry logins[] = { { S("joe"), S("{PLAIN}pencil") } };
static struct conf_entry relays[] = { { S("smtp+tls://hub@hub.example") } };

static struct conf_table tables[] = {
	{ .name = S("ours"),
	    .kind = CONF_TABLE_STATIC,
	    .entries = ours,
	    .nentries = 1,
	    .uses = 1 << CONF_SERVICE_DOMAIN },
	{ .name = S("backed"),
	    .kind = CONF_TABLE_STATIC,
	    .entries = backed,
	    .nentries = 1,
	    .uses = 1 << CONF_SERVICE_DOMAIN },
	{ .name = S("relays"),
	    .kind = CONF_TABLE_STATIC,
	    .entries = relays,
	    .nentries = 1,
	    .uses = 1 << CONF_SERVICE_RELAYHOST },
	{ .name = S("aliases"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("aliases"),
	    .uses = 1 << CONF_SERVICE_ALIAS },
	{ .name = S("creds"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("creds"),
	    .uses = 1 << CONF_SERVICE_CREDENTIALS },
	{ .name = S("secrets"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("secrets"),
	    .uses = 1 << CONF_SERVICE_RELAY_AUTH },
	{ .name = S("senders"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("senders"),
	    .uses = 1 << CONF_SERVICE_SENDERS },
	{ .name = S("sources"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("sources"),
	    .uses = 1 << CONF_SERVICE_SOURCE },
	{ .name = S("source"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("source"),
	    .uses = 1 << CONF_SERVICE_SOURCE },
	/* of no listener */
	{ .name = S("unused"),
	    .kind = CONF_TABLE_STATIC,
	    .mapping = true,
	    .entries = logins,
	    .nentries = 1,
	    .uses = 1 << CONF_SERVICE_CREDENTIALS },
	{ .name = S("hosts"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("hosts"),
	    .uses = 1 << CONF_SERVICE_RELAYHOST },
	{ .name = S("routes"),
	    .kind = CONF_TABLE_FILE,
	    .backend = S("file"),
	    .config = S("routes"),
	    .uses = 1 << CONF_SERVICE_RELAYHOST },
};
static const char *const contents[] = { NULL, NULL, NULL,
	"list: joe, ann, x@far.example\nowner-list: joe\n",
	"joe: {PLAIN}pencil\n", "hub: me:secret\n",
	"joe: joe@example.org, @corp.example\n"
	"ann: " TEN(TEN("one.of.them@corp.example, ")) "ann@example.org\n",
	"192.0.2.1\n192.0.2.2\n2001:db8::1\n", "192.0.2.9\n", NULL,
	"smtp://c.example\nsmtp://a.example\nsmtp://b.example\n",
	"a.example: smtp://b.example\n" };

static struct conf_action actions[] = {
	{ .name = S("local"),
	    .kind = CONF_ACTION_MBOX,
	    .local = { .alias = S("aliases") } },
	{ .name = S("out"),
	    .kind = CONF_ACTION_RELAY,
	    .relay = { .host = S("relays"), .auth = S("secrets") } },
	{ .name = S("backup"),
	    .kind = CONF_ACTION_RELAY,
	    .relay = { .backup = true,
		.call_ahead = true,
		.unknown = CONF_UNKNOWN_TEMPFAIL } },
};
static struct conf_match matches[] = {
	{ .conditions = COND({ .kind = CONF_FROM_ANY },
	      { .kind = CONF_FOR_DOMAIN, .table = S("ours") }),
	    .nconditions = 2,
	    .action = S("local") },
	{ .conditions = COND({ .kind = CONF_FROM_ANY },
	      { .kind = CONF_FOR_DOMAIN, .table = S("backed") }),
	    .nconditions = 2,
	    .action = S("backup") },
	{ .conditions =
		COND({ .kind = CONF_FROM_LOCAL }, { .kind = CONF_FOR_ANY }),
	    .nconditions = 2,
	    .action = S("out") },
};

static struct conf_listener listeners[] = {
	{ .interface = S("lo0"),
	    .port = 587,
	    .auth = CONF_AUTH_REQUIRE,
	    .auth_table = S("creds") },
	{ .interface = S("lo0"), .port = 465, .auth = CONF_AUTH_OPTIONAL },
};

static struct conf conf = { .server_name = S("example.org"),
	.smtp = { .sub_addr_delim = S("+") },
	.tables = tables,
	.ntables = sizeof(tables) / sizeof(tables[0]),
	.actions = actions,
	.nactions = sizeof(actions) / sizeof(actions[0]),
	.listeners = listeners,
	.nlisteners = 2,
	.matches = matches,
	.nmatches = sizeof(matches) / sizeof(matches[0]) };

static struct world world;
static struct stage stage;

/* ---- what the worker says to each ---- */

static void
on_user_query(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;
	const struct msg_user_query *q = &m->user_query;
	int known = strcmp(q->name, "joe") == 0 || strcmp(q->name, "ann") == 0;
	struct msg_user_answer a = { .id = q->id,
		.status = known ? LOOKUP_FOUND : LOOKUP_NONE,
		.name = known ? q->name : "",
		.hash = known && q->want_hash ? w->hash : "" };

	w->queries++;
	ipc_send(ch, user_answer, &a);
}

static void
on_rcpt_verdict(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->code = m->rcpt_verdict.code;
	snprintf(w->text, sizeof(w->text), "%s", m->rcpt_verdict.action);
	w->status = m->rcpt_verdict.reach;
	w->count = m->rcpt_verdict.generation;
	stage_got(&stage, MSG_rcpt_verdict);
}

static void
on_expanded(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->code = m->expanded.code;
	w->count = m->expanded.dests.count;
	snprintf(w->text, sizeof(w->text), "%s", m->expanded.owner);
	stage_got(&stage, MSG_expanded);
}

static void
on_table_answer(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->status = m->table_answer.status;
	snprintf(w->text, sizeof(w->text), "%s", m->table_answer.value);
	stage_got(&stage, MSG_table_answer);
}

static void
on_sender_verdict(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->status = m->sender_verdict.status;
	stage_got(&stage, MSG_sender_verdict);
}

static void
keep_octets(struct world *w, const struct ipc_blob *b)
{
	w->len = b->len < sizeof(w->octets) ? b->len : sizeof(w->octets);
	memcpy(w->octets, b->data, w->len);
}

static void
on_sasl_reply(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->status = m->sasl_reply.status;
	snprintf(w->text, sizeof(w->text), "%s", m->sasl_reply.user);
	keep_octets(w, &m->sasl_reply.challenge);
	stage_got(&stage, MSG_sasl_reply);
}

static void
on_client_sasl_reply(
    void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->status = m->client_sasl_reply.status;
	snprintf(
	    w->text, sizeof(w->text), "%s", m->client_sasl_reply.mechanism);
	keep_octets(w, &m->client_sasl_reply.response);
	stage_got(&stage, MSG_client_sasl_reply);
}

static void
on_callahead(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;
	struct msg_callahead_done a = { .id = m->callahead.id,
		.status = w->primary };

	w->callaheads++;
	if (w->deliver_dies)
		stage_drop_peer(&stage, PROC_DELIVER);
	else
		ipc_send(ch, callahead_done, &a);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_user_query] = on_user_query,
	[MSG_rcpt_verdict] = on_rcpt_verdict,
	[MSG_expanded] = on_expanded,
	[MSG_table_answer] = on_table_answer,
	[MSG_sender_verdict] = on_sender_verdict,
	[MSG_sasl_reply] = on_sasl_reply,
	[MSG_client_sasl_reply] = on_client_sasl_reply,
	[MSG_callahead] = on_callahead,
};
static struct stage stage = {
	.kind = PROC_AUTH, .patience = 20, .handlers = handlers, .ctx = &world
};

/* ---- the stage ---- */

static int
content_fd(const char *text)
{
	int fd = memfd_create("table", MFD_CLOEXEC);

	if (fd == -1 ||
	    write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    lseek(fd, 0, SEEK_SET) == -1)
		fail_msg("no content");
	return fd;
}

static void
configure(void)
{
	stage_begin(&stage, &conf);
	for (size_t i = 0; i < conf.ntables; i++) {
		struct msg_config_file file = { .kind = "table",
			.name = tables[i].name };

		if (contents[i] != NULL)
			ipc_send_fd(stage.master, config_file, &file,
			    content_fd(contents[i]));
	}
	stage_end(&stage);
}

static int
setup(void **state)
{
	static const char *const argv[] = { "auth", "-d", NULL };
	struct crypt_data *data = calloc(1, sizeof(*data));

	log_init("test", LOG_TO_STDERR);
	assert_non_null(data);
	snprintf(world.hash, sizeof(world.hash), "%s",
	    crypt_r("pencil", "$6$rounds=1000$saltsalt$", data));
	free(data);
	stage.loop = loop_new();
	stage_start(&stage, "auth/auth", argv);
	configure();
	assert_string_equal(stage.error, "");
	stage_add_peer(&stage, PROC_SMTPD);
	stage_add_peer(&stage, PROC_QUEUE);
	stage_add_peer(&stage, PROC_DELIVER);
	stage_swap(&stage);
	return 0;
}

static int
teardown(void **state)
{
	stage_close(&stage);
	loop_free(stage.loop);
	return 0;
}

/* ---- questions ---- */

static uint64_t last_id;

static unsigned int
check_rcpt(const char *addr, const char *recipient, uint32_t flags)
{
	struct msg_rcpt_check m = { .id = ++last_id,
		.client_addr = addr,
		.sender = "s@far.example",
		.recipient = recipient,
		.flags = flags };

	stage_ask(&stage, PROC_SMTPD, rcpt_check, &m, rcpt_verdict);
	return world.code;
}

static void
test_rcpt(void **state)
{
	assert_int_equal(check_rcpt("192.0.2.9", "joe@example.org", 0), 250);
	assert_string_equal(world.text, "local");
	assert_int_equal(check_rcpt("192.0.2.9", "list@example.org", 0), 250);
	assert_int_equal(check_rcpt("192.0.2.9", "no@example.org", 0), 550);
	assert_string_equal(world.text, "");
	assert_int_equal(check_rcpt("192.0.2.9", "x@far.example", 0), 550);
	assert_int_equal(check_rcpt("127.0.0.1", "x@far.example", 0), 250);
	assert_string_equal(world.text, "out");
	assert_int_equal(check_rcpt("", "x@far.example", SESSION_LOCAL), 250);
	assert_int_equal(check_rcpt("192.0.2.9", "|id@example.org", 0), 550);
	/* known for a while: joe was asked for once */
	world.queries = 0;
	check_rcpt("192.0.2.9", "joe@example.org", 0);
	assert_int_equal(world.queries, 0);
}

static void
test_reach(void **state)
{
	struct msg_log_level traced = { .trace = TRACE_RULES }, quiet = { 0 };

	assert_int_equal(check_rcpt("127.0.0.1", "x@far.example", 0), 250);
	assert_int_equal(world.status, REACH_DOMAIN);
	assert_int_equal(world.count, 1);
	assert_int_equal(check_rcpt("192.0.2.9", "x@far.example", 0), 550);
	assert_int_equal(world.status, REACH_RECIPIENT);
	assert_int_equal(check_rcpt("127.0.0.1", "joe@example.org", 0), 250);
	assert_int_equal(world.status, REACH_RECIPIENT);
	/* who traces the rules hears of each recipient */
	ipc_send(stage.master, log_level, &traced);
	while (check_rcpt("127.0.0.1", "x@far.example", 0) == 250 &&
	    world.status != REACH_RECIPIENT)
		continue;
	ipc_send(stage.master, log_level, &quiet);
	while (check_rcpt("127.0.0.1", "x@far.example", 0) == 250 &&
	    world.status != REACH_DOMAIN)
		continue;
}

static void
expand(const char *recipient, const char *action)
{
	struct msg_expand m = { .id = ++last_id,
		.sender = "s@far.example",
		.recipient = recipient,
		.action = action };

	stage_ask(&stage, PROC_QUEUE, expand, &m, expanded);
}

static void
test_expand(void **state)
{
	expand("list@example.org", "local");
	assert_int_equal(world.code, 250);
	assert_int_equal(world.count, 3);
	assert_string_equal(world.text, "owner-list@example.org");
	expand("ghost@example.org", "local");
	assert_int_equal(world.code, 550);
	expand("joe@example.org", "gone");
	assert_int_equal(world.code, 250);
	assert_int_equal(world.count, 1);
}

static enum sasl_status
plain(const char *table, const char *addr, const char *octets, size_t len)
{
	struct msg_sasl_begin m = { .id = ++last_id,
		.mechanism = "PLAIN",
		.table = table,
		.client_addr = addr,
		.initial = ipc_blob(octets, len),
		.has_initial = 1 };

	stage_ask(&stage, PROC_SMTPD, sasl_begin, &m, sasl_reply);
	return world.status;
}

#define OCTETS(text) text, sizeof(text) - 1

static void
test_logins(void **state)
{
	struct msg_sasl_step step = { .id = 0 };

	assert_int_equal(
	    plain("creds", "192.0.2.1", OCTETS("\0joe\0pencil")), SASL_OK);
	assert_string_equal(world.text, "joe");
	assert_int_equal(
	    plain("creds", "192.0.2.1", OCTETS("\0joe\0x")), SASL_DENIED);
	assert_int_equal(
	    plain("", "192.0.2.1", OCTETS("\0joe\0pencil")), SASL_OK);
	assert_int_equal(
	    plain("", "192.0.2.1", OCTETS("\0joe\0x")), SASL_DENIED);
	assert_int_equal(
	    plain("", "192.0.2.1", OCTETS("\0eve\0x")), SASL_DENIED);
	assert_int_equal(
	    plain("nowhere", "192.0.2.1", OCTETS("\0j\0x")), SASL_TEMPFAIL);
	/* whatever smtpd says: no listener asks for these */
	assert_int_equal(plain("unused", "192.0.2.1", OCTETS("\0joe\0pencil")),
	    SASL_TEMPFAIL);
	assert_int_equal(
	    plain("creds", "192.0.2.1", OCTETS("\0joe")), SASL_MALFORMED);
	/* a step of no exchange */
	step.id = 424242;
	stage_ask(&stage, PROC_SMTPD, sasl_step, &step, sasl_reply);
	assert_int_equal(world.status, SASL_TEMPFAIL);
}

static void
test_lock(void **state)
{
	for (int i = 0; i < 6; i++)
		assert_int_equal(
		    plain("creds", "198.51.100.1", OCTETS("\0joe\0guess")),
		    SASL_DENIED);
	assert_int_equal(
	    plain("creds", "198.51.100.1", OCTETS("\0joe\0pencil")),
	    SASL_TEMPFAIL);
	/* the owner elsewhere is not shut out */
	assert_int_equal(
	    plain("creds", "203.0.113.5", OCTETS("\0joe\0pencil")), SASL_OK);
}

/* Who has a challenge before the others fail has no more guesses. */
static void
test_lock_behind_challenge(void **state)
{
	enum { LOGINS = 8, GUESSES = 6, NONCE = 100 };
	struct msg_sasl_begin m = { .mechanism = "SCRAM-SHA-256",
		.table = "creds",
		.client_addr = "198.51.100.3",
		.initial = ipc_blob(OCTETS("n,,n=joe,r=nonce")),
		.has_initial = 1 };
	struct msg_sasl_step step;
	char nonce[LOGINS][NONCE + 1], text[256];
	uint64_t first = last_id + 1;

	for (int i = 0; i < LOGINS; i++) {
		m.id = ++last_id;
		stage_ask(&stage, PROC_SMTPD, sasl_begin, &m, sasl_reply);
		assert_int_equal(world.status, SASL_CONTINUE);
		snprintf(nonce[i], sizeof(nonce[i]), "%.*s",
		    (int)strcspn((char *)world.octets, ","),
		    (char *)world.octets);
	}
	for (int i = 0; i < LOGINS; i++) {
		snprintf(text, sizeof(text), "c=biws,%.100s,p=%s=", nonce[i],
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
		step.id = first + (uint64_t)i;
		step.response = ipc_blob(text, strlen(text));
		stage_ask(&stage, PROC_SMTPD, sasl_step, &step, sasl_reply);
		assert_int_equal(
		    world.status, i < GUESSES ? SASL_DENIED : SASL_TEMPFAIL);
	}
}

static void
test_login_steps(void **state)
{
	struct msg_sasl_begin m = { .id = ++last_id,
		.mechanism = "LOGIN",
		.table = "creds",
		.client_addr = "192.0.2.3" };
	struct msg_sasl_step step = { .id = last_id };
	struct msg_sasl_abort abandon = { .id = last_id };

	stage_ask(&stage, PROC_SMTPD, sasl_begin, &m, sasl_reply);
	assert_int_equal(world.status, SASL_CONTINUE);
	assert_memory_equal(world.octets, "Username:", 9);
	step.response = ipc_blob("joe", 3);
	stage_ask(&stage, PROC_SMTPD, sasl_step, &step, sasl_reply);
	assert_memory_equal(world.octets, "Password:", 9);
	step.response = ipc_blob("pencil", 6);
	stage_ask(&stage, PROC_SMTPD, sasl_step, &step, sasl_reply);
	assert_int_equal(world.status, SASL_OK);
	/* begun and abandoned 200 times (ATTACKS 26) */
	for (int i = 0; i < 200; i++) {
		m.id = ++last_id;
		ipc_send(stage.peer[PROC_SMTPD], sasl_begin, &m);
		abandon.id = last_id;
		ipc_send(stage.peer[PROC_SMTPD], sasl_abort, &abandon);
	}
	m.id = ++last_id;
	m.mechanism = "CRAM-MD5";
	ipc_send(stage.peer[PROC_SMTPD], sasl_begin, &m);
	do
		stage_await(&stage, MSG_sasl_reply);
	while (world.status == SASL_CONTINUE);
	assert_int_equal(world.status, SASL_UNSUPPORTED);
}

static void
refuse_smarthost(const struct msg_client_sasl_begin *m)
{
	stage_ask(
	    &stage, PROC_DELIVER, client_sasl_begin, m, client_sasl_reply);
	assert_int_equal(world.status, SASL_TEMPFAIL);
	assert_int_equal(world.len, 0);
}

static void
test_smarthost(void **state)
{
	struct msg_client_sasl_begin m = { .id = ++last_id,
		.generation = 1,
		.action = "out",
		.label = "hub",
		.mechanisms = "LOGIN PLAIN" };

	stage_ask(
	    &stage, PROC_DELIVER, client_sasl_begin, &m, client_sasl_reply);
	assert_int_equal(world.status, SASL_OK);
	assert_string_equal(world.text, "PLAIN");
	assert_int_equal(world.len, 10);
	assert_memory_equal(world.octets, "\0me\0secret", 10);
	m.label = "other";
	refuse_smarthost(&m);
	m.label = "hub", m.action = "backup";
	refuse_smarthost(&m);
	m.action = "out", m.generation++;
	refuse_smarthost(&m);
}

static void
query(const char *table, uint8_t service, const char *key)
{
	struct msg_table_query m = {
		.id = ++last_id, .table = table, .service = service, .key = key
	};

	stage_ask(&stage, PROC_SMTPD, table_query, &m, table_answer);
}

static void
test_tables(void **state)
{
	query("aliases", CONF_SERVICE_ALIAS, "owner-list");
	assert_int_equal(world.status, LOOKUP_FOUND);
	assert_string_equal(world.text, "joe");
	query("aliases", CONF_SERVICE_ALIAS, "eve");
	assert_int_equal(world.status, LOOKUP_NONE);
	/* no secret leaves, whatever the question is called */
	query("creds", CONF_SERVICE_CREDENTIALS, "joe");
	assert_int_equal(world.status, LOOKUP_TEMPFAIL);
	assert_string_equal(world.text, "");
	query("creds", CONF_SERVICE_STRING, "joe");
	assert_string_equal(world.text, "");
	query("secrets", CONF_SERVICE_ALIAS, "hub");
	assert_string_equal(world.text, "");
	query("aliases", 200, "list");
	assert_int_equal(world.status, LOOKUP_TEMPFAIL);
	/* longer than any answer */
	query("senders", CONF_SERVICE_SENDERS, "ann");
	assert_int_equal(world.status, LOOKUP_TEMPFAIL);
}

/* Any entry of a list may come, whoever asks for those of another list
 * meanwhile; with a family, any of that. */
static void
test_lists(void **state)
{
	static const char *const all[] = { "192.0.2.1", "192.0.2.2",
		"2001:db8::1" };
	unsigned seen[3] = { 0 };

	for (unsigned i = 0; i < 60; i++) {
		query("sources", CONF_SERVICE_SOURCE, "");
		for (size_t at = 0; at < 3; at++)
			seen[at] += strcmp(world.text, all[at]) == 0;
		query("source", CONF_SERVICE_SOURCE, "");
		assert_string_equal(world.text, "192.0.2.9");
		query("sources", CONF_SERVICE_SOURCE, "inet6");
		assert_string_equal(world.text, "2001:db8::1");
	}
	for (size_t at = 0; at < 3; at++)
		assert_in_range(seen[at], 1, 60);
	query("source", CONF_SERVICE_SOURCE, "inet6");
	assert_int_equal(world.status, LOOKUP_NONE);
	query("nowhere", CONF_SERVICE_SOURCE, "inet6");
	assert_int_equal(world.status, LOOKUP_TEMPFAIL);
}

/* Of a list of relay hosts one after the other, each once; where a domain has
 * one that is all. */
static void
test_relay_hosts(void **state)
{
	char first[512], last[512];

	query("hosts", CONF_SERVICE_RELAYHOST, "");
	snprintf(first, sizeof(first), "%s", world.text);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(last, sizeof(last), "%s", world.text);
		query("hosts", CONF_SERVICE_RELAYHOST, last);
		assert_int_equal(world.status, LOOKUP_FOUND);
		assert_int_equal(strcmp(world.text, first) == 0, i == 2);
		assert_string_not_equal(world.text, last);
	}
	query("hosts", CONF_SERVICE_RELAYHOST, "smtp://gone.example");
	assert_int_equal(world.status, LOOKUP_NONE);
	query("routes", CONF_SERVICE_RELAYHOST, "a.example");
	assert_string_equal(world.text, "smtp://b.example");
}

static enum lookup_status
check_sender(const char *table, const char *user, const char *sender)
{
	struct msg_sender_check m = { .id = ++last_id,
		.table = table,
		.auth_user = user,
		.sender = sender };

	stage_ask(&stage, PROC_SMTPD, sender_check, &m, sender_verdict);
	return world.status;
}

static void
test_senders(void **state)
{
	assert_int_equal(
	    check_sender("senders", "joe", "Joe+x@example.org"), LOOKUP_FOUND);
	assert_int_equal(
	    check_sender("senders", "joe", "ann@example.org"), LOOKUP_NONE);
	assert_int_equal(
	    check_sender("senders", "ann", "ann@example.org"), LOOKUP_FOUND);
	assert_int_equal(check_sender("senders", "eve", ""), LOOKUP_NONE);
	assert_int_equal(
	    check_sender("nowhere", "joe", "joe@example.org"), LOOKUP_TEMPFAIL);
	/* what stands for a password is not to be guessed at */
	assert_int_equal(
	    check_sender("creds", "joe", "{PLAIN}pencil"), LOOKUP_TEMPFAIL);
}

static void
test_backup(void **state)
{
	world.primary = CALLAHEAD_GOOD;
	assert_int_equal(check_rcpt("192.0.2.9", "a@backup.example", 0), 250);
	assert_string_equal(world.text, "backup");
	assert_int_equal(world.status, REACH_RECIPIENT);
	world.primary = CALLAHEAD_BAD;
	assert_int_equal(check_rcpt("192.0.2.9", "b@backup.example", 0), 550);
	assert_int_equal(world.callaheads, 2);
	/* both are remembered */
	assert_int_equal(check_rcpt("192.0.2.9", "a@backup.example", 0), 250);
	assert_int_equal(check_rcpt("192.0.2.9", "b@backup.example", 0), 550);
	assert_int_equal(world.callaheads, 2);
	/* the primary is down */
	world.primary = CALLAHEAD_NONE;
	assert_int_equal(check_rcpt("192.0.2.9", "c@backup.example", 0), 451);
	/* and so is who was to ask it */
	world.deliver_dies = 1;
	assert_int_equal(check_rcpt("192.0.2.9", "d@backup.example", 0), 451);
	assert_int_equal(check_rcpt("192.0.2.9", "e@backup.example", 0), 451);
	assert_int_equal(check_rcpt("192.0.2.9", "a@backup.example", 0), 250);
}

/* A configuration that cannot be is refused, and the old one holds. */
static void
test_reload(void **state)
{
	tables[0].uses = 1 << CONF_SERVICE_NETADDR;
	configure();
	assert_non_null(strstr(stage.error, "ours"));
	tables[0].uses = 1 << CONF_SERVICE_DOMAIN;
	assert_int_equal(check_rcpt("192.0.2.9", "joe@example.org", 0), 250);
	matches[0].reject = true;
	configure();
	assert_string_equal(stage.error, "");
	stage_swap(&stage);
	assert_int_equal(check_rcpt("192.0.2.9", "x@example.org", 0), 550);
	assert_int_equal(check_rcpt("127.0.0.1", "joe@example.org", 0), 550);
	assert_int_equal(check_rcpt("127.0.0.1", "x@far.example", 0), 250);
	assert_int_equal(world.count, 3);
}

/* An smtpd that goes away in the middle of a login leaves nothing behind. */
static void
test_peer_gone(void **state)
{
	struct msg_sasl_begin m = { .id = ++last_id,
		.mechanism = "PLAIN",
		.table = "",
		.client_addr = "192.0.2.77",
		.initial = ipc_blob(OCTETS("\0joe\0pencil")),
		.has_initial = 1 };

	ipc_send(stage.peer[PROC_SMTPD], sasl_begin, &m);
	channel_flush(stage.peer[PROC_SMTPD]);
	stage_add_peer(&stage, PROC_SMTPD);
	assert_int_equal(
	    plain("", "192.0.2.77", OCTETS("\0joe\0pencil")), SASL_OK);
}

static void
test_stop(void **state)
{
	stage_stop(&stage);
}

int
main(void)
{
	const struct CMUnitTest tests_list[] = {
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_lock_behind_challenge),
		cmocka_unit_test(test_login_steps),
		cmocka_unit_test(test_smarthost),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_relay_hosts),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_backup),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_stop),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests_list, setup, teardown);
}
