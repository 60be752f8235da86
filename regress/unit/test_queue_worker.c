/*
 * The queue worker: mail goes in, is delivered, retried and reported; the
 * worker is killed in between; and in the end the store is empty, since nothing
 * was lost and nothing is left.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue_scene.h"
#include "store_fixture.h"

static void
test_relay(void **state)
{
	scene_submit("r@far.example", "out", scene_message, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_data);
	assert_int_equal(world.transfers, 1);
	assert_string_equal(world.sender, "s@near.example");
	assert_string_equal(world.rcpt, "r@far.example");
	assert_string_equal(world.destination, "far.example");
	assert_int_equal(world.body_len, strlen(scene_message));
	assert_memory_equal(world.body, scene_message, strlen(scene_message));
	scene_end_empty();
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
	scene_submit("r@far.example", "out", NULL, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_file);
	assert_int_equal(world.body_len, LARGE);
	assert_memory_equal(world.body, want, LARGE);
	free(want);
	scene_end_empty();
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
		scene_submit("r@far.example", "out", body, 0);
	while (world.transfers < 600)
		stage_await(&stage, MSG_transfer);
	free(body);
	stage_await(&stage, MSG_body_data);
	scene_end_empty();
}

/* A temporary failure is tried again; a kill in between changes nothing. */
static void
test_retry(void **state)
{
	world.verdict = DELIVERY_TEMPFAIL;
	scene_submit("r@far.example", "out", scene_message, 0);
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	scene_kill();
	assert_int_equal(scene_count(), 1);
	world.verdict = DELIVERY_OK;
	world.transfers = 0;
	world.ids = 0;
	scene_start();
	while (world.transfers < 1)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	scene_end_empty();
}

/* Killed with the transfer under way: it is made again. */
static void
test_killed(void **state)
{
	world.silent = 1;
	for (int i = 0; i < 20; i++)
		scene_submit("r@far.example", "out", scene_message, 0);
	scene_kill();
	assert_int_equal(scene_count(), 20);
	world.silent = 0;
	world.transfers = 0;
	scene_start();
	while (world.transfers < 20)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	scene_end_empty();
}

/* The worker that has the transfer dies: another gets it. */
static void
test_deliver_dies(void **state)
{
	world.silent = 1;
	scene_submit("r@far.example", "out", scene_message, 0);
	if (world.transfers == 0)
		stage_await(&stage, MSG_transfer);
	stage_add_peer(&stage, PROC_DELIVER);
	world.silent = 0;
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	scene_end_empty();
}

/* Refused for good: the sender gets a report, and that is all that is left
 * until it is delivered. */
static void
test_bounce(void **state)
{
	world.verdict = DELIVERY_PERMFAIL;
	scene_submit("r@far.example", "out", scene_message, 0);
	if (world.transfers == 0)
		stage_await(&stage, MSG_transfer);
	world.verdict = DELIVERY_OK;
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	while (!scene_body_has("Final-Recipient"))
		stage_await(&stage, MSG_body_data);
	assert_string_equal(world.sender, "");
	assert_string_equal(world.rcpt, "s@near.example");
	assert_true(scene_body_has("rfc822;r@far.example") ||
	    scene_body_has("rfc822; r@far.example"));
	assert_true(scene_body_has("nobody here"));
	assert_true(scene_body_has("Subject: x"));
	scene_end_empty();
}

/* A report that fails itself ends. */
static void
test_double_bounce(void **state)
{
	world.verdict = DELIVERY_PERMFAIL;
	scene_submit("r@far.example", "out", scene_message, 0);
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	stage_stop(&stage);
	assert_int_equal(world.transfers, 2);
	assert_int_equal(scene_count(), 0);
}

static void
test_success_report(void **state)
{
	world.hop = HOP_NO_DSN;
	scene_submit("r@far.example", "out", scene_message, NOTIFY_SUCCESS);
	while (world.transfers < 2)
		stage_await(&stage, MSG_transfer);
	while (!scene_body_has("Final-Recipient"))
		stage_await(&stage, MSG_body_data);
	assert_true(scene_body_has("relayed"));
	scene_end_empty();
}

/* Its action is gone before it was expanded, and no rule takes it: it is held,
 * and tried again with each reload. */
static void
test_no_action(void **state)
{
	world.unknown = world.lacking = 1;
	scene_submit("two@example.org", "gone", scene_message, 0);
	if (world.expansions == 0)
		stage_await(&stage, MSG_expand);
	scene_submit("r@far.example", "out", scene_message, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_data);
	assert_int_equal(world.transfers, 1);
	world.unknown = 0;
	stage_configure(&stage, &scene_conf);
	stage_swap(&stage);
	while (world.locals < 2)
		stage_await(&stage, MSG_local_delivery);
	assert_string_equal(world.users, "joe ann ");
	assert_int_equal(world.transfers, 1);
	scene_end_empty();
}

/* Auth has not swapped yet, and refuses by rules where we have the action: that
 * is not said to the sender. */
static void
test_auth_behind(void **state)
{
	world.unknown = world.lacking = 1;
	scene_submit("two@example.org", "local", scene_message, 0);
	if (world.expansions == 0)
		stage_await(&stage, MSG_expand);
	world.unknown = world.lacking = 0;
	while (world.locals < 2)
		stage_await(&stage, MSG_local_delivery);
	assert_string_equal(world.users, "joe ann ");
	assert_int_equal(world.transfers, 0);
	scene_end_empty();
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
	scene_submit("r@far.example", "out", scene_message, 0);
	if (world.body_len == 0)
		stage_await(&stage, MSG_body_data);
	scene_end_empty();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
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
		TEST(test_no_action),
		TEST(test_auth_behind),
		TEST(test_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
