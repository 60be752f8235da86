/*
 * What the tests of the scheduler share: a scheduler at T0 with one class of
 * destinations, and the usual steps, each of which asserts that it works.
 */
#ifndef UNIT_SCHEDULE_SCENE_H
#define UNIT_SCHEDULE_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue/scheduler.h"

#define T0 1000000

struct sched *scene_new(void);
/* Recipient rcpt of message msgid, from sender `from`, to a domain. */
void scene_add(struct sched *, uint32_t msgid, uint32_t rcpt, uint32_t from,
    const char *domain);
struct sched_info scene_look(struct sched *, uint32_t msgid, uint32_t rcpt);
/* sched_next starts something, or has nothing. */
void scene_start(struct sched *, int64_t now, struct sched_job *);
void scene_nothing(struct sched *, int64_t now);
/* One result of a job: the state that follows. */
enum sched_state scene_result(struct sched *, const struct sched_job *,
    uint32_t i, enum sched_outcome, int64_t now);
/* Ends a job with the same outcome for all, removing what is done. */
void scene_finish(struct sched *, const struct sched_job *, enum sched_outcome,
    enum sched_route, int64_t now);
void scene_deliver(struct sched *, const struct sched_job *, int64_t now);
void scene_route_fails(struct sched *, const struct sched_job *, int64_t now);

#endif
