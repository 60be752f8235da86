/*
 * See schedule_model.h. Linked with the unit test and with the fuzz target.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "regress/unit/schedule_model.h"

#define MESSAGES 40
#define RCPTS 4
#define ENTRIES (MESSAGES * RCPTS)
#define DESTS 10
#define JOBS 64
#define STEPS 300
#define BATCH_MAX 3
#define INFLIGHT_MAX 8
#define ACTION_MAX 4
#define OWNER_MAX 3

/* READY and WAITING are one here: time alone moves between them. */
enum model_state { GONE, INCOMING, QUEUED, INFLIGHT, HELD, DONE };

struct model_entry {
	enum model_state state;
	uint32_t dest;
	uint32_t attempts;
	int64_t not_before;
	int64_t expiry;
	int64_t warn;
	/* over its time: tried once before it expires; the scheduler may know
	 * it, or must */
	int maybe_owed, owed;
	int hold; /* asked while in flight */
	int removed;
};

struct model {
	struct sched *s;
	struct schedule_dice dice;
	int64_t now;
	struct model_entry entries[ENTRIES];
	struct sched_job jobs[JOBS];
	uint32_t njobs;
	int ill[DESTS];
	int paused_dest[DESTS];
	int paused_kind[SCHED_KINDS];
	uint32_t added, ended;
};

uint32_t
schedule_roll(struct schedule_dice *dice, uint32_t n)
{
	uint32_t v = 0;

	if (dice->script != NULL) {
		for (uint32_t sides = n; sides > 1; sides >>= 8) {
			v = v << 8 | (dice->left > 0 ? *dice->script : 0);
			dice->script += dice->left > 0;
			dice->left -= dice->left > 0;
		}
		return v % n;
	}
	dice->random ^= dice->random << 13;
	dice->random ^= dice->random >> 7;
	dice->random ^= dice->random << 17;
	return (dice->random >> 11) % n;
}

static uint32_t
roll(struct model *m, uint32_t n)
{
	return schedule_roll(&m->dice, n);
}

static const struct {
	enum sched_kind kind;
	const char *action;
	const char *domain;
	const char *owner;
} dests[DESTS] = {
	{ SCHED_RELAY, "act", "a.example" },
	{ SCHED_RELAY, "act", "b.example" },
	{ SCHED_RELAY, "act", "sub.b.example" },
	{ SCHED_RELAY, "act", "c.example" },
	{ SCHED_LOCAL, "act", "user" },
	{ SCHED_EXPAND, "act", "" },
	{ SCHED_LOCAL, "act", "friend" },
	{ SCHED_LOCAL, "other", "stranger" },
	{ SCHED_LOCAL, "other", "joe:joe@a", "joe" },
	{ SCHED_LOCAL, "other", "joe:ann@a", "joe" },
};

static enum sched_kind
dest_kind(uint32_t d)
{
	return dests[d].kind;
}

static const char *
dest_domain(uint32_t d)
{
	return dests[d].domain;
}

static uint32_t
dest_number(const struct sched_job *job)
{
	uint32_t d;

	for (d = 0; d < DESTS; d++)
		if (strcmp(dest_domain(d), job->domain) == 0)
			break;
	assert_true(d < DESTS);
	return d;
}

static struct model_entry *
entry_of(struct model *m, uint32_t msgid, uint32_t rcpt)
{
	assert_in_range(msgid, 1, MESSAGES);
	assert_true(rcpt < RCPTS);
	return &m->entries[(msgid - 1) * RCPTS + rcpt];
}

static int
same_state(enum model_state model, enum sched_state state)
{
	static const enum model_state states[SCHED_STATES] = {
		[SCHED_INCOMING] = INCOMING,
		[SCHED_READY] = QUEUED,
		[SCHED_INFLIGHT] = INFLIGHT,
		[SCHED_WAITING] = QUEUED,
		[SCHED_HELD] = HELD,
		[SCHED_DONE] = DONE,
	};

	return states[state] == model;
}

static void
check_all(struct model *m)
{
	struct sched_stats st;
	struct sched_info info;
	struct sched_info rows[16];
	struct sched_filter any = { 0 };
	uint32_t i, n = 0, states[SCHED_STATES] = { 0 }, sum = 0;
	uint64_t cursor = 0;
	size_t got;

	for (i = 0; i < ENTRIES; i++) {
		struct model_entry *e = &m->entries[i];
		int there = sched_lookup(m->s, i / RCPTS + 1, i % RCPTS, &info);

		assert_int_equal(there, e->state != GONE);
		if (!there)
			continue;
		n++;
		assert_true(same_state(e->state, info.state));
		assert_int_equal(info.attempts, e->attempts);
		assert_string_equal(info.domain, dest_domain(e->dest));
		states[info.state]++;
	}
	sched_stats(m->s, &st);
	assert_int_equal(st.entries, n);
	for (i = 0; i < SCHED_STATES; i++)
		assert_int_equal(st.states[i], states[i]);
	while ((got = sched_list(m->s, &any, &cursor, rows, 16)) > 0)
		sum += got;
	assert_int_equal(sum, n);
	sum = 0;
	for (i = 0; i < SCHED_KINDS; i++) {
		assert_true(st.inflight[i] <= INFLIGHT_MAX);
		sum += st.inflight[i];
	}
	assert_int_equal(sum, m->njobs);
}

static int
is_over(const struct model *m, const struct model_entry *e)
{
	return e->expiry != 0 && e->expiry <= m->now;
}

static void
owe(const struct model *m, struct model_entry *e)
{
	e->owed = e->maybe_owed = is_over(m, e);
}

static int
is_paused(const struct model *m, const struct model_entry *e)
{
	return m->paused_dest[e->dest] || m->paused_kind[dest_kind(e->dest)];
}

static void
op_add(struct model *m)
{
	uint32_t i = roll(m, ENTRIES), d = roll(m, DESTS);
	struct model_entry *e = &m->entries[i];
	struct sched_add a = { .msgid = i / RCPTS + 1,
		.rcpt = i % RCPTS,
		.kind = dest_kind(d),
		.priority = roll(m, SCHED_PRIORITIES),
		.action = dests[d].action,
		.domain = dest_domain(d),
		.owner = dests[d].owner,
		.class = d == 0,
		.sender_key = i / RCPTS % 5 };

	a.expiry = roll(m, 4) == 0 ? 0 : m->now - 300 + roll(m, 3000);
	a.warn = roll(m, 2) == 0 ? 0 : m->now + 1 + roll(m, 500);
	a.next = roll(m, 2) == 0 ? 0 : m->now + roll(m, 100);
	a.attempts = roll(m, 3);
	a.flags = (roll(m, 6) == 0 ? SCHED_ADD_INCOMING : 0) |
	    (roll(m, 10) == 0 ? SCHED_ADD_HELD : 0);
	if (e->state != GONE) {
		assert_int_equal(sched_add(m->s, &a, m->now), -1);
		return;
	}
	assert_int_equal(sched_add(m->s, &a, m->now), 0);
	memset(e, 0, sizeof(*e));
	e->dest = d;
	e->attempts = a.attempts;
	e->not_before = a.next;
	e->expiry = a.expiry;
	e->warn = a.warn;
	e->hold = (a.flags & SCHED_ADD_HELD) != 0;
	e->state = QUEUED;
	if (a.flags & SCHED_ADD_INCOMING)
		e->state = INCOMING;
	else if (e->hold)
		e->state = HELD;
	owe(m, e);
	m->added++;
}

static void
end_entry(struct model *m, uint32_t msgid, uint32_t rcpt)
{
	struct model_entry *e = entry_of(m, msgid, rcpt);

	assert_int_equal(e->state, DONE);
	assert_int_equal(sched_remove(m->s, msgid, rcpt), 1);
	e->state = GONE;
	m->ended++;
}

static void
check_start(struct model *m, const struct sched_job *job)
{
	uint32_t d = dest_number(job), i;
	struct sched_dest_info info;
	struct model_entry *e;

	assert_in_range(job->nrcpts, 1, BATCH_MAX);
	assert_int_equal(job->kind, dest_kind(d));
	assert_false(m->paused_kind[job->kind]);
	assert_false(m->paused_dest[d]);
	assert_int_equal(sched_dest_info(m->s, job->dest, &info), 1);
	if (job->probe) {
		assert_int_equal(info.probing, 1);
	} else {
		assert_int_equal(info.blocked, 0);
		assert_true(info.inflight <= info.window);
	}
	for (i = 0; i < job->nrcpts; i++) {
		e = entry_of(m, job->msgid, job->rcpts[i]);
		assert_int_equal(e->state, QUEUED);
		assert_int_equal(e->dest, d);
		assert_true(e->not_before <= m->now);
		assert_true(!is_over(m, e) || e->maybe_owed);
		owe(m, e);
		e->state = INFLIGHT;
		e->hold = e->removed = 0;
	}
}

/* At most one probe of a destination is under way. */
static void
check_probes(struct model *m)
{
	uint32_t i, k;

	for (i = 0; i < m->njobs; i++)
		for (k = 0; k < i; k++)
			assert_false(m->jobs[i].probe && m->jobs[k].probe &&
			    m->jobs[i].dest == m->jobs[k].dest);
}

/* An action, and an owner in it, leaves others their part of the local
 * transactions. */
static void
check_parts(struct model *m)
{
	const struct sched_job *last = &m->jobs[m->njobs - 1];
	const char *owner = dests[dest_number(last)].owner;
	uint32_t i, action = 0, owned = 0;

	if (last->kind != SCHED_LOCAL)
		return;
	for (i = 0; i < m->njobs; i++) {
		action += m->jobs[i].kind == SCHED_LOCAL &&
		    strcmp(m->jobs[i].action, last->action) == 0;
		owned += dests[dest_number(&m->jobs[i])].owner == owner;
	}
	assert_true(action <= ACTION_MAX);
	assert_true(owner == NULL || owned <= OWNER_MAX);
}

static void
check_event(
    struct model *m, enum sched_what what, uint32_t msgid, uint32_t rcpt)
{
	struct model_entry *e = entry_of(m, msgid, rcpt);

	assert_int_equal(e->state, QUEUED);
	if (what == SCHED_WARN) {
		assert_true(e->warn != 0 && e->warn <= m->now);
		e->warn = 0;
	} else {
		assert_true(is_over(m, e) && !e->owed && !is_paused(m, e));
		e->state = DONE;
		end_entry(m, msgid, rcpt);
	}
}

/* The scheduler met some, or all, whose time is over while they are paused. */
static void
owe_paused(struct model *m, int all)
{
	struct model_entry *e;
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		e = &m->entries[i];
		if (e->state != QUEUED || !is_over(m, e) || !is_paused(m, e))
			continue;
		e->maybe_owed = 1;
		e->owed |= all;
	}
}

/* 1 when something happened. */
static int
op_next(struct model *m)
{
	struct sched_job *job = &m->jobs[m->njobs];
	enum sched_what what;
	uint32_t i;

	if (m->njobs == JOBS)
		return 0;
	what = sched_next(m->s, m->now, job);
	owe_paused(m, what == SCHED_NOTHING || what == SCHED_START);
	if (what == SCHED_NOTHING) {
		int64_t deadline = sched_deadline(m->s, m->now);

		assert_true(deadline == -1 || deadline > m->now);
		return 0;
	}
	if (what == SCHED_START) {
		check_start(m, job);
		m->njobs++;
		check_probes(m);
		check_parts(m);
		return 1;
	}
	assert_in_range(job->nrcpts, 1, SCHED_BATCH_MAX);
	for (i = 0; i < job->nrcpts; i++)
		check_event(m, what, job->msgid, job->rcpts[i]);
	return 1;
}

static void
apply_verdict(struct model *m, uint32_t msgid, uint32_t rcpt,
    const struct sched_verdict *v, int counted)
{
	struct model_entry *e = entry_of(m, msgid, rcpt);

	assert_int_equal(e->state, INFLIGHT);
	assert_true(
	    v->attempts == e->attempts || v->attempts == e->attempts + 1);
	if (counted != -1)
		assert_int_equal(v->attempts, e->attempts + counted);
	e->attempts = v->attempts;
	if (e->removed) {
		assert_int_equal(v->removed, 1);
		assert_int_equal(v->state, SCHED_DONE);
	} else if (e->hold) {
		assert_int_equal(v->state, SCHED_HELD);
	} else if (is_over(m, e) && !(e->owed && counted == 0)) {
		assert_int_equal(v->expired, 1);
		assert_int_equal(v->state, SCHED_DONE);
	}
	e->not_before = 0;
	if (v->state == SCHED_DONE) {
		e->state = DONE;
		end_entry(m, msgid, rcpt);
	} else if (v->state == SCHED_HELD) {
		e->state = HELD;
	} else {
		e->state = QUEUED;
		if (v->state == SCHED_WAITING)
			e->not_before = v->next;
		else
			assert_int_equal(v->state, SCHED_READY);
	}
	e->hold = e->removed = 0;
}

static void
one_result(
    struct model *m, uint32_t msgid, uint32_t rcpt, enum sched_outcome outcome)
{
	struct model_entry *e = entry_of(m, msgid, rcpt);
	struct sched_verdict v;

	assert_int_equal(
	    sched_result(m->s, msgid, rcpt, outcome, m->now, &v), 0);
	if (outcome == SCHED_NOT_TRIED) {
		assert_int_equal(v.state, SCHED_INFLIGHT);
	} else if (outcome == SCHED_TEMPFAIL) {
		apply_verdict(m, msgid, rcpt, &v, 1);
	} else {
		assert_int_equal(v.state, SCHED_DONE);
		e->state = DONE;
		end_entry(m, msgid, rcpt);
	}
}

/* What waited for a destination that recovers may go at once. */
static void
forget_times(struct model *m, uint32_t d)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++)
		if (m->entries[i].state == QUEUED && m->entries[i].dest == d)
			m->entries[i].not_before = 0;
}

/* The destination failed, so all that is there was tried. */
static void
excuse(struct model *m, uint32_t d)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++)
		if (m->entries[i].state == QUEUED && m->entries[i].dest == d)
			m->entries[i].owed = m->entries[i].maybe_owed = 0;
}

static void
end_job(struct model *m, uint32_t j, enum sched_route route)
{
	struct sched_job job = m->jobs[j];
	struct sched_verdict verdicts[SCHED_BATCH_MAX];
	uint32_t rcpts[SCHED_BATCH_MAX], d = dest_number(&job);
	struct sched_dest_info info;
	int i, n, blocked;
	uint32_t failures;

	assert_int_equal(sched_dest_info(m->s, job.dest, &info), 1);
	blocked = info.blocked;
	failures = info.failures;
	m->jobs[j] = m->jobs[--m->njobs];
	n = sched_finish(m->s, job.id, route, m->now, verdicts, rcpts);
	assert_true(n >= 0);
	for (i = 0; i < n; i++)
		apply_verdict(m, job.msgid, rcpts[i], &verdicts[i],
		    route == SCHED_ROUTE_OK || route == SCHED_ROUTE_UNKNOWN
			? 0
			: -1);
	if (sched_dest_info(m->s, job.dest, &info) &&
	    route != SCHED_ROUTE_BROKEN && info.failures > failures)
		excuse(m, d);
	if (route != SCHED_ROUTE_OK || !blocked)
		return;
	forget_times(m, d);
	/* it is open: a probe that is under way is one no longer */
	for (j = 0; j < m->njobs; j++)
		if (m->jobs[j].dest == job.dest)
			m->jobs[j].probe = 0;
}

static void
op_end_job(struct model *m)
{
	static const enum sched_route ills[] = { SCHED_ROUTE_SLOW,
		SCHED_ROUTE_FAILED, SCHED_ROUTE_FAILED, SCHED_ROUTE_BROKEN };
	enum sched_route route = SCHED_ROUTE_OK;
	struct sched_job *job;
	uint32_t j, i;

	if (m->njobs == 0)
		return;
	j = roll(m, m->njobs);
	job = &m->jobs[j];
	if (m->ill[dest_number(job)])
		route = ills[roll(m, 4)];
	else if (roll(m, 20) == 0)
		route = roll(m, SCHED_ROUTES);
	for (i = 0; i < job->nrcpts; i++) {
		if (route != SCHED_ROUTE_OK || roll(m, 8) == 0) {
			if (roll(m, 2) == 0)
				one_result(m, job->msgid, job->rcpts[i],
				    SCHED_NOT_TRIED);
		} else {
			one_result(m, job->msgid, job->rcpts[i],
			    roll(m, SCHED_NOT_TRIED));
		}
	}
	end_job(m, j, route);
}

static void
op_set_times(struct model *m, uint32_t msgid, uint32_t rcpt)
{
	struct model_entry *e = entry_of(m, msgid, rcpt);
	int64_t expiry = roll(m, 4) == 0 ? 0 : m->now - 300 + roll(m, 3000);
	int64_t warn = roll(m, 2) == 0 ? 0 : m->now - 100 + roll(m, 500);

	sched_set_times(m->s, msgid, rcpt, expiry, warn, m->now);
	e->expiry = expiry;
	e->warn = warn;
	owe(m, e);
}

static void
op_control(struct model *m)
{
	uint32_t i = roll(m, ENTRIES), msgid = i / RCPTS + 1, rcpt = i % RCPTS;
	uint32_t d = roll(m, DESTS), n = 0;
	struct model_entry *e = &m->entries[i];
	uint64_t cursor = 0;
	uint32_t kind;

	switch (roll(m, 10)) {
	case 0:
		n = sched_hold(m->s, msgid, rcpt);
		if (e->state == QUEUED) {
			assert_int_equal(n, 1);
			e->state = HELD;
		} else if (e->state == INFLIGHT || e->state == INCOMING) {
			assert_int_equal(n, !e->hold && !e->removed);
			e->hold |= !e->removed;
		} else {
			assert_int_equal(n, 0);
		}
		break;
	case 1:
		n = sched_release(m->s, msgid, rcpt, m->now);
		assert_int_equal(n,
		    e->state == HELD ||
			((e->state == INFLIGHT || e->state == INCOMING) &&
			    e->hold));
		if (e->state == HELD) {
			e->state = QUEUED;
			e->not_before = 0;
			owe(m, e);
		}
		e->hold = 0;
		break;
	case 2:
		n = sched_remove(m->s, msgid, rcpt);
		assert_int_equal(n, e->state != GONE && e->state != INFLIGHT);
		if (e->state == INFLIGHT) {
			e->removed = 1;
		} else if (e->state != GONE) {
			e->state = GONE;
			m->ended++;
		}
		break;
	case 3:
		n = sched_schedule(m->s, msgid, rcpt, m->now);
		assert_int_equal(n, e->state == QUEUED);
		e->not_before = 0;
		break;
	case 4:
		if (roll(m, 2) == 0) {
			d = d % 4; /* a relay's */
			sched_flush_domain(m->s, dest_domain(d), 0, m->now);
			forget_times(m, d);
			break;
		}
		while (sched_flush(m->s, &cursor, 1 + roll(m, 9), &n, m->now))
			;
		for (d = 0; d < DESTS; d++)
			forget_times(m, d);
		break;
	case 5:
		sched_commit(m->s, msgid, m->now);
		for (n = 0; n < RCPTS; n++) {
			e = entry_of(m, msgid, n);
			if (e->state == INCOMING) {
				e->state = e->hold ? HELD : QUEUED;
				owe(m, e);
			}
			if (e->state == HELD)
				e->hold = 0;
		}
		break;
	case 6:
		kind = roll(m, SCHED_KINDS);
		m->paused_kind[kind] = roll(m, 3) == 0;
		sched_pause_kind(m->s, kind, m->paused_kind[kind]);
		break;
	case 7:
		n = roll(m, 3) == 0;
		assert_true(sched_pause_domain(m->s, dest_domain(d), n) >= 0);
		m->paused_dest[d] = n && dest_kind(d) == SCHED_RELAY;
		break;
	case 8:
		m->ill[d] = roll(m, 3) == 0;
		break;
	case 9:
		op_set_times(m, msgid, rcpt);
		break;
	}
}

static void
step(struct model *m)
{
	uint32_t op = roll(m, 100);

	if (op < 25)
		op_add(m);
	else if (op < 60)
		op_next(m);
	else if (op < 80)
		op_end_job(m);
	else if (op < 92)
		op_control(m);
	else
		m->now += roll(m, op < 97 ? 10 : 400);
}

/* All is well again: everything must drain. */
static void
drain(struct model *m)
{
	uint32_t i, d, rounds;
	int64_t next;

	memset(m->ill, 0, sizeof(m->ill));
	for (i = 0; i < SCHED_KINDS; i++) {
		m->paused_kind[i] = 0;
		sched_pause_kind(m->s, i, 0);
	}
	for (d = 0; d < DESTS; d++) {
		m->paused_dest[d] = 0;
		sched_pause_domain(m->s, dest_domain(d), 0);
	}
	for (i = 1; i <= MESSAGES; i++) {
		sched_commit(m->s, i, m->now);
		sched_release(m->s, i, SCHED_ALL, m->now);
	}
	for (i = 0; i < ENTRIES; i++) {
		struct model_entry *e = &m->entries[i];

		if (e->state == HELD || e->hold)
			e->not_before = 0;
		if (e->state == HELD || e->state == INCOMING) {
			e->state = QUEUED;
			owe(m, e);
		}
		e->hold = 0;
	}
	for (rounds = 0; m->added > m->ended || m->njobs > 0; rounds++) {
		assert_true(rounds < 5000);
		while (op_next(m))
			;
		while (m->njobs > 0) {
			struct sched_job *job = &m->jobs[m->njobs - 1];

			for (i = 0; i < job->nrcpts; i++)
				one_result(m, job->msgid, job->rcpts[i],
				    SCHED_DELIVERED);
			end_job(m, m->njobs - 1, SCHED_ROUTE_OK);
		}
		next = sched_deadline(m->s, m->now);
		assert_true(next != -1 || m->added == m->ended);
		if (next > m->now)
			m->now = next;
	}
	check_all(m);
}

static void
model_begin(struct model *m, uint64_t seed)
{
	struct sched_params params = { .seed = seed,
		.max_inflight = { INFLIGHT_MAX, INFLIGHT_MAX, INFLIGHT_MAX },
		.max_action = ACTION_MAX,
		.max_owner = OWNER_MAX };
	struct sched_class class = { .retry_floor = 20,
		.retry_ceiling = 200,
		.probe_floor = 10,
		.probe_ceiling = 60,
		.window_start = 2,
		.window_max = 4,
		.batch_max = BATCH_MAX };
	struct sched_class backup = class;

	memset(m, 0, sizeof(*m));
	m->now = T0;
	m->s = sched_new(&params);
	assert_non_null(m->s);
	backup.probe_floor = backup.probe_ceiling = 5;
	sched_set_class(m->s, 0, &class);
	sched_set_class(m->s, 1, &backup);
}

void
schedule_model_run(uint64_t seed)
{
	struct model m;
	int i;

	model_begin(&m, seed);
	m.dice.random = schedule_seed(seed);
	for (i = 0; i < STEPS; i++) {
		step(&m);
		if (i % 8 == 0)
			check_all(&m);
	}
	drain(&m);
	sched_free(m.s);
}

void
schedule_model_play(const uint8_t *script, size_t len)
{
	struct model m;
	int i;

	model_begin(&m, 0);
	m.dice.script = script;
	m.dice.left = len;
	for (i = 0; m.dice.left > 0; i++) {
		step(&m);
		if (i % 8 == 0)
			check_all(&m);
	}
	drain(&m);
	sched_free(m.s);
}
