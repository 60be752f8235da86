/*
 * The queue worker as a process, in its sandbox, with a master, an smtpd, an
 * auth and a deliver made of channels: mail goes in, is expanded, delivered,
 * retried and reported; the worker is killed in between; and in the end the
 * store is empty, since nothing was lost and nothing is left.
 */
#include "config.h"

#include <pwd.h>
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

#include "os/log.h"
#include "store_fixture.h"
#include "worker_fixture.h"

#define SERVICE_USER "nobody"

enum {
	LARGE = 200000,
	LOCAL_MAX = 16, /* deliveries at once */
	LOCAL_PER_USER = 2
};

struct world {
	char *path;
	uint32_t next_id;
	uint32_t ids;
	/* how deliver and local answer, and with which route */
	enum delivery_status verdict;
	enum route_status route;
	enum hop_kind hop;
	int silent; /* deliver takes and says nothing */
	/* what was seen last */
	uint16_t code;
	uint8_t accepting;
	uint32_t transfers;
	uint32_t rcpts; /* of the transfer */
	uint32_t sent; /* recipients of all transfers */
	uint64_t transfer_id;
	char sender[256];
	char rcpt[256];
	char destination[256];
	uint32_t expansions;
	int unknown; /* auth knows nobody */
	int lacking; /* nor the action, as the configuration that it has says */
	uint32_t locals;
	char users[256];
	int hold; /* local takes joe's and says nothing */
	uint64_t held[LOCAL_MAX];
	uint32_t nheld;
	uint8_t body[LARGE + 1];
	size_t body_len;
	uint32_t long_lists; /* reports that say so */
};

static struct conf_action actions[] = {
	{ .name = S("local"), .kind = CONF_ACTION_MBOX },
	{ .name = S("out"), .kind = CONF_ACTION_RELAY },
};
static struct conf conf = { .server_name = S("mx.example.org"),
	.retry = { .min = 1, .max = 2 },
	.queue = { .ttl = 432000 },
	.mda = { .max_session = LOCAL_MAX,
	    .max_session_per_user = LOCAL_PER_USER },
	.actions = actions,
	.nactions = sizeof(actions) / sizeof(actions[0]) };

static struct world world;
static struct stage stage;

/* ---- master ---- */

/* Addresses of .forward files: with a number in the middle of each where there
 * are several. ping and pong are users of this host, with a tag each time. */
static const struct {
	const char *user; /* all whose names begin so */
	int count;
	const char *before;
	const char *behind;
} forwards[] = {
	{ "fred", 1, "x", "@far.example" },
	{ "cases", 1, "x", "@far.example" },
	{ "cases", 1, "X", "@far.example" },
	{ "cases", 1, "x", "@FAR.example" },
	{ "wide", 1000, "n", "@far.example" },
	{ "ping", 1000, "pong+", "@example.org" },
	{ "pong", 1000, "ping+", "@example.org" },
	{ "tree", 12, "wide", "+@example.org" },
};

static void
add_forwards(struct ipc_buf *list, const char *user)
{
	struct msg_forward_dest dest = { 0 };
	char address[64], number[12] = "";

	for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++) {
		if (strncmp(user, forwards[i].user, strlen(forwards[i].user)) !=
		    0)
			continue;
		for (int n = 0; n < forwards[i].count; n++) {
			if (forwards[i].count > 1)
				snprintf(number, sizeof(number), "%d", n);
			/* different ones for wide1, wide2 and so on */
			snprintf(address, sizeof(address), "%s%s%s%s",
			    forwards[i].before, number,
			    strncmp(user, "wide", 4) == 0 ? user : "",
			    forwards[i].behind);
			dest.address = address;
			ipc_add_forward_dest(list, &dest);
		}
	}
}

static void
on_local_delivery(
    void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_local_delivery *m = &msg->local_delivery;
	struct msg_local_done done = { .id = m->id, .enhanced = "2.0.0" };
	struct ipc_buf forward = { 0 };
	struct world *w = arg;
	ssize_t n;

	w->locals++;
	if (w->hold && strcmp(m->user, "joe") == 0) {
		close(fd);
		assert_true(w->nheld < LOCAL_MAX);
		w->held[w->nheld++] = m->id;
		stage_got(&stage, MSG_local_delivery);
		return;
	}
	strncat(w->users, m->user, 32);
	strncat(w->users, " ", 2);
	n = read(fd, w->body, sizeof(w->body));
	w->body_len = n > 0 ? (size_t)n : 0;
	close(fd);
	add_forwards(&forward, m->user);
	done.forward = ipc_buf_list(&forward);
	if (done.forward.count > 0)
		done.status = DELIVERY_FORWARD;
	ipc_send(ch, local_done, &done);
	ipc_buf_free(&forward);
	stage_got(&stage, MSG_local_delivery);
}

/* ---- smtpd ---- */

static void
on_queue_status(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->accepting = m->queue_status.accepting;
	stage_got(&stage, MSG_queue_status);
}

static void
on_id_block(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->next_id = m->id_block.first;
	w->ids = m->id_block.count;
	stage_got(&stage, MSG_id_block);
}

static void
on_submitted(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;

	w->code = m->submitted.code;
	stage_got(&stage, MSG_submitted);
}

/* ---- auth ---- */

static void
add_user(struct ipc_buf *dests, const char *address, const char *user)
{
	struct msg_expand_dest d = { .kind = DEST_USER,
		.address = address,
		.action = "local",
		.user = user,
		.alias = "",
		.enhanced = "",
		.text = "" };

	ipc_add_expand_dest(dests, &d);
}

static void
on_expand(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_expand *m = &msg->expand;
	struct msg_expanded e = { .id = m->id, .code = 250 };
	struct ipc_buf dests = { 0 };
	char user[64];
	struct msg_expand_dest d = {
		.kind = DEST_RELAY, .address = m->recipient, .action = "out"
	};

	world.expansions++;
	snprintf(user, sizeof(user), "%.*s", (int)strcspn(m->recipient, "+@"),
	    m->recipient);
	e.lacking = (uint8_t)world.lacking;
	if (world.unknown) {
		e.code = 550;
		e.enhanced = "5.7.1";
		e.text = "No rule takes it";
	} else if (strchr(m->recipient, '+') != NULL) {
		add_user(&dests, m->recipient, user);
	} else if (m->action[0] == '\0') {
		ipc_add_expand_dest(&dests, &d);
	} else if (strcmp(m->recipient, "two@example.org") == 0) {
		add_user(&dests, m->recipient, "joe");
		add_user(&dests, m->recipient, "ann");
	} else if (strcmp(m->recipient, "joe@example.org") == 0) {
		add_user(&dests, m->recipient, "joe");
	} else if (strcmp(m->recipient, "ann@example.org") == 0) {
		add_user(&dests, m->recipient, "ann");
	} else if (strcmp(m->recipient, "fwd@example.org") == 0) {
		add_user(&dests, m->recipient, "fred");
	} else {
		e.code = 550;
		e.enhanced = "5.1.1";
		e.text = "No such recipient";
	}
	e.dests = ipc_buf_list(&dests);
	ipc_send(ch, expanded, &e);
	ipc_buf_free(&dests);
	stage_got(&stage, MSG_expand);
}

/* ---- deliver ---- */

static void
answer_transfer(
    struct world *w, struct channel *ch, uint64_t id, struct ipc_list rcpts)
{
	struct msg_transfer_done done = { .id = id,
		.route = (uint8_t)w->route };
	struct ipc_buf results = { 0 };
	struct msg_transfer_rcpt r;

	while (ipc_next_transfer_rcpt(&rcpts, &r)) {
		struct msg_rcpt_result result = { .index = r.index,
			.status = (uint8_t)w->verdict,
			.hop = (uint8_t)w->hop,
			.code = 250,
			.enhanced = "2.0.0",
			.text = "ok",
			.remote = "mx.far.example" };

		if (w->verdict == DELIVERY_PERMFAIL) {
			result.code = 550;
			result.enhanced = "5.1.1";
			result.text = "nobody here";
		} else if (w->verdict == DELIVERY_TEMPFAIL) {
			result.code = 451;
			result.enhanced = "4.3.0";
			result.text = "later";
		}
		ipc_add_rcpt_result(&results, &result);
	}
	done.results = ipc_buf_list(&results);
	ipc_send(ch, transfer_done, &done);
	ipc_buf_free(&results);
}

static void
on_transfer(void *arg, struct channel *ch, const union ipc_msg *msg, int fd)
{
	const struct msg_transfer *m = &msg->transfer;
	struct msg_body_request request = { .id = m->id };
	struct ipc_list list = m->rcpts;
	struct msg_transfer_rcpt r;
	struct world *w = arg;

	w->transfers++;
	w->transfer_id = m->id;
	w->rcpts = m->rcpts.count;
	w->sent += m->rcpts.count;
	snprintf(w->sender, sizeof(w->sender), "%s", m->sender);
	snprintf(w->destination, sizeof(w->destination), "%s", m->destination);
	if (ipc_next_transfer_rcpt(&list, &r))
		snprintf(w->rcpt, sizeof(w->rcpt), "%s", r.address);
	if (!w->silent) {
		w->body_len = 0;
		ipc_send(ch, body_request, &request);
		/* the body is on its way before the result is heard */
		answer_transfer(w, ch, m->id, m->rcpts);
	}
	stage_got(&stage, MSG_transfer);
}

static int
body_has(const char *text)
{
	return memmem(world.body, world.body_len, text, strlen(text)) != NULL;
}

static void
on_body_data(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	const struct ipc_blob *data = &m->body_data.data;
	struct world *w = arg;

	if (data->len > sizeof(w->body) - w->body_len)
		fail_msg("a body that is too long");
	memcpy(w->body + w->body_len, data->data, data->len);
	w->body_len += data->len;
	if (!m->body_data.last)
		return;
	w->long_lists += (uint32_t)body_has("The list is too long");
	stage_got(&stage, MSG_body_data);
}

static void
on_body_file(void *arg, struct channel *ch, const union ipc_msg *m, int fd)
{
	struct world *w = arg;
	ssize_t n;

	while ((n = read(fd, w->body + w->body_len,
		    sizeof(w->body) - w->body_len)) > 0)
		w->body_len += (size_t)n;
	close(fd);
	stage_got(&stage, MSG_body_file);
}

static channel_handler *const handlers[MSG_MAX] = {
	[MSG_local_delivery] = on_local_delivery,
	[MSG_queue_status] = on_queue_status,
	[MSG_id_block] = on_id_block,
	[MSG_submitted] = on_submitted,
	[MSG_expand] = on_expand,
	[MSG_transfer] = on_transfer,
	[MSG_body_data] = on_body_data,
	[MSG_body_file] = on_body_file,
};
static struct stage stage = {
	.kind = PROC_QUEUE, .patience = 30, .handlers = handlers, .ctx = &world
};

/* ---- the stage ---- */

static void
start_worker(void)
{
	/* root is as on a real machine */
	const char *const root[] = { "queue", "-d", "-u", SERVICE_USER, "-c",
		world.path, "-w", "/", NULL };
	const char *const user[] = { "queue", "-d", "-w", world.path, NULL };

	stage_start(&stage, "queue/queue", geteuid() == 0 ? root : user);
	stage_configure(&stage, &conf);
	assert_string_equal(stage.error, "");
	stage_add_peer(&stage, PROC_SMTPD);
	stage_add_peer(&stage, PROC_AUTH);
	stage_add_peer(&stage, PROC_DELIVER);
	stage_swap(&stage);
}

static void
kill_worker(void)
{
	kill(stage.pid, SIGKILL);
	stage_close(&stage);
}

static int
count_one(void *arg, const struct envelope *env)
{
	++*(uint32_t *)arg;
	return 0;
}

/* The spool belongs to the user that the worker becomes. */
static void
act_as_owner(int yes)
{
	const struct passwd *pw = getpwnam(SERVICE_USER);

	if (getuid() != 0)
		return;
	assert_non_null(pw);
	assert_int_equal(seteuid(yes ? pw->pw_uid : 0), 0);
}

/* How many messages are in the store, which nobody else may have open. */
static uint32_t
count_messages(void)
{
	uint32_t count = 0, next;
	struct store *st;

	act_as_owner(1);
	st = fixture_open(world.path);
	assert_int_equal(
	    store_iterate(st, 0, 0, count_one, &count, &next), STORE_OK);
	store_close(st);
	act_as_owner(0);
	return count;
}

/* Nothing was lost, and nothing is left. */
static void
end_empty(void)
{
	stage_stop(&stage);
	assert_int_equal(count_messages(), 0);
}

static int
setup(void **state)
{
	memset(&world, 0, sizeof(world));
	log_init("test", LOG_TO_STDERR);
	world.path = fixture_folder();
	if (geteuid() == 0) {
		const struct passwd *pw = getpwnam(SERVICE_USER);

		assert_non_null(pw);
		assert_int_equal(chown(world.path, pw->pw_uid, pw->pw_gid), 0);
	}
	stage.loop = loop_new();
	start_worker();
	return 0;
}

static int
teardown(void **state)
{
	if (stage.pid != 0)
		kill_worker();
	loop_free(stage.loop);
	fixture_remove(world.path);
	return 0;
}

static uint32_t
take_id(void)
{
	struct msg_id_request request = { .count = 16 };

	if (world.ids == 0) {
		stage_ask(&stage, PROC_SMTPD, id_request, &request, id_block);
		assert_int_equal(world.ids, 16);
	}
	world.ids--;
	return world.next_id++;
}

static void
submit(const char *rcpt, const char *action, const char *body, uint8_t notify)
{
	struct msg_rcpt_spec spec = {
		.address = rcpt, .action = action, .notify = notify
	};
	struct ipc_buf rcpts = { 0 };
	struct msg_submit m = { .id = 5,
		.msgid = take_id(),
		.session = 0xabc,
		.sender = "s@near.example",
		.size = body != NULL ? strlen(body) : LARGE,
		.body_sent = body == NULL };

	if (body != NULL)
		m.body = ipc_blob(body, strlen(body));
	ipc_add_rcpt_spec(&rcpts, &spec);
	m.rcpts = ipc_buf_list(&rcpts);
	stage_ask(&stage, PROC_SMTPD, submit, &m, submitted);
	ipc_buf_free(&rcpts);
	assert_int_equal(world.code, 250);
}

static const char message[] =
    "Subject: x\r\nFrom: s@near.example\r\n\r\nhi\r\n";

/* ---- scenes ---- */

static void
test_relay(void **state)
{
	submit("r@far.example", "out", message, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_data);
	assert_int_equal(world.transfers, 1);
	assert_string_equal(world.sender, "s@near.example");
	assert_string_equal(world.rcpt, "r@far.example");
	assert_string_equal(world.destination, "far.example");
	assert_int_equal(world.body_len, strlen(message));
	assert_memory_equal(world.body, message, strlen(message));
	end_empty();
}

static void
test_large(void **state)
{
	struct msg_body_data piece = { .id = 5 };
	uint8_t *want = malloc(LARGE);

	fixture_body(1, want, LARGE);
	for (size_t at = 0; at < LARGE; at += 50000) {
		piece.data = ipc_blob(want + at, 50000);
		piece.last = at + 50000 == LARGE;
		ipc_send(stage.peer[PROC_SMTPD], body_data, &piece);
	}
	submit("r@far.example", "out", NULL, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_file);
	assert_int_equal(world.body_len, LARGE);
	assert_memory_equal(world.body, want, LARGE);
	free(want);
	end_empty();
}

/* Enough for several files of log: they come, are checkpointed and go, all
 * inside the sandbox. */
static void
test_much(void **state)
{
	char *body = malloc(60001);

	memset(body, 'x', 60000);
	body[60000] = '\0';
	for (int i = 0; i < 600; i++)
		submit("r@far.example", "out", body, 0);
	while (world.transfers < 600)
		stage_await(&stage, MSG_transfer);
	free(body);
	stage_await(&stage, MSG_body_data);
	end_empty();
}

/* A temporary failure is tried again; a kill in between changes nothing. */
static void
test_retry(void **state)
{
	world.verdict = DELIVERY_TEMPFAIL;
	submit("r@far.example", "out", message, 0);
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	kill_worker();
	assert_int_equal(count_messages(), 1);
	world.verdict = DELIVERY_OK;
	world.transfers = 0;
	world.ids = 0;
	start_worker();
	while (world.transfers < 1)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	end_empty();
}

/* Killed with the transfer under way: it is made again. */
static void
test_killed(void **state)
{
	world.silent = 1;
	for (int i = 0; i < 20; i++)
		submit("r@far.example", "out", message, 0);
	kill_worker();
	assert_int_equal(count_messages(), 20);
	world.silent = 0;
	world.transfers = 0;
	start_worker();
	while (world.transfers < 20)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	end_empty();
}

/* The worker that has the transfer dies: another gets it. */
static void
test_deliver_dies(void **state)
{
	world.silent = 1;
	submit("r@far.example", "out", message, 0);
	if (world.transfers == 0)
		stage_await(&stage, MSG_transfer);
	stage_add_peer(&stage, PROC_DELIVER);
	world.silent = 0;
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	end_empty();
}

/* Refused for good: the sender gets a report, and that is all that is left
 * until it is delivered. */
static void
test_bounce(void **state)
{
	world.verdict = DELIVERY_PERMFAIL;
	submit("r@far.example", "out", message, 0);
	if (world.transfers == 0)
		stage_await(&stage, MSG_transfer);
	world.verdict = DELIVERY_OK;
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	while (!body_has("Final-Recipient"))
		stage_await(&stage, MSG_body_data);
	assert_string_equal(world.sender, "");
	assert_string_equal(world.rcpt, "s@near.example");
	assert_true(body_has("rfc822;r@far.example") ||
	    body_has("rfc822; r@far.example"));
	assert_true(body_has("nobody here"));
	assert_true(body_has("Subject: x"));
	end_empty();
}

/* A report that fails itself ends. */
static void
test_double_bounce(void **state)
{
	world.verdict = DELIVERY_PERMFAIL;
	submit("r@far.example", "out", message, 0);
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	stage_stop(&stage);
	assert_int_equal(world.transfers, 2);
	assert_int_equal(count_messages(), 0);
}

static void
test_success_report(void **state)
{
	world.hop = HOP_NO_DSN;
	submit("r@far.example", "out", message, NOTIFY_SUCCESS);
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	while (!body_has("Final-Recipient"))
		stage_await(&stage, MSG_body_data);
	assert_true(body_has("relayed"));
	end_empty();
}

static void
test_local(void **state)
{
	submit("two@example.org", "local", message, 0);
	while (world.locals < 2)
		stage_await(&stage, MSG_local_delivery);
	assert_non_null(strstr(world.users, "joe "));
	assert_non_null(strstr(world.users, "ann "));
	assert_int_equal(world.body_len, strlen(message));
	assert_memory_equal(world.body, message, strlen(message));
	submit("fwd@example.org", "local", message, 0);
	if (world.transfers == 0)
		stage_await(&stage, MSG_transfer);
	assert_string_equal(world.rcpt, "x@far.example");
	stage_await(&stage, MSG_body_data);
	submit("none@example.org", "local", message, 0);
	while (!body_has("No such recipient"))
		stage_await(&stage, MSG_body_data);
	assert_string_equal(world.rcpt, "s@near.example");
	end_empty();
}

/* Says of all that local holds that it is done. How many that was. */
static uint32_t
answer_held(void)
{
	struct msg_local_done done = { .enhanced = "2.0.0" };
	uint32_t n = world.nheld;

	while (world.nheld > 0) {
		done.id = world.held[--world.nheld];
		ipc_send(stage.master, local_done, &done);
	}
	return n;
}

/* A user whose deliveries were quick, and then take for ever, leaves others
 * theirs. */
static void
test_local_part(void **state)
{
	enum { MESSAGES = 260, ROUNDS = 20 };
	uint32_t before, n;

	world.hold = 1;
	for (int i = 0; i < MESSAGES; i++)
		submit("joe@example.org", "local", message, 0);
	while (world.nheld < LOCAL_PER_USER)
		stage_await(&stage, MSG_local_delivery);
	for (int i = 0; i < ROUNDS; i++) {
		before = world.locals;
		n = answer_held();
		while (world.locals < before + n)
			stage_await(&stage, MSG_local_delivery);
	}
	submit("ann@example.org", "local", message, 0);
	while (strcmp(world.users, "ann ") != 0)
		stage_await(&stage, MSG_local_delivery);
	assert_int_equal(world.nheld, LOCAL_MAX / 4);
	while (world.locals < MESSAGES + 1) {
		answer_held();
		stage_await(&stage, MSG_local_delivery);
	}
	answer_held();
	end_empty();
}

/* Two local parts may be two mailboxes, of a host that says so. */
static void
test_named_twice(void **state)
{
	submit("cases+@example.org", "local", message, 0);
	while (world.sent < 2)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	end_empty();
	assert_int_equal(world.sent, 2);
}

/* Two users forward to each other, a thousand times each: it is no more work
 * than two thousand addresses are, and the sender hears of it once. */
static void
test_circle(void **state)
{
	int64_t start = loop_now(stage.loop), wide;

	submit("wide+@example.org", "local", message, 0);
	while (world.sent < 1000)
		stage_await(&stage, MSG_transfer);
	wide = loop_now(stage.loop) - start;
	world.locals = world.expansions = 0;
	start = loop_now(stage.loop);
	submit("ping+@example.org", "local", message, 0);
	while (!body_has("5.4.6"))
		stage_await(&stage, MSG_body_data);
	assert_in_range(loop_now(stage.loop) - start, 0, 10 * wide);
	assert_int_equal(world.locals, 2);
	end_empty();
	assert_int_equal(world.sent, 1001);
	assert_int_equal(world.expansions, 1 + 2000 + 1);
}

/* What users may make of one recipient has an end, of which the sender hears
 * for each of those whose .forward is too much. */
static void
test_much_forwarded(void **state)
{
	submit("tree+@example.org", "local", message, 0);
	while (world.sent < 9000 + 3 || world.long_lists < 3)
		stage_await(&stage, MSG_body_data);
	end_empty();
	assert_int_equal(world.sent, 9000 + 3);
	assert_int_equal(world.locals, 1 + 12);
}

/* Its action is gone before it was expanded, and no rule takes it: it is held,
 * and tried again with each reload. */
static void
test_no_action(void **state)
{
	world.unknown = world.lacking = 1;
	submit("two@example.org", "gone", message, 0);
	if (world.expansions == 0)
		stage_await(&stage, MSG_expand);
	submit("r@far.example", "out", message, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_data);
	assert_int_equal(world.transfers, 1);
	world.unknown = 0;
	stage_configure(&stage, &conf);
	stage_swap(&stage);
	while (world.locals < 2)
		stage_await(&stage, MSG_local_delivery);
	assert_string_equal(world.users, "joe ann ");
	assert_int_equal(world.transfers, 1);
	end_empty();
}

/* Auth has not swapped yet, and refuses by rules where we have the action: that
 * is not said to the sender. */
static void
test_auth_behind(void **state)
{
	world.unknown = world.lacking = 1;
	submit("two@example.org", "local", message, 0);
	if (world.expansions == 0)
		stage_await(&stage, MSG_expand);
	world.unknown = world.lacking = 0;
	while (world.locals < 2)
		stage_await(&stage, MSG_local_delivery);
	assert_string_equal(world.users, "joe ann ");
	assert_int_equal(world.transfers, 0);
	end_empty();
}

/* Who uses an id that is not his is cut off. */
static void
test_forged(void **state)
{
	struct msg_rcpt_spec spec = { .address = "r@far.example",
		.action = "out" };
	struct ipc_buf rcpts = { 0 };
	struct msg_submit m = { .id = 5, .msgid = 0x7777777 };

	ipc_add_rcpt_spec(&rcpts, &spec);
	m.rcpts = ipc_buf_list(&rcpts);
	stage_ask(&stage, PROC_SMTPD, submit, &m, peer_lost);
	assert_int_equal(stage.broken, 1);
	ipc_buf_free(&rcpts);
	if (stage.peer[PROC_SMTPD] != NULL)
		stage_await(&stage, MSG_NONE);
	assert_null(stage.peer[PROC_SMTPD]);
	stage_add_peer(&stage, PROC_SMTPD);
	stage_await(&stage, MSG_queue_status);
	assert_int_equal(world.accepting, 1);
	submit("r@far.example", "out", message, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_data);
	end_empty();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_relay),
		TEST(test_large),
		TEST(test_much),
		TEST(test_retry),
		TEST(test_killed),
		TEST(test_deliver_dies),
		TEST(test_bounce),
		TEST(test_double_bounce),
		TEST(test_success_report),
		TEST(test_local),
		TEST(test_local_part),
		TEST(test_named_twice),
		TEST(test_circle),
		TEST(test_much_forwarded),
		TEST(test_no_action),
		TEST(test_auth_behind),
		TEST(test_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
