/*
 * The scheduler, scene by scene: each test is one promise of scheduler.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue/scheduler.h"

#define T0 1000000

static struct sched *
fresh(void)
{
	struct sched_params params = { .seed = 42 };
	struct sched *s = sched_new(&params);

	assert_non_null(s);
	return s;
}

/* Adds recipient rcpt of message msgid, from sender `from`, to a domain. */
static void
add(struct sched *s, uint32_t msgid, uint32_t rcpt, uint32_t from,
    const char *domain)
{
	struct sched_add a = { .msgid = msgid,
		.rcpt = rcpt,
		.kind = SCHED_RELAY,
		.priority = SCHED_NORMAL,
		.action = "relay",
		.domain = domain,
		.sender_key = from,
		.expiry = T0 + 5 * 86400 };

	assert_int_equal(sched_add(s, &a, T0), 0);
}

static struct sched_info
look(struct sched *s, uint32_t msgid, uint32_t rcpt)
{
	struct sched_info info;

	assert_int_equal(sched_lookup(s, msgid, rcpt, &info), 1);
	return info;
}

static void
start(struct sched *s, int64_t now, struct sched_job *job)
{
	assert_int_equal(sched_next(s, now, job), SCHED_START);
	assert_true(job->nrcpts > 0);
}

static void
nothing(struct sched *s, int64_t now)
{
	struct sched_job job;

	assert_int_equal(sched_next(s, now, &job), SCHED_NOTHING);
}

static enum sched_state
result(struct sched *s, const struct sched_job *job, uint32_t i,
    enum sched_outcome outcome, int64_t now)
{
	struct sched_verdict v;

	assert_int_equal(sched_result(s, job->msgid, job->rcpts[i], outcome,
	    now, &v), 0);
	return v.state;
}

/* Ends a job with the same outcome for all, removing what is done. */
static void
finish(struct sched *s, const struct sched_job *job,
    enum sched_outcome outcome, enum sched_route route, int64_t now)
{
	uint32_t i;

	for (i = 0; i < job->nrcpts; i++)
		if (result(s, job, i, outcome, now) == SCHED_DONE)
			assert_int_equal(sched_remove(s, job->msgid,
			    job->rcpts[i]), 1);
	assert_true(sched_finish(s, job->id, route, now, NULL, NULL) >= 0);
}

static void
deliver(struct sched *s, const struct sched_job *job, int64_t now)
{
	finish(s, job, SCHED_DELIVERED, SCHED_ROUTE_OK, now);
}

static void
route_fails(struct sched *s, const struct sched_job *job, int64_t now)
{
	finish(s, job, SCHED_NOT_TRIED, SCHED_ROUTE_FAILED, now);
}

static void
life_of_one(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	struct sched_stats st;

	assert_int_equal(sched_deadline(s, T0), -1);
	add(s, 7, 3, 1, "example.org");
	assert_int_equal(look(s, 7, 3).state, SCHED_READY);
	assert_int_equal(sched_deadline(s, T0), T0);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 7);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(job.rcpts[0], 3);
	assert_int_equal(job.kind, SCHED_RELAY);
	assert_int_equal(job.probe, 0);
	assert_string_equal(job.action, "relay");
	assert_string_equal(job.domain, "example.org");
	assert_int_equal(look(s, 7, 3).state, SCHED_INFLIGHT);
	nothing(s, T0);
	assert_int_equal(result(s, &job, 0, SCHED_DELIVERED, T0), SCHED_DONE);
	assert_int_equal(look(s, 7, 3).state, SCHED_DONE);
	assert_int_equal(sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL,
	    NULL), 0);
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
	struct sched *s = fresh();
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
	start(s, T0, &job);
	assert_int_equal(sched_finish(s, job.id + (1ull << 32),
	    SCHED_ROUTE_OK, T0, NULL, NULL), -1);
	assert_int_equal(sched_finish(s, 99, SCHED_ROUTE_OK, T0, NULL, NULL),
	    -1);
	deliver(s, &job, T0);
	assert_int_equal(sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL,
	    NULL), -1);
	assert_int_equal(errno, ENOENT);
	sched_free(s);
}

static void
incoming_waits_for_commit(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	struct sched_add a = { .msgid = 1,
		.action = "a",
		.domain = "d",
		.flags = SCHED_ADD_INCOMING };

	assert_int_equal(sched_add(s, &a, T0), 0);
	a.rcpt = 1;
	a.flags |= SCHED_ADD_HELD;
	assert_int_equal(sched_add(s, &a, T0), 0);
	nothing(s, T0);
	sched_commit(s, 1, T0);
	start(s, T0, &job);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(look(s, 1, 1).state, SCHED_HELD);
	sched_free(s);
}

static void
recipients_go_together(void **state)
{
	struct sched *s = fresh();
	struct sched_class class = { .batch_max = 3 };
	struct sched_job job;
	uint32_t i;

	sched_set_class(s, 0, &class);
	for (i = 0; i < 10; i++)
		add(s, 1, i, 1, i % 2 == 0 ? "a.example" : "b.example");
	start(s, T0, &job);
	assert_string_equal(job.domain, "a.example");
	assert_int_equal(job.nrcpts, 3);
	assert_int_equal(job.rcpts[2], 4);
	start(s, T0, &job);
	assert_string_equal(job.domain, "b.example");
	assert_int_equal(job.nrcpts, 3);
	start(s, T0, &job);
	assert_int_equal(job.nrcpts, 2);
	start(s, T0, &job);
	assert_int_equal(job.nrcpts, 2);
	nothing(s, T0);
	sched_free(s);
}

/* After a temporary failure they stay together at each retry. */
static void
retries_are_quadratic(void **state)
{
	struct sched *s = fresh();
	struct sched_class class = { .retry_floor = 100,
		.retry_ceiling = 2000 };
	struct sched_job job;
	int64_t now = T0, next;
	uint32_t n, low;

	sched_set_class(s, 0, &class);
	add(s, 1, 0, 1, "d");
	add(s, 1, 1, 1, "d");
	for (n = 1; n <= 8; n++) {
		start(s, now, &job);
		assert_int_equal(job.nrcpts, 2);
		assert_int_equal(job.probe, 0);
		finish(s, &job, SCHED_TEMPFAIL, SCHED_ROUTE_OK, now);
		assert_int_equal(look(s, 1, 0).state, SCHED_WAITING);
		assert_int_equal(look(s, 1, 0).attempts, n);
		next = look(s, 1, 0).next;
		assert_int_equal(look(s, 1, 1).next, next);
		low = 100 * n * n < 2000 ? 100 * n * n : 1750;
		assert_in_range(next - now, low, low + low / 7);
		assert_in_range(next - now, 100, 2000);
		assert_int_equal(sched_deadline(s, now), next);
		nothing(s, next - 1);
		now = next;
	}
	sched_free(s);
}

static void
only_the_recipient_waits(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;

	add(s, 1, 0, 1, "d");
	add(s, 1, 1, 1, "d");
	add(s, 2, 0, 1, "d");
	start(s, T0, &job);
	assert_int_equal(result(s, &job, 0, SCHED_TEMPFAIL, T0),
	    SCHED_WAITING);
	assert_int_equal(result(s, &job, 1, SCHED_REFUSED, T0), SCHED_DONE);
	sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 2);
	sched_free(s);
}

static void
dead_destination(void **state)
{
	struct sched *s = fresh();
	struct sched_class class = { .probe_floor = 5,
		.probe_ceiling = 5,
		.window_start = 4 };
	struct sched_job jobs[4], job;
	struct sched_dest_info info;
	int64_t now = T0, next;
	uint32_t i, round;

	sched_set_class(s, 0, &class);
	for (i = 1; i <= 50; i++)
		add(s, i, 0, i, "dead.example");
	for (i = 0; i < 4; i++)
		start(s, now, &jobs[i]);
	nothing(s, now);
	for (i = 0; i < 4; i++)
		route_fails(s, &jobs[i], now);
	assert_int_equal(sched_dest_info(s, jobs[0].dest, &info), 1);
	assert_int_equal(info.blocked, 1);
	assert_int_equal(info.failures, 1);
	/* An hour of outage: one probe each interval, never two. */
	for (round = 0; round < 720; round++) {
		nothing(s, now);
		next = sched_deadline(s, now);
		assert_in_range(next - now, 4, 5);
		now = next;
		start(s, now, &job);
		assert_int_equal(job.probe, 1);
		nothing(s, now + 100);
		route_fails(s, &job, now);
	}
	for (i = 1; i <= 50; i++) {
		assert_int_equal(look(s, i, 0).attempts, 0);
		assert_int_equal(look(s, i, 0).state, SCHED_READY);
		assert_int_equal(look(s, i, 0).blocked, 1);
	}
	/* Mail for others is not delayed. */
	add(s, 100, 0, 1, "alive.example");
	start(s, now, &job);
	assert_int_equal(job.msgid, 100);
	deliver(s, &job, now);
	/* It is back: within one interval all may go. */
	now = sched_deadline(s, now);
	start(s, now, &job);
	assert_int_equal(job.probe, 1);
	deliver(s, &job, now);
	for (i = 0; i < 4; i++)
		start(s, now, &jobs[i]);
	nothing(s, now);
	for (i = 0; i < 4; i++)
		deliver(s, &jobs[i], now);
	for (i = 0; sched_next(s, now, &job) == SCHED_START; i++)
		deliver(s, &job, now);
	assert_int_equal(i, 45);
	sched_free(s);
}

static void
probes_are_rarer_each_time(void **state)
{
	struct sched *s = fresh();
	struct sched_class class = { .probe_floor = 60,
		.probe_ceiling = 1800 };
	struct sched_job job;
	int64_t now = T0, next, most;
	uint32_t n;

	sched_set_class(s, 0, &class);
	add(s, 1, 0, 1, "d");
	for (n = 1; n < 10; n++) {
		start(s, now, &job);
		route_fails(s, &job, now);
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
	struct sched *s = fresh();
	struct sched_job a, b, c;
	uint32_t i;

	for (i = 1; i <= 10; i++)
		add(s, i, 0, i, "d");
	start(s, T0, &a);
	start(s, T0, &b);
	route_fails(s, &a, T0);
	nothing(s, T0);
	deliver(s, &b, T0);
	start(s, T0, &c);
	assert_int_equal(c.probe, 0);
	sched_free(s);
}

/* Those that wait for their own retry are ready too when a probe gets
 * through. */
static void
recovery_releases_the_waiting(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	int64_t now;

	add(s, 1, 0, 1, "d");
	add(s, 2, 0, 1, "d");
	start(s, T0, &job);
	finish(s, &job, SCHED_TEMPFAIL, SCHED_ROUTE_OK, T0);
	start(s, T0, &job);
	route_fails(s, &job, T0);
	now = sched_deadline(s, T0);
	start(s, now, &job);
	assert_int_equal(job.msgid, 2);
	assert_int_equal(look(s, 1, 0).state, SCHED_WAITING);
	deliver(s, &job, now);
	assert_int_equal(look(s, 1, 0).state, SCHED_READY);
	assert_int_equal(look(s, 1, 0).attempts, 1);
	sched_free(s);
}

static void
slow_server(void **state)
{
	struct sched *s = fresh();
	struct sched_class class = { .window_start = 8 };
	struct sched_job jobs[8], job;
	struct sched_dest_info info;
	uint32_t i;

	sched_set_class(s, 0, &class);
	for (i = 1; i <= 30; i++)
		add(s, i, 0, i, "d");
	for (i = 0; i < 8; i++)
		start(s, T0, &jobs[i]);
	finish(s, &jobs[0], SCHED_NOT_TRIED, SCHED_ROUTE_SLOW, T0);
	sched_dest_info(s, job.dest = jobs[0].dest, &info);
	assert_int_equal(info.blocked, 0);
	assert_int_equal(info.window, 4);
	nothing(s, T0);
	for (i = 1; i < 8; i++)
		deliver(s, &jobs[i], T0);
	for (i = 0; sched_next(s, T0, &job) == SCHED_START; i++)
		;
	assert_in_range(i, 4, 6);
	sched_free(s);
}

/* Alone with its slow server: nothing to learn from others, so it waits. */
static void
slow_and_alone_is_blocked(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;

	add(s, 1, 0, 1, "d");
	start(s, T0, &job);
	finish(s, &job, SCHED_NOT_TRIED, SCHED_ROUTE_SLOW, T0);
	nothing(s, T0);
	assert_in_range(sched_deadline(s, T0), T0 + 50, T0 + 60);
	sched_free(s);
}

static void
window_grows_while_used(void **state)
{
	struct sched *s = fresh();
	struct sched_class class = { .window_start = 2, .window_max = 6 };
	struct sched_job jobs[8];
	struct sched_dest_info info;
	uint32_t i, n, round, msgid = 0, before = 2;

	sched_set_class(s, 0, &class);
	for (i = 0; i < 200; i++)
		add(s, ++msgid, 0, 1, "d");
	for (round = 0; round < 8; round++) {
		for (n = 0; n < 8; n++)
			if (sched_next(s, T0, &jobs[n]) != SCHED_START)
				break;
		assert_in_range(n, before, before + 1);
		assert_true(n <= 6);
		before = n;
		for (i = 0; i < n; i++)
			deliver(s, &jobs[i], T0);
	}
	assert_int_equal(before, 6);
	/* One at a time proves nothing about six at a time. */
	sched_dest_info(s, jobs[0].dest, &info);
	assert_int_equal(info.window, 6);
	sched_free(s);
}

/* A message that breaks each session must not block its destination. */
static void
culprit_waits_alone(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	struct sched_dest_info info;
	int64_t now = T0;

	add(s, 1, 0, 1, "d");
	start(s, now, &job);
	route_fails(s, &job, now);
	add(s, 2, 0, 2, "d");
	now = sched_deadline(s, now);
	/* The probes go round: the second is the other message. */
	start(s, now, &job);
	assert_int_equal(job.probe, 1);
	if (job.msgid == 1) {
		route_fails(s, &job, now);
		now = sched_deadline(s, now);
		start(s, now, &job);
	}
	assert_int_equal(job.msgid, 2);
	deliver(s, &job, now);
	now++;
	start(s, now, &job);
	assert_int_equal(job.msgid, 1);
	add(s, 3, 0, 3, "d");
	route_fails(s, &job, now);
	assert_int_equal(look(s, 1, 0).state, SCHED_WAITING);
	assert_int_equal(look(s, 1, 0).attempts, 1);
	sched_dest_info(s, job.dest, &info);
	assert_int_equal(info.blocked, 0);
	start(s, now, &job);
	assert_int_equal(job.msgid, 3);
	sched_free(s);
}

static void
worker_gone(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	struct sched_verdict v[SCHED_BATCH_MAX];
	uint32_t rcpts[SCHED_BATCH_MAX];

	add(s, 1, 0, 1, "d");
	add(s, 1, 5, 1, "d");
	start(s, T0, &job);
	assert_int_equal(sched_finish(s, job.id, SCHED_ROUTE_UNKNOWN, T0, v,
	    rcpts), 2);
	assert_int_equal(v[0].state, SCHED_WAITING);
	assert_int_equal(v[0].attempts, 0);
	assert_int_equal(rcpts[0] + rcpts[1], 5);
	nothing(s, T0);
	assert_in_range(sched_deadline(s, T0), T0 + 1, T0 + 30);
	start(s, T0 + 30, &job);
	assert_int_equal(job.nrcpts, 2);
	assert_int_equal(job.probe, 0);
	sched_free(s);
}

/* The server took some and had no room for the rest: they go at once. */
static void
rest_goes_at_once(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;

	add(s, 1, 0, 1, "d");
	add(s, 1, 1, 1, "d");
	start(s, T0, &job);
	assert_int_equal(result(s, &job, 0, SCHED_DELIVERED, T0), SCHED_DONE);
	assert_int_equal(result(s, &job, 1, SCHED_NOT_TRIED, T0),
	    SCHED_INFLIGHT);
	sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	start(s, T0, &job);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(job.rcpts[0], 1);
	sched_free(s);
}

static void
fair_to_senders(void **state)
{
	struct sched *s = fresh();
	struct sched_class class = { .window_start = 1 };
	struct sched_job job;
	uint32_t i;

	sched_set_class(s, 0, &class);
	for (i = 1; i <= 1000; i++)
		add(s, i, 0, 1, "d");
	start(s, T0, &job);
	deliver(s, &job, T0);
	add(s, 5000, 0, 2, "d");
	for (i = 0; i < 3; i++) {
		start(s, T0, &job);
		if (job.msgid == 5000)
			break;
		deliver(s, &job, T0);
	}
	assert_int_equal(job.msgid, 5000);
	sched_free(s);
}

static void
fair_to_destinations(void **state)
{
	struct sched_params params = { .seed = 1,
		.max_inflight = { 1, 1, 1 } };
	struct sched *s = sched_new(&params);
	struct sched_job job;
	uint32_t i;

	for (i = 1; i <= 1000; i++)
		add(s, i, 0, 1, "big");
	add(s, 5000, 0, 1, "small");
	for (i = 0; i < 2; i++) {
		start(s, T0, &job);
		nothing(s, T0);
		if (job.msgid == 5000)
			break;
		deliver(s, &job, T0);
	}
	assert_int_equal(job.msgid, 5000);
	sched_free(s);
}

static void
priorities(void **state)
{
	struct sched *s = fresh();
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
		start(s, T0, &job);
		a.priority = look(s, job.msgid, 0).priority;
		if (first[a.priority] == 0)
			first[a.priority] = i;
		deliver(s, &job, T0);
	}
	assert_int_equal(first[SCHED_HIGH], 1);
	assert_in_range(first[SCHED_NORMAL], 2, 4);
	assert_in_range(first[SCHED_LOW], 5, 16);
	sched_free(s);
}

static void
expiry_and_warning(void **state)
{
	struct sched *s = fresh();
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
	start(s, T0 + 50, &job);
	/* In flight nothing expires; the result decides. */
	assert_int_equal(sched_next(s, T0 + 100, &job), SCHED_WARN);
	assert_int_equal(job.msgid, 1);
	assert_int_equal(job.rcpts[0], 1);
	nothing(s, T0 + 100);
	assert_int_equal(sched_next(s, T0 + 500, &job), SCHED_EXPIRED);
	assert_int_equal(job.rcpts[0], 1);
	assert_int_equal(look(s, 1, 1).state, SCHED_DONE);
	nothing(s, T0 + 500);
	assert_int_equal(sched_result(s, 1, 0, SCHED_TEMPFAIL, T0 + 501, &v),
	    0);
	assert_int_equal(v.state, SCHED_DONE);
	assert_int_equal(v.expired, 1);
	assert_int_equal(sched_remove(s, 1, SCHED_ALL), 2);
	sched_free(s);
}

static void
expires_while_blocked(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	int64_t now = T0;
	uint32_t probes = 0;

	add(s, 1, 0, 1, "d");
	start(s, now, &job);
	route_fails(s, &job, now);
	for (;;) {
		now = sched_deadline(s, now);
		if (sched_next(s, now, &job) == SCHED_EXPIRED)
			break;
		route_fails(s, &job, now);
		probes++;
	}
	assert_int_equal(now, T0 + 5 * 86400);
	assert_in_range(probes, 240, 300);
	assert_int_equal(sched_remove(s, 1, 0), 1);
	/* The destination goes when its block ends. */
	now = sched_deadline(s, now);
	nothing(s, now);
	assert_int_equal(sched_deadline(s, now), -1);
	sched_free(s);
}

static void
hold_and_release(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	struct sched_verdict v;

	add(s, 1, 0, 1, "d");
	add(s, 1, 1, 1, "d");
	assert_int_equal(sched_hold(s, 1, 0), 1);
	assert_int_equal(sched_hold(s, 1, 0), 0);
	assert_int_equal(sched_hold(s, 9, 0), 0);
	start(s, T0, &job);
	assert_int_equal(job.rcpts[0], 1);
	assert_int_equal(job.nrcpts, 1);
	assert_int_equal(sched_hold(s, 1, SCHED_ALL), 1);
	assert_int_equal(sched_result(s, 1, 1, SCHED_TEMPFAIL, T0, &v), 0);
	assert_int_equal(v.state, SCHED_HELD);
	sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	nothing(s, T0 + 10 * 86400);
	assert_int_equal(sched_release(s, 1, SCHED_ALL, T0), 2);
	start(s, T0, &job);
	assert_int_equal(job.nrcpts, 2);
	sched_free(s);
}

static void
remove_in_flight(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	struct sched_verdict v;

	add(s, 1, 0, 1, "d");
	add(s, 2, 0, 1, "d");
	start(s, T0, &job);
	assert_int_equal(sched_remove(s, 1, 0), 0);
	assert_int_equal(sched_remove(s, 2, SCHED_ALL), 1);
	assert_int_equal(sched_result(s, 1, 0, SCHED_TEMPFAIL, T0, &v), 0);
	assert_int_equal(v.state, SCHED_DONE);
	assert_int_equal(v.removed, 1);
	assert_int_equal(sched_remove(s, 1, 0), 1);
	sched_finish(s, job.id, SCHED_ROUTE_OK, T0, NULL, NULL);
	nothing(s, T0);
	sched_free(s);
}

static void
pauses(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;

	add(s, 1, 0, 1, "a.example");
	add(s, 2, 0, 1, "b.example");
	sched_pause_kind(s, SCHED_RELAY, 1);
	assert_int_equal(sched_kind_paused(s, SCHED_RELAY), 1);
	nothing(s, T0);
	assert_int_equal(look(s, 1, 0).paused, 1);
	assert_true(sched_deadline(s, T0) > T0);
	sched_pause_kind(s, SCHED_RELAY, 0);
	assert_int_equal(sched_pause_domain(s, NULL, "A.example", 1), 1);
	assert_int_equal(sched_pause_domain(s, "other", "b.example", 1), 0);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 2);
	nothing(s, T0);
	assert_int_equal(sched_pause_domain(s, NULL, "a.example", 0), 1);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 1);
	sched_free(s);
}

static void
flushes(void **state)
{
	struct sched *s = fresh();
	struct sched_job job;
	struct sched_add a = { .action = "relay", .next = T0 + 999 };
	static const char *const domains[] = { "example.org",
		"sub.example.org", "notexample.org" };
	uint32_t i;

	for (i = 0; i < 3; i++) {
		a.msgid = i + 1;
		a.domain = domains[i];
		assert_int_equal(sched_add(s, &a, T0), 0);
	}
	nothing(s, T0);
	assert_int_equal(sched_flush_domain(s, "EXAMPLE.org", 0, T0), 1);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 1);
	nothing(s, T0);
	route_fails(s, &job, T0);
	nothing(s, T0);
	/* A blocked one is probed at once. */
	assert_int_equal(sched_flush_domain(s, "example.org", 1, T0), 2);
	start(s, T0, &job);
	assert_int_equal(job.probe, 1);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 2);
	nothing(s, T0);
	assert_int_equal(sched_schedule(s, 3, SCHED_ALL, T0), 1);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 3);
	finish(s, &job, SCHED_TEMPFAIL, SCHED_ROUTE_OK, T0);
	assert_int_equal(sched_flush_all(s, T0), 1);
	start(s, T0, &job);
	assert_int_equal(job.msgid, 3);
	sched_free(s);
}

static void
lists(void **state)
{
	struct sched *s = fresh();
	struct sched_info rows[7];
	struct sched_filter any = { 0 }, held = { 0 }, one = { 0 };
	struct sched_dest_info dest;
	uint64_t cursor = 0;
	uint32_t i, seen[20] = { 0 };
	size_t n, total = 0;

	for (i = 0; i < 20; i++)
		add(s, i + 1, i, 1, i % 2 == 0 ? "even" : "odd");
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
	add(s, 3, 9, 1, "even");
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
		cmocka_unit_test(life_of_one),
		cmocka_unit_test(refused_arguments),
		cmocka_unit_test(incoming_waits_for_commit),
		cmocka_unit_test(recipients_go_together),
		cmocka_unit_test(retries_are_quadratic),
		cmocka_unit_test(only_the_recipient_waits),
		cmocka_unit_test(dead_destination),
		cmocka_unit_test(probes_are_rarer_each_time),
		cmocka_unit_test(success_unblocks),
		cmocka_unit_test(recovery_releases_the_waiting),
		cmocka_unit_test(slow_server),
		cmocka_unit_test(slow_and_alone_is_blocked),
		cmocka_unit_test(window_grows_while_used),
		cmocka_unit_test(culprit_waits_alone),
		cmocka_unit_test(worker_gone),
		cmocka_unit_test(rest_goes_at_once),
		cmocka_unit_test(fair_to_senders),
		cmocka_unit_test(fair_to_destinations),
		cmocka_unit_test(priorities),
		cmocka_unit_test(expiry_and_warning),
		cmocka_unit_test(expires_while_blocked),
		cmocka_unit_test(hold_and_release),
		cmocka_unit_test(remove_in_flight),
		cmocka_unit_test(pauses),
		cmocka_unit_test(flushes),
		cmocka_unit_test(lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
