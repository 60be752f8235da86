/*
 * Steps of the scheduler's tests; see schedule_scene.h.
 */
#include "regress/unit/schedule_scene.h"

struct sched *
scene_new(void)
{
	struct sched_params params = { .seed = 42 };
	struct sched *s = sched_new(&params);

	assert_non_null(s);
	return s;
}

void
scene_add(struct sched *s, uint32_t msgid, uint32_t rcpt, uint32_t from,
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

struct sched_info
scene_look(struct sched *s, uint32_t msgid, uint32_t rcpt)
{
	struct sched_info info;

	assert_int_equal(sched_lookup(s, msgid, rcpt, &info), 1);
	return info;
}

void
scene_start(struct sched *s, int64_t now, struct sched_job *job)
{
	assert_int_equal(sched_next(s, now, job), SCHED_START);
	assert_true(job->nrcpts > 0);
}

void
scene_nothing(struct sched *s, int64_t now)
{
	struct sched_job job;

	assert_int_equal(sched_next(s, now, &job), SCHED_NOTHING);
}

enum sched_state
scene_result(struct sched *s, const struct sched_job *job, uint32_t i,
    enum sched_outcome outcome, int64_t now)
{
	struct sched_verdict v;

	assert_int_equal(
	    sched_result(s, job->msgid, job->rcpts[i], outcome, now, &v), 0);
	return v.state;
}

void
scene_finish(struct sched *s, const struct sched_job *job,
    enum sched_outcome outcome, enum sched_route route, int64_t now)
{
	uint32_t i;

	for (i = 0; i < job->nrcpts; i++)
		if (scene_result(s, job, i, outcome, now) == SCHED_DONE)
			assert_int_equal(
			    sched_remove(s, job->msgid, job->rcpts[i]), 1);
	assert_true(sched_finish(s, job->id, route, now, NULL, NULL) >= 0);
}

void
scene_deliver(struct sched *s, const struct sched_job *job, int64_t now)
{
	scene_finish(s, job, SCHED_DELIVERED, SCHED_ROUTE_OK, now);
}

void
scene_route_fails(struct sched *s, const struct sched_job *job, int64_t now)
{
	scene_finish(s, job, SCHED_NOT_TRIED, SCHED_ROUTE_FAILED, now);
}
