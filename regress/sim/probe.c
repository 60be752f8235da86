/*
 * Ears inside the queue worker, and the bugs that are planted in it. The
 * linker leads calls of other files to these functions first (--wrap); the
 * real one is always called.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/scheduler.h"
#include "sim.h"

enum { LOG_PAIRS = 12 };

struct sched *__real_sched_new(const struct sched_params *);
struct sched *__wrap_sched_new(const struct sched_params *);
enum sched_what __real_sched_next(struct sched *, int64_t, struct sched_job *);
enum sched_what __wrap_sched_next(struct sched *, int64_t, struct sched_job *);
int __real_sched_finish(struct sched *, uint64_t, enum sched_route, int64_t,
    struct sched_verdict *, uint32_t *);
int __wrap_sched_finish(struct sched *, uint64_t, enum sched_route, int64_t,
    struct sched_verdict *, uint32_t *);
void __real_log_event(uint64_t, const char *, ...);
void __wrap_log_event(uint64_t, const char *, ...);

static struct sched *schedule;

static int
scheduled(uint32_t msgid, uint32_t rcpt)
{
	struct sched_info info;

	return sched_lookup(schedule, msgid, rcpt, &info);
}

struct sched *
__wrap_sched_new(const struct sched_params *params)
{
	schedule = __real_sched_new(params);
	queue_hooks.scheduled = scheduled;
	return schedule;
}

/* The bug: what was started is started again. */
enum sched_what
__wrap_sched_next(struct sched *s, int64_t now, struct sched_job *job)
{
	static struct sched_job again;
	static int armed;
	enum sched_what what;

	if (armed) {
		armed = 0;
		*job = again;
		job->id |= UINT64_C(1) << 62;
		return SCHED_START;
	}
	what = __real_sched_next(s, now, job);
	if (sim.plant == PLANT_DOUBLE_START && what == SCHED_START &&
	    dice_one_in(20)) {
		again = *job;
		armed = 1;
	}
	return what;
}

/* The bug: of several recipients without a result the last is forgotten. */
int
__wrap_sched_finish(struct sched *s, uint64_t id, enum sched_route route,
    int64_t now, struct sched_verdict *verdicts, uint32_t *rcpts)
{
	int n = __real_sched_finish(s, id, route, now, verdicts, rcpts);

	if (sim.plant == PLANT_FORGOTTEN && n > 1) {
		struct sched_info info;
		struct sched_filter filter = { .states = 1u << SCHED_READY };
		uint64_t cursor = 0;

		if (sched_list(s, &filter, &cursor, &info, 1) == 1)
			sched_remove(s, info.msgid, info.rcpt);
	}
	return n;
}

void
__wrap_log_event(uint64_t session, const char *event, ...)
{
	const char *p[2 * LOG_PAIRS] = { NULL }, *evpid = NULL;
	unsigned long long id;
	va_list ap;
	size_t n = 0;

	va_start(ap, event);
	while (n < 2 * LOG_PAIRS - 2 &&
	    (p[n] = va_arg(ap, const char *)) != NULL) {
		p[n + 1] = va_arg(ap, const char *);
		if (strcmp(p[n], "evpid") == 0)
			evpid = p[n + 1];
		n += 2;
	}
	va_end(ap);
	if (evpid != NULL && sscanf(evpid, "%llx", &id) == 1)
		judge_word((uint32_t)(id >> 32), (uint32_t)id, event);
	__real_log_event(session, event, p[0], p[1], p[2], p[3], p[4], p[5],
	    p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15],
	    p[16], p[17], p[18], p[19], p[20], p[21], NULL);
}
