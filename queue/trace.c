/*
 * What the schedule does, told where it is traced: what begins, what came of
 * each recipient and when it is tried again, what ends and what that says of
 * the route. Called by dispatch.c and result.c.
 */
#include "config.h"

#include <stdio.h>

#include "os/log.h"
#include "queue/queue.h"

static int
is_traced(void)
{
	return (log_traced() & TRACE_QUEUE) != 0;
}

static const char *
decimal(char out[24], uint64_t n)
{
	snprintf(out, 24, "%llu", (unsigned long long)n);
	return out;
}

static const char *
hex(char out[24], int digits, uint64_t n)
{
	snprintf(out, 24, "%0*llx", digits, (unsigned long long)n);
	return out;
}

void
trace_start(const struct job *job, const struct sched_job *from)
{
	static const char *const kinds[SCHED_KINDS] = { "relay", "local",
		"expand" };
	char id[24], msgid[24], rcpts[24];

	if (!is_traced() || from->kind >= SCHED_KINDS)
		return;
	log_trace_event(TRACE_QUEUE, job->session, "start", "job",
	    hex(id, 1, job->id), "msgid", hex(msgid, 8, job->msgid), "kind",
	    kinds[from->kind], "action", from->action, "destination",
	    from->domain, "rcpts", decimal(rcpts, job->nrcpts), "probe",
	    from->probe ? "yes" : NULL, NULL);
}

void
trace_verdict(struct queue *q, const struct envelope *env, uint32_t index,
    const char *result, const struct sched_verdict *v)
{
	static const char *const states[SCHED_STATES] = { "incoming", "ready",
		"inflight", "waiting", "held", "done" };
	char evpid[24], attempts[24], wait[24];
	int64_t left;

	if (!is_traced() || v->state >= SCHED_STATES)
		return;
	left = v->next - queue_now(q);
	log_trace_event(TRACE_QUEUE, env->session, "verdict", "evpid",
	    hex(evpid, 16, envelope_evpid(env->msgid, index)), "result", result,
	    "state", states[v->state], "attempts",
	    decimal(attempts, v->attempts), "wait",
	    v->state == SCHED_WAITING
		? decimal(wait, left > 0 ? (uint64_t)left : 0)
		: NULL,
	    NULL);
}

void
trace_finish(const struct job *job, enum sched_route route)
{
	static const char *const routes[] = { [SCHED_ROUTE_OK] = "ok",
		[SCHED_ROUTE_SLOW] = "slow",
		[SCHED_ROUTE_FAILED] = "failed",
		[SCHED_ROUTE_UNKNOWN] = "unknown",
		[SCHED_ROUTE_BROKEN] = "broken" };
	char id[24], msgid[24];

	if (is_traced())
		log_trace_event(TRACE_QUEUE, job->session, "finish", "job",
		    hex(id, 1, job->id), "msgid", hex(msgid, 8, job->msgid),
		    "route", routes[route], NULL);
}
