/*
 * The way in, with the real store: what is answered 250 is durable, what a
 * worker may not do is refused, and what cannot be stored is not half there.
 */
#include "config.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue/ingest.h"
#include "queue/store_bdb.h"
#include "store_fixture.h"

enum { WORKER = 3 };

struct fixture {
	char *path;
	struct store *st;
	struct bodies *bodies;
	struct idblocks *ids;
	struct batch *batch;
	struct ingest in;
	uint32_t first; /* of 1024 ids for WORKER */
	int held; /* no large body gets to the disk */
	/* what came back */
	uint32_t answers;
	uint16_t code;
	uint64_t id;
	uint32_t accepted;
	uint32_t last_accepted;
};

static void
on_answer(void *arg, uint32_t sender, const struct msg_submitted *m)
{
	struct fixture *f = arg;

	assert_int_equal(sender, WORKER);
	f->answers++;
	f->code = m->code;
	f->id = m->id;
}

static enum envelope_state
on_first_state(void *arg, const char *action)
{
	return strcmp(action, "relay") == 0 ? ENVELOPE_READY
					    : ENVELOPE_INCOMING;
}

static void
on_accepted(void *arg, const struct envelope *env)
{
	struct fixture *f = arg;

	f->accepted++;
	f->last_accepted = env->msgid;
}

static const struct ingest_ops ops = { on_answer, on_first_state, on_accepted };

static void
on_done(void *arg, const struct batch_message *m, enum store_status status)
{
	struct fixture *f = arg;

	ingest_done(&f->in, m, status);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->path = fixture_folder();
	f->st = fixture_open(f->path);
	f->bodies = bodies_new(f->st, 100, NULL, NULL);
	f->ids = idblock_new();
	f->batch = batch_new(f->st, f->bodies, on_done, f);
	f->in = (struct ingest){ .batch = f->batch,
		.bodies = f->bodies,
		.ids = f->ids,
		.ops = &ops,
		.arg = f,
		.standing = { .accepting = 1 },
		.room = UINT64_MAX };
	if (store_id_block(f->st, 1024, &f->first) != STORE_OK)
		return -1;
	idblock_give(f->ids, WORKER, f->first, 1024);
	*state = f;
	return 0;
}

/* A file system in memory syncs 20 MiB at once: what is to be under way for a
 * while is held there. */
static void
hold_disk(struct fixture *f, int hold)
{
	if (hold && !f->held)
		pthread_mutex_lock(&f->st->writer.syncing);
	if (!hold && f->held)
		pthread_mutex_unlock(&f->st->writer.syncing);
	f->held = hold;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	hold_disk(f, 0);
	batch_free(f->batch);
	bodies_free(f->bodies);
	idblock_free(f->ids);
	store_close(f->st);
	fixture_remove(f->path);
	free(f);
	return 0;
}

static int
submit(struct fixture *f, uint32_t msgid, const char *body, size_t len,
    int body_sent)
{
	struct msg_rcpt_spec spec = { .address = "a@example.net",
		.orcpt = "rfc822;A@example.net",
		/* what is owed is for the queue alone to say */
		.notify = NOTIFY_FAILURE | 0xf0,
		.action = "relay" };
	struct ipc_buf rcpts = { 0 };
	struct msg_submit m = { .id = 77,
		.msgid = msgid,
		.session = 9,
		.sender = "s@example.org",
		.envid = "E1",
		.ret = RET_HDRS,
		.flags = MAIL_8BIT | MAIL_DSN,
		.client_addr = "192.0.2.1",
		.client_name = "c.example",
		.helo = "helo.example",
		.auth_user = "u",
		.tag = "t",
		.size = len,
		.body_sent = (uint8_t)body_sent,
		.body = { (const uint8_t *)body, body != NULL ? len : 0 } };
	int rc;

	ipc_add_rcpt_spec(&rcpts, &spec);
	spec.address = "b@example.net";
	spec.action = "local";
	ipc_add_rcpt_spec(&rcpts, &spec);
	m.rcpts = ipc_buf_list(&rcpts);
	rc = ingest_submit(&f->in, WORKER, &m, 1795536000);
	ipc_buf_free(&rcpts);
	return rc;
}

static void
test_submit(void **state)
{
	struct envelope *env = envelope_new(0);
	struct fixture *f = *state;
	struct store_body *body;
	char text[16] = "";

	assert_int_equal(submit(f, f->first, "Hello\r\n", 7, 0), 0);
	/* nothing is said before it is durable */
	assert_int_equal(f->answers, 0);
	assert_int_equal(batch_need(f->batch), BATCH_MAIL);
	batch_flush(f->batch);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->code, 250);
	assert_int_equal(f->id, 77);
	assert_int_equal(f->accepted, 1);
	assert_int_equal(batch_need(f->batch), BATCH_EMPTY);
	assert_int_equal(store_read_envelope(f->st, f->first, env), STORE_OK);
	assert_string_equal(env->sender, "s@example.org");
	assert_string_equal(env->envid, "E1");
	assert_string_equal(env->helo, "helo.example");
	assert_int_equal(env->arrival, 1795536000);
	assert_int_equal(env->flags, MAIL_8BIT);
	assert_int_equal(env->ret, RET_HDRS);
	assert_int_equal(env->rcpt_count, 2);
	assert_string_equal(env->rcpts[0].orcpt, "rfc822;A@example.net");
	assert_int_equal(env->rcpts[0].notify, NOTIFY_FAILURE);
	assert_int_equal(env->rcpts[0].state, ENVELOPE_READY);
	assert_int_equal(env->rcpts[1].state, ENVELOPE_INCOMING);
	assert_int_equal(store_body_open(f->st, env, &body), STORE_OK);
	assert_int_equal(store_body_read(body, text, sizeof(text)), 7);
	assert_string_equal(text, "Hello\r\n");
	store_body_close(body);
	envelope_free(env);
}

/* Who is named twice gets the message once; who is not the same for sure, or
 * wants another report, is another. */
static void
test_named_twice(void **state)
{
	static const struct msg_rcpt_spec specs[] = {
		{ "joe@example.net", "", NOTIFY_UNSAID, "relay" },
		{ "ann@example.net", "", NOTIFY_UNSAID, "relay" },
		{ "joe@EXAMPLE.net", "", NOTIFY_UNSAID, "relay" },
		{ "Joe@example.net", "", NOTIFY_UNSAID, "relay" },
		{ "joe@example.net", "", NOTIFY_NEVER, "relay" },
		{ "joe@example.net", "rfc822;j@a.test", NOTIFY_UNSAID,
		    "relay" },
		{ "joe", "", NOTIFY_UNSAID, "relay" },
		{ "joe@example.net", "", NOTIFY_UNSAID, "relay" },
		{ "joe@example.ne", "", NOTIFY_UNSAID, "relay" },
	};
	static const int kept[] = { 0, 1, 3, 4, 5, 6, 8 };
	struct envelope *env = envelope_new(0);
	struct fixture *f = *state;
	struct ipc_buf rcpts = { 0 };
	struct msg_submit m = { .id = 77, .msgid = f->first, .session = 9 };

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		ipc_add_rcpt_spec(&rcpts, &specs[i]);
	m.sender = "s@example.org";
	m.envid = m.client_addr = m.client_name = m.helo = m.auth_user = m.tag =
	    "";
	m.rcpts = ipc_buf_list(&rcpts);
	assert_int_equal(ingest_submit(&f->in, WORKER, &m, 1795536000), 0);
	batch_flush(f->batch);
	assert_int_equal(f->code, 250);
	assert_int_equal(store_read_envelope(f->st, f->first, env), STORE_OK);
	assert_int_equal(env->rcpt_count, sizeof(kept) / sizeof(kept[0]));
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		const struct msg_rcpt_spec *s = &specs[kept[i]];

		assert_string_equal(env->rcpts[i].address, s->address);
		assert_string_equal(env->rcpts[i].orcpt, s->orcpt);
		assert_int_equal(env->rcpts[i].notify, s->notify);
	}
	ipc_buf_free(&rcpts);
	envelope_free(env);
}

/* A batch flushes itself when it is full, and every message is answered. */
static void
test_full(void **state)
{
	struct fixture *f = *state;
	char *body = malloc(65536);
	struct store_stats stats;

	memset(body, 'x', 65536);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(submit(f, f->first + i, body, 10, 0), 0);
	assert_int_equal(f->accepted, 256);
	batch_flush(f->batch);
	assert_int_equal(f->accepted, 300);
	store_stats(f->st, &stats);
	assert_int_equal(stats.batches, 3);
	for (uint32_t i = 300; i < 317; i++)
		assert_int_equal(submit(f, f->first + i, body, 65536, 0), 0);
	/* by octets: 16 of 64 KiB */
	assert_int_equal(f->accepted, 316);
	batch_flush(f->batch);
	assert_int_equal(f->answers, 317);
	assert_int_equal(f->code, 250);
	free(body);
}

static void
wait_for_bodies(struct fixture *f)
{
	struct pollfd pfd = { .fd = store_spool_fd(f->st), .events = POLLIN };

	while (ingest_is_waiting(&f->in)) {
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		bodies_progress(f->bodies);
		ingest_progress(&f->in);
	}
}

/* Small messages are accepted while a large body is on its way to the disk;
 * it joins a later batch, or goes with its sender. */
static void
test_body_waits(void **state)
{
	struct fixture *f = *state;
	uint8_t *large = calloc(1, 20 << 20);
	struct envelope *env = envelope_new(0);

	for (int drop = 0; drop < 2; drop++) {
		uint32_t id = f->first + (uint32_t)drop * 2;

		assert_int_equal(
		    bodies_data(f->bodies, WORKER, 77, large, 20 << 20, 1),
		    BODY_OK);
		hold_disk(f, 1);
		assert_int_equal(submit(f, id, NULL, 20 << 20, 1), 0);
		assert_true(ingest_is_waiting(&f->in));
		assert_int_equal(submit(f, id + 1, "x", 1, 0), 0);
		batch_flush(f->batch);
		assert_int_equal(f->accepted, drop ? 3 : 1);
		assert_int_equal(f->last_accepted, id + 1);
		if (drop)
			ingest_drop(&f->in, WORKER);
		hold_disk(f, 0);
		wait_for_bodies(f);
		batch_flush(f->batch);
		assert_int_equal(f->accepted, drop ? 3 : 2);
		assert_int_equal(bodies_octets(f->bodies), 0);
		assert_int_equal(store_read_envelope(f->st, id, env),
		    drop ? STORE_NOTFOUND : STORE_OK);
	}
	envelope_free(env);
	free(large);
}

static void
test_body_sent(void **state)
{
	struct fixture *f = *state;
	uint8_t piece[65536];
	struct envelope *env = envelope_new(0);
	struct store_body *body;

	memset(piece, 'y', sizeof(piece));
	for (int i = 0; i < 4; i++)
		assert_int_equal(bodies_data(f->bodies, WORKER, 77, piece,
				     sizeof(piece), i == 3),
		    BODY_OK);
	assert_int_equal(submit(f, f->first, NULL, 4 * 65536, 1), 0);
	wait_for_bodies(f);
	batch_flush(f->batch);
	assert_int_equal(f->code, 250);
	assert_int_equal(bodies_octets(f->bodies), 0);
	assert_int_equal(store_read_envelope(f->st, f->first, env), STORE_OK);
	assert_int_equal(env->body_size, 4 * 65536);
	assert_int_equal(env->body, ENVELOPE_BODY_FILE);
	assert_int_equal(store_body_open(f->st, env, &body), STORE_OK);
	for (size_t done = 0; done < 4 * 65536;) {
		ssize_t n = store_body_read(body, piece, sizeof(piece));

		assert_true(n > 0);
		done += (size_t)n;
	}
	store_body_close(body);
	envelope_free(env);
	/* a piece is missing */
	assert_int_equal(
	    bodies_data(f->bodies, WORKER, 77, piece, 1, 1), BODY_OK);
	assert_int_equal(submit(f, f->first + 1, NULL, 2, 1), 0);
	assert_int_equal(f->code, 451);
}

static void
test_rules(void **state)
{
	struct fixture *f = *state;
	uint32_t other;

	assert_int_equal(store_id_block(f->st, 10, &other), STORE_OK);
	assert_int_equal(idblock_give(f->ids, WORKER + 1, other, 10), 0);
	/* another worker's id; no id; a body that never came */
	assert_int_equal(submit(f, other, "x", 1, 0), -1);
	assert_int_equal(submit(f, 0, "x", 1, 0), -1);
	assert_int_equal(submit(f, f->first + 1, "", 0, 1), -1);
	assert_int_equal(submit(f, f->first + 2, "x", 1, 1), -1);
	/* an id twice */
	assert_int_equal(submit(f, f->first, "x", 1, 0), 0);
	assert_int_equal(submit(f, f->first, "x", 1, 0), -1);
	idblock_drop(f->ids, WORKER);
	assert_int_equal(submit(f, f->first + 3, "x", 1, 0), -1);
	batch_flush(f->batch);
	assert_int_equal(f->answers, 1);
}

static void
test_refusing(void **state)
{
	struct fixture *f = *state;
	uint8_t x = 'x';

	f->in.standing = (struct msg_queue_status){
		.code = 452, .enhanced = "4.3.1", .text = "full"
	};
	assert_int_equal(submit(f, f->first, "x", 1, 0), 0);
	assert_int_equal(f->code, 452);
	assert_int_equal(bodies_data(f->bodies, WORKER, 77, &x, 1, 1), BODY_OK);
	assert_int_equal(submit(f, f->first + 1, NULL, 1, 1), 0);
	assert_int_equal(f->answers, 2);
	assert_int_equal(bodies_octets(f->bodies), 0);
	assert_int_equal(batch_need(f->batch), BATCH_EMPTY);
}

/* What comes before the next look at the disk is bounded by what it had. */
static void
test_room(void **state)
{
	struct fixture *f = *state;
	uint8_t x = 'x';

	f->in.room = 1000;
	assert_int_equal(submit(f, f->first, "x", 1, 0), 0);
	assert_in_range(f->in.room, 800, 980);
	f->in.room = 5;
	assert_int_equal(submit(f, f->first + 1, "x", 1, 0), 0);
	assert_int_equal(f->code, 452);
	assert_int_equal(bodies_data(f->bodies, WORKER, 77, &x, 1, 1), BODY_OK);
	assert_int_equal(submit(f, f->first + 2, NULL, 1, 1), 0);
	assert_int_equal(f->answers, 2);
	assert_int_equal(bodies_octets(f->bodies), 0);
	assert_int_equal(f->in.room, 5);
	batch_flush(f->batch);
	assert_int_equal(f->accepted, 1);
}

/* One id block, many; what is used up is forgotten. */
static void
test_idblock(void **state)
{
	struct idblocks *ids = idblock_new();

	assert_int_equal(idblock_give(ids, 1, 100, 0), -1);
	assert_int_equal(idblock_give(ids, 1, 100, IDBLOCK_MAX + 1), -1);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(idblock_give(ids, 1, 100 + i * 2, 2), 0);
	/* the first ones were hoarded too long */
	assert_int_equal(idblock_use(ids, 1, 100), -1);
	assert_int_equal(idblock_use(ids, 1, 100 + 4999 * 2), 0);
	assert_int_equal(idblock_use(ids, 1, 101 + 4999 * 2), 0);
	assert_int_equal(idblock_use(ids, 1, 101 + 4999 * 2), -1);
	assert_int_equal(idblock_use(ids, 1, 102 + 4999 * 2), -1);
	assert_int_equal(idblock_use(ids, 2, 100 + 4000 * 2), -1);
	/* at the very end of the numbers */
	assert_int_equal(idblock_give(ids, 2, UINT32_MAX - 3, 4), 0);
	assert_int_equal(idblock_use(ids, 2, UINT32_MAX), 0);
	assert_int_equal(idblock_use(ids, 2, 0), -1);
	idblock_free(ids);
}

/* Changes: one envelope for all who ask in a batch, written once. */
static void
test_changes(void **state)
{
	struct envelope *a, *b, *env = envelope_new(0);
	struct fixture *f = *state;
	enum store_status status;

	submit(f, f->first, "x", 1, 0);
	submit(f, f->first + 1, "x", 1, 0);
	batch_flush(f->batch);
	a = batch_envelope(f->batch, f->first, &status);
	b = batch_envelope(f->batch, f->first, &status);
	assert_non_null(a);
	assert_ptr_equal(a, b);
	assert_int_equal(batch_need(f->batch), BATCH_EMPTY);
	envelope_edit(a, 1)->state = ENVELOPE_DONE;
	assert_int_equal(batch_need(f->batch), BATCH_CHANGES);
	assert_int_equal(batch_remove(f->batch, f->first + 1), 0);
	assert_null(batch_envelope(f->batch, f->first + 1, &status));
	assert_int_equal(status, STORE_NOTFOUND);
	/* twice, and one that is not there */
	assert_int_equal(batch_remove(f->batch, f->first + 1), 0);
	assert_int_equal(batch_remove(f->batch, 999999), 0);
	batch_flush(f->batch);
	assert_int_equal(store_read_envelope(f->st, f->first, env), STORE_OK);
	assert_int_equal(env->rcpts[1].state, ENVELOPE_DONE);
	assert_int_equal(
	    store_read_envelope(f->st, f->first + 1, env), STORE_NOTFOUND);
	assert_null(batch_envelope(f->batch, 999999, &status));
	assert_int_equal(status, STORE_NOTFOUND);
	envelope_free(env);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_submit),
		TEST(test_named_twice),
		TEST(test_full),
		TEST(test_body_waits),
		TEST(test_body_sent),
		TEST(test_rules),
		TEST(test_refusing),
		TEST(test_room),
		cmocka_unit_test(test_idblock),
		TEST(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
