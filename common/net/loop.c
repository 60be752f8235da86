/*
 * See loop.h. Called by every process's main; owns the event base and the
 * calls deferred to the end of the turn.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#include "net/loop.h"

struct loop {
	struct event_base *base;
	TAILQ_HEAD(, loop_deferred) deferred;
	int64_t now;
	int64_t time;
	int clocks_read; /* in this turn */
	int stopped;
};

struct loop *
loop_new(void)
{
	struct event_config *config;
	struct loop *loop;

	if ((loop = calloc(1, sizeof(*loop))) == NULL)
		return NULL;
	TAILQ_INIT(&loop->deferred);
	if ((config = event_config_new()) != NULL) {
		/* the environment may not choose the back end */
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		loop->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (loop->base == NULL) {
		free(loop);
		return NULL;
	}
	return loop;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	event_base_free(loop->base);
	free(loop);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

static void
read_clocks(struct loop *loop)
{
	struct timespec ts;

	if (loop->clocks_read)
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	loop->now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	clock_gettime(CLOCK_REALTIME, &ts);
	loop->time = ts.tv_sec;
	loop->clocks_read = 1;
}

int64_t
loop_now(struct loop *loop)
{
	read_clocks(loop);
	return loop->now;
}

int64_t
loop_time(struct loop *loop)
{
	read_clocks(loop);
	return loop->time;
}

void
loop_stop(struct loop *loop)
{
	loop->stopped = 1;
	event_base_loopbreak(loop->base);
}

void
loop_deferred_init(struct loop_deferred *d, void (*fn)(void *), void *arg)
{
	d->fn = fn;
	d->arg = arg;
	d->queued = 0;
}

void
loop_defer(struct loop *loop, struct loop_deferred *d)
{
	if (d->queued)
		return;
	d->queued = 1;
	TAILQ_INSERT_TAIL(&loop->deferred, d, entry);
}

void
loop_undefer(struct loop *loop, struct loop_deferred *d)
{
	if (!d->queued)
		return;
	d->queued = 0;
	TAILQ_REMOVE(&loop->deferred, d, entry);
}

static void
end_turn(struct loop *loop)
{
	struct loop_deferred *d;

	while ((d = TAILQ_FIRST(&loop->deferred)) != NULL) {
		loop_undefer(loop, d);
		d->fn(d->arg);
	}
	loop->clocks_read = 0;
}

int
loop_run(struct loop *loop)
{
	end_turn(loop);
	while (!loop->stopped) {
		if (event_base_loop(loop->base, EVLOOP_ONCE) == -1)
			return -1;
		end_turn(loop);
	}
	loop->stopped = 0;
	return 0;
}
