/*
 * Messages over which the next hop ends the session, and a next hop that ends
 * it over every message: how long the mail of others waits for the former, and
 * how often the latter is asked. Hours of it in simulated time.
 */
#include "regress/unit/schedule_scene.h"

enum {
	MINUTE = 60,
	HOUR = 3600,
	GOOD = 100000, /* the first id of a message that is taken */
	EVERY = 30 /* seconds from one of these to the next */
};

struct world {
	struct sched *s;
	int64_t now;
	uint32_t next_bad, next_good;
	uint32_t quota; /* messages that are taken in each hour, 0: all good */
	uint32_t taken; /* in this hour */
	struct sched_job jobs[1000]; /* they take a second each */
	uint32_t count;
	uint32_t started, delivered, broken;
	int64_t born[2000]; /* of the good ones */
	int64_t waited; /* the longest of them */
};

static void
world_begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->s = scene_new();
	w->now = T0;
	w->next_bad = 1;
	w->next_good = GOOD;
}

static void
add_bad(struct world *w, uint32_t n)
{
	while (n-- > 0) {
		scene_add(w->s, w->next_bad, 0, 1000 + w->next_bad, "d");
		w->next_bad++;
	}
}

static void
add_good(struct world *w, uint32_t from)
{
	w->born[w->next_good - GOOD] = w->now;
	scene_add(w->s, w->next_good++, 0, from, "d");
}

static int
is_taken(struct world *w, uint32_t msgid)
{
	if (w->quota > 0)
		return w->taken < w->quota;
	return msgid >= GOOD;
}

static void
end_one(struct world *w, const struct sched_job *job)
{
	int64_t wait;

	if (!is_taken(w, job->msgid)) {
		w->broken++;
		scene_finish(
		    w->s, job, SCHED_NOT_TRIED, SCHED_ROUTE_BROKEN, w->now);
		return;
	}
	w->taken++;
	w->delivered++;
	scene_deliver(w->s, job, w->now);
	if (job->msgid < GOOD)
		return;
	wait = w->now - w->born[job->msgid - GOOD];
	if (wait > w->waited)
		w->waited = wait;
}

/* A second passes. */
static void
tick(struct world *w)
{
	uint32_t n = w->count, i;
	struct sched_job ending[1000], *job;
	enum sched_what what;

	memcpy(ending, w->jobs, n * sizeof(ending[0]));
	w->count = 0;
	if (++w->now % HOUR == 0)
		w->taken = 0;
	for (i = 0; i < n; i++)
		end_one(w, &ending[i]);
	for (;;) {
		job = &w->jobs[w->count];
		if ((what = sched_next(w->s, w->now, job)) != SCHED_START)
			break;
		w->started++;
		w->count++;
	}
	assert_int_equal(what, SCHED_NOTHING);
}

/* Good ones come for a while, all of one sender or each of another. */
static void
good_for(struct world *w, int64_t seconds, uint32_t senders)
{
	int64_t end = w->now + seconds;

	w->waited = 0;
	for (; w->now < end; tick(w))
		if (w->now % EVERY == 0)
			add_good(w, w->next_good % senders);
}

static uint32_t
good_left(const struct world *w)
{
	struct sched_stats st;

	sched_stats(w->s, &st);
	return st.entries - (w->next_bad - 1);
}

/* Once each of n messages was tried the others go at once, while those are
 * retried for hours. */
static void
others_go_on(uint32_t n, uint32_t senders, int64_t worst)
{
	static struct world w;

	world_begin(&w);
	add_bad(&w, n);
	good_for(&w, 2 * HOUR, senders);
	assert_in_range(w.waited, 1, worst);
	good_for(&w, 6 * HOUR, senders);
	assert_in_range(w.waited, 1, 5);
	assert_true(w.broken > 4 * n);
	assert_in_range(good_left(&w), 0, 1);
	sched_free(w.s);
}

static void
ten_messages(void **state)
{
	others_go_on(10, 1, 25);
	others_go_on(10, 5000, 25);
}

static void
forty_messages(void **state)
{
	others_go_on(40, 1, 13 * MINUTE);
	others_go_on(40, 5000, 13 * MINUTE);
}

/* New ones keep coming. */
static void
one_a_minute(void **state)
{
	static struct world w;
	int i;

	world_begin(&w);
	for (i = 0; i < 3 * 60; i++) {
		add_bad(&w, 1);
		good_for(&w, MINUTE, 7);
		assert_in_range(w.waited, 1, 10);
	}
	sched_free(w.s);
}

/* A mailing of one sender has one turn, the others theirs. */
static void
one_mailing(void **state)
{
	static struct world w;
	uint32_t i;

	world_begin(&w);
	for (i = 1; i <= 500; i++)
		scene_add(w.s, i, 0, 9999, "d");
	w.next_bad = i;
	good_for(&w, 8 * HOUR, 5000);
	assert_in_range(w.waited, 1, MINUTE);
	assert_true(w.broken > 500);
	sched_free(w.s);
}

/* A server that ends the session over each message is asked once a minute, and
 * all goes on when it takes one. */
static void
server_takes_none(void **state)
{
	static struct world w;
	uint32_t n;

	world_begin(&w);
	add_bad(&w, 5000);
	while (w.now < T0 + 6 * HOUR)
		tick(&w);
	assert_in_range(w.started, 6 * 60, 6 * 60 + 80);
	n = w.started;
	w.quota = 1000000;
	for (; w.delivered == 0; tick(&w))
		assert_in_range(w.started, n, n + 2);
	for (n = 0; n < 5 * MINUTE; n++)
		tick(&w);
	assert_int_equal(w.delivered, 5000);
	sched_free(w.s);
}

/* One that takes a hundred an hour gets them, and hardly more questions. */
static void
server_takes_few(void **state)
{
	static struct world w;

	world_begin(&w);
	add_bad(&w, 5000);
	w.quota = 100;
	while (w.now < T0 + 12 * HOUR)
		tick(&w);
	assert_in_range(w.delivered, 12 * 100, 13 * 100);
	assert_in_range(w.broken, 0, 13 * 150);
	sched_free(w.s);
}

static void
break_one(struct sched *s, int64_t now, uint32_t msgid)
{
	struct sched_job job;

	scene_start(s, now, &job);
	assert_int_equal(job.msgid, msgid);
	scene_finish(s, &job, SCHED_NOT_TRIED, SCHED_ROUTE_BROKEN, now);
}

/* One that breaks each session waits alone, and blocks nothing. */
static void
waits_alone(void **state)
{
	struct sched *s = scene_new();
	struct sched_dest_info info;
	struct sched_job job;
	int64_t now = T0;
	uint32_t n;

	scene_add(s, 1, 0, 1, "d");
	for (n = 1; n <= 10; n++) {
		break_one(s, now, 1);
		assert_int_equal(scene_look(s, 1, 0).state, SCHED_WAITING);
		assert_int_equal(scene_look(s, 1, 0).attempts, n);
		scene_add(s, 1 + n, 0, 2, "d");
		scene_start(s, now, &job);
		assert_int_equal(sched_dest_info(s, job.dest, &info), 1);
		assert_int_equal(info.blocked, 0);
		assert_int_equal(job.msgid, 1 + n);
		scene_deliver(s, &job, now);
		assert_int_equal(scene_look(s, 1, 0).state, SCHED_WAITING);
		now = scene_look(s, 1, 0).next;
	}
	sched_free(s);
}

/* What was under way when a server went down goes when it is back; what broke
 * again waits by itself. */
static void
recovery(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	int64_t now = T0;

	scene_add(s, 1, 0, 1, "d");
	break_one(s, now, 1);
	assert_int_equal(scene_look(s, 1, 0).state, SCHED_WAITING);
	assert_int_equal(scene_look(s, 1, 0).attempts, 1);
	scene_add(s, 2, 0, 2, "d");
	scene_start(s, now, &job);
	scene_route_fails(s, &job, now);
	now = sched_deadline(s, now);
	scene_start(s, now, &job);
	assert_int_equal(job.probe, 1);
	scene_deliver(s, &job, now);
	break_one(s, now, 1);
	assert_int_equal(scene_look(s, 1, 0).attempts, 2);
	scene_add(s, 3, 0, 3, "d");
	scene_start(s, now, &job);
	scene_route_fails(s, &job, now);
	now = sched_deadline(s, now);
	scene_start(s, now, &job);
	scene_deliver(s, &job, now);
	assert_int_equal(scene_look(s, 1, 0).state, SCHED_WAITING);
	/* but the operator has his will */
	assert_int_equal(sched_flush_domain(s, "d", 0, now), 1);
	break_one(s, now, 1);
	sched_free(s);
}

/* A probe is of a message over which nothing has ended yet, if there is one. */
static void
probe_prefers(void **state)
{
	struct sched *s = scene_new();
	struct sched_job job;
	int64_t now = T0;
	uint32_t i, n;

	for (i = 1; i <= 5; i++) {
		scene_add(s, i, 0, i, "d");
		break_one(s, now, i);
	}
	for (n = 0; n < 20; n++) {
		/* each is ready, and due before the good one */
		sched_schedule(s, 1 + n % 5, 0, now);
		scene_add(s, 100 + n, 0, 100 + n, "d");
		scene_start(s, now, &job);
		assert_int_equal(job.probe, 1);
		assert_int_equal(job.msgid, 100 + n);
		scene_finish(s, &job, SCHED_NOT_TRIED, SCHED_ROUTE_BROKEN, now);
		now += 70;
	}
	sched_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_messages),
		cmocka_unit_test(forty_messages),
		cmocka_unit_test(one_a_minute),
		cmocka_unit_test(one_mailing),
		cmocka_unit_test(server_takes_none),
		cmocka_unit_test(server_takes_few),
		cmocka_unit_test(waits_alone),
		cmocka_unit_test(recovery),
		cmocka_unit_test(probe_prefers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
