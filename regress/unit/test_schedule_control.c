/*
 * The scheduler under its clock and its operator: expiry and warnings, then
 * holding, removing, pausing, flushing and listing.
 */
#include "regress/unit/schedule_scene.h"

static void
expiry_and_warning(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_verdict v;
	struct sched_add a = { .msgid = 1,
		.action = "a",
		.domain = "d",
		.next = T0 + 50,
		.warn = T0 + 100,
		.expiry = T0 + 500 };

	assert_int_equal(sched_add(s, &a, T0), 0);
	a.rcpt = 1;
	a.next = T0 + 10000;
	assert_int_equal(sched_add(s, &a, T0), 0);
	assert_int_equal(sched_deadline(s, T0), T0 + 50);
	scene_start(s, T0 + 50, &job);
	/* In flight nothing expires; the result decides. */
	assert_int_equal(sched_next(s, T0 + 100, &job), SCHED_WARN);
	assert_int_equal(job.msgid, 1);
	assert_int_equal(job.rcpts[0], 1);
	scene_nothing(s, T0 + 100);
	assert_int_equal(sched_next(s, T0 + 500, &job), SCHED_EXPIRED);
	assert_int_equal(job.rcpts[0], 1);
	assert_int_equal(scene_look(s, 1, 1).state, SCHED_DONE);
	scene_nothing(s, T0 + 500);
	assert_int_equal(
	    sched_result(s, 1, 0, SCHED_TEMPFAIL, T0 + 501, &v), 0);
	assert_int_equal(v.state, SCHED_DONE);
	assert_int_equal(v.expired, 1);
	assert_int_equal(sched_remove(s, 1, SCHED_ALL), 2);
	sched_free(s);
}

/* Those whose time is over together are told of together. */
static void
events_of_a_message(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_add a = { .msgid = 1,
		.action = "a",
		.domain = "d",
		.next = T0 + 1000,
		.warn = T0 + 100,
		.expiry = T0 + 500 };

	for (; a.rcpt < 5; a.rcpt++) {
		a.domain = a.rcpt < 3 ? "d" : "e";
		assert_int_equal(sched_add(s, &a, T0), 0);
	}
	a.expiry = a.warn = T0 + 600;
	assert_int_equal(sched_add(s, &a, T0), 0);
	a.msgid = 2;
	a.warn = T0 + 100;
	assert_int_equal(sched_add(s, &a, T0), 0);
	assert_int_equal(sched_hold(s, 1, 4), 1);
	assert_int_equal(sched_next(s, T0 + 100, &job), SCHED_WARN);
	assert_int_equal(job.nrcpts, job.msgid == 1 ? 4 : 1);
	assert_int_equal(sched_next(s, T0 + 100, &job), SCHED_WARN);
	assert_int_equal(job.nrcpts, job.msgid == 1 ? 4 : 1);
	scene_nothing(s, T0 + 100);
	assert_int_equal(sched_next(s, T0 + 500, &job), SCHED_EXPIRED);
	assert_int_equal(job.nrcpts, 4);
	scene_nothing(s, T0 + 500);
	sched_free(s);
}

/* Times that are changed hold for what waits, is ready or under way; what they
 * end at once is tried before. */
static void
times_change(void **state)
{
	struct sched_add a = { .action = "a",
		.domain = "d",
		.next = T0 + 50,
		.expiry = T0 + 100 };
	struct sched *s = scene_new();
	struct sched_job job;

	for (a.msgid = 1; a.msgid <= 3; a.msgid++)
		assert_int_equal(sched_add(s, &a, T0), 0);
	scene_start(s, T0 + 50, &job);
	assert_int_equal(job.msgid, 1);
	sched_set_times(s, 1, 0, T0 + 500, 0, T0 + 50);
	sched_set_times(s, 2, 0, T0 + 500, T0 + 200, T0 + 50);
	sched_set_times(s, 3, 0, T0 + 40, 0, T0 + 50);
	sched_set_times(s, 4, 0, T0 + 40, 0, T0 + 50);
	scene_finish(s, &job, SCHED_TEMPFAIL, SCHED_ROUTE_OK, T0 + 100);
	assert_int_equal(scene_look(s, 1, 0).state, SCHED_WAITING);
	sched_pause_kind(s, SCHED_RELAY, 1);
	assert_int_equal(sched_next(s, T0 + 200, &job), SCHED_WARN);
	assert_int_equal(job.msgid, 2);
	sched_pause_kind(s, SCHED_RELAY, 0);
	scene_start(s, T0 + 200, &job);
	scene_start(s, T0 + 200, &job);
	assert_int_equal(job.msgid, 3);
	assert_int_equal(
	    scene_result(s, &job, 0, SCHED_TEMPFAIL, T0 + 200), SCHED_DONE);
	sched_set_times(s, 3, 0, T0 + 500, 0, T0 + 200);
	assert_int_equal(sched_next(s, T0 + 500, &job), SCHED_EXPIRED);
	assert_int_equal(job.msgid, 1);
	scene_nothing(s, T0 + 500);
	sched_free(s);
}

static void
expires_while_blocked(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	int64_t now = T0;
	uint32_t probes = 0;

	scene_add(s, 1, 0, 1, "d");
	scene_start(s, now, &job);
	scene_route_fails(s, &job, now);
	for (;;) {
		now = sched_deadline(s, now);
		if (sched_next(s, now, &job) == SCHED_EXPIRED)
			break;
		scene_route_fails(s, &job, now);
		probes++;
	}
	assert_int_equal(now, T0 + 5 * 86400);
	assert_in_range(probes, 240, 300);
	assert_int_equal(sched_remove(s, 1, 0), 1);
	/* The destination goes when its block ends. */
	now = sched_deadline(s, now);
	scene_nothing(s, now);
	assert_int_equal(sched_deadline(s, now), -1);
	sched_free(s);
}

enum stop { ADDED_LATE, HELD_LATE, DOMAIN_PAUSED, KIND_PAUSED, STOPS };

/* Adds two messages, whose time ends while nothing may be tried. */
static void
stop_for_long(struct sched *s, enum stop how)
{
	struct sched_add a = {
		.action = "a", .domain = "d", .expiry = T0 + 500
	};
	int64_t now = how == ADDED_LATE ? T0 + 600 : T0;

	sched_pause_kind(s, SCHED_RELAY, how == KIND_PAUSED);
	sched_pause_domain(s, "d", how == DOMAIN_PAUSED);
	for (a.msgid = 1; a.msgid <= 2; a.msgid++) {
		assert_int_equal(sched_add(s, &a, now), 0);
		if (how == HELD_LATE)
			assert_int_equal(sched_hold(s, a.msgid, 0), 1);
	}
	if (how != ADDED_LATE)
		scene_nothing(s, T0 + 500);
	assert_int_equal(sched_release(s, 1, 0, T0 + 600), how == HELD_LATE);
	assert_int_equal(sched_release(s, 2, 0, T0 + 600), how == HELD_LATE);
	sched_pause_kind(s, SCHED_RELAY, 0);
	sched_pause_domain(s, "d", 0);
}

/* Nothing expires before it was tried. */
static void
tried_before_it_expires(void **state)
{
	struct sched_job job;
	struct sched_verdict v;
	struct sched *s;

	for (enum stop how = 0; how < STOPS; how++) {
		s = scene_new();
		stop_for_long(s, how);
		scene_start(s, T0 + 600, &job);
		assert_int_equal(job.msgid, 1);
		assert_int_equal(
		    sched_result(s, 1, 0, SCHED_TEMPFAIL, T0 + 600, &v), 0);
		assert_int_equal(v.expired, 1);
		sched_finish(s, job.id, SCHED_ROUTE_OK, T0 + 600, NULL, NULL);
		scene_start(s, T0 + 601, &job);
		assert_int_equal(job.msgid, 2);
		sched_free(s);
	}
}

/* What is held while its route fails hears of it when it is released. */
static void
tried_while_others_are_held(void **state)
{
	struct sched_add a = {
		.action = "a", .domain = "d", .expiry = T0 + 500
	};
	struct sched *s = scene_new();
	struct sched_job job;
	int64_t now = T0 + 600;

	for (a.msgid = 1; a.msgid <= 4; a.msgid++) {
		a.flags = a.msgid > 1 ? SCHED_ADD_HELD : 0;
		assert_int_equal(sched_add(s, &a, now), 0);
	}
	scene_start(s, now, &job);
	scene_route_fails(s, &job, now);
	for (uint32_t m = 2; m <= 4; m++)
		assert_int_equal(sched_release(s, m, 0, now), 1);
	now = sched_deadline(s, now);
	scene_start(s, now, &job);
	scene_route_fails(s, &job, now);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sched_next(s, now, &job), SCHED_EXPIRED);
	sched_free(s);
}

/* A worker of ours that goes away tries nothing; a route that fails was tried
 * for all that waits for it. */
static void
tried_by_another(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_verdict v;
	uint32_t rcpt;

	stop_for_long(s, HELD_LATE);
	scene_start(s, T0 + 600, &job);
	assert_int_equal(
	    sched_finish(s, job.id, SCHED_ROUTE_UNKNOWN, T0 + 600, &v, &rcpt),
	    1);
	assert_int_equal(v.state, SCHED_WAITING);
	scene_start(s, T0 + 700, &job);
	assert_int_equal(job.msgid, 2);
	assert_int_equal(
	    sched_finish(s, job.id, SCHED_ROUTE_FAILED, T0 + 700, &v, &rcpt),
	    1);
	assert_int_equal(v.expired, 1);
	assert_int_equal(sched_next(s, T0 + 700, &job), SCHED_EXPIRED);
	assert_int_equal(job.msgid, 1);
	sched_free(s);
}

static void
hold_and_release(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_verdict v;

	scene_add(s, 1, 0, 1, "d");
	scene_add(s, 1, 1, 1, "d");
	assert_int_equal(sched_hold(s, 1, 0), 1);
	assert_int_equal(sched_hold(s, 1, 0), 0);
	assert_int_equal(sched_hold(s, 9, 0), 0);
	scene_start(s, T0, &job);
	assert_int_equal(job.rcpts[0], 1);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(sched_hold(s, 1, SCHED_ALL), 1);
	assert_int_equal(sched_result(s, 1, 1, SCHED_TEMPFAIL, T0, &v), 0);
	assert_int_equal(v.state, SCHED_HELD);
	sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	scene_nothing(s, T0 + 10 * 86400);
	assert_int_equal(sched_release(s, 1, SCHED_ALL, T0), 2);
	scene_start(s, T0, &job);
	assert_int_equal(job.nrcpts, 2);
	sched_free(s);
}

/* Whatever it comes to, but a delivery. */
static void
remove_in_flight(void **state)
{
	static const enum sched_outcome outcomes[] = { SCHED_TEMPFAIL,
		SCHED_REFUSED };
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_verdict v;

	for (int i = 0; i < 2; i++) {
		scene_add(s, 1, 0, 1, "d");
		scene_add(s, 2, 0, 1, "d");
		scene_start(s, T0, &job);
		assert_int_equal(sched_remove(s, 1, 0), 0);
		assert_int_equal(sched_remove(s, 2, SCHED_ALL), 1);
		assert_int_equal(sched_result(s, 1, 0, outcomes[i], T0, &v), 0);
		assert_int_equal(v.state, SCHED_DONE);
		assert_int_equal(v.removed, 1);
		assert_int_equal(sched_remove(s, 1, 0), 1);
		sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
		scene_nothing(s, T0);
	}
	sched_free(s);
}

static void
pauses(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;

	scene_add(s, 1, 0, 1, "a.example");
	scene_add(s, 2, 0, 1, "b.example");
	sched_pause_kind(s, SCHED_RELAY, 1);
	assert_int_equal(sched_kind_paused(s, SCHED_RELAY), 1);
	scene_nothing(s, T0);
	assert_int_equal(scene_look(s, 1, 0).paused, 1);
	assert_true(sched_deadline(s, T0) > T0);
	sched_pause_kind(s, SCHED_RELAY, 0);
	assert_int_equal(sched_pause_domain(s, "A.example", 1), 1);
	assert_int_equal(sched_pause_domain(s, "none.example", 1), 0);
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 2);
	scene_nothing(s, T0);
	/* also what comes later, and after the destination was gone */
	assert_int_equal(sched_remove(s, 1, SCHED_ALL), 1);
	scene_add(s, 3, 0, 1, "a.example");
	scene_add(s, 4, 0, 1, "none.example");
	scene_nothing(s, T0);
	assert_int_equal(sched_pause_domain(s, "a.example", 0), 1);
	assert_string_equal(sched_paused_domain(s, 0), "none.example");
	assert_null(sched_paused_domain(s, 1));
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 3);
	scene_nothing(s, T0);
	sched_free(s);
}

/* All of it, in steps of that many looks; how many entries changed. */
static uint32_t
flush_by(struct sched *s, uint32_t step)
{
	uint64_t cursor = 0;
	uint32_t changed = 0, before;
	int more = 1;

	while (more) {
		before = changed;
		more = sched_flush(s, &cursor, step, &changed, T0);
		/* the blocked destinations of these tests have one entry */
		assert_true(changed - before <= step);
	}
	return changed;
}

static void
flushes(void **state)
{
	static const uint32_t steps[] = { 1, 2, 1000 };
	struct sched_add a = { .action = "relay", .next = T0 + 999 };
	static const char *const domains[] = { "example.org", "sub.example.org",
		"notexample.org" };
	struct sched_job job;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct sched *s = scene_new();

		for (a.msgid = 1; a.msgid <= 3; a.msgid++) {
			a.domain = domains[a.msgid - 1];
			assert_int_equal(sched_add(s, &a, T0), 0);
		}
		scene_nothing(s, T0);
		assert_int_equal(sched_schedule(s, 1, SCHED_ALL, T0), 1);
		scene_start(s, T0, &job);
		assert_int_equal(job.msgid, 1);
		scene_nothing(s, T0);
		scene_route_fails(s, &job, T0);
		scene_nothing(s, T0);
		/* one that is blocked is probed at once */
		assert_int_equal(flush_by(s, steps[i]), 3);
		scene_start(s, T0, &job);
		assert_int_equal(job.msgid, 1);
		assert_int_equal(job.probe, 1);
		scene_start(s, T0, &job);
		scene_start(s, T0, &job);
		scene_nothing(s, T0);
		sched_free(s);
	}
}

static uint32_t
probe_at(const struct sched *s, uint32_t dest)
{
	struct sched_dest_info info;

	assert_int_equal(sched_dest_info(s, dest, &info), 1);
	assert_int_equal(info.blocked, 1);
	return (uint32_t)info.probe_at;
}

/* What an operator asks for, and fails, makes no later what was to be done
 * anyway; nor does it make the pause after that any longer. */
static void
flushes_put_nothing_off(void **state)
{
	struct sched_add a = {
		.action = "relay", .domain = "example.org", .msgid = 1
	};
	uint32_t first[2], second[2];

	for (int asked = 0; asked < 2; asked++) {
		struct sched *s = scene_new();
		struct sched_job job;

		assert_int_equal(sched_add(s, &a, T0), 0);
		scene_start(s, T0, &job);
		scene_route_fails(s, &job, T0);
		first[asked] = probe_at(s, job.dest);
		for (int i = 1; asked && i <= 5; i++) {
			assert_int_equal(flush_by(s, 1000), 1);
			scene_start(s, T0 + i, &job);
			scene_route_fails(s, &job, T0 + i);
			assert_int_equal(probe_at(s, job.dest), first[1]);
			scene_nothing(s, T0 + i);
		}
		scene_start(s, first[asked], &job);
		assert_int_equal(job.probe, 1);
		scene_route_fails(s, &job, first[asked]);
		second[asked] = probe_at(s, job.dest) - first[asked];
		sched_free(s);
	}
	assert_int_equal(first[0], first[1]);
	/* an eighth is by chance */
	assert_in_range(second[1], second[0] * 7 / 8, second[0] * 8 / 7);
}

static void
flushes_a_domain(void **state)
{
	static const char *const domains[] = { "example.org", "sub.example.org",
		"notexample.org", "" };
	struct sched_add a = { .action = "relay", .next = T0 + 999 };
	struct sched *s = scene_new();
	struct sched_job job;

	for (a.msgid = 1; a.msgid <= 4; a.msgid++) {
		a.domain = domains[a.msgid - 1];
		assert_int_equal(sched_add(s, &a, T0), 0);
	}
	assert_int_equal(sched_flush_domain(s, "EXAMPLE.org", 0, T0), 1);
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 1);
	scene_nothing(s, T0);
	scene_route_fails(s, &job, T0);
	scene_nothing(s, T0);
	/* one that is blocked is probed at once */
	assert_int_equal(sched_flush_domain(s, "example.org", 1, T0), 2);
	scene_start(s, T0, &job);
	assert_int_equal(job.probe, 1);
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 2);
	scene_nothing(s, T0);
	sched_free(s);
}

/* A destination that is there takes another limit, or that of another class. */
static void
limits_change(void **state)
{
	static const struct sched_class narrow = { .window_max = 2 };
	struct sched *s = scene_new();
	struct sched_dest_info info;
	struct sched_job job;

	sched_set_class(s, 7, &narrow);
	for (uint32_t i = 1; i <= 9; i++)
		scene_add(s, i, 0, i, "d");
	scene_start(s, T0, &job);
	sched_set_dest(s, job.dest, 0, 3);
	scene_start(s, T0, &job);
	scene_start(s, T0, &job);
	scene_nothing(s, T0);
	sched_set_dest(s, job.dest, 7, 0);
	assert_int_equal(sched_dest_info(s, job.dest, &info), 1);
	assert_int_equal(info.class, 7);
	assert_int_equal(info.window, 2);
	scene_deliver(s, &job, T0);
	scene_nothing(s, T0);
	/* one that grows again, and one that is not there */
	sched_set_dest(s, job.dest, 0, 0);
	sched_set_dest(s, job.dest + 1, 7, 1);
	scene_nothing(s, T0);
	sched_free(s);
}

static void
lists(void **state)
{
	struct sched *s = scene_new();
	struct sched_info rows[7];
	struct sched_filter any = { 0 }, held = { 0 }, one = { 0 };
	struct sched_dest_info dest;
	uint64_t cursor = 0;
	uint32_t i, seen[20] = { 0 };
	size_t n, total = 0;

	for (i = 0; i < 20; i++)
		scene_add(s, i + 1, i, 1, i % 2 == 0 ? "even" : "odd");
	sched_hold(s, 4, SCHED_ALL);
	sched_remove(s, 9, SCHED_ALL);
	while ((n = sched_list(s, &any, &cursor, rows, 7)) > 0) {
		for (i = 0; i < n; i++)
			seen[rows[i].msgid - 1]++;
		total += n;
	}
	assert_int_equal(total, 19);
	for (i = 0; i < 20; i++)
		assert_int_equal(seen[i], i != 8);
	held.states = 1 << SCHED_HELD;
	cursor = 0;
	assert_int_equal(sched_list(s, &held, &cursor, rows, 7), 1);
	assert_int_equal(rows[0].msgid, 4);
	held.domain = "even";
	cursor = 0;
	assert_int_equal(sched_list(s, &held, &cursor, rows, 7), 0);
	scene_add(s, 3, 9, 1, "even");
	one.msgid = 3;
	cursor = 0;
	assert_int_equal(sched_list(s, &one, &cursor, rows, 1), 1);
	assert_int_equal(rows[0].rcpt, 2);
	assert_int_equal(sched_list(s, &one, &cursor, rows, 1), 1);
	assert_int_equal(rows[0].rcpt, 9);
	assert_int_equal(sched_list(s, &one, &cursor, rows, 1), 0);
	one.msgid = 5;
	cursor = 0;
	assert_int_equal(sched_list(s, &one, &cursor, rows, 1), 1);
	assert_int_equal(sched_list(s, &one, &cursor, rows, 1), 0);
	cursor = 0;
	for (n = 0; sched_list_dests(s, &cursor, &dest); n++)
		total += dest.entries;
	assert_int_equal(n, 2);
	assert_int_equal(total, 19 + 20);
	sched_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expiry_and_warning),
		cmocka_unit_test(events_of_a_message),
		cmocka_unit_test(times_change),
		cmocka_unit_test(expires_while_blocked),
		cmocka_unit_test(tried_before_it_expires),
		cmocka_unit_test(tried_while_others_are_held),
		cmocka_unit_test(tried_by_another),
		cmocka_unit_test(hold_and_release),
		cmocka_unit_test(remove_in_flight),
		cmocka_unit_test(pauses),
		cmocka_unit_test(flushes),
		cmocka_unit_test(flushes_put_nothing_off),
		cmocka_unit_test(flushes_a_domain),
		cmocka_unit_test(limits_change),
		cmocka_unit_test(lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
