/*
 * See queue_scene.h.
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
#include "queue_scene.h"
#include "store_fixture.h"

#define SERVICE_USER "nobody"

static struct conf_action actions[] = {
	{ .name = S("local"), .kind = CONF_ACTION_MBOX },
	{ .name = S("out"), .kind = CONF_ACTION_RELAY },
	{ .name = S("other"), .kind = CONF_ACTION_MBOX },
	{ .name = S("virtual"),
	    .kind = CONF_ACTION_MDA,
	    .local = { .by_address = true, .virtual_table = S("users") } },
};
struct conf scene_conf = { .server_name = S("mx.example.org"),
	.smtp = { .sub_addr_delim = S("+") },
	.retry = { .min = 2, .max = 2 },
	.queue = { .ttl = 432000 },
	.mda = { .max_session = LOCAL_MAX,
	    .max_session_per_user = LOCAL_PER_USER },
	.actions = actions,
	.nactions = sizeof(actions) / sizeof(actions[0]) };

struct world world;

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
	{ "items", 1, "x", "@far.example" },
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

/* The user items has a command that fails for now, and his mailbox with it. */
static void
add_items(
    struct world *w, struct ipc_buf *list, const struct msg_local_delivery *m)
{
	struct msg_forward_dest dest = {
		.code = 451, .enhanced = "4.3.0", .text = "Come again"
	};
	size_t n = strlen(w->entries);

	if (strncmp(m->user, "items", 5) != 0)
		return;
	snprintf(w->entries + n, sizeof(w->entries) - n, " %u", m->entry);
	if (m->entry != ENTRY_FORWARD)
		return;
	dest.address = "2147483655";
	ipc_add_forward_dest(list, &dest);
	dest.address = "1";
	ipc_add_forward_dest(list, &dest);
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
	if (w->hold && strncmp(m->user, "joe", 3) == 0 &&
	    strncmp(m->address, "quick", 5) != 0) {
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
	if (m->entry == ENTRY_FORWARD)
		add_forwards(&forward, m->user);
	add_items(w, &forward, m);
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
add_user(struct ipc_buf *dests, const struct msg_expand *m, const char *user)
{
	struct msg_expand_dest d = { .kind = DEST_USER,
		.address = m->recipient,
		.action = strcmp(m->action, "other") == 0 ||
			strcmp(m->action, "virtual") == 0
		    ? m->action
		    : "local",
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
	} else if (strcmp(m->action, "virtual") == 0) {
		add_user(&dests, m, "joe");
	} else if (strchr(m->recipient, '+') != NULL) {
		add_user(&dests, m, user);
	} else if (m->action[0] == '\0' ||
	    strcmp(m->recipient, "x@far.example") == 0) {
		ipc_add_expand_dest(&dests, &d);
	} else if (strcmp(m->recipient, "two@example.org") == 0) {
		add_user(&dests, m, "joe");
		add_user(&dests, m, "ann");
	} else if (strcmp(m->recipient, "joe@example.org") == 0) {
		add_user(&dests, m, "joe");
	} else if (strcmp(m->recipient, "ann@example.org") == 0) {
		add_user(&dests, m, "ann");
	} else if (strcmp(m->recipient, "fwd@example.org") == 0) {
		add_user(&dests, m, "fred");
	} else if (strcmp(m->recipient, "list@example.org") == 0) {
		d.address = "x@far.example";
		ipc_add_expand_dest(&dests, &d);
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
	snprintf(
	    w->delivered_to, sizeof(w->delivered_to), "%s", m->delivered_to);
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

int
scene_body_has(const char *text)
{
	return memmem(world.body, world.body_len, text, strlen(text)) != NULL;
}

/* How often one body, to which others may have been added, says so. */
static uint32_t
count_text(const struct ipc_blob *body, const char *text)
{
	const uint8_t *at = body->data, *end = body->data + body->len;
	uint32_t n = 0;

	for (;
	     (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL;
	     at++)
		n++;
	return n;
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
	if (count_text(data, "The list is too long") > 0) {
		w->long_lists += count_text(data, "\nAction: failed");
		w->long_reports++;
	}
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
struct stage stage = {
	.kind = PROC_QUEUE, .patience = 30, .handlers = handlers, .ctx = &world
};

/* ---- the stage ---- */

void
scene_start(void)
{
	/* root is as on a real machine */
	const char *const root[] = { "queue", "-d", "-u", SERVICE_USER, "-c",
		world.path, "-w", "/", NULL };
	const char *const user[] = { "queue", "-d", "-w", world.path, NULL };

	stage_start(&stage, "queue/queue", geteuid() == 0 ? root : user);
	stage_configure(&stage, &scene_conf);
	assert_string_equal(stage.error, "");
	stage_add_peer(&stage, PROC_SMTPD);
	stage_add_peer(&stage, PROC_AUTH);
	stage_add_peer(&stage, PROC_DELIVER);
	stage_swap(&stage);
}

void
scene_kill(void)
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

uint32_t
scene_count(void)
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
void
scene_end_empty(void)
{
	stage_stop(&stage);
	assert_int_equal(scene_count(), 0);
}

int
scene_setup(void **state)
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
	scene_start();
	return 0;
}

int
scene_teardown(void **state)
{
	if (stage.pid != 0)
		scene_kill();
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

void
scene_submit(
    const char *rcpt, const char *action, const char *body, uint8_t notify)
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

const char scene_message[] = "Subject: x\r\nFrom: s@near.example\r\n\r\nhi\r\n";
