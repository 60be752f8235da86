/*
 * The scheduler, scene by scene: each test is one promise of scheduler.h.
 */
#include <errno.h>
#include <stdio.h>

#include "regress/unit/schedule_scene.h"

static void
life_of_one(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_stats st;

	assert_int_equal(sched_deadline(s, T0), -1);
	scene_add(s, 7, 3, 1, "example.org");
	assert_int_equal(scene_look(s, 7, 3).state, SCHED_READY);
	assert_int_equal(sched_deadline(s, T0), T0);
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 7);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(job.rcpts[0], 3);
	assert_int_equal(job.kind, SCHED_RELAY);
	assert_int_equal(job.probe, 0);
	assert_string_equal(job.action, "relay");
	assert_string_equal(job.domain, "example.org");
	assert_int_equal(scene_look(s, 7, 3).state, SCHED_INFLIGHT);
	scene_nothing(s, T0);
	assert_int_equal(
	    scene_result(s, &job, 0, SCHED_DELIVERED, T0), SCHED_DONE);
	assert_int_equal(scene_look(s, 7, 3).state, SCHED_DONE);
	assert_int_equal(
	    sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL), 0);
	assert_int_equal(sched_remove(s, 7, 3), 1);
	sched_stats(s, &st);
	assert_int_equal(st.messages, 0);
	assert_int_equal(st.entries, 0);
	assert_int_equal(st.dests, 0);
	assert_int_equal(st.delivered, 1);
	assert_int_equal(st.started, 1);
	assert_int_equal(sched_deadline(s, T0), -1);
	sched_free(s);
}

static void
refused_arguments(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_verdict v;
	struct sched_add a = { .msgid = 1, .action = "a", .domain = "d" };

	assert_int_equal(sched_add(s, &a, T0), 0);
	assert_int_equal(sched_add(s, &a, T0), -1);
	assert_int_equal(errno, EEXIST);
	a.rcpt = SCHED_RCPT_MAX;
	assert_int_equal(sched_add(s, &a, T0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(sched_result(s, 1, 0, SCHED_DELIVERED, T0, &v), -1);
	assert_int_equal(errno, ENOENT);
	scene_start(s, T0, &job);
	assert_int_equal(sched_finish(s, job.id + (1ull << 32), SCHED_ROUTE_OK,
			     T0, NULL, NULL),
	    -1);
	assert_int_equal(
	    sched_finish(s, 99, SCHED_ROUTE_OK, T0, NULL, NULL), -1);
	scene_deliver(s, &job, T0);
	assert_int_equal(
	    sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL), -1);
	assert_int_equal(errno, ENOENT);
	sched_free(s);
}

static void
incoming_waits_for_commit(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_add a = { .msgid = 1,
		.action = "a",
		.domain = "d",
		.flags = SCHED_ADD_INCOMING };

	assert_int_equal(sched_add(s, &a, T0), 0);
	a.rcpt = 1;
	a.flags |= SCHED_ADD_HELD;
	assert_int_equal(sched_add(s, &a, T0), 0);
	scene_nothing(s, T0);
	sched_commit(s, 1, T0);
	scene_start(s, T0, &job);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(scene_look(s, 1, 1).state, SCHED_HELD);
	sched_free(s);
}

static void
recipients_go_together(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .batch_max = 3 };
	struct sched_job job;
	uint32_t i;

	sched_set_class(s, 0, &class);
	for (i = 0; i < 10; i++)
		scene_add(s, 1, i, 1, i % 2 == 0 ? "a.example" : "b.example");
	scene_start(s, T0, &job);
	assert_string_equal(job.domain, "a.example");
	assert_int_equal(job.nrcpts, 3);
	assert_int_equal(job.rcpts[2], 4);
	scene_start(s, T0, &job);
	assert_string_equal(job.domain, "b.example");
	assert_int_equal(job.nrcpts, 3);
	scene_start(s, T0, &job);
	assert_int_equal(job.nrcpts, 2);
	scene_start(s, T0, &job);
	assert_int_equal(job.nrcpts, 2);
	scene_nothing(s, T0);
	sched_free(s);
}

/* What was put off under a clock that ran a year ahead does not wait for it;
 * what was put off as it may be does. */
static void
clock_ran_ahead(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .retry_floor = 100,
		.retry_ceiling = 2000 };
	struct sched_add add = { .msgid = 1,
		.kind = SCHED_RELAY,
		.priority = SCHED_NORMAL,
		.action = "relay",
		.domain = "d",
		.attempts = 3,
		.next = T0 + 365 * 86400 };
	struct sched_job job;

	sched_set_class(s, 0, &class);
	assert_int_equal(sched_add(s, &add, T0), 0);
	add.msgid = 2;
	add.next = T0 + 1500;
	assert_int_equal(sched_add(s, &add, T0), 0);
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 1);
	scene_deliver(s, &job, T0);
	assert_int_equal(scene_look(s, 2, 0).next, T0 + 1500);
	sched_free(s);
}

/* After a temporary failure they stay together at each retry. */
static void
retries_are_quadratic(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .retry_floor = 100,
		.retry_ceiling = 2000 };
	struct sched_job job;
	int64_t now = T0, next;
	uint32_t n, low;

	sched_set_class(s, 0, &class);
	scene_add(s, 1, 0, 1, "d");
	scene_add(s, 1, 1, 1, "d");
	for (n = 1; n <= 8; n++) {
		scene_start(s, now, &job);
		assert_int_equal(job.nrcpts, 2);
		assert_int_equal(job.probe, 0);
		scene_finish(s, &job, SCHED_TEMPFAIL, SCHED_ROUTE_OK, now);
		assert_int_equal(scene_look(s, 1, 0).state, SCHED_WAITING);
		assert_int_equal(scene_look(s, 1, 0).attempts, n);
		next = scene_look(s, 1, 0).next;
		assert_int_equal(scene_look(s, 1, 1).next, next);
		low = 100 * n * n < 2000 ? 100 * n * n : 1750;
		assert_in_range(next - now, low, low + low / 7);
		assert_in_range(next - now, 100, 2000);
		assert_int_equal(sched_deadline(s, now), next);
		scene_nothing(s, next - 1);
		now = next;
	}
	sched_free(s);
}

static void
only_the_recipient_waits(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;

	scene_add(s, 1, 0, 1, "d");
	scene_add(s, 1, 1, 1, "d");
	scene_add(s, 2, 0, 1, "d");
	scene_start(s, T0, &job);
	assert_int_equal(
	    scene_result(s, &job, 0, SCHED_TEMPFAIL, T0), SCHED_WAITING);
	assert_int_equal(
	    scene_result(s, &job, 1, SCHED_REFUSED, T0), SCHED_DONE);
	sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 2);
	sched_free(s);
}

static void
dead_destination(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = {
		.probe_floor = 5, .probe_ceiling = 5, .window_start = 4
	};
	struct sched_job jobs[4], job;
	struct sched_dest_info info;
	int64_t now = T0, next;
	uint32_t i, round;

	sched_set_class(s, 0, &class);
	for (i = 1; i <= 50; i++)
		scene_add(s, i, 0, i, "dead.example");
	for (i = 0; i < 4; i++)
		scene_start(s, now, &jobs[i]);
	scene_nothing(s, now);
	for (i = 0; i < 4; i++)
		scene_route_fails(s, &jobs[i], now);
	assert_int_equal(sched_dest_info(s, jobs[0].dest, &info), 1);
	assert_int_equal(info.blocked, 1);
	assert_int_equal(info.failures, 1);
	/* An hour of outage: one probe each interval, never two. */
	for (round = 0; round < 720; round++) {
		scene_nothing(s, now);
		next = sched_deadline(s, now);
		assert_in_range(next - now, 4, 5);
		now = next;
		scene_start(s, now, &job);
		assert_int_equal(job.probe, 1);
		scene_nothing(s, now + 100);
		scene_route_fails(s, &job, now);
	}
	for (i = 1; i <= 50; i++) {
		assert_int_equal(scene_look(s, i, 0).attempts, 0);
		assert_int_equal(scene_look(s, i, 0).state, SCHED_READY);
		assert_int_equal(scene_look(s, i, 0).blocked, 1);
	}
	/* Mail for others is not delayed. */
	scene_add(s, 100, 0, 1, "alive.example");
	scene_start(s, now, &job);
	assert_int_equal(job.msgid, 100);
	scene_deliver(s, &job, now);
	/* It is back: within one interval all may go. */
	now = sched_deadline(s, now);
	scene_start(s, now, &job);
	assert_int_equal(job.probe, 1);
	scene_deliver(s, &job, now);
	for (i = 0; i < 4; i++)
		scene_start(s, now, &jobs[i]);
	scene_nothing(s, now);
	for (i = 0; i < 4; i++)
		scene_deliver(s, &jobs[i], now);
	for (i = 0; sched_next(s, now, &job) == SCHED_START; i++)
		scene_deliver(s, &job, now);
	assert_int_equal(i, 45);
	sched_free(s);
}

static void
probes_are_rarer_each_time(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .probe_floor = 60, .probe_ceiling = 1800 };
	struct sched_job job;
	int64_t now = T0, next, most;
	uint32_t n;

	sched_set_class(s, 0, &class);
	scene_add(s, 1, 0, 1, "d");
	for (n = 1; n < 10; n++) {
		scene_start(s, now, &job);
		scene_route_fails(s, &job, now);
		next = sched_deadline(s, now);
		most = 60 * n * n < 1800 ? 60 * n * n : 1800;
		assert_in_range(next - now, most - most / 8 - 1, most);
		now = next;
	}
	sched_free(s);
}

/* What was under way before the block and gets through ends it. */
static void
success_unblocks(void **state)
{
	struct sched *s = scene_new();
	struct sched_job a, b, c;
	uint32_t i;

	for (i = 1; i <= 10; i++)
		scene_add(s, i, 0, i, "d");
	scene_start(s, T0, &a);
	scene_start(s, T0, &b);
	scene_route_fails(s, &a, T0);
	scene_nothing(s, T0);
	scene_deliver(s, &b, T0);
	scene_start(s, T0, &c);
	assert_int_equal(c.probe, 0);
	sched_free(s);
}

/* Those that wait for their own retry are ready too when a probe gets
 * through. */
static void
recovery_releases_the_waiting(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	int64_t now;

	scene_add(s, 1, 0, 1, "d");
	scene_add(s, 2, 0, 1, "d");
	scene_start(s, T0, &job);
	scene_finish(s, &job, SCHED_TEMPFAIL, SCHED_ROUTE_OK, T0);
	scene_start(s, T0, &job);
	scene_route_fails(s, &job, T0);
	now = sched_deadline(s, T0);
	scene_start(s, now, &job);
	assert_int_equal(job.msgid, 2);
	assert_int_equal(scene_look(s, 1, 0).state, SCHED_WAITING);
	scene_deliver(s, &job, now);
	assert_int_equal(scene_look(s, 1, 0).state, SCHED_READY);
	assert_int_equal(scene_look(s, 1, 0).attempts, 1);
	sched_free(s);
}

static void
slow_server(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .window_start = 8 };
	struct sched_job jobs[8], job;
	struct sched_dest_info info;
	uint32_t i;

	sched_set_class(s, 0, &class);
	for (i = 1; i <= 30; i++)
		scene_add(s, i, 0, i, "d");
	for (i = 0; i < 8; i++)
		scene_start(s, T0, &jobs[i]);
	scene_finish(s, &jobs[0], SCHED_NOT_TRIED, SCHED_ROUTE_SLOW, T0);
	sched_dest_info(s, job.dest = jobs[0].dest, &info);
	assert_int_equal(info.blocked, 0);
	assert_int_equal(info.window, 4);
	scene_nothing(s, T0);
	for (i = 1; i < 8; i++)
		scene_deliver(s, &jobs[i], T0);
	for (i = 0; sched_next(s, T0, &job) == SCHED_START; i++)
		;
	assert_in_range(i, 4, 6);
	sched_free(s);
}

/* Alone with its slow server: nothing to learn from others, so it waits. */
static void
slow_and_alone_is_blocked(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;

	scene_add(s, 1, 0, 1, "d");
	scene_start(s, T0, &job);
	scene_finish(s, &job, SCHED_NOT_TRIED, SCHED_ROUTE_SLOW, T0);
	scene_nothing(s, T0);
	assert_in_range(sched_deadline(s, T0), T0 + 50, T0 + 60);
	sched_free(s);
}

static void
window_grows_while_used(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .window_start = 2, .window_max = 6 };
	struct sched_job jobs[8];
	struct sched_dest_info info;
	uint32_t i, n, round, msgid = 0, before = 2;

	sched_set_class(s, 0, &class);
	for (i = 0; i < 200; i++)
		scene_add(s, ++msgid, 0, 1, "d");
	for (round = 0; round < 8; round++) {
		for (n = 0; n < 8; n++)
			if (sched_next(s, T0, &jobs[n]) != SCHED_START)
				break;
		assert_in_range(n, before, before + 1);
		assert_true(n <= 6);
		before = n;
		for (i = 0; i < n; i++)
			scene_deliver(s, &jobs[i], T0);
	}
	assert_int_equal(before, 6);
	/* One at a time proves nothing about six at a time. */
	sched_dest_info(s, jobs[0].dest, &info);
	assert_int_equal(info.window, 6);
	sched_free(s);
}

static void
worker_gone(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	struct sched_verdict v[SCHED_BATCH_MAX];
	uint32_t rcpts[SCHED_BATCH_MAX];

	scene_add(s, 1, 0, 1, "d");
	scene_add(s, 1, 5, 1, "d");
	scene_start(s, T0, &job);
	assert_int_equal(
	    sched_finish(s, job.id, SCHED_ROUTE_UNKNOWN, T0, v, rcpts), 2);
	assert_int_equal(v[0].state, SCHED_WAITING);
	assert_int_equal(v[0].attempts, 0);
	assert_int_equal(rcpts[0] + rcpts[1], 5);
	scene_nothing(s, T0);
	assert_in_range(sched_deadline(s, T0), T0 + 1, T0 + 30);
	scene_start(s, T0 + 30, &job);
	assert_int_equal(job.nrcpts, 2);
	assert_int_equal(job.probe, 0);
	sched_free(s);
}

/* What is decided and cannot be carried out comes up again. */
static void
postponed(void **state)
{
	struct sched *s = scene_new();
	struct sched_add a = { .msgid = 1,
		.action = "a",
		.domain = "d",
		.next = T0 + 100,
		.expiry = T0 + 10 };
	struct sched_info info;
	struct sched_job job;
	int64_t next;

	assert_int_equal(sched_add(s, &a, T0), 0);
	assert_int_equal(sched_postpone(s, 1, 0, T0), 0);
	assert_int_equal(sched_next(s, T0 + 10, &job), SCHED_EXPIRED);
	assert_int_equal(sched_postpone(s, 1, 0, T0 + 10), 1);
	info = scene_look(s, 1, 0);
	assert_int_equal(info.state, SCHED_WAITING);
	assert_int_equal(info.attempts, 1);
	next = info.next;
	assert_in_range(next, T0 + 10 + 400, T0 + 10 + 500);
	scene_nothing(s, next - 1);
	assert_int_equal(sched_next(s, next, &job), SCHED_EXPIRED);
	assert_int_equal(sched_remove(s, 1, 0), 1);
	sched_free(s);
}

/* One of two is decided, and the other goes at once after the end. */
static void
expect_rest(enum sched_outcome first, int rest_is_told, enum sched_route route)
{
	struct sched *s = scene_new();
	struct sched_job job;

	scene_add(s, 1, 0, 1, "d");
	scene_add(s, 1, 1, 1, "d");
	scene_start(s, T0, &job);
	assert_int_equal(scene_result(s, &job, 0, first, T0), SCHED_DONE);
	if (rest_is_told)
		assert_int_equal(scene_result(s, &job, 1, SCHED_NOT_TRIED, T0),
		    SCHED_INFLIGHT);
	sched_finish(s, job.id, route, T0, NULL, NULL);
	scene_start(s, T0, &job);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(job.rcpts[0], 1);
	sched_free(s);
}

/* The server took some and had no room for the rest: they go at once. */
static void
rest_goes_at_once(void **state)
{
	expect_rest(SCHED_DELIVERED, 1, SCHED_ROUTE_OK);
}

/* So does what was left out of a transaction that decided about the others,
 * though it has not come to the route. */
static void
left_out_goes_at_once(void **state)
{
	expect_rest(SCHED_REFUSED, 0, SCHED_ROUTE_UNKNOWN);
}

static void
fair_to_senders(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .window_start = 1 };
	struct sched_job job;
	uint32_t i;

	sched_set_class(s, 0, &class);
	for (i = 1; i <= 1000; i++)
		scene_add(s, i, 0, 1, "d");
	scene_start(s, T0, &job);
	scene_deliver(s, &job, T0);
	scene_add(s, 5000, 0, 2, "d");
	for (i = 0; i < 3; i++) {
		scene_start(s, T0, &job);
		if (job.msgid == 5000)
			break;
		scene_deliver(s, &job, T0);
	}
	assert_int_equal(job.msgid, 5000);
	sched_free(s);
}

static void
fair_to_destinations(void **state)
{
	struct sched_params params = { .seed = 1, .max_inflight = { 1, 1, 1 } };
	struct sched *s = sched_new(&params);
	struct sched_job job;
	uint32_t i;

	for (i = 1; i <= 1000; i++)
		scene_add(s, i, 0, 1, "big");
	scene_add(s, 5000, 0, 1, "small");
	for (i = 0; i < 2; i++) {
		scene_start(s, T0, &job);
		scene_nothing(s, T0);
		if (job.msgid == 5000)
			break;
		scene_deliver(s, &job, T0);
	}
	assert_int_equal(job.msgid, 5000);
	sched_free(s);
}

/* Only who has no place at all lacks one. */
static void
lacks_place(void **state)
{
	struct sched_params params = { .seed = 1, .max_inflight = { 1, 1, 1 } };
	struct sched *s;
	struct sched_job job;

	params.max_inflight[SCHED_RELAY] = 2;
	s = sched_new(&params);
	for (uint32_t i = 1; i <= 3; i++) {
		scene_add(s, i, 0, 1, "one");
		scene_add(s, 10 + i, 0, 1, "other");
	}
	assert_false(sched_lacks_place(s));
	for (int i = 0; i < 2; i++)
		scene_start(s, T0, &job);
	scene_nothing(s, T0);
	assert_false(sched_lacks_place(s));
	scene_add(s, 20, 0, 1, "third");
	assert_true(sched_lacks_place(s));
	sched_pause_kind(s, SCHED_RELAY, 1);
	assert_false(sched_lacks_place(s));
	sched_pause_kind(s, SCHED_RELAY, 0);
	scene_deliver(s, &job, T0);
	assert_false(sched_lacks_place(s));
	sched_free(s);
}

static void
add_local(struct sched *s, uint32_t msgid, const char *action, const char *user,
    const char *owner)
{
	struct sched_add a = { .msgid = msgid,
		.kind = SCHED_LOCAL,
		.action = action,
		.domain = user,
		.owner = owner };

	assert_int_equal(sched_add(s, &a, T0), 0);
}

/* How many of the action's start until nothing does; jobs has room. */
static uint32_t
start_all(struct sched *s, const char *action, struct sched_job *jobs)
{
	uint32_t n = 0, all = 0;

	while (sched_next(s, T0, &jobs[all]) == SCHED_START)
		n += strcmp(jobs[all++].action, action) == 0;
	return n;
}

/* What all of an action's users have under way is a part of what is there,
 * and the others have theirs. */
static void
fair_to_actions(void **state)
{
	struct sched_params params = {
		.seed = 1, .max_inflight = { 0, 10, 0 }, .max_action = 5
	};
	struct sched *s = sched_new(&params);
	static struct sched_job jobs[20];
	uint32_t msgid = 0;
	char user[16];

	for (int i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "user%d", i % 20);
		add_local(s, ++msgid, "hangs", user, NULL);
	}
	assert_int_equal(start_all(s, "hangs", jobs), 5);
	assert_int_equal(sched_deadline(s, T0), -1);
	add_local(s, ++msgid, "works", "user1", NULL);
	add_local(s, ++msgid, "works", "user2", NULL);
	assert_int_equal(start_all(s, "works", jobs + 5), 2);
	/* what ends makes room for another of its own */
	scene_deliver(s, &jobs[5], T0);
	scene_nothing(s, T0);
	scene_deliver(s, &jobs[0], T0);
	assert_int_equal(sched_deadline(s, T0), T0);
	assert_int_equal(start_all(s, "hangs", jobs + 10), 1);
	/* a reload */
	params.max_action = 7;
	sched_set_params(s, &params);
	assert_int_equal(start_all(s, "hangs", jobs + 11), 2);
	params.max_action = 5;
	sched_set_params(s, &params);
	scene_deliver(s, &jobs[10], T0);
	scene_deliver(s, &jobs[11], T0);
	scene_nothing(s, T0);
	/* all of them where there is no other action */
	params.max_action = 0;
	sched_set_params(s, &params);
	assert_int_equal(start_all(s, "hangs", jobs + 13), 4);
	sched_free(s);
}

/* One whose addresses are places of their own leaves their part to the other
 * users of the action, each of whom has his. */
static void
fair_to_owners(void **state)
{
	struct sched_params params = { .seed = 1,
		.max_inflight = { 0, 20, 0 },
		.max_action = 8,
		.max_owner = 6 };
	struct sched_class class = { .window_start = 2, .window_max = 2 };
	struct sched *s = sched_new(&params);
	static struct sched_job jobs[30];
	struct sched_stats st;
	uint32_t msgid = 0, n;
	char place[16];

	sched_set_class(s, 0, &class);
	for (int i = 0; i < 4; i++)
		add_local(s, ++msgid, "mda", "joe:slow", "joe");
	assert_int_equal(start_all(s, "mda", jobs), 2);
	for (int i = 0; i < 20; i++) {
		snprintf(place, sizeof(place), "joe:%d", i);
		add_local(s, ++msgid, "mda", place, "joe");
	}
	assert_int_equal(start_all(s, "mda", jobs + 2), 4);
	/* the same name in another action is another */
	add_local(s, ++msgid, "other", "joe:slow", "joe");
	assert_int_equal(start_all(s, "other", jobs + 6), 1);
	add_local(s, ++msgid, "mda", "ann:ann", "ann");
	add_local(s, ++msgid, "mda", "bob:bob", "bob");
	add_local(s, ++msgid, "mda", "eve:eve", "eve");
	assert_int_equal(start_all(s, "mda", jobs + 7), 2);
	scene_deliver(s, &jobs[0], T0);
	assert_int_equal(start_all(s, "mda", jobs + 9), 1);
	for (n = 1; n < 10; n++)
		scene_deliver(s, &jobs[n], T0);
	while ((n = start_all(s, "mda", jobs)) > 0)
		while (n > 0)
			scene_deliver(s, &jobs[--n], T0);
	/* places do not stay */
	sched_stats(s, &st);
	assert_int_equal(st.entries, 0);
	assert_int_equal(st.dests, 0);
	sched_free(s);
}

/* However many users an action has, the other's turn comes. */
static void
actions_take_turns(void **state)
{
	struct sched_params params = { .seed = 1, .max_inflight = { 1, 1, 1 } };
	struct sched *s = sched_new(&params);
	struct sched_job job;
	struct sched_stats st;
	char user[16];

	for (int i = 1; i <= 100; i++) {
		snprintf(user, sizeof(user), "user%d", i);
		add_local(s, (uint32_t)i, "many", user, NULL);
	}
	add_local(s, 5000, "few", "user", NULL);
	scene_start(s, T0, &job);
	scene_deliver(s, &job, T0);
	scene_start(s, T0, &job);
	assert_int_equal(job.msgid, 5000);
	scene_deliver(s, &job, T0);
	for (int i = 1; i < 100; i++) {
		scene_start(s, T0, &job);
		scene_deliver(s, &job, T0);
	}
	scene_nothing(s, T0);
	sched_stats(s, &st);
	assert_int_equal(st.dests, 0);
	sched_free(s);
}

static void
priorities(void **state)
{
	struct sched *s = scene_new();
	struct sched_class class = { .window_start = 1, .window_max = 1 };
	struct sched_job job;
	struct sched_add a = { .action = "a", .domain = "d" };
	uint32_t i, first[SCHED_PRIORITIES] = { 0, 0, 0 };

	sched_set_class(s, 0, &class);
	for (i = 0; i < 300; i++) {
		a.msgid = i + 1;
		a.priority = 2 - i / 100;
		assert_int_equal(sched_add(s, &a, T0), 0);
	}
	for (i = 1; i <= 300; i++) {
		scene_start(s, T0, &job);
		a.priority = scene_look(s, job.msgid, 0).priority;
		if (first[a.priority] == 0)
			first[a.priority] = i;
		scene_deliver(s, &job, T0);
	}
	assert_int_equal(first[SCHED_HIGH], 1);
	assert_in_range(first[SCHED_NORMAL], 2, 4);
	assert_in_range(first[SCHED_LOW], 5, 16);
	sched_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_of_one),
		cmocka_unit_test(refused_arguments),
		cmocka_unit_test(incoming_waits_for_commit),
		cmocka_unit_test(recipients_go_together),
		cmocka_unit_test(clock_ran_ahead),
		cmocka_unit_test(retries_are_quadratic),
		cmocka_unit_test(only_the_recipient_waits),
		cmocka_unit_test(dead_destination),
		cmocka_unit_test(probes_are_rarer_each_time),
		cmocka_unit_test(success_unblocks),
		cmocka_unit_test(recovery_releases_the_waiting),
		cmocka_unit_test(slow_server),
		cmocka_unit_test(slow_and_alone_is_blocked),
		cmocka_unit_test(window_grows_while_used),
		cmocka_unit_test(worker_gone),
		cmocka_unit_test(postponed),
		cmocka_unit_test(rest_goes_at_once),
		cmocka_unit_test(left_out_goes_at_once),
		cmocka_unit_test(fair_to_senders),
		cmocka_unit_test(fair_to_destinations),
		cmocka_unit_test(lacks_place),
		cmocka_unit_test(fair_to_actions),
		cmocka_unit_test(fair_to_owners),
		cmocka_unit_test(actions_take_turns),
		cmocka_unit_test(priorities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
