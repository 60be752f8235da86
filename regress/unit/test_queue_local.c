/*
 * The queue worker and the users of this host: what comes of aliases and of
 * .forward files, how often, and how much of local delivery a user may hold.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue_scene.h"

static void
test_local(void **state)
{
	scene_submit("two@example.org", "local", scene_message, 0);
	while (world.locals < 2)
		stage_await(&stage, MSG_local_delivery);
	assert_non_null(strstr(world.users, "joe "));
	assert_non_null(strstr(world.users, "ann "));
	assert_int_equal(world.body_len, strlen(scene_message));
	assert_memory_equal(world.body, scene_message, strlen(scene_message));
	scene_submit("fwd@example.org", "local", scene_message, 0);
	if (world.transfers == 0)
		stage_await(&stage, MSG_transfer);
	assert_string_equal(world.rcpt, "x@far.example");
	stage_await(&stage, MSG_body_data);
	scene_submit("none@example.org", "local", scene_message, 0);
	while (!scene_body_has("No such recipient"))
		stage_await(&stage, MSG_body_data);
	assert_string_equal(world.rcpt, "s@near.example");
	scene_end_empty();
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
		scene_submit("joe@example.org", "local", scene_message, 0);
	while (world.nheld < LOCAL_PER_USER)
		stage_await(&stage, MSG_local_delivery);
	for (int i = 0; i < ROUNDS; i++) {
		before = world.locals;
		n = answer_held();
		while (world.locals < before + n)
			stage_await(&stage, MSG_local_delivery);
	}
	scene_submit("ann@example.org", "local", scene_message, 0);
	while (strcmp(world.users, "ann ") != 0)
		stage_await(&stage, MSG_local_delivery);
	assert_int_equal(world.nheld, LOCAL_MAX / 4);
	while (world.locals < MESSAGES + 1) {
		answer_held();
		stage_await(&stage, MSG_local_delivery);
	}
	answer_held();
	scene_end_empty();
}

/* What all users of an action have under way for ever leaves another action
 * its part. */
static void
test_action_part(void **state)
{
	enum { USERS = LOCAL_MAX / LOCAL_PER_USER };
	char address[32];

	world.hold = 1;
	for (int i = 0; i < USERS * LOCAL_PER_USER; i++) {
		snprintf(
		    address, sizeof(address), "joe%d+@example.org", i % USERS);
		scene_submit(address, "local", scene_message, 0);
	}
	while (world.nheld < LOCAL_MAX / 2)
		stage_await(&stage, MSG_local_delivery);
	scene_submit("ann@example.org", "other", scene_message, 0);
	while (strcmp(world.users, "ann ") != 0)
		stage_await(&stage, MSG_local_delivery);
	assert_int_equal(world.nheld, LOCAL_MAX / 2);
	while (world.locals < USERS * LOCAL_PER_USER + 1) {
		answer_held();
		stage_await(&stage, MSG_local_delivery);
	}
	answer_held();
	scene_end_empty();
}

static void
submit_virtual(const char *name)
{
	char address[64];

	snprintf(address, sizeof(address), "%s@virtual.example", name);
	scene_submit(address, "virtual", scene_message, 0);
}

/* A virtual user whose deliveries take for ever leaves those their own who
 * share his account, however his address is written; and the account leaves
 * others theirs. */
static void
test_virtual_places(void **state)
{
	enum { ACCOUNT = LOCAL_MAX / 2 * 3 / 4, MORE = 10 };
	char name[16];

	world.hold = 1;
	for (int i = 0; i < LOCAL_PER_USER; i++) {
		submit_virtual("slow");
		submit_virtual("slow+tag");
		submit_virtual("sLow+1");
	}
	while (world.nheld < LOCAL_PER_USER)
		stage_await(&stage, MSG_local_delivery);
	submit_virtual("quick");
	while (strcmp(world.users, "joe ") != 0)
		stage_await(&stage, MSG_local_delivery);
	assert_int_equal(world.nheld, LOCAL_PER_USER);
	for (int i = 0; i < MORE; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		submit_virtual(name);
	}
	while (world.nheld < ACCOUNT)
		stage_await(&stage, MSG_local_delivery);
	scene_submit("ann@example.org", "local", scene_message, 0);
	while (strcmp(world.users, "joe ann ") != 0)
		stage_await(&stage, MSG_local_delivery);
	assert_int_equal(world.nheld, ACCOUNT);
	while (world.locals < 3 * LOCAL_PER_USER + 1 + MORE + 1) {
		answer_held();
		stage_await(&stage, MSG_local_delivery);
	}
	answer_held();
	scene_end_empty();
}

/* What is sent on goes with the address that did it: of the user, or as it was
 * accepted. What goes to the address that it came by was not sent on. */
static void
test_sent_on(void **state)
{
	static const struct {
		const char *rcpt, *action, *from;
	} rows[] = {
		{ "fwd@example.org", "local", "fwd@example.org" },
		{ "list@example.org", "local", "" },
		{ "x@far.example", "out", "" },
		{ "x@far.example", "gone", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world.lacking = strcmp(rows[i].action, "gone") == 0;
		scene_submit(rows[i].rcpt, rows[i].action, scene_message, 0);
		while (world.sent < i + 1)
			stage_await(&stage, MSG_transfer);
		stage_await(&stage, MSG_body_data);
		assert_string_equal(world.rcpt, "x@far.example");
		assert_string_equal(world.delivered_to, rows[i].from);
	}
	scene_end_empty();
}

/* Two local parts may be two mailboxes, of a host that says so. */
static void
test_named_twice(void **state)
{
	scene_submit("cases+@example.org", "local", scene_message, 0);
	while (world.sent < 2)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	scene_end_empty();
	assert_int_equal(world.sent, 2);
}

/* What failed for now in a .forward goes to the same user again, by itself,
 * when a retry is due. */
static void
test_items(void **state)
{
	int64_t start = loop_now(stage.loop);

	scene_submit("items+@example.org", "local", scene_message, 0);
	while (world.sent < 1)
		stage_await(&stage, MSG_transfer);
	stage_await(&stage, MSG_body_data);
	while (world.locals < 3)
		stage_await(&stage, MSG_local_delivery);
	assert_true(loop_now(stage.loop) - start >= 1000);
	scene_end_empty();
	assert_int_equal(world.locals, 3);
	assert_int_equal(world.sent, 1);
	assert_true(strcmp(world.entries, " 0 1 2147483655") == 0 ||
	    strcmp(world.entries, " 0 2147483655 1") == 0);
}

/* Two users forward to each other, a thousand times each: it is no more work
 * than two thousand addresses are, and the sender hears of it once. */
static void
test_circle(void **state)
{
	int64_t start = loop_now(stage.loop), wide;

	scene_submit("wide+@example.org", "local", scene_message, 0);
	while (world.sent < 1000)
		stage_await(&stage, MSG_transfer);
	wide = loop_now(stage.loop) - start;
	world.locals = world.expansions = 0;
	start = loop_now(stage.loop);
	scene_submit("ping+@example.org", "local", scene_message, 0);
	while (!scene_body_has("5.4.6"))
		stage_await(&stage, MSG_body_data);
	assert_in_range(loop_now(stage.loop) - start, 0, 10 * wide);
	assert_int_equal(world.locals, 2);
	scene_end_empty();
	assert_int_equal(world.sent, 1001);
	assert_int_equal(world.expansions, 1 + 2000 + 1);
}

/* What users may make of one recipient has an end, of which the sender hears,
 * with each of those whose .forward is too much. */
static void
test_much_forwarded(void **state)
{
	scene_submit("tree+@example.org", "local", scene_message, 0);
	while (world.sent < 9000 + world.long_reports || world.long_lists < 3)
		stage_await(&stage, MSG_body_data);
	scene_end_empty();
	assert_int_equal(world.long_lists, 3);
	/* one, unless it took long to come to all */
	assert_int_equal(world.sent, 9000 + world.long_reports);
	assert_int_equal(world.locals, 1 + 12);
}

/* What is owed when the worker is killed is reported by the next one, which
 * waits for nobody who is left, and once. */
static void
test_owed(void **state)
{
	world.hold = 1;
	scene_submit("two@example.org", "local", scene_message, NOTIFY_SUCCESS);
	while (world.locals < 2)
		stage_await(&stage, MSG_local_delivery);
	/* what happened before is durable when this is taken */
	scene_submit("joe@example.org", "local", scene_message, 0);
	assert_int_equal(world.transfers, 0);
	scene_kill();
	world.ids = world.nheld = 0;
	scene_start();
	while (!scene_body_has("Action: expanded"))
		stage_await(&stage, MSG_body_data);
	while (world.nheld < 2)
		stage_await(&stage, MSG_local_delivery);
	answer_held();
	scene_end_empty();
	assert_int_equal(world.transfers, 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_local),
		TEST(test_local_part),
		TEST(test_action_part),
		TEST(test_virtual_places),
		TEST(test_sent_on),
		TEST(test_named_twice),
		TEST(test_items),
		TEST(test_circle),
		TEST(test_much_forwarded),
		TEST(test_owed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
